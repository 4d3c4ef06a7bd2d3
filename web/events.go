package web

import (
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/sample"
	"github.com/plexor-go/plexor/loop"
)

// Events are the event streams of a server: what EventSource reads in a browser (WHATWG HTML, section 9.2, "Server-sent
// events"). It is an [http.Handler] of which each request becomes a stream, and whoever has something to tell sends it
// to all of them, to those of a topic, or to one, from anywhere:
//
//	var feed web.Events
//	mux.Handle("GET /events", &feed)
//	feed.Send(web.Event{Data: "to everybody"})
//
//	mux.HandleFunc("GET /rooms/{room}", func(w http.ResponseWriter, r *http.Request) {
//		feed.Serve(w, r, r.PathValue("room"))          // behind whatever the handler has to check
//	})
//	feed.SendTo("garden", web.Event{Data: "to who is in the garden"})
//
// On the engine the handler returns, and a stream that waits holds neither goroutine, stack nor buffer; each loop
// writes to its streams in one go. Under net/http, and over HTTP/2, which is net/http's on the engine too, the same
// handler holds the goroutine that it was called by until the stream ends.
//
// # The slow
//
// A client that does not read delays nobody. What finds no room in its connection's output (plexor.Limits.HighWater on
// the engine) waits in a queue, as Limits says, and when that is full the newest event is refused or the oldest ones
// are dropped for this client, or it is closed, to come back with the last ID that it has seen. What only the latest of
// is of interest is sent by SendLatest. A client that takes nothing for WriteTime while something waits is closed with
// [ErrSlow].
//
// # Coming back
//
// A browser comes back by itself when its stream has ended, after Retry, and names the last ID that it has seen. With
// History the events that were sent since then and have an ID come first, those of its topics; if that ID is not among
// those kept, all that are. Between these and the ones that follow none comes twice, and as long as the history holds
// what the client has not taken yet, none is left out. A client that must not come back is answered 204 by whoever is
// called before Serve.
//
// # The answer
//
// It ends with the connection: an event that is cut off is no event to the client, so a stream needs no mark of its
// end, all streams can have the same bytes, and HTTP/1.0 the same answer. (Under net/http it is chunked, by net/http.)
// The fields that the handler has set are sent with it, as those of CORS, which a page of another host needs; so are
// Content-Type, and Cache-Control and X-Accel-Buffering (which nginx reads) where it has set none. HEAD gets the head
// alone. An Accept that leaves text/event-stream out gets 406, and ServeHTTP answers other methods than GET with 405;
// Serve takes any.
//
// What the client sends behind its request is thrown away, up to 64 KiB; more ends the stream ([ErrChatter]).
//
// The zero value is ready. Set the fields before the first use, and use it by its address. All methods are for any
// goroutine and never wait, but ServeHTTP and Serve.
type Events struct {
	// KeepAlive is how often a stream gets a comment if nothing else was sent, so that proxies and routers do not forget
	// it (default 15 s, as the specification proposes; negative: never). One timer sees to all.
	KeepAlive time.Duration
	// Retry, unless 0, is told to each client first: how long it waits before it comes back.
	Retry time.Duration
	// History is how many events with an ID are kept for clients that come back (default none), and HistoryBytes how
	// many bytes of them (default 1 MiB).
	History, HistoryBytes int
	// WriteTime is how long a client may take nothing while something waits for it (default 1 minute; negative: for
	// ever). On the engine it is closed up to KeepAlive, or 15 s, later.
	WriteTime time.Duration
	// Limits are those of the queue of each stream: how much may wait, and what happens when it is full.
	Limits plexor.OutboxLimits

	// Open, if set, is called when a stream begins: it may Join topics, and what it sends to the stream comes first, then
	// former events, and then what was sent to all or to its topics since before Open was called: so Open may send the
	// state of things, and no change of it is missed. r is the request. An error ends the stream; it is logged, and
	// Closed is not called. On the engine it runs on a coroutine of the connection's loop, and must not block it.
	Open func(s *Stream, r *http.Request) error
	// Closed, if set, is told of the end of a stream, as Open is called: io.EOF if the client has ended it, ErrSlow,
	// ErrChatter, plexor.ErrOutboxFull, net.ErrClosed if Close was called, plexor.ErrServerClosed, or what broke the
	// connection. What waited for the client may not have come to it. Under net/http the reason for which the
	// request's context ended is all that is known of a client that has gone.
	Closed func(s *Stream, reason error)

	// Log gets panics and errors of Open and Closed (default slog.Default()). Clients do not set the rate of its lines.
	Log *slog.Logger

	once   sync.Once
	logger *slog.Logger
	missed atomic.Int64

	mu      sync.Mutex
	closed  bool
	log     eventLog
	shares  map[*loop.Loop]*share // those of nil are streams that have a goroutine
	n       int                   // streams
	slot    uint8                 // of the next stream
	beats   uint8
	timer   *time.Timer
	servers map[*http.Server]struct{}
}

// The reasons for which a stream ends.
var (
	// ErrSlow is a client that has taken nothing for Events.WriteTime.
	ErrSlow = errors.New("web: the client of an event stream takes nothing")
	// ErrChatter is a client that has sent more than 64 KiB behind its request.
	ErrChatter = errors.New("web: the client of an event stream sends much, where it should listen")
)

const (
	defaultKeepAlive    = 15 * time.Second
	defaultWriteTime    = time.Minute // as http1.Server.WriteTime
	defaultHistoryBytes = 1 << 20
	// beatsEvery is into how many parts KeepAlive is divided, so that not all streams get their comments at once.
	beatsEvery = 8
	leastBeat  = time.Millisecond
)

// fill fills in what is not set.
func (e *Events) fill() {
	log := e.Log
	if log == nil {
		log = slog.Default()
	}
	e.logger, _ = sample.New(log, nil) // there is no end of it: what is left out is told two seconds later
}

func orElse(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return max(d, 0)
}

// period is how often each stream is looked at.
func (e *Events) period() time.Duration {
	if e.KeepAlive > 0 {
		return e.KeepAlive
	}
	return defaultKeepAlive
}

// Len is how many streams there are.
func (e *Events) Len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.n
}

// Missed counts the events that did not come to a stream since its queue was full, or too much waited for its loop, by
// stream; and those that were lost with the queues of streams that are over.
func (e *Events) Missed() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.missed.Load()
	for _, d := range e.shares {
		for _, s := range d.all.members {
			if box := s.box.Load(); box != nil {
				n += box.Stats().Dropped
			}
		}
	}
	return n
}

// Send sends an event to all streams. ErrEvent is one that can't be sent, plexor.ErrOutboxTooLong one that is longer
// than Limits.Bytes, and net.ErrClosed means that Close was called. plexor.ErrOutboxFull, by errors.Is, is a loop that
// is held up, whose streams miss the event while all others get it: what a single slow client misses is no error.
func (e *Events) Send(ev Event) error { return e.send(ev, "", eventCast{}) }

// SendTo is Send to the streams of a topic.
func (e *Events) SendTo(topic string, ev Event) error { return e.send(ev, topic, eventCast{}) }

// SendExcept is SendTo to all streams of a topic but one; "" is the topic that all have.
func (e *Events) SendExcept(s *Stream, topic string, ev Event) error {
	return e.send(ev, topic, eventCast{except: s})
}

// SendLatest is SendTo for what only the latest of is of interest: where an event with the same key, which must be
// comparable, waits for a client, ev takes its place. "" is the topic that all have.
func (e *Events) SendLatest(topic string, key any, ev Event) error {
	return e.send(ev, topic, eventCast{key: key})
}

func (e *Events) send(ev Event, topic string, c eventCast) error {
	p, err := e.encode(ev)
	if err != nil {
		return err
	}
	c.p = p
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errEventsClosed
	}
	if e.History > 0 && ev.ID != "" {
		bytes := e.HistoryBytes
		if bytes <= 0 {
			bytes = defaultHistoryBytes
		}
		e.log.add(logged{ev.ID, topic, p}, e.History, bytes)
	}
	return e.cast(topic, c)
}

// encode is how an event is sent.
func (e *Events) encode(ev Event) ([]byte, error) {
	p, err := ev.Append(nil)
	if most := e.Limits.Bytes; err == nil && len(p) > most && (most > 0 || len(p) > defaultQueueBytes) {
		return nil, plexor.ErrOutboxTooLong
	}
	return p, err
}

// The defaults of Limits are those of an Outbox; streams that have a goroutine have queues of their own.
const (
	defaultQueueBytes   = 256 << 10
	defaultQueueEntries = 1024
)

// Close ends all streams behind what was sent to them, and answers requests for new ones with 503, by which clients do
// not come back by themselves. A server that shuts down ends its streams without it; under net/http by
// http.Server.Shutdown.
func (e *Events) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed = true; e.n > 0 {
		_ = e.cast("", eventCast{end: errEventsClosed}) // an end is always taken
	}
}

// call calls a function of the user's, and logs what it panics with.
func (e *Events) call(what string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{v}
			e.logger.Error("web: a function of Events panicked", "which", what, "panic", v, "stack", stackText())
		}
	}()
	return f()
}

// A Stream is one of [Events]: a client that listens. Its methods are for any goroutine, and never wait. It may be kept
// after the end.
type Stream struct {
	e     *Events
	k     *conn    // nil: it has a goroutine
	wait  *waiting // of that
	share *share   // nil: it is over
	box   atomic.Pointer[plexor.Outbox]
	seats *[]seat // in topics; nil: none
	early *early  // until it has what was sent before
	why   error   // for which it ends
	at    int32   // place in share.all
	taken uint32  // how much has left, at the last look
	sent  uint32  // bytes that were written past the box
	flags uint8   // of the loop, or under e.mu where it has a goroutine
	slot  uint8   // beat in which it is looked at
	shut  bool    // Close was called
	stuck uint32  // looks since when nothing has left
	heard uint32  // bytes that came behind the request
}

const (
	fresh  uint8 = 1 << iota // something was sent since the last look
	ending                   // it is about to end
	gone                     // it has
)

// A seat is a stream's place in a topic.
type seat struct {
	topic string
	at    int32
}

// early is what a stream has until it has all that was sent before: see events_serve.go. It changes under e.mu, and on
// the engine on the loop alone.
type early struct {
	topics    []string // to join when it begins
	b         []byte   // what Open has sent to it
	next, end uint64   // of the history, what it has to be sent
	opened    bool     // Open has returned without an error: Closed is to be called
	queue     *waiting // what is sent meanwhile; nil: it has a goroutine, and a queue anyway
}

// Send sends an event to this client: behind what was sent to all before. The errors are those of Events.Send, and
// plexor.ErrOutboxFull where its queue is known to be full; net.ErrClosed means that it has ended.
func (s *Stream) Send(ev Event) error { return s.send(nil, ev) }

// SendLatest is Send for what only the latest of is of interest: see Events.SendLatest.
func (s *Stream) SendLatest(key any, ev Event) error { return s.send(key, ev) }

func (s *Stream) send(key any, ev Event) error {
	e := s.e
	p, err := e.encode(ev)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case s.early != nil && !s.early.opened:
		if len(s.early.b)+len(p) > max(e.Limits.Bytes, defaultQueueBytes) {
			return plexor.ErrOutboxFull
		}
		s.early.b = append(s.early.b, p...)
		return nil
	case s.share == nil:
		return errEventsClosed
	case s.full(len(p)):
		e.missed.Add(1)
		return plexor.ErrOutboxFull
	}
	return s.share.add(eventCast{to: []*Stream{s}, p: p, key: key})
}

// full reports whether the queue is known to be full, and refuses. e.mu is held.
func (s *Stream) full(n int) bool {
	l := s.e.Limits
	if l.WhenFull != plexor.RefuseNewest {
		return false
	}
	var entries, bytes int
	if box := s.box.Load(); box != nil {
		stats := box.Stats()
		entries, bytes = stats.Entries, stats.Bytes
	} else if s.wait != nil {
		entries, bytes = len(s.wait.queue), s.wait.bytes
	}
	return entries > 0 && (entries >= orDefault(l.Entries, defaultQueueEntries) ||
		bytes+n > orDefault(l.Bytes, defaultQueueBytes))
}

func orDefault(n, def int) int {
	if n <= 0 {
		return def
	}
	return n
}

// Join has the stream get what is sent to a topic, from now on. It fails with net.ErrClosed when the stream is over.
func (s *Stream) Join(topic string) error {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	switch {
	case s.share == nil:
		return errEventsClosed
	case !s.in(topic):
		s.share.join(s, topic)
	}
	return nil
}

// in reports whether it gets what is sent to a topic. e.mu is held.
func (s *Stream) in(topic string) bool { return topic == "" || s.seatIn(topic) >= 0 }

// Leave ends what Join has begun. What was sent before still comes.
func (s *Stream) Leave(topic string) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if s.share != nil {
		s.share.leave(s, topic)
	}
}

// Close ends the stream behind what was sent to it. The client comes back, unless it is told not to.
func (s *Stream) Close() {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if s.share != nil && !s.shut {
		s.shut = true
		_ = s.share.add(eventCast{to: []*Stream{s}, end: errEventsClosed}) // an end is always taken
	}
}
