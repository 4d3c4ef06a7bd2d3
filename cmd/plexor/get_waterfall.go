package main

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// A getFetch is what came of a URL, as a line of JSON. Times are in milliseconds; with redirects they are sums.
type getFetch struct {
	URL       string  `json:"url"`
	Status    int     `json:"status,omitempty"`
	Proto     string  `json:"proto,omitempty"`
	Bytes     int64   `json:"bytes"`
	File      string  `json:"file,omitempty"`
	Err       string  `json:"error,omitempty"`
	Start     float64 `json:"start_ms"` // since the command began
	Name      float64 `json:"name_ms"`
	Connect   float64 `json:"connect_ms"`
	TLS       float64 `json:"tls_ms"`
	FirstByte float64 `json:"first_byte_ms"` // from when the request was sent
	Body      float64 `json:"body_ms"`
	Total     float64 `json:"total_ms"`

	ftp *url.URL // of FTP; nil: HTTP

	mu    sync.Mutex // with HTTP/2 the hooks are called by goroutines
	zero  time.Time  // the command began
	start time.Time
	phase byte // that has begun; 0: none
	since time.Time
	parts []getPart
}

// A getPart is a phase of a fetch, of getPhases, since the command began.
type getPart struct {
	phase    byte
	from, to time.Duration
}

// getPhases are the letters of the phases in a waterfall.
const (
	phaseName    = 'n'
	phaseConnect = 'c'
	phaseTLS     = 't'
	phaseWait    = 'w'
	phaseBody    = 'b'
)

func (f *getFetch) begin(zero time.Time) {
	f.zero, f.start = zero, time.Now()
	f.Start = milliseconds(f.start.Sub(zero))
}

func milliseconds(d time.Duration) float64 { return float64(d.Round(10*time.Microsecond)) / 1e6 }

// turn ends the phase that has begun, and begins another.
func (f *getFetch) turn(phase byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.phase != 0 {
		d := now.Sub(f.since)
		f.parts = append(f.parts, getPart{f.phase, f.since.Sub(f.zero), now.Sub(f.zero)})
		*map[byte]*float64{phaseName: &f.Name, phaseConnect: &f.Connect, phaseTLS: &f.TLS, phaseWait: &f.FirstByte,
			phaseBody: &f.Body}[f.phase] += milliseconds(d)
	}
	f.phase, f.since = phase, now
}

func (f *getFetch) end() {
	f.turn(0)
	f.Total = milliseconds(time.Since(f.start))
}

func (f *getFetch) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart:             func(httptrace.DNSStartInfo) { f.turn(phaseName) },
		DNSDone:              func(httptrace.DNSDoneInfo) { f.turn(0) },
		ConnectStart:         func(string, string) { f.turn(phaseConnect) },
		ConnectDone:          func(string, string, error) { f.turn(0) },
		TLSHandshakeStart:    func() { f.turn(phaseTLS) },
		TLSHandshakeDone:     func(tls.ConnectionState, error) { f.turn(0) },
		WroteRequest:         func(httptrace.WroteRequestInfo) { f.turn(phaseWait) },
		GotFirstResponseByte: func() { f.turn(phaseBody) },
	}
}

// waterfallWidth is that of the picture, in columns.
const waterfallWidth = 40

// printWaterfall prints a line for each fetch, with when its phases were.
func printWaterfall(w io.Writer, fetches []*getFetch) error {
	var all time.Duration
	for _, f := range fetches {
		for _, p := range f.parts {
			all = max(all, p.to)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-6s %10s %8s %8s %8s %8s %8s  %-*s URL\n", "status", "bytes", "name", "connect", "TLS", "first",
		"body", waterfallWidth, "0 to "+all.Round(time.Millisecond).String())
	for _, f := range fetches {
		status := "-"
		if f.Status > 0 {
			status = fmt.Sprint(f.Status)
		}
		fmt.Fprintf(&b, "%-6s %10d %8s %8s %8s %8s %8s  %s %s", status, f.Bytes, ms(f.Name), ms(f.Connect), ms(f.TLS),
			ms(f.FirstByte), ms(f.Body), f.picture(all), f.URL)
		if f.File != "" {
			b.WriteString(" > " + f.File)
		}
		if f.Err != "" {
			b.WriteString(": " + f.Err)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func ms(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1fms", v)
}

// picture is the phases of a fetch as letters on a line that stands for all of the time.
func (f *getFetch) picture(all time.Duration) string {
	line := []byte(strings.Repeat(".", waterfallWidth))
	at := func(d time.Duration) int {
		return min(int(int64(d)*waterfallWidth/int64(max(all, 1))), waterfallWidth-1)
	}
	parts := slices.Clone(f.parts)
	slices.SortStableFunc(parts, func(a, b getPart) int { return cmp.Compare(b.to-b.from, a.to-a.from) })
	for _, p := range parts { // the short ones last, that they are seen
		for i := at(p.from); i <= at(p.to); i++ {
			line[i] = p.phase
		}
	}
	return string(line)
}
