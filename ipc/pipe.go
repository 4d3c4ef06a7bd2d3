package ipc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"syscall"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/sock"
)

// Options are the choices of a pipe. Both ends should have the same. The zero value of each field means its default.
type Options struct {
	// MaxMessage is the greatest size of a message in bytes (default [DefaultMax]).
	MaxMessage int
	// MaxFiles is how many descriptors may go with one message (default 16, at most sock.MaxFDs; negative: none).
	MaxFiles int
	// Looks is how often a receiver that finds nothing looks again before it sleeps, some 0.4 µs each, while that is worth
	// it (default 20, at most MaxLooks; negative: not at all). More pays where the peer takes longer for its answers.
	Looks int
}

// MaxLooks bounds Options.Looks: it is about what sleeping and waking costs where that is dear.
const MaxLooks = 1000

// DefaultMax is the greatest size of a message in bytes unless Options say otherwise.
const DefaultMax = 16 << 20

// defaultFiles is how many descriptors a message may have unless Options say otherwise.
const defaultFiles = 16

// A frame of a pipe, in network byte order. The descriptors are sent with its first byte.
//
//	 0        2              6
//	+--------+--------------+----------------+
//	| number | length       | length bytes   |
//	| of fds | of message   | of message     |
//	+--------+--------------+----------------+
const (
	lengthAt   = 2
	pipeHeader = 6
)

func (o Options) check() (Options, error) {
	if o.MaxMessage == 0 {
		o.MaxMessage = DefaultMax
	}
	if o.MaxFiles == 0 {
		o.MaxFiles = defaultFiles
	}
	if o.Looks == 0 {
		o.Looks = mostLooks
	}
	o.Looks = max(o.Looks, 0)
	switch {
	case o.Looks > MaxLooks:
		return o, fmt.Errorf("Options.Looks is %d: it takes %d at most", o.Looks, MaxLooks)
	case o.MaxMessage < 0 || o.MaxMessage > math.MaxInt32-pipeHeader:
		return o, fmt.Errorf("Options.MaxMessage is %d: it takes 1 to %d bytes", o.MaxMessage, math.MaxInt32-pipeHeader)
	case o.MaxFiles > sock.MaxFDs:
		return o, fmt.Errorf("Options.MaxFiles is %d: it takes %d at most", o.MaxFiles, sock.MaxFDs)
	}
	o.MaxFiles = max(o.MaxFiles, 0)
	return o, nil
}

func (o Options) codec() frame.Codec {
	return frame.Length{Bytes: 4, Offset: lengthAt, Keep: true, Max: o.MaxMessage + pipeHeader}
}

// A Pipe carries messages both ways between two processes, whole, in order, and with open files if asked to. All
// methods may be called by any goroutine and any coroutine, several at once: each message goes to one receiver.
type Pipe struct {
	s              *stream
	opt            Options
	name           string // for errors, as are
	sendOp, recvOp string
}

// NewPipe makes a pipe: its one end, and the other one as a file, for a child to inherit. Put that into the ExtraFiles
// of an exec.Cmd, and close it when the child has started; the child makes a Pipe of it with [FilePipe]:
//
//	mine, theirs, err := ipc.NewPipe(ipc.Options{})
//	cmd.ExtraFiles = []*os.File{theirs} // file 3 of the child
//	err = cmd.Start()
//	theirs.Close()
//
// When one process has closed its end or died, the other one receives what was sent before, and then io.EOF, as soon as
// nobody else holds a copy of that end.
func NewPipe(o Options) (mine *Pipe, theirs *os.File, err error) {
	const op = "new pipe"
	if o, err = o.check(); err != nil {
		return nil, nil, failed(op, err)
	}
	nc, theirs, err := pair()
	if err != nil {
		return nil, nil, failed(op, err)
	}
	mine, err = newPipe(nc, o, "pipe")
	if err != nil {
		_ = theirs.Close() // nobody has used it
		return nil, nil, failed(op, err)
	}
	return mine, theirs, nil
}

// FilePipe makes a Pipe of the file of NewPipe, in whichever process that came to: for the first of ExtraFiles,
//
//	p, err := ipc.FilePipe(os.NewFile(3, "pipe"), ipc.Options{})
//
// The file is closed, also with an error: what it stands for is the pipe's.
func FilePipe(f *os.File, o Options) (*Pipe, error) {
	const op = "pipe of a file"
	given(op, "the file", f != nil)
	o, err := o.check()
	if err != nil {
		_ = f.Close() // the first error is the one to tell
		return nil, failed(op, err)
	}
	nc, err := net.FileConn(f)
	_ = f.Close() // nc has a duplicate
	if err != nil {
		return nil, failed(op, err)
	}
	p, err := newPipe(nc, o, f.Name())
	return p, failed(op, err)
}

func newPipe(nc net.Conn, o Options, name string) (*Pipe, error) {
	s, err := newStream(nc, o.codec(), o.MaxFiles)
	if err != nil {
		return nil, err
	}
	s.looks = o.Looks
	return &Pipe{s, o, name, "send on " + name, "receive from " + name}, nil
}

// DialPipe connects to a [PipeListener] by its path.
func DialPipe(ctx context.Context, path string, o Options) (*Pipe, error) {
	op := "dial " + path
	o, err := o.check()
	if err != nil {
		return nil, failed(op, err)
	}
	nc, err := dial(ctx, op, "unix", path)
	if err != nil {
		return nil, failed(op, err)
	}
	p, err := newPipe(nc, o, path)
	return p, failed(op, err)
}

// A PipeListener makes a pipe of each connection to its path. All methods are for any goroutine, and Accept for
// coroutines too.
type PipeListener struct {
	l   *listener
	opt Options
}

// ListenPipe listens on the path of a unix socket, with the permissions 0600. A file that a dead process left there is
// replaced; one that somebody listens on, and one that is no socket, is left alone, and an error.
func ListenPipe(path string, o Options) (*PipeListener, error) {
	o, err := o.check()
	if err != nil {
		return nil, failed("listen on "+path, err)
	}
	l, err := listen(sock.Addr{Scheme: "unix", Path: path})
	if err != nil {
		return nil, failed("listen on "+path, err)
	}
	return &PipeListener{l, o}, nil
}

// Accept waits for the next pipe.
func (l *PipeListener) Accept(ctx context.Context) (*Pipe, error) {
	nc, err := l.l.accept(ctx)
	if err != nil {
		return nil, failed("accept on "+l.l.addr.Path, err)
	}
	p, err := newPipe(nc, l.opt, l.l.addr.Path)
	return p, failed("accept on "+l.l.addr.Path, err)
}

// Close stops listening, and removes the socket's file. Pipes that were accepted go on.
func (l *PipeListener) Close() error { return failed("close "+l.l.addr.Path, l.l.close()) }

// Send sends msg, and with it duplicates of files (an *os.File, a *net.TCPListener, or anything else that has a
// descriptor), which stay the caller's. It waits while the kernel's buffer is full, so while the peer does not receive.
// msg is the caller's again when Send returns. nil means that the kernel has all of it: a peer that dies may not have
// seen it.
//
// When ctx is done before the first byte has left, nothing was sent, and the pipe is as before. When part of the
// message has left, nothing more can be sent on this pipe ([ErrBroken]), and the peer gets io.ErrUnexpectedEOF.
func (p *Pipe) Send(ctx context.Context, msg []byte, files ...syscall.Conn) error {
	op := p.sendOp
	for _, f := range files {
		given(op, "a file", f != nil)
	}
	if err := p.s.sending.enter(ctx, op); err != nil {
		return &Error{op, err}
	}
	defer p.s.sending.leave()
	if err := p.sendLocked(ctx, op, msg, files); err != nil {
		return &Error{op, err}
	}
	return nil
}

func (p *Pipe) sendLocked(ctx context.Context, op string, msg []byte, files []syscall.Conn) error {
	switch {
	case len(msg) > p.opt.MaxMessage:
		return fmt.Errorf("%w: %d bytes, Options.MaxMessage is %d", frame.ErrTooLong, len(msg), p.opt.MaxMessage)
	case len(files) > p.opt.MaxFiles:
		return fmt.Errorf("%d files are too many, Options.MaxFiles is %d", len(files), p.opt.MaxFiles)
	}
	s := p.s
	head := binary.BigEndian.AppendUint16(s.out[:0], uint16(len(files)))
	head = binary.BigEndian.AppendUint32(head, uint32(len(msg)))
	s.out = head
	var tail []byte
	if len(msg) <= smallMessage {
		head = append(head, msg...)
		s.out = head
	} else {
		tail = msg
	}
	if len(files) == 0 {
		return s.send(ctx, op, head, tail, nil)
	}
	return withFDs(files, nil, func(fds []int) error { return s.send(ctx, op, head, tail, fds) })
}

// smallMessage is what is copied behind its header; a longer one is sent from where it is, by the same system call.
const smallMessage = 4 << 10

// withFDs calls f with the descriptors of files, which stay open meanwhile.
func withFDs(files []syscall.Conn, fds []int, f func(fds []int) error) error {
	if len(files) == 0 {
		return f(fds)
	}
	raw, err := files[0].SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = withFDs(files[1:], append(fds, int(fd)), f) }); err != nil {
		return err
	}
	return inner
}

// Recv waits for the next message, which is the caller's. Files that came with it are closed; see RecvFiles. It returns
// io.EOF itself, unwrapped, when the peer has closed its end, or died, between two messages.
func (p *Pipe) Recv(ctx context.Context) ([]byte, error) {
	msg, fds, err := p.recv(ctx)
	closeFDs(fds)
	return msg, err
}

// RecvFiles is Recv that returns the files as well, in the order in which they were sent. They are the caller's to
// close. Of one that is a socket net.FileConn or net.FileListener make a connection or a listener.
func (p *Pipe) RecvFiles(ctx context.Context) ([]byte, []*os.File, error) {
	msg, fds, err := p.recv(ctx)
	if err != nil || len(fds) == 0 {
		return msg, nil, err
	}
	files := make([]*os.File, len(fds))
	for i, fd := range fds {
		files[i] = os.NewFile(uintptr(fd), fmt.Sprintf("%s: file %d", p.name, i))
	}
	return msg, files, nil
}

func (p *Pipe) recv(ctx context.Context) (msg []byte, fds []int, err error) {
	err = p.receive(ctx, func(view []byte, with []int) error {
		msg, fds = append(make([]byte, 0, len(view)), view...), with
		return nil
	})
	return msg, fds, err
}

// receive calls f with a view of the next message, valid until f returns, and with its descriptors, which are f's.
func (p *Pipe) receive(ctx context.Context, f func(view []byte, fds []int) error) error {
	op := p.recvOp
	s := p.s
	if err := s.receiving.enter(ctx, op); err != nil {
		return &Error{op, err}
	}
	defer s.doneReceiving()
	view, err := s.next(ctx, op)
	return p.handOn(view, err, f)
}

// receiveSoon is receive of what comes soon, if it does.
func (p *Pipe) receiveSoon(ctx context.Context, f func(view []byte, fds []int) error) (came bool, err error) {
	s := p.s
	if task(ctx, p.recvOp) != nil || !s.receiving.try() {
		return false, nil
	}
	defer s.doneReceiving()
	view, err := s.soon(ctx)
	if view == nil && err == nil {
		return false, nil
	}
	return true, p.handOn(view, err, f)
}

// handOn calls f with a message, or returns why there is none.
func (p *Pipe) handOn(view []byte, err error, f func(view []byte, fds []int) error) error {
	op, s := p.recvOp, p.s
	if err == io.EOF {
		return io.EOF
	}
	if err != nil {
		return &Error{op, err}
	}
	n := int(binary.BigEndian.Uint16(view))
	if n > len(s.fds) {
		s.bad = fmt.Errorf("%w: a message with %d descriptors came with %d", ErrMalformed, n, len(s.fds))
		return &Error{op, s.bad}
	}
	var fds []int
	if n > 0 {
		fds = append(fds, s.fds[:n]...)
		s.fds = append(s.fds[:0], s.fds[n:]...)
	}
	return f(view[pipeHeader:], fds)
}

// Close closes this end. What was sent stays on its way; calls that wait fail with net.ErrClosed, and so does a second
// Close.
func (p *Pipe) Close() error { return failed("close "+p.name, p.s.close()) }

// CloseWrite ends what this end sends: the peer receives what was sent before, and then io.EOF. It can go on sending.
func (p *Pipe) CloseWrite(ctx context.Context) error {
	op := "close for sending " + p.name
	if err := p.s.sending.enter(ctx, op); err != nil {
		return failed(op, err)
	}
	defer p.s.sending.leave()
	c, ok := p.s.nc.(interface{ CloseWrite() error })
	if !ok {
		return failed(op, errors.ErrUnsupported)
	}
	return failed(op, c.CloseWrite())
}
