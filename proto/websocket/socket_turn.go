package websocket

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/plexor-go/plexor/proto/http1"
)

// A Socket on an engine: Turn is called when bytes have come, and borrows what it needs to take them apart. Only what
// belongs to a message that has come in part, and windows that were agreed on, stay with the connection.
//
//	Turn: bytes ──▶ frames ──▶ Message, pong, close ──▶ rest
//	                  └──▶ a part of a message: it is carried, with a deadline

// carried is what a connection holds between turns.
type carried struct {
	a *Assembler // of a message that has come in part, or with a window
	z *deflater  // with a window
	n int        // bytes that came and were not looked at

	held int // bytes of a message that has come in part, as was told
}

func (s *Socket) keep() *carried {
	if s.carried == nil {
		s.carried = new(carried)
	}
	return s.carried
}

// readSize is what is read at once, in bytes.
const readSize = 16 << 10

var readBuffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// assemblers are those of connections that keep no window, between their turns. A connection's own is taken again as
// it was made for the same Options and the same agreement.
var assemblers = sync.Pool{New: func() any { return new(Assembler) }}

func (s *Socket) assembler() *Assembler {
	if s.carried != nil && s.carried.a != nil {
		return s.carried.a
	}
	a := assemblers.Get().(*Assembler)
	c := s.compression
	l := s.e.o.Limits.WithDefaults()
	a.parser = Parser{Side: Server, Deflate: c != nil, Limits: l}
	switch {
	case c == nil:
		a.z = nil
	case a.z == nil:
		a.z = newInflater(c, l)
	default:
		*a.z = inflater{bits: c.ReceiveBits, keep: c.ReceiveWindow, limit: l.Inflated}
	}
	return a
}

// begin answers the request, and calls open.
func (s *Socket) begin(l http1.Looped, answer, ahead []byte, open func() error) error {
	s.link = l
	s.e.wheel.add(s)
	if _, err := l.Write(answer); err != nil {
		s.because(err)
		return err
	}
	if err := s.call(open); err != nil {
		s.because(err)
		return s.fail(s.codeOf(err))
	}
	s.set(opened)
	if len(ahead) > 0 {
		return s.eat(ahead)
	}
	return nil
}

// turn reads what has come.
func (s *Socket) turn() error {
	p := readBuffers.Get().(*[readSize]byte)
	n, err := s.link.Read(p[:])
	if n > 0 {
		s.hear()
		err = s.eat(p[:n])
	} else if err == io.EOF {
		s.because(ErrEnded)
	}
	readBuffers.Put(p)
	return err
}

// eat takes apart what has come.
func (s *Socket) eat(b []byte) error {
	if s.is(deaf) {
		if k := s.keep(); k.n+len(b) > mostDrained {
			return io.EOF
		} else {
			k.n += len(b)
		}
		return nil
	}
	a := s.assembler()
	for len(b) > 0 {
		n, e, err := a.Next(b)
		b = b[n:]
		if err == nil {
			err = s.event(&e)
		} else if e := new(Error); errors.As(err, &e) {
			s.because(err)
			err = s.fail(e.Code, e.What)
		}
		if err != nil || s.is(deaf) {
			s.drop(a)
			return err
		}
	}
	s.rest(a)
	return nil
}

// event is for what has come.
func (s *Socket) event(e *Event) error {
	switch e.Kind {
	case Data:
		s.holds(0)
		if s.closing() {
			return nil
		}
		if err := s.call(func() error { return s.up.message(Message{e.Op, e.Payload}) }); err != nil {
			s.because(err)
			if s.beginClose(s.codeOf(err)) {
				s.closeInTurn()
			}
		}
	case Ping:
		if s.closing() {
			return nil
		}
		b := AppendControl(getBuffer(), PongFrame, e.Payload, nil)
		_, err := s.link.Write(b) // waits while the client takes nothing: so pings are not read any more either
		putBuffer(b)
		return err
	case Pong:
		if f := s.e.o.OnPong; f != nil {
			f(e.Payload)
		}
	case Close:
		s.because(&CloseError{Code: e.Code, Reason: string(e.Payload)})
		if s.set(closeSent) == 0 {
			s.sayClose(e.Code, "")
		}
		return io.EOF
	}
	return nil
}

// rest gives back what is not needed until more comes, and sees to it that the rest of a message comes in time.
func (s *Socket) rest(a *Assembler) {
	a.release()
	idle := a.Idle()
	if !idle || a.z != nil && a.z.keep {
		s.keep().a = a
		s.holds(a.Held())
	} else {
		s.drop(a)
	}
	late := s.is(timed)
	if idle == !late || s.closing() {
		return
	}
	s.mu.Lock()
	s.flags ^= timed
	s.mu.Unlock()
	by := time.Time{}
	if wait := orElse(s.e.o.MessageWait, defaultMessageWait); !idle {
		by = s.e.o.now().Add(wait)
	}
	_ = s.link.SetReadDeadline(by) // fails for a connection that is over, which tells by itself
}

// holds says how many bytes are kept of a message that has come in part. It is for who has nothing carried, too, if n
// is 0.
func (s *Socket) holds(n int) {
	if k := s.carried; k != nil && k.held != n {
		k.held = n
		s.link.HoldsInput(n)
	}
}

// drop is for an assembler whose connection needs it no more.
func (s *Socket) drop(a *Assembler) {
	s.holds(0)
	if k := s.carried; k != nil {
		if k.a = nil; k.z == nil && k.n == 0 {
			s.carried = nil
		}
	}
	if a.z != nil && a.z.keep || !a.Idle() {
		return // it holds something of this connection's
	}
	assemblers.Put(a)
}

// fail ends the connection for what the client did wrong, or what Open has: with a close frame, behind which what
// comes is read for a while, but not looked at, since closing a socket with bytes unread takes back what it was sent.
func (s *Socket) fail(code Code, reason string) error {
	if s.set(closeSent) == 0 {
		s.sayClose(code, reason)
	}
	s.set(deaf)
	return s.link.CloseWrite()
}

// closeInTurn says farewell, once what is being sent has been. It is for coroutines of the loop.
func (s *Socket) closeInTurn() {
	s.limitClose()
	if f := s.takeFarewell(); f != nil {
		s.sayClose(f.code, f.reason)
	}
}

// limitClose gives the client time to take what is before the close frame, and to answer.
func (s *Socket) limitClose() {
	if err := s.link.SetReadDeadline(s.e.o.now().Add(orElse(s.e.o.CloseWait, defaultCloseWait))); err != nil {
		s.because(err)
		_ = s.link.Abort()
	}
}

// sayClose sends a close frame, behind what was posted and what was sent to who called OnEnd, and gives the client time
// to answer. It is for coroutines of the loop.
func (s *Socket) sayClose(code Code, reason string) {
	s.tellEnds()
	s.limitClose()
	s.mu.Lock()
	posted := s.post != nil && s.post.box == nil
	s.mu.Unlock()
	if posted {
		s.openBox()
	}
	if err := s.link.Box().WriteLast(AppendClose(nil, code, reason, nil)); err != nil {
		s.because(err)
		_ = s.link.Abort()
	}
}

// leave says farewell, once.
func (s *Socket) leave() { _ = s.Close(GoingAway, "") }

// ended tells of the end, once.
func (s *Socket) ended(reason error) {
	if s.set(over)&over != 0 {
		return
	}
	s.e.wheel.remove(s)
	s.carried = nil
	if reason == io.EOF {
		reason = ErrEnded
	}
	s.because(reason)
	s.tellEnd()
}
