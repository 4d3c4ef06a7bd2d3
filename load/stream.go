package load

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/internal/backlog"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// A stream is a link over a connection: it cuts messages from the payload, and compares what comes back with the same,
// in order. It is the handler of a plain connection; of one over TLS, secure is in between.
type stream struct {
	loop.Base
	s    *session // nil once the session is not interested any more
	w    *worker
	out  writer
	pay  *payload
	base int
	open bool

	sent     int64 // messages
	answered int64
	ats      []int64 // when those under way were sent: a ring of Depth
	head     int     // in ats, of the oldest
	flight   int
	early    int // messages to send once it is open

	pos    int // in the pattern, of the next byte to come
	part   int // bytes of the message that comes next
	whole  int // messages that wait for the marker behind them
	marked int // bytes of a marker that have come
	dec    *frame.Decoder
	http   *answers // nil: it is no load of HTTP
	ws     *sockets // nil: it is none of WebSocket
}

// A writer takes bytes to send.
type writer interface {
	write(p []byte) error
	close()          // gracefully
	abort(err error) // at once
}

func newStream(s *session) *stream {
	st := &stream{s: s, w: s.w, pay: s.w.payload, base: base(s.id()), ats: make([]int64, s.w.opt.Depth)}
	st.pos = st.base
	if c := s.w.opt.Codec; c != nil {
		st.dec, _ = frame.NewDecoder(c) // checkCodec has passed it
	}
	if h := s.w.opt.HTTP; h != nil {
		st.http = newAnswers(h)
	}
	if h := s.w.opt.WebSocket; h != nil {
		st.ws = newSockets(h, s.w.opt.Size)
	}
	return st
}

func openStream(s *session) {
	st := newStream(s)
	s.link = st
	st.dial(new(backlog.Pace))
}

// dial connects. A unix socket whose backlog is full is tried again, within the timeout.
func (st *stream) dial(pace *backlog.Pace) {
	w := st.w
	c, err := w.loop.Dial(w.target.addr, w.target.options, w.opt.Timeout-pace.Waited, st)
	switch {
	case err == nil:
		st.out = (*plain)(c)
	case !backlog.Full(w.target.addr, err):
		// Not within connect's call: whoever called it is not done yet.
		w.loop.Soon(func() { st.ended(err) })
	default:
		left := w.opt.Timeout - pace.Waited
		w.loop.AfterFunc(min(pace.Next(), left), func() {
			switch {
			case st.s == nil: // it was closed meanwhile
			case pace.Waited >= w.opt.Timeout:
				st.ended(err)
			default:
				st.dial(pace)
			}
		})
	}
}

// plain is a connection without TLS.
type plain loop.Conn

func (p *plain) write(b []byte) error {
	_, err := (*loop.Conn)(p).Write(b)
	return err
}
func (p *plain) close()          { _ = (*loop.Conn)(p).Close() } // it may have ended by itself
func (p *plain) abort(err error) { (*loop.Conn)(p).CloseWithError(err) }

// Opened is of loop.Handler.
func (st *stream) Opened(c *loop.Conn) {
	c.ReadOn() // the server may stop to read while we do
	st.opened()
}

func (st *stream) opened() {
	if st.s == nil {
		st.out.close()
		return
	}
	if st.ws != nil && !st.ws.agreed {
		st.begin()
		return
	}
	st.open = true
	if n := st.early; n > 0 {
		st.early = 0
		st.write(n)
	}
	if st.s != nil {
		st.s.opened()
	}
}

// Data is of loop.Handler.
func (st *stream) Data(_ *loop.Conn, p []byte) { st.received(p) }

// EOF is of loop.Handler: the server has nothing more to say.
func (st *stream) EOF(*loop.Conn) {
	st.fail(errClosed)
}

// Closed is of loop.Handler.
func (st *stream) Closed(_ *loop.Conn, err error) { st.ended(err) }

// ended is the end of the connection, made or not.
func (st *stream) ended(err error) {
	s := st.s
	if s == nil {
		return
	}
	st.s = nil
	if st.ws != nil {
		st.ws.stop()
	}
	if err == nil {
		err = errClosed
	}
	if st.open {
		s.lost(err)
	} else {
		s.failed(addressed(err, st.w.target.addr))
	}
}

// addressed is why a could not be connected to. What the loop tells later than at once does not name it.
func addressed(err error, a sock.Addr) error {
	e, ok := errors.AsType[*sock.Error](err)
	if !ok || e.Op != "connect" || e.Addr != "" {
		return err
	}
	said := *e
	said.Addr = a.String()
	return &said
}

// fail ends the connection by our own decision.
func (st *stream) fail(err error) {
	st.out.abort(err)
	st.ended(err)
}

func (st *stream) close() {
	st.s = nil
	if st.out != nil {
		if st.ws != nil {
			st.ws.farewell(st.out)
		}
		st.out.close()
	}
}

// sweep: an answer is due, and nothing has moved.
func (st *stream) sweep(_, limit int64) {
	if st.flight > 0 && st.s.heard < limit {
		st.fail(errTimeout)
	}
}

// send sends n messages.
func (st *stream) send(n int, at int64) {
	for i := range n {
		st.ats[(st.head+st.flight+i)%len(st.ats)] = at
	}
	st.flight += n
	if !st.open {
		st.early += n
		return
	}
	st.write(n)
}

func (st *stream) write(n int) {
	if st.http != nil {
		st.writeRequests(n)
		return
	}
	if st.ws != nil {
		st.writeSockets(n)
		return
	}
	if c := st.w.opt.Codec; c != nil {
		st.writeFrames(c, n)
		return
	}
	at := st.pay.at(st.base, st.sent)
	st.sent += int64(n)
	for left := n * st.pay.size; left > 0; {
		m := min(left, len(st.pay.sent)-at)
		if !st.put(st.pay.sent[at : at+m]) {
			return
		}
		at = (at + m) % period
		left -= m
	}
}

// mostFrames is how many bytes of frames are put together for one write.
const mostFrames = 64 << 10

func (st *stream) writeFrames(c frame.Codec, n int) {
	b := st.w.scratch[:0]
	for ; n > 0; n-- {
		at := st.pay.at(st.base, st.sent)
		st.sent++
		b, _ = c.Append(b, st.pay.sent[at:at+st.pay.size]) // checkCodec has passed it
		if len(b) >= mostFrames || n == 1 {
			if !st.put(b) {
				break
			}
			b = b[:0]
		}
	}
	st.w.scratch = b[:0]
}

// put hands bytes to the connection. If that is broken, its end is told later.
func (st *stream) put(b []byte) bool {
	st.w.out += int64(len(b))
	return st.out.write(b) == nil
}

// received compares what came back.
func (st *stream) received(p []byte) {
	if st.s == nil {
		return
	}
	st.w.in += int64(len(p))
	now := st.w.now()
	begun := st.open // or the handshake is at most done with p, and whether to send is not for us to say
	var err error
	switch {
	case st.http != nil:
		err = st.compareHTTP(p, now)
	case st.ws != nil:
		err = st.compareSockets(p, now)
	case st.dec != nil:
		err = st.compareFrames(p, now)
	case st.pay.upper:
		err = st.compareUpper(p, now)
	default:
		err = st.compare(p, now)
	}
	if err != nil {
		if st.open {
			st.w.wrong++
		}
		st.fail(err)
		return
	}
	if st.s != nil && begun {
		st.s.progress(now)
	}
}

// compare takes bytes as they were sent. After a wrong one nobody knows where the next answer begins.
func (st *stream) compare(p []byte, now int64) error {
	whole, err := st.match(p)
	st.done(whole, true, now)
	return err
}

// match compares p with what is to come next, and returns how many messages it completed.
func (st *stream) match(p []byte) (whole int, err error) {
	size := st.pay.size
	if len(p) > (st.flight-st.whole)*size-st.part {
		return 0, errSurplus
	}
	for len(p) > 0 {
		n := min(len(p), len(st.pay.back)-st.pos)
		if !bytes.Equal(p[:n], st.pay.back[st.pos:st.pos+n]) {
			return whole, errWrong
		}
		st.pos = (st.pos + n) % period
		st.part += n
		p = p[n:]
	}
	whole = st.part / size
	st.part %= size
	return whole, nil
}

// compareUpper finds the markers between the bytes. A message is answered with the marker behind its last byte.
func (st *stream) compareUpper(p []byte, now int64) error {
	for len(p) > 0 {
		if st.marked > 0 || p[0] == marker[0] {
			if p[0] != marker[st.marked] {
				return errWrong
			}
			p = p[1:]
			if st.marked++; st.marked == len(marker) {
				whole := st.whole
				st.marked, st.whole = 0, 0
				st.done(whole, true, now)
			}
			continue
		}
		n := bytes.IndexByte(p, marker[0])
		if n < 0 {
			n = len(p)
		}
		whole, err := st.match(p[:n])
		if err != nil {
			return err
		}
		st.whole += whole
		p = p[n:]
	}
	return nil
}

// compareFrames takes messages, each by itself: a wrong one does not make the next one wrong.
func (st *stream) compareFrames(p []byte, now int64) error {
	for msg, err := range st.dec.Feed(p) {
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", errWrong, err)
		case st.flight == 0:
			return errSurplus
		}
		st.done(1, st.pay.answers(msg, st.pay.at(st.base, st.answered)), now)
	}
	return nil
}

// done takes n messages off the ring, those of the same time at once.
func (st *stream) done(n int, ok bool, now int64) {
	st.answered += int64(n)
	for n > 0 {
		at, k := st.ats[st.head], 1
		for st.advance(); k < n && st.ats[st.head] == at; k++ {
			st.advance()
		}
		st.flight -= k
		n -= k
		st.s.answered(k, at, ok, now)
	}
}

func (st *stream) advance() {
	if st.head++; st.head == len(st.ats) {
		st.head = 0
	}
}

var _ loop.Handler = (*stream)(nil)
