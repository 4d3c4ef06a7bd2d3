package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

type dialCmd struct {
	Driver   string        `default:"auto" placeholder:"NAME" help:"What the loop waits on: auto, or one that 'plexor drivers' lists."`
	Timeout  time.Duration `placeholder:"10s" help:"How long the connection may take, with the TLS handshake (default: as long as the system tries). Over udp: how long to wait for one more answer behind the end of the input (default 1s)."`
	Insecure bool          `help:"Trust any certificate of a tls:// address; fingerprint=SHA256 in the address trusts one."`
	Address  string        `arg:"" help:"tcp://host:port, tls://host:port, udp://host:port (each line of standard input is a datagram) or unix:///path, with options as a query: frame=SPEC sends each line of standard input as a message and prints each message as a line; for tls, fingerprint=SHA256 trusts one certificate alone, and cert=FILE and key=FILE are the client's own."`
}

// Run pipes standard input and output through a connection, as nc -N does: the end of the input closes this half, and
// the command ends when the peer has closed its own as well.
func (d *dialCmd) Run(c *console) error {
	if d.Timeout < 0 {
		return usagef("--timeout=%v: want a duration that is not negative", d.Timeout)
	}
	to, err := parseTarget(d.Address, "cert", "key", "fingerprint")
	switch {
	case errors.As(err, new(*sock.AddrError)): // it names the address
		return usageError{err}
	case err != nil:
		return usagef("%q: %w", d.Address, err)
	case to.addr.Scheme != "unix" && to.addr.Port == 0:
		return usagef("%q: port 0 is none to connect to", d.Address)
	case d.Insecure && !to.secure:
		return usagef("--insecure: it is for tls:// addresses")
	case d.Insecure && to.addr.Query.Has("fingerprint"):
		return usagef("leave one of --insecure and fingerprint= out: the first trusts any certificate, the second one alone")
	}
	o := loop.Options{Driver: d.Driver, Log: slog.New(slog.NewTextHandler(c.err, nil))}
	err = plexor.RunOn(context.Background(), o, func(ctx context.Context) error {
		if to.addr.Scheme == "udp" {
			return d.packets(ctx, to, c)
		}
		conn, err := d.connect(ctx, to)
		if err != nil {
			return err
		}
		p := &pipe{conn: conn, peer: to.peer(), in: c.in, out: c.out, codec: to.codec}
		if err := p.run(); err != nil {
			_ = conn.Abort() // the error is the one to tell
			return err
		}
		return conn.Close()
	})
	if errors.Is(err, loop.ErrUnknownDriver) {
		return usagef("--driver=%s: %w", d.Driver, err)
	}
	return err
}

func (d *dialCmd) connect(ctx context.Context, to target) (*plexor.Conn, error) {
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = coro.WithTimeout(ctx, d.Timeout)
		defer cancel()
	}
	var dialer plexor.Dialer
	if d.Insecure {
		dialer.TLS = &tls.Config{InsecureSkipVerify: true}
	}
	return dialer.Dial(ctx, to.address())
}

// A pipe is the connection and this process's ends of it. Those block, so they are read and written by coro.Await.
type pipe struct {
	conn  *plexor.Conn
	peer  string // its address, for errors
	in    io.Reader
	out   io.Writer
	codec frame.Codec // nil: bytes as they are
}

// pieceSize is how much is read at once, in bytes.
const pieceSize = 64 << 10

// run ends when both directions have. The first error ends the other one too, and so does the connection when it
// breaks, whatever the input waits for.
func (p *pipe) run() error {
	send, receive := p.send, p.receive
	if p.codec != nil {
		send, receive = p.sendLines, p.receiveLines
	}
	return saidOnce(coro.Group(p.conn.Context(), func(g *coro.Tasks) error {
		g.GoNamed("send", func(ctx context.Context) error {
			if err := send(ctx); err != nil {
				return p.named(err)
			}
			return p.named(p.conn.CloseWrite())
		})
		g.GoNamed("receive", func(ctx context.Context) error { return p.named(receive(ctx)) })
		return nil
	}))
}

// saidOnce is the first of several errors if the others say the same, as where a connection fails both ways.
func saidOnce(err error) error {
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	all := several.Unwrap()
	for _, e := range all {
		if e.Error() != all[0].Error() {
			return err
		}
	}
	return all[0]
}

func (p *pipe) send(ctx context.Context) error {
	buf := make([]byte, pieceSize)
	for {
		n, end := 0, false
		_, err := coro.Await(ctx, func() (_ struct{}, err error) {
			if n, err = p.in.Read(buf); err == io.EOF {
				end, err = true, nil
			}
			return
		})
		if err != nil {
			return p.fileError("standard input", err)
		}
		if _, err := p.conn.Write(buf[:n]); err != nil || end {
			return err
		}
	}
}

// named is err with the peer's address, which the connection knows none of over a unix socket.
func (p *pipe) named(err error) error {
	op, ok := err.(*net.OpError)
	if !ok || op.Net != "unix" {
		return err
	}
	return fmt.Errorf("%s: %s: %w", p.peer, op.Op, op.Err)
}

// fileError is why nothing is read of the input, or written to the output: often that the connection is over.
func (p *pipe) fileError(file string, err error) error {
	if cause := context.Cause(p.conn.Context()); cause != nil {
		return fmt.Errorf("%s: %w", p.peer, cause)
	}
	return fmt.Errorf("%s: %w", file, err)
}

func (p *pipe) receive(ctx context.Context) error {
	buf := make([]byte, pieceSize)
	for {
		n, err := p.conn.Read(buf)
		if werr := p.print(ctx, buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (p *pipe) print(ctx context.Context, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := coro.Await(ctx, func() (int, error) { return p.out.Write(b) })
	if err != nil {
		return p.fileError("standard output", err)
	}
	return nil
}

// sendLines makes each line a message, without its LF or CR LF; the last one needs none.
func (p *pipe) sendLines(ctx context.Context) error {
	w, err := frame.NewWriter(p.conn, p.codec)
	if err != nil {
		return err // parseCodec has passed it
	}
	lines := bufio.NewReaderSize(p.in, pieceSize)
	for number := 1; ; number++ {
		end := false
		line, err := coro.Await(ctx, func() (line []byte, err error) {
			line, end, err = readLine(lines, frame.Outgoing(p.codec).MaxMessage())
			return line, err
		})
		if err != nil {
			return p.fileError("standard input", fmt.Errorf("line %d: %w", number, err))
		}
		if end {
			return nil
		}
		if _, err := w.Write(line); err != nil {
			return fmt.Errorf("line %d of standard input: %w", number, err)
		}
	}
}

// readLine reads a line of at most so many bytes; end is that of the input.
func readLine(r *bufio.Reader, most int) (line []byte, end bool, err error) {
	for {
		piece, err := r.ReadSlice('\n')
		line = append(line, piece...)
		if len(line) > most+len("\r\n") {
			return nil, false, fmt.Errorf("it is longer than the %d bytes of a message", most)
		}
		switch err {
		case bufio.ErrBufferFull:
			continue
		case io.EOF:
			return line, len(line) == 0, nil
		case nil:
			return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), false, nil
		}
		return nil, false, err
	}
}

// receiveLines prints each message with a line feed behind it. Those of one piece are printed at once.
func (p *pipe) receiveLines(ctx context.Context) error {
	dec, err := frame.NewDecoder(p.codec)
	if err != nil {
		return err // likewise
	}
	buf := make([]byte, pieceSize)
	var lines []byte
	for {
		n, err := p.conn.Read(buf)
		lines = lines[:0]
		var bad error
		for msg, err := range dec.Feed(buf[:n]) {
			if bad = err; err == nil {
				lines = append(append(lines, msg...), '\n')
			}
		}
		if err == io.EOF && bad == nil {
			bad = dec.End()
		}
		if werr := p.print(ctx, lines); werr != nil {
			return werr
		}
		switch {
		case bad != nil:
			return fmt.Errorf("%s: %w", p.peer, bad)
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}
