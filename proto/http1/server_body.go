package http1

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A body is that of a request. It reads from what has come already, and then from the connection, straight into the
// reader's buffer where it can.
//
// One goroutine reads it at a time, which need not be the one that writes the answer: a proxy's goes on reading when
// the proxy has its answer. So nobody waits for a Read that is under way. If the answer begins meanwhile, the body is
// left alone, and the connection ends behind the answer; if the handler returns, it ends at once.
//
//	rests ──Read──▶ reads ──▶ rests ──the handler returns──▶ over
//	                  └──────────────────the handler returns──▶ over: what it reads into is never used again
type body struct {
	state   atomic.Uint32
	sending sync.Mutex // held to send "100 Continue", and to begin the answer of a request that expects it
	expects bool       // it does

	x       *response
	kind    Body
	left    int64    // of a body by its length
	chunks  *Chunked // of one by chunks
	got     int64    // bytes that have come
	err     error    // what every Read returns from now on
	closed  atomic.Bool
	awaited bool // the client waits for "100 Continue"
	limited bool // the deadline of BodyTime is set
}

// mostDiscarded is how many bytes of a body are read that the handler has not, so that the connection can be used
// again; when more are left it is closed.
const mostDiscarded = 256 << 10

// The states of a body.
const (
	bodyRests uint32 = iota
	bodyReads
	bodyOver
)

var errTwoReads = errors.New("http: two Reads of a Request's Body at once")

// Read is of io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if !b.state.CompareAndSwap(bodyRests, bodyReads) {
		if b.state.Load() == bodyOver {
			return 0, http.ErrBodyReadAfterClose
		}
		return 0, errTwoReads
	}
	n, err := b.read(p)
	b.state.CompareAndSwap(bodyReads, bodyRests)
	return n, err
}

func (b *body) read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if b.expects {
		if err := b.proceed(); err != nil {
			return 0, err
		}
	}
	var n int
	var err error
	if b.kind == ByLength {
		n, err = b.readLength(p)
	} else {
		n, err = b.readChunks(p)
	}
	b.got += int64(n)
	if err != nil {
		b.err = err
		if b.limited {
			b.unlimit()
		}
		if err == io.EOF {
			b.x.watchAgain()
		}
	}
	return n, err
}

// proceed tells a client that waits for it to send the body (RFC 9110, section 10.1.1).
func (b *body) proceed() error {
	b.sending.Lock()
	defer b.sending.Unlock()
	if !b.awaited {
		return nil // the handler has sent it
	}
	b.awaited = false
	if b.x.wroteHeader {
		return nil // the answer has begun: too late
	}
	b.x.c.put("HTTP/1.1 100 Continue\r\n\r\n")
	return b.x.c.flush()
}

func (b *body) readLength(p []byte) (n int, err error) {
	in := b.x.c.in
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	if in.r < in.w {
		n = copy(p, in.unread())
		in.r += n
	} else if n, err = b.receive(p); err != nil {
		return n, err
	}
	if b.left -= int64(n); b.left == 0 {
		err = io.EOF
	}
	return n, err
}

func (b *body) readChunks(p []byte) (int, error) {
	in := b.x.c.in
	need := 1
	for {
		have := in.unread()
		if int64(len(have)) > 0 {
			limit := have
			if len(limit) > len(p) {
				limit = have[:len(p)] // no more data than fits; what is no data takes some rounds then
			}
			data, n, err := b.chunks.Next(limit)
			if err == nil && n == 0 && len(data) == 0 && len(limit) < len(have) {
				data, n, err = b.chunks.Next(have) // trailers, which are taken all at once
			}
			in.r += n
			if err != nil {
				b.x.refused(err)
				return 0, err
			}
			if b.chunks.Done() {
				b.trailers()
				return copy(p, data), io.EOF
			}
			if len(data) > 0 {
				return copy(p, data), nil
			}
			if n > 0 {
				need = 1
				continue
			}
			need = len(have) // part of the trailers: more room than they have had
		}
		if err := b.fill(need); err != nil {
			return 0, err
		}
	}
}

// trailers makes the trailers those of the Request, announced or not, as net/http does.
func (b *body) trailers() {
	r := b.x.req
	for _, f := range b.chunks.Trailers() {
		if r.Trailer == nil {
			r.Trailer = make(http.Header)
		}
		name := canonical(string(f.Name))
		r.Trailer[name] = append(r.Trailer[name], string(f.Value))
	}
}

// fill reads more into the buffer.
func (b *body) fill(least int) error {
	in := b.x.c.in
	n, err := b.receive(in.room(least))
	in.w += n
	return err
}

// receive reads from the connection.
func (b *body) receive(p []byte) (int, error) {
	b.limit()
	n, err := b.x.read(p)
	if n > 0 {
		return n, nil
	}
	switch {
	case err == nil:
		err = io.ErrNoProgress
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) && !isTimeout(err) {
		b.x.ctx.end()
	}
	return 0, err
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}

// limit sets the deadline for what has to have come by now.
func (b *body) limit() {
	s := b.x.c.srv
	total := orDefault(s.BodyTime, defaultBodyTime)
	if total == 0 || b.x.readBy {
		return
	}
	rate := s.BodyRate
	if rate <= 0 {
		rate = defaultBodyRate
	}
	now := s.now()
	if b.x.bodyBegan.IsZero() {
		b.x.bodyBegan = now
	}
	by := b.x.bodyBegan.Add(total + time.Duration(b.got/int64(rate))*time.Second)
	_ = b.x.c.nc.SetReadDeadline(by)
	b.limited = true
}

func (b *body) unlimit() {
	b.limited = false
	if !b.x.readBy && b.state.Load() != bodyOver {
		_ = b.x.c.nc.SetReadDeadline(time.Time{})
	}
}

// Close ends the reading. What is left is thrown away when the handler has returned.
func (b *body) Close() error {
	b.closed.Store(true)
	return nil
}

// waits reports whether the client waits to be told.
func (b *body) waits() bool {
	if !b.expects {
		return false
	}
	b.sending.Lock()
	defer b.sending.Unlock()
	return b.awaited
}

// whole reports whether all of it has come.
func (b *body) whole() bool {
	return b.kind == NoBody || b.kind == ByLength && b.left <= int64(len(b.x.c.in.unread()))
}

// stop ends the reading for good. It reports whether nobody reads; else whoever does is told to stop, and the
// connection can't be used any more.
func (b *body) stop() bool {
	b.closed.Store(true)
	if b.kind == NoBody || b.state.Swap(bodyOver) != bodyReads {
		return true
	}
	_ = b.x.c.nc.SetReadDeadline(time.Unix(1, 0))
	return false
}

// finish reads what the handler has left. It reports whether the next request can be read behind it.
func (b *body) finish() bool {
	if b.kind == NoBody || b.err == io.EOF {
		return true
	}
	if b.err != nil || b.waits() || b.kind == ByLength && b.left > mostDiscarded {
		return false // if nobody told the client to send it, it need not come
	}
	scrap := inputs.Get().(*input)
	defer inputs.Put(scrap)
	for n := int64(0); n <= mostDiscarded; {
		m, err := b.read(scrap.b)
		if n += int64(m); err == io.EOF {
			return true
		} else if err != nil {
			return false
		}
	}
	return false
}
