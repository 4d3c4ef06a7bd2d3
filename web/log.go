package web

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/plexor-go/plexor/internal/wait"
	"github.com/plexor-go/plexor/proto/http1"
)

// An AccessFormat says what an [AccessLog] tells of a request.
type AccessFormat uint8

const (
	// AccessCommon is what the Common Log Format has: client, user, time, method, target, protocol, status and bytes;
	// and how long the answer took.
	AccessCommon AccessFormat = iota
	// AccessCombined has the Referer and the User-Agent besides.
	AccessCombined
)

// An AccessLog tells a log of each request, one line for each. What a client has chosen is escaped, as in a string of
// Go and in ASCII alone, and cut at 1 KiB: no request makes two lines of one. Lines are written by a goroutine: a log
// that is slow holds up no loop, and when 4,096 requests wait for it, those that come are counted in place of logged.
type AccessLog struct {
	log    *slog.Logger
	format AccessFormat

	mu       sync.Mutex // of all below
	written  wait.HomeCond
	waiting  []accessLine
	unlogged int64 // since the last line
	writing  bool  // a goroutine does
}

// mostWaiting is how many lines wait for the log.
const mostWaiting = 4096

// mostValue is how many bytes of a value are logged.
const mostValue = 1 << 10

// An accessLine is a request, as far as it is logged: none of it changes when the request goes on to be used.
type accessLine struct {
	begin         time.Time
	took          time.Duration
	client, user  string
	method        string
	target, proto string
	referer       string
	agent         string
	status        int
	sent          int64
	aborted       bool
}

// NewAccessLog makes one. nil is slog.Default().
func NewAccessLog(log *slog.Logger, format AccessFormat) *AccessLog {
	if log == nil {
		log = slog.Default()
	}
	a := &AccessLog{log: log, format: format}
	a.written.Init(&a.mu)
	return a
}

// With has the requests of a [Handler] with the options o logged: it returns these with Done, and calls what Done was.
func (a *AccessLog) With(o Options) Options {
	o.Done = both(a.Done, o.Done)
	return o
}

// both calls one and then the other.
func both(f, g func(http1.Record)) func(http1.Record) {
	if g == nil {
		return f
	}
	return func(r http1.Record) { f(r); g(r) }
}

// Done logs a request. It does not wait. Any goroutine may call it.
func (a *AccessLog) Done(r http1.Record) {
	q := r.Request
	line := accessLine{begin: r.Begin, took: r.Time, status: r.Status, sent: r.Sent, aborted: r.Aborted,
		client: clientOf(q), method: q.Method, target: q.RequestURI, proto: q.Proto}
	line.user, _, _ = q.BasicAuth()
	if a.format == AccessCombined {
		line.referer, line.agent = q.Referer(), q.UserAgent()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) >= mostWaiting {
		a.unlogged++
		return
	}
	a.waiting = append(a.waiting, line)
	if !a.writing {
		a.writing = true
		go a.write()
	}
}

// clientOf is the client's address without its port.
func clientOf(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}

// write writes until nothing waits.
func (a *AccessLog) write() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.waiting) > 0 {
		lines, unlogged := a.waiting, a.unlogged
		a.waiting, a.unlogged = nil, 0
		a.mu.Unlock()
		for i := range lines {
			a.tell(&lines[i], unlogged)
			unlogged = 0
		}
		a.mu.Lock()
	}
	a.writing = false
	a.written.Broadcast()
}

func (a *AccessLog) tell(l *accessLine, unlogged int64) {
	attrs := make([]slog.Attr, 0, 14)
	attrs = append(attrs, slog.Time("begin", l.begin), slog.String("client", escape(l.client)))
	optional := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, escape(value)))
		}
	}
	optional("user", l.user)
	attrs = append(attrs, slog.String("method", escape(l.method)), slog.String("target", escape(l.target)),
		slog.String("proto", l.proto), slog.Int("status", l.status), slog.Int64("bytes", l.sent),
		slog.Duration("took", l.took))
	optional("referer", l.referer)
	optional("agent", l.agent)
	if l.aborted {
		attrs = append(attrs, slog.Bool("aborted", true))
	}
	if unlogged > 0 {
		attrs = append(attrs, slog.Int64("unlogged", unlogged))
	}
	a.log.LogAttrs(context.Background(), slog.LevelInfo, "request", attrs...)
}

// Flush waits until all that was done has been given to the log: behind the server's end, before the program's.
func (a *AccessLog) Flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.writing {
		a.written.Wait(&a.mu)
	}
}

// escape makes a value of a client's harmless in any log.
func escape(s string) string {
	cut := len(s) > mostValue
	if cut {
		s = s[:mostValue]
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			q := strconv.QuoteToASCII(s)
			s = q[1 : len(q)-1]
			break
		}
	}
	if cut {
		s += "..."
	}
	return s
}

// A recorder is the ResponseWriter of HTTP/2, of which net/http tells nothing at its end.
type recorder struct {
	http.ResponseWriter
	status int
	sent   int64
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	w.status = max(w.status, http.StatusOK)
	n, err := w.ResponseWriter.Write(p)
	w.sent += int64(n)
	return n, err
}

// Flush is of http.Flusher, and Unwrap for http.ResponseController.
func (w *recorder) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// recorded has done told of the requests of h.
func recorded(h http.Handler, done func(http1.Record)) http.Handler {
	if done == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		record := http1.Record{Request: r, Begin: time.Now(), Aborted: true}
		to := &recorder{ResponseWriter: w}
		defer func() {
			record.Status, record.Sent, record.Time = max(to.status, http.StatusOK), to.sent, time.Since(record.Begin)
			done(record)
		}()
		h.ServeHTTP(to, r)
		record.Aborted = false
	})
}
