package smtp

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
)

// With Server.Block the Session's methods run where they may wait:
//
//	this goroutine, or coroutine          another one
//	call: Block ─────────────────────────▶ a method
//	relay: reads what comes ── chunk ────▶ Session.Data reads that
//	       Block waits for ◀── want ────── and wants more, or
//	                      ◀── done ─────── has returned
//
// The connection is read here alone. When Block gives up the connection is at its end, and the Session's Close waits
// for the method, on a goroutine.

// A work is a method that was handed to Block.
type work struct {
	mu      sync.Mutex
	begun   bool
	dropped bool // it must not begin any more
	done    chan struct{}
	panic   *sessionPanic
}

// A sessionPanic is a panic of a method, with the stack that it had.
type sessionPanic struct {
	v     any
	stack []byte
}

func (p *sessionPanic) String() string { return fmt.Sprint(p.v) }

// run calls f, unless the work was dropped.
func (w *work) run(f func()) {
	w.mu.Lock()
	if w.dropped {
		w.mu.Unlock()
		return
	}
	w.begun = true
	w.mu.Unlock()
	defer close(w.done)
	w.guarded(f)
}

func (w *work) guarded(f func()) {
	defer func() {
		if v := recover(); v != nil {
			w.panic = &sessionPanic{v, debug.Stack()}
		}
	}()
	f()
}

// call runs a method of the Session, or of the Backend, by Server.Block. f must write nothing that others read but what
// they read behind a nil error of errGaveUp.
func (c *ServerConn) call(ctx context.Context, f func()) error {
	w := &work{done: make(chan struct{})}
	if c.srv.Block(ctx, func() { w.run(f) }) {
		if w.panic != nil {
			panic(w.panic)
		}
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dropped = true; w.begun {
		c.busy = w.done
	}
	return errGaveUp
}

// errGaveUp is a Block that has given up: nobody is there who could be answered.
var errGaveUp = fmt.Errorf("%w: its context ended in the midst of a command", ErrHangUp)

// callError is call of a method that returns an error.
func (c *ServerConn) callError(ctx context.Context, f func() error) error {
	failed := new(error)
	if err := c.call(ctx, func() { *failed = f() }); err != nil {
		return err
	}
	return *failed
}

// relaySize is how much of a message is handed over at once, in bytes.
const relaySize = 32 << 10

var relayBuffers = sync.Pool{New: func() any { return new([relaySize]byte) }}

// A relay hands a message to Session.Data, and is its reader.
type relay struct {
	work
	want  chan struct{} // holds one: more is wanted
	chunk chan relayed  // holds one
	gone  chan struct{} // closed: nobody hands over any more

	have relayed // of the reader

	id   string
	each []error
	err  error
}

// A relayed is a part of a message, and what comes behind it: nil is more.
type relayed struct {
	b   []byte
	err error
}

// Read is of the Session's goroutine.
func (r *relay) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.have.b) == 0 {
		if r.have.err != nil {
			return 0, r.have.err
		}
		r.want <- struct{}{} // there is room: it is taken before a chunk comes
		select {
		case r.have = <-r.chunk:
		case <-r.gone:
			r.have.err = ErrIncomplete
		}
	}
	n := copy(p, r.have.b)
	r.have.b = r.have.b[n:]
	return n, nil
}

// relay has Session.Data, or DataEach, take a message on another goroutine.
func (c *ServerConn) relay(ctx context.Context, b *body, take func(r io.Reader) (id string, each []error, err error)) {
	r := &relay{want: make(chan struct{}, 1), chunk: make(chan relayed, 1), gone: make(chan struct{})}
	r.done = make(chan struct{})
	buf := relayBuffers.Get().(*[relaySize]byte)
	r.have = b.fill(buf[:])
	go r.run(func() { r.id, r.each, r.err = take(r) })
	for {
		wants := new(bool)
		if !c.srv.Block(ctx, func() {
			select {
			case <-r.want:
				*wants = true
			case <-r.done:
			}
		}) {
			close(r.gone)
			c.busy = r.done
			b.failed = errGaveUp
			return
		}
		if !*wants {
			break
		}
		r.chunk <- b.fill(buf[:])
	}
	relayBuffers.Put(buf)
	if r.panic != nil {
		panic(r.panic)
	}
	b.id, b.each, b.failed = r.id, r.each, r.err
}

// fill reads until there is no more room, or no more to read.
func (b *body) fill(p []byte) (f relayed) {
	n := 0
	for n < len(p) && f.err == nil {
		var k int
		k, f.err = b.Read(p[n:])
		n += k
	}
	f.b = p[:n]
	return f
}

// later ends a session whose method runs still.
func (c *ServerConn) later(s Session, busy <-chan struct{}, message bool, reason error) {
	<-busy
	defer c.caught()
	if message {
		s.Reset()
	}
	s.Close(reason)
}
