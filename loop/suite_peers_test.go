//go:build linux || darwin || freebsd

package loop_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/stage"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
	"golang.org/x/sys/unix"
)

// address is one to listen on.
func address(t testing.TB, network string) sock.Addr {
	t.Helper()
	switch {
	case stage.On(t) && network == "unix":
		t.Skip("a Network has no unix sockets")
	case stage.On(t):
		return sock.Addr{Scheme: network, Host: stage.Of(t.Name()).LoopsIP}
	case network == "tcp", network == "udp":
		return sock.Addr{Scheme: network, Host: "127.0.0.1"}
	}
	dir, err := os.MkdirTemp("", "plx") // t.TempDir's names are longer than a Unix socket's path may be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return sock.Addr{Scheme: "unix", Path: filepath.Join(dir, "s")}
}

// listen accepts on the rig's loop until the test ends.
func (r *rig) listen(network string, o sock.Options, accept loop.AcceptFunc) sock.Addr {
	r.t.Helper()
	a := address(r.t, network)
	var ln *loop.Listener
	var err error
	r.do(func() { ln, err = r.Listen(a, o, accept) })
	if err != nil {
		r.t.Fatalf("Listen(%s): %v", a, err)
	}
	return ln.Addr()
}

// serve is listen with a handler for each connection.
func (r *rig) serve(network string, h func() loop.Handler) sock.Addr {
	r.t.Helper()
	return r.listen(network, sock.Options{}, func(*loop.Conn) loop.Handler { return h() })
}

// A peer is the other end: a socket of Go's own.
type peer struct {
	net.Conn
	t testing.TB
}

// tryDial connects to a.
func tryDial(a sock.Addr) (net.Conn, error) { return dialer{}.dial(a) }

// A dialer connects; window, if it is not 0, is the size of the peer's receive buffer, which the system would else tune
// to more than a test's output.
type dialer struct{ window int }

func (d dialer) dial(a sock.Addr) (net.Conn, error) {
	if s := stage.Of(a.Host); s != nil {
		return d.dialVirtual(s, a)
	}
	target := a.Path
	if a.Scheme != "unix" {
		ap, _ := a.AddrPort()
		target = ap.String()
	}
	nd := net.Dialer{Timeout: patience}
	if d.window > 0 {
		nd.Control = func(_, _ string, c syscall.RawConn) (err error) {
			return errors.Join(err, c.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, d.window)
			}))
		}
	}
	c, err := nd.Dial(a.Scheme, target)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(patience))
	}
	return c, err
}

func dial(t testing.TB, a sock.Addr) *peer {
	t.Helper()
	return dialer{}.peer(t, a)
}

func (d dialer) peer(t testing.TB, a sock.Addr) *peer {
	t.Helper()
	c, err := d.dial(a)
	if err != nil {
		t.Fatalf("dial %s: %v", a, err)
	}
	t.Cleanup(func() { c.Close() })
	return &peer{c, t}
}

// closeWrite closes the peer's half.
func (p *peer) closeWrite() {
	p.t.Helper()
	if err := p.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		p.t.Errorf("the peer's CloseWrite: %v", err)
	}
}

// reset closes the peer's socket so that the other side gets a reset (TCP).
func (p *peer) reset() {
	p.t.Helper()
	if err := p.Conn.(interface{ SetLinger(sec int) error }).SetLinger(0); err != nil {
		p.t.Errorf("SetLinger: %v", err)
	}
	p.Close()
}

// send writes all of b.
func (p *peer) send(b []byte) {
	p.t.Helper()
	p.SetWriteDeadline(time.Now().Add(patience)) // for each call: a busy machine may take as long for all of a test
	if _, err := p.Write(b); err != nil {
		p.t.Errorf("the peer's Write of %d bytes: %v", len(b), err)
	}
}

// expect reads exactly want.
func (p *peer) expect(want []byte) {
	p.t.Helper()
	p.SetReadDeadline(time.Now().Add(patience))
	got := make([]byte, len(want))
	n, err := io.ReadFull(p, got)
	if err != nil {
		p.t.Fatalf("the peer read %d of %d bytes: %v", n, len(want), err)
	}
	same(p.t, got, want)
}

// expectAll reads want and then the end of the stream.
func (p *peer) expectAll(want []byte) {
	p.t.Helper()
	p.expect(want)
	p.expectEOF()
}

func (p *peer) expectEOF() {
	p.t.Helper()
	p.SetReadDeadline(time.Now().Add(patience))
	var one [1]byte
	if n, err := p.Read(one[:]); err != io.EOF {
		p.t.Fatalf("the peer read %d bytes and %v: want the end of the stream", n, err)
	}
}

// same compares bytes, and tells where they differ.
func same(t testing.TB, got, want []byte) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("byte %d of %d is %#x: want %#x", i, len(want), got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("got %d bytes: want %d", len(got), len(want))
	}
}

// pattern is n bytes in which a piece that is lost, doubled or moved shows.
func pattern(n int) []byte {
	patternOnce.Do(func() {
		patternBytes = make([]byte, 9<<20)
		rand.NewChaCha8([32]byte{1, 2, 3}).Read(patternBytes)
	})
	return patternBytes[:n:n]
}

var (
	patternOnce  sync.Once
	patternBytes []byte
)

// A watcher is a Handler made of functions, all of which may be nil: then it does as loop.Base does, or nothing. It
// holds the order that Handler promises, for one connection.
type watcher struct {
	t        testing.TB
	opened   func(c *loop.Conn)
	data     func(c *loop.Conn, p []byte)
	eof      func(c *loop.Conn)
	writable func(c *loop.Conn)
	expired  func(c *loop.Conn, err *loop.DeadlineError)
	closed   func(c *loop.Conn, err error)

	wasOpened, sawEOF, wasClosed bool
}

func (w *watcher) order(call string, ok bool) {
	w.t.Helper()
	if !ok {
		w.t.Errorf("%s out of order (opened %v, EOF %v, closed %v)", call, w.wasOpened, w.sawEOF, w.wasClosed)
	}
}

func (w *watcher) Opened(c *loop.Conn) {
	w.order("Opened", !w.wasOpened && !w.wasClosed)
	w.wasOpened = true
	if w.opened != nil {
		w.opened(c)
	}
}

func (w *watcher) Data(c *loop.Conn, p []byte) {
	w.order("Data", w.wasOpened && !w.sawEOF && !w.wasClosed && len(p) > 0)
	if w.data != nil {
		w.data(c, p)
	}
}

func (w *watcher) EOF(c *loop.Conn) {
	w.order("EOF", w.wasOpened && !w.sawEOF && !w.wasClosed)
	w.sawEOF = true
	if w.eof != nil {
		w.eof(c)
	} else {
		c.Close()
	}
}

func (w *watcher) Writable(c *loop.Conn) {
	w.order("Writable", w.wasOpened && !w.wasClosed)
	if w.writable != nil {
		w.writable(c)
	}
}

func (w *watcher) Expired(c *loop.Conn, err *loop.DeadlineError) {
	w.order("Expired", w.wasOpened && !w.wasClosed)
	if w.expired != nil {
		w.expired(c, err)
	}
}

func (w *watcher) Closed(c *loop.Conn, err error) {
	w.order("Closed", !w.wasClosed)
	w.wasClosed = true
	if w.closed != nil {
		w.closed(c, err)
	}
}

// A link is a connection of which the loop has one end, and the test the other.
type link struct {
	*rig
	c      *loop.Conn
	w      *watcher
	peer   *peer
	closed chan error // what Closed got
}

// connect makes a link. The watcher's functions are the test's, but closed.
func (r *rig) connect(network string, o sock.Options, w *watcher) *link {
	r.t.Helper()
	k := &link{rig: r, w: w, closed: make(chan error, 1)}
	w.t = r.t
	opened, theirs := make(chan *loop.Conn, 1), w.opened
	w.opened = func(c *loop.Conn) {
		if theirs != nil {
			theirs(c)
		}
		opened <- c
	}
	w.closed = func(_ *loop.Conn, err error) { k.closed <- err }
	a := address(r.t, network)
	var ln *loop.Listener
	var err error
	r.do(func() { ln, err = r.Listen(a, o, func(*loop.Conn) loop.Handler { return w }) })
	if err != nil {
		r.t.Fatalf("Listen(%s): %v", a, err)
	}
	k.peer = dialer{window: 64 << 10}.peer(r.t, ln.Addr())
	k.c = recv(r.t, "Opened", opened)
	r.do(func() { ln.Close() })
	return k
}

// end waits for Closed, whose error must be want to errors.Is; nil is only nil.
func (k *link) end(want error) {
	k.t.Helper()
	if err := recv(k.t, "Closed", k.closed); !errors.Is(err, want) {
		k.t.Errorf("Closed got %v: want %v", err, want)
	}
}

// notYet checks that Closed has not been called.
func (k *link) notYet(when string) {
	k.t.Helper()
	k.turns(2)
	select {
	case err := <-k.closed:
		k.t.Fatalf("Closed(%v) %s: too early", err, when)
	default:
	}
}

// write is Conn.Write of all of p from a handler that knows there is room.
func write(t testing.TB, c *loop.Conn, p []byte) {
	t.Helper()
	if n, err := c.Write(p); n != len(p) || err != nil {
		t.Errorf("Write of %d bytes: %d, %v", len(p), n, err)
	}
}

// A rawListener is a listener of Go's own, for the loop to dial.
type rawListen struct {
	net.Listener
	t    testing.TB
	addr sock.Addr
}

func rawListener(t testing.TB, network string) *rawListen {
	t.Helper()
	a := address(t, network)
	if stage.On(t) {
		return listenVirtual(t)
	}
	target := a.Path
	if network == "tcp" {
		target = "127.0.0.1:0"
	}
	ln, err := net.Listen(network, target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	if network == "tcp" {
		a.Port = ln.Addr().(*net.TCPAddr).Port
	}
	return &rawListen{ln, t, a}
}

func (ln *rawListen) accept() *peer {
	ln.t.Helper()
	c, err := ln.Accept()
	if err != nil {
		ln.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	ln.t.Cleanup(func() { c.Close() })
	return &peer{c, ln.t}
}

// group starts a group until the test ends.
func group(t testing.TB, o loop.GroupOptions) *loop.Group {
	t.Helper()
	if o.Stall == 0 {
		o.Stall = -1
	}
	if o.Log == nil {
		o.Log = quiet
	}
	o.Options = placed(t, o.Options)
	g, err := loop.NewGroup(o)
	if err != nil {
		t.Fatalf("NewGroup: %v", err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Errorf("Group.Close: %v", err)
		}
	})
	return g
}

// cpu is how much processor time the process uses while d passes.
func cpu(d time.Duration) time.Duration {
	used := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			panic(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	time.Sleep(d)
	return used() - before
}

// readAll makes the peer read what is on its way, n bytes, from a handler: so that it happens within a turn.
func (p *peer) readAll(n int) {
	p.t.Helper()
	p.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(p, make([]byte, n)); err != nil {
		p.t.Errorf("the peer's read of %d bytes: %v", n, err)
	}
}

// fill writes pieces until the connection is full; it returns how much was taken.
func fill(t testing.TB, c *loop.Conn, piece int) (taken int) {
	t.Helper()
	for taken < 64<<20 {
		n, err := c.Write(pattern(piece))
		if err == loop.ErrFull {
			if n != 0 {
				t.Errorf("Write took %d bytes and returned ErrFull", n)
			}
			return taken
		}
		if err != nil || n != piece {
			t.Errorf("Write of %d bytes: %d, %v", piece, n, err)
			return taken
		}
		taken += n
	}
	t.Errorf("%d bytes taken in one turn and no ErrFull", taken)
	return taken
}

// large is more than the kernel's buffers and the loop's high-water mark hold together.
const large = 8 << 20

// readSlowly reads the stream to its end, with pauses, and compares.
func readSlowly(t testing.TB, r io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, 0, len(want)+1)
	for n := 0; ; n++ {
		piece := got[len(got):min(len(got)+96<<10, cap(got))]
		k, err := r.Read(piece)
		got = got[:len(got)+k]
		if err == io.EOF || err == nil && len(got) > len(want) {
			break
		}
		if err != nil {
			t.Errorf("after %d of %d bytes: %v", len(got), len(want), err)
			return
		}
		if n%4 == 0 {
			time.Sleep(200 * time.Microsecond) // what makes it slow
		}
	}
	same(t, got, want)
}

// step is what the manual clock is moved by where a test only needs time to pass: more than any look of a closing
// connection waits.
const step = 100 * time.Millisecond

// acked waits until the peer's system has acknowledged all, for which it may take its time: no manual clock holds
// there.
func (k *link) acked() {
	k.t.Helper()
	k.until("all is acknowledged", func() bool {
		n, known := k.c.Unacked()
		return n == 0 || !known
	})
}
