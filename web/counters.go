package web

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/proto/http1"
)

// Counters count what a [Handler] is asked and answers, and are an http.Handler that tells it as Prometheus reads it
// (its text format, version 0.0.4):
//
//	plexor_http_requests_total{method,code}           a method that is not of RFC 9110 or 5789 is "other"
//	plexor_http_request_duration_seconds              a histogram, from the end of the head to the end of the answer
//	plexor_http_response_bytes_total                  of bodies
//	plexor_http_aborted_total                         answers that were broken off
//	plexor_http_refused_total{code,reason}            what was no request
//	plexor_http_connections_total, plexor_http_connections, plexor_http_in_flight
//
// The last two are how many connections there are now, and how many of these have a request under way; one that is
// hijacked counts there no more. The zero value is ready. Any goroutine may use it.
type Counters struct {
	codes   [mostCode - leastCode + 1]atomic.Pointer[methodCounts]
	buckets [len(bounds) + 1]atomic.Int64
	nanos   atomic.Int64
	bytes   atomic.Int64
	aborted atomic.Int64
	opened  atomic.Int64
	conns   atomic.Int64

	mu      sync.Mutex
	active  map[net.Conn]struct{}
	refused map[refusal]int64
}

// The codes of answers that are counted; others count as the nearest one.
const leastCode, mostCode = 100, 999

// methodCounts are those of one code.
type methodCounts [len(methods) + 1]atomic.Int64

// methods are counted by name, and all others together: a client must not choose what there is to count.
var methods = [...]string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

// bounds are the upper ones of the histogram.
var bounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond,
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond,
	5 * time.Second, 10 * time.Second}

type refusal struct {
	code   int
	reason string
}

// mostReasons bounds how many reasons are told apart.
const mostReasons = 64

// With has what a [Handler] with the options o does counted: it returns these with Done, Refused and ConnState, and
// calls what these were.
func (c *Counters) With(o Options) Options {
	o.Done = both(c.Done, o.Done)
	refused, state := o.Refused, o.ConnState
	o.Refused = func(nc net.Conn, err *http1.Error) {
		c.Refused(nc, err)
		if refused != nil {
			refused(nc, err)
		}
	}
	o.ConnState = func(nc net.Conn, s http.ConnState) {
		c.ConnState(nc, s)
		if state != nil {
			state(nc, s)
		}
	}
	return o
}

// Done counts a request.
func (c *Counters) Done(r http1.Record) {
	code := &c.codes[min(max(r.Status, leastCode), mostCode)-leastCode]
	counts := code.Load()
	if counts == nil {
		code.CompareAndSwap(nil, new(methodCounts))
		counts = code.Load()
	}
	method := slices.Index(methods[:], r.Request.Method)
	if method < 0 {
		method = len(methods)
	}
	counts[method].Add(1)
	bucket, _ := slices.BinarySearch(bounds[:], r.Time)
	c.buckets[bucket].Add(1)
	c.nanos.Add(int64(r.Time))
	c.bytes.Add(r.Sent)
	if r.Aborted {
		c.aborted.Add(1)
	}
}

// Refused counts what was no request.
func (c *Counters) Refused(_ net.Conn, err *http1.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused == nil {
		c.refused = make(map[refusal]int64)
	}
	k := refusal{err.Status, err.What}
	if _, known := c.refused[k]; !known && len(c.refused) >= mostReasons {
		k.reason = "other"
	}
	c.refused[k]++
}

// ConnState counts connections.
func (c *Counters) ConnState(nc net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		c.opened.Add(1)
		c.conns.Add(1)
		return
	case http.StateClosed, http.StateHijacked:
		c.conns.Add(-1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s != http.StateActive {
		delete(c.active, nc)
		return
	}
	if c.active == nil {
		c.active = make(map[net.Conn]struct{})
	}
	c.active[nc] = struct{}{}
}

// ServeHTTP tells what was counted. It never blocks, and may be marked [Inline].
func (c *Counters) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = io.WriteString(w, c.text()) // a client that is gone hears nothing more
}

func (c *Counters) text() string {
	var b strings.Builder
	head := func(name, kind, help string) {
		fmt.Fprintf(&b, "# HELP plexor_http_%s %s\n# TYPE plexor_http_%s %s\n", name, help, name, kind)
	}
	one := func(name, kind, help string, n int64) {
		head(name, kind, help)
		fmt.Fprintf(&b, "plexor_http_%s %d\n", name, n)
	}
	head("requests_total", "counter", "Requests that were answered.")
	for i := range c.codes {
		counts := c.codes[i].Load()
		if counts == nil {
			continue
		}
		for m := range counts {
			method := "other"
			if m < len(methods) {
				method = methods[m]
			}
			if n := counts[m].Load(); n > 0 {
				fmt.Fprintf(&b, "plexor_http_requests_total{method=\"%s\",code=\"%d\"} %d\n", method, leastCode+i, n)
			}
		}
	}
	head("request_duration_seconds", "histogram", "From the end of the head to the end of the answer.")
	var sum int64
	for i := range c.buckets {
		sum += c.buckets[i].Load()
		bound := "+Inf"
		if i < len(bounds) {
			bound = strconv.FormatFloat(bounds[i].Seconds(), 'g', -1, 64)
		}
		fmt.Fprintf(&b, "plexor_http_request_duration_seconds_bucket{le=\"%s\"} %d\n", bound, sum)
	}
	fmt.Fprintf(&b, "plexor_http_request_duration_seconds_sum %g\nplexor_http_request_duration_seconds_count %d\n",
		time.Duration(c.nanos.Load()).Seconds(), sum)
	one("response_bytes_total", "counter", "Bytes of the bodies of answers.", c.bytes.Load())
	one("aborted_total", "counter", "Answers that were broken off.", c.aborted.Load())
	one("connections_total", "counter", "Connections that were accepted.", c.opened.Load())
	one("connections", "gauge", "Connections that there are.", c.conns.Load())
	c.mu.Lock()
	defer c.mu.Unlock()
	one("in_flight", "gauge", "Connections with a request under way.", int64(len(c.active)))
	head("refused_total", "counter", "What was no request.")
	keys := make([]refusal, 0, len(c.refused))
	for k := range c.refused {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b refusal) int {
		return cmp.Or(cmp.Compare(a.code, b.code), cmp.Compare(a.reason, b.reason))
	})
	for _, k := range keys {
		fmt.Fprintf(&b, "plexor_http_refused_total{code=\"%d\",reason=\"%s\"} %d\n", k.code, label(k.reason), c.refused[k])
	}
	return b.String()
}

// label escapes the value of a label.
func label(s string) string { return labels.Replace(s) }

var labels = strings.NewReplacer("\\", `\\`, "\n", `\n`, `"`, `\"`)
