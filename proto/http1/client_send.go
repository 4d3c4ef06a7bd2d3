package http1

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// exchange sends the request and reads the head of its answer.
func (t *clientTrip) exchange(head []byte) (*http.Response, error) {
	f := &t.frame
	inline := f.kind == ByLength && f.length <= mostInlineBody && t.req.GetBody != nil && !f.waits
	if inline {
		n := len(head)
		head = append(head, make([]byte, f.length)...)
		if m, err := io.ReadFull(t.req.Body, head[n:]); err != nil {
			return nil, t.short(int64(m), err)
		}
		if err := t.excess(); err != nil {
			return nil, err
		}
		t.closeBody()
	}
	none := f.kind == NoBody
	if none || inline {
		t.handOver()
	}
	_, err := t.c.nc.Write(head)
	t.trace.wroteHead()
	switch {
	case err != nil:
		t.sent(err)
		_ = t.c.nc.SetReadDeadline(t.c.cl.now().Add(answerAfter)) // it is over anyway
		t.closeBody()
	case none || inline:
		t.closeBody()
		t.awaitHead()
		t.sent(nil)
	case f.waits && t.c.cl.ContinueTime >= 0:
		return t.expect()
	default:
		t.c.cl.run(t.send)
	}
	return t.receive()
}

// expect waits for leave to send the body (RFC 9110, section 10.1.1).
func (t *clientTrip) expect() (*http.Response, error) {
	d := t.c.cl.ContinueTime
	if d == 0 {
		d = defaultContinueTime
	}
	t.trace.waits()
	if err := t.c.nc.SetReadDeadline(t.c.cl.now().Add(d)); err != nil {
		return nil, err
	}
	head, status, err := t.receiveHead(true)
	if err != nil && !clientIsTimeout(err) {
		return nil, err
	}
	if derr := t.c.nc.SetReadDeadline(time.Time{}); derr != nil {
		return nil, derr
	}
	if err == nil && status != http.StatusContinue { // the server does not want it: it was announced, and never comes
		t.c.mu.Lock()
		t.keep = false
		t.c.mu.Unlock()
		t.closeBody()
		t.sent(nil)
		return t.answer(head)
	}
	t.c.cl.run(t.send)
	return t.receive()
}

// handOver says that the next Write has the end of the request.
func (t *clientTrip) handOver() {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	t.last = true
}

// awaitHead begins the time that the answer's head has.
func (t *clientTrip) awaitHead() {
	d := t.c.cl.HeadTime
	if d <= 0 {
		return
	}
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	if t.waiting && t.cause == nil {
		_ = t.c.nc.SetReadDeadline(t.c.cl.now().Add(d)) // a connection that has none has ended
	}
}

// send sends the body, beside who reads the answer.
func (t *clientTrip) send() {
	err := t.sendBody()
	t.closeBody()
	_, own := err.(*clientBodyError)
	switch {
	case err == nil:
		t.awaitHead()
	case own:
		t.sent(err)
		t.abort(err)
		return
	default:
		t.c.mu.Lock()
		waiting := t.waiting
		t.c.mu.Unlock()
		if waiting {
			_ = t.c.nc.SetReadDeadline(t.c.cl.now().Add(answerAfter)) // likewise
		}
	}
	t.sent(err)
}

var clientPieces = sync.Pool{New: func() any { return new([clientPiece]byte) }}

// chunkRoom is for the size of a chunk before its data, and the line end behind it.
const chunkRoom = 8

func (t *clientTrip) sendBody() error {
	buf := clientPieces.Get().(*[clientPiece]byte)
	defer clientPieces.Put(buf)
	f, left, zeros := &t.frame, t.frame.length, 0
	for {
		p := buf[chunkRoom : clientPiece-2]
		if f.kind == ByLength {
			p = p[:min(int64(len(p)), left)]
		}
		n, err := t.req.Body.Read(p)
		if zeros++; n > 0 {
			zeros = 0
		} else if err == nil && zeros > 100 {
			err = io.ErrNoProgress
		}
		left -= int64(n)
		if err != nil && err != io.EOF || f.kind == ByLength && err == io.EOF && left > 0 {
			if n > 0 && f.kind != ByLength {
				_ = t.write(buf, n) // what there is of it, and the error comes behind
			}
			return t.short(f.length-left, err)
		}
		if f.kind == ByLength && left == 0 {
			t.handOver()
			if werr := t.write(buf, n); werr != nil {
				return werr
			}
			return t.excess()
		}
		if n > 0 {
			if werr := t.write(buf, n); werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			return t.endBody()
		}
	}
}

// write writes n bytes of buf, from chunkRoom on, as a chunk if that is what the body is made of.
func (t *clientTrip) write(buf *[clientPiece]byte, n int) error {
	from, to := chunkRoom, chunkRoom+n
	if t.frame.kind == ByChunks {
		var size [chunkRoom]byte
		line := append(strconv.AppendUint(size[:0], uint64(n), 16), "\r\n"...)
		from -= len(line)
		copy(buf[from:], line)
		to += copy(buf[to:], "\r\n")
	}
	_, err := t.c.nc.Write(buf[from:to])
	return err
}

// endBody writes what comes behind the last chunk.
func (t *clientTrip) endBody() error {
	t.handOver()
	if t.frame.kind != ByChunks {
		return nil
	}
	w := clientFields{}
	for _, name := range slices.Sorted(clientNames(t.req.Trailer)) {
		for _, v := range t.req.Trailer[name] {
			w.add(http.CanonicalHeaderKey(name), v)
		}
	}
	if w.err != nil {
		return &clientBodyError{w.err}
	}
	_, err := t.c.nc.Write(AppendLastChunk(nil, w.b))
	return err
}

func clientNames(h http.Header) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for name := range h {
			if !yield(name) {
				return
			}
		}
	}
}

// short is the error of a body that ended, or failed, after n bytes.
func (t *clientTrip) short(n int64, err error) error {
	if t.frame.kind == ByLength && (err == io.EOF || err == io.ErrUnexpectedEOF) {
		err = fmt.Errorf("http: the request's ContentLength is %d, and its Body has %d bytes: %w",
			t.frame.length, n, io.ErrUnexpectedEOF)
	}
	return &clientBodyError{err}
}

// excess is the error of a body that is longer than the request says.
func (t *clientTrip) excess() error {
	more, err := clientProbe(t.req.Body)
	if more {
		err = &clientBodyError{fmt.Errorf("http: the request's ContentLength is %d, and its Body is longer",
			t.frame.length)}
	}
	return err
}
