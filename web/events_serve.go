package web

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/proto/http1"
)

// How a request becomes a stream, and how that ends.
//
//	the head, and Retry ──▶ it is a member ──▶ Open ──▶ what that has sent, the history, what came meanwhile ──▶ the end
//
// Where the history ends for it is fixed under the lock under which it becomes a member: so no event comes twice, and
// what is sent while Open looks at the state of things comes behind that. A slow client that comes back costs one piece
// of the history at a time, and the queue of what is sent meanwhile.

// ServeHTTP is of [http.Handler]: it answers GET and HEAD by a stream without topics.
func (e *Events) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this is an event stream: ask with GET", http.StatusMethodNotAllowed)
		return
	}
	e.Serve(w, r)
}

// Serve answers a request by a stream that gets what is sent to all, and to the topics. It is the last that a handler
// does: on the engine it returns at once, and the stream begins when the handler has returned; elsewhere it returns
// when the stream is over. So nothing that the handler gives back when it returns may be needed by the stream.
func (e *Events) Serve(w http.ResponseWriter, r *http.Request, topics ...string) {
	e.once.Do(e.fill)
	e.mu.Lock()
	closed := e.closed
	e.mu.Unlock()
	switch {
	case closed:
		http.Error(w, "there are no events any more", http.StatusServiceUnavailable)
		return
	case !acceptsEvents(r.Header["Accept"]):
		http.Error(w, "this is an event stream: text/event-stream, which Accept leaves out", http.StatusNotAcceptable)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	for _, f := range [...][2]string{{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}} {
		if _, set := header[f[0]]; !set {
			header.Set(f[0], f[1])
		}
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	s := &Stream{e: e, early: new(early)}
	s.early.topics = slices.Clone(topics)
	sw := http1.SwitcherOf(w)
	if sw == nil {
		s.serve(w, r)
		return
	}
	err := sw.Switch(func(nc net.Conn, ahead []byte) (http1.Protocol, error) {
		s.heard = uint32(len(ahead))
		if k, ok := nc.(*conn); ok {
			s.k = k
		} else {
			s.wait = newWaiting(nc.Write)
			s.wait.limit = nc.SetWriteDeadline
		}
		err := s.begin(r, answerHead(header, time.Now()))
		if s.k == nil {
			return &waitingProtocol{s, nc}, err
		}
		return (*streamProtocol)(s), err
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// acceptsEvents reports whether a client wants what an event stream is. One that says nothing takes everything (RFC
// 9110, section 12.5.1).
func acceptsEvents(values []string) bool {
	if len(values) == 0 {
		return true
	}
	best, q := -1, 0 // the range that says most has the say
	for _, v := range values {
		for one := range strings.SplitSeq(v, ",") {
			name, params, _ := strings.Cut(one, ";")
			rank := -1
			switch strings.ToLower(strings.Trim(name, " \t")) {
			case "*/*":
				rank = 0
			case "text/*":
				rank = 1
			case "text/event-stream":
				rank = 2
			}
			if rank > best {
				best, q = rank, quality(params)
			}
		}
	}
	return q > 0
}

// answerHead is the head of the answer, with what the handler has set but for what is this server's to say.
func answerHead(header http.Header, now time.Time) []byte {
	b := bytes.NewBufferString("HTTP/1.1 200 OK\r\n")
	_ = header.WriteSubset(b, map[string]bool{"Connection": true, "Content-Length": true, "Transfer-Encoding": true,
		"Trailer": true, "Date": true}) // a Buffer takes it
	fmt.Fprintf(b, "Date: %s\r\nConnection: close\r\n\r\n", now.UTC().Format(http.TimeFormat))
	return b.Bytes()
}

// begin is from the head of the answer on, which is b, until the stream has all that was sent before. It waits for the
// client.
func (s *Stream) begin(r *http.Request, b []byte) error {
	e := s.e
	if e.Retry > 0 {
		b, _ = Event{Retry: e.Retry}.Append(b) // it is one
	} else {
		b = append(b, comment...) // so that a proxy lets the head through
	}
	if err := s.writeNow(b); err != nil {
		return err
	}
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return io.EOF
	}
	e.enter(s)
	s.early.end = e.log.end()
	if s.early.next = s.early.end; r.Header.Get("Last-Event-ID") != "" {
		s.early.next = e.log.after(r.Header.Get("Last-Event-ID"))
	}
	e.mu.Unlock()
	if e.Open != nil {
		if err := e.call("Open", func() error { return e.Open(s, r) }); err != nil {
			if _, logged := err.(*panicked); !logged {
				e.logger.Warn("web: an event stream was refused", "err", err)
			}
			return err
		}
	}
	e.mu.Lock()
	s.early.opened = true
	e.mu.Unlock()
	for {
		p, err := s.catchUp()
		if p == nil || err != nil {
			return err
		}
		if err := s.writeNow(p); err != nil {
			return err
		}
	}
}

// catchUp is what the stream is to send next of what was sent before; nil: nothing.
func (s *Stream) catchUp() ([]byte, error) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	x := s.early
	if p := x.b; len(p) > 0 {
		x.b = nil
		return p, nil
	}
	var p []byte
	if p, x.next = s.e.log.read(x.next, x.end, s.in); len(p) > 0 {
		return p, nil
	}
	if q := x.queue; q != nil {
		if p := q.drain(); len(p) > 0 {
			return p, nil
		}
		if q.end != nil {
			s.because(q.end)
			return nil, io.EOF
		}
	}
	s.early = nil
	return nil, nil
}

// writeNow writes, and waits until the connection has taken it.
func (s *Stream) writeNow(p []byte) error {
	limited, by := s.e.WriteTime >= 0, time.Now().Add(orElse(s.e.WriteTime, defaultWriteTime))
	if s.k == nil {
		if limited {
			_ = s.wait.limit(by) // a server that can't has bounds of its own
		}
		_, err := s.wait.write(p)
		return err
	}
	c := s.k.c
	if taken, err := c.TryWrite(p); taken || err != nil { // a deadline costs a stream 100 bytes
		return err
	}
	if limited {
		_ = c.SetWriteDeadline(by)
		defer c.SetWriteDeadline(time.Time{})
	}
	_, err := c.Write(p)
	return err
}

// because notes why it ends. The first reason stays.
func (s *Stream) because(why error) {
	if s.why == nil {
		s.why = why
	}
}

// ended is told when nothing is sent any more.
func (s *Stream) ended(reason error) {
	e := s.e
	s.because(reason)
	s.flags |= gone
	e.mu.Lock()
	opened := s.early == nil || s.early.opened
	s.early = nil
	e.leave(s)
	if box := s.box.Load(); box != nil {
		e.missed.Add(box.Stats().Dropped)
	}
	e.mu.Unlock()
	if opened && e.Closed != nil {
		_ = e.call("Closed", func() error { e.Closed(s, s.why); return nil }) // a panic is logged
	}
}

// A streamProtocol is a Stream on the engine, as the connection sees it.
type streamProtocol Stream

// mostChatter is how many bytes a client may send behind its request.
const mostChatter = 64 << 10

var chatter = sync.Pool{New: func() any { return new([4 << 10]byte) }}

// Turn is of http1.Protocol: it throws away what comes.
func (p *streamProtocol) Turn() error {
	b := chatter.Get().(*[4 << 10]byte)
	n, err := p.k.c.Read(b[:])
	chatter.Put(b)
	if p.heard += uint32(n); p.heard > mostChatter {
		(*Stream)(p).because(ErrChatter)
		_ = p.k.c.Abort() // a close would go on reading for a while
		return io.EOF
	}
	return err
}

// Closed is of http1.Protocol.
func (p *streamProtocol) Closed(reason error) { (*Stream)(p).ended(reason) }

// Leave is of http1.Leaver.
func (p *streamProtocol) Leave() { (*Stream)(p).finish(plexor.ErrServerClosed) }

// Status is what the server's record has.
func (p *streamProtocol) Status() int { return http.StatusOK }

type panicked struct{ v any }

func (p *panicked) Error() string { return fmt.Sprintf("web: a function of Events panicked: %v", p.v) }

func stackText() string { return string(debug.Stack()) }
