package web_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/proto/http1"
	"github.com/plexor-go/plexor/web"
)

// logged is a log of lines without times.
func logged(b *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.TimeKey, slog.LevelKey, "begin", "took":
			return slog.Attr{}
		}
		return a
	}}))
}

// TestAccessLog: a request is a line, whatever is in it, by HTTP/1 and HTTP/2.
func TestAccessLog(t *testing.T) {
	var common, combined bytes.Buffer
	logs := []*web.AccessLog{web.NewAccessLog(logged(&common), web.AccessCommon),
		web.NewAccessLog(logged(&combined), web.AccessCombined)}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/teapot" {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = io.WriteString(w, "hello")
	})
	o := logs[1].With(logs[0].With(web.Options{}))
	srv := &plexor.Server{Loops: 1}
	addr := serve(t, srv, "tcp://127.0.0.1:0", h, o)
	fetch := func(two bool, target string, set func(*http.Request)) {
		p := new(http.Protocols)
		p.SetHTTP1(!two)
		p.SetUnencryptedHTTP2(two)
		c := &http.Client{Transport: &http.Transport{Protocols: p}}
		defer c.CloseIdleConnections()
		req, err := http.NewRequest("GET", "http://"+addr+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		set(req)
		get(t, c, req)
	}
	plain := func(r *http.Request) { r.Header.Set("User-Agent", "") }
	fetch(false, "/teapot?a=b%20c", plain)
	fetch(true, "/two", plain)
	fetch(false, "/", func(r *http.Request) {
		r.SetBasicAuth("a\nb\x1b[31m", "secret")
		r.Header.Set("Referer", `x" status=200 ü`)
		r.Header.Set("User-Agent", strings.Repeat("y", 2000))
	})
	for _, l := range logs {
		l.Flush()
	}
	const common1 = `msg=request client=127.0.0.1 method=GET target="/teapot?a=b%20c" proto=HTTP/1.1 status=418 bytes=5` + "\n"
	const common2 = "msg=request client=127.0.0.1 method=GET target=/two proto=HTTP/2.0 status=200 bytes=5\n"
	const user = `msg=request client=127.0.0.1 user=a\nb\x1b[31m method=GET target=/ proto=HTTP/1.1 status=200 bytes=5`
	if want := common1 + common2 + user + "\n"; common.String() != want {
		t.Errorf("common:\n%s\nwant\n%s", common.String(), want)
	}
	want := common1 + common2 + user + ` referer="x\\\" status=200 \\u00fc" agent=` + strings.Repeat("y", 1024) + "...\n"
	if combined.String() != want {
		t.Errorf("combined:\n%s\nwant\n%s", combined.String(), want)
	}
}

// A stuck is a log's output that waits.
type stuck struct {
	waits chan bool
	bytes.Buffer
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.waits
	return s.Buffer.Write(p)
}

// TestAccessLogBubble: a log of a server that is outside of a bubble can be waited for in it, and one that is made in
// it lets the bubble's time go on.
func TestAccessLogBubble(t *testing.T) {
	out := &stuck{waits: make(chan bool)}
	l := web.NewAccessLog(slog.New(slog.NewTextHandler(out, nil)), web.AccessCommon)
	r := http1.Record{Request: httptest.NewRequest("GET", "/", nil), Status: 200}
	l.Done(r)
	time.AfterFunc(50*time.Millisecond, func() { close(out.waits) })
	synctest.Test(t, func(t *testing.T) { l.Flush() })
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Errorf("Flush returned before %d lines of 1 were written", n)
	}
	synctest.Test(t, func(t *testing.T) {
		inner := web.NewAccessLog(slog.New(slog.NewTextHandler(sleepy{}, nil)), web.AccessCommon)
		began := time.Now()
		inner.Done(r)
		inner.Flush()
		if took := time.Since(began); took != time.Hour {
			t.Errorf("a log that takes an hour took %v", took)
		}
	})
}

// A sleepy takes an hour for a line.
type sleepy struct{}

func (sleepy) Write(p []byte) (int, error) {
	time.Sleep(time.Hour)
	return len(p), nil
}

// TestAccessLogIsBounded: a log that is stuck holds nobody up, and tells how much it has not.
func TestAccessLogIsBounded(t *testing.T) {
	out := &stuck{waits: make(chan bool)}
	l := web.NewAccessLog(slog.New(slog.NewTextHandler(out, nil)), web.AccessCommon)
	r := http1.Record{Request: httptest.NewRequest("GET", "/", nil), Status: 200}
	for range 10_000 {
		l.Done(r)
	}
	close(out.waits)
	l.Flush()
	lines := strings.Count(out.String(), "\n")
	l.Done(r)
	l.Flush()
	if told := strings.Count(out.String(), "unlogged="); lines < 4096 || lines > 8192+1 || told == 0 {
		t.Errorf("%d lines, and %d tell of others", lines, told)
	}
}

// TestCounters: what was asked, answered and refused is counted, in the format of Prometheus.
func TestCounters(t *testing.T) {
	var c web.Counters
	held, goOn := make(chan bool), make(chan bool)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/held":
			held <- true
			<-goOn
		case "/none":
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, "hello")
	})
	srv := &plexor.Server{Loops: 1}
	addr := serve(t, srv, "tcp://127.0.0.1:0", h, c.With(web.Options{}))
	talk := func(request string, status int) net.Conn {
		t.Helper()
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(patience)) // it is open
		_, _ = io.WriteString(nc, request)           // what comes back tells
		res, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil || res.StatusCode != status {
			t.Fatalf("%q: %v, %v", request, res, err)
		}
		return nc
	}
	rest := talk("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200)
	defer rest.Close()
	talk("GET /none HTTP/1.1\r\nHost: x\r\n\r\n", 404).Close()
	talk("MAKECOFFEE / HTTP/1.1\r\nHost: x\r\n\r\n", 200).Close()
	talk("GET / HTTP/1.1\r\n\r\n", 400).Close()
	done := make(chan bool)
	go func() {
		defer close(done)
		talk("POST /held HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 200).Close()
	}()
	<-held
	wants(t, &c, "plexor_http_in_flight 1", "plexor_http_connections 2", "plexor_http_connections_total 5")
	goOn <- true
	<-done
	wants(t, &c, `plexor_http_requests_total{method="GET",code="200"} 1`, "plexor_http_in_flight 0",
		`plexor_http_requests_total{method="GET",code="404"} 1`, `plexor_http_requests_total{method="POST",code="200"} 1`,
		`plexor_http_requests_total{method="other",code="200"} 1`, "plexor_http_response_bytes_total 20",
		`plexor_http_request_duration_seconds_bucket{le="+Inf"} 4`, "plexor_http_request_duration_seconds_count 4",
		`plexor_http_refused_total{code="400",reason="there is no Host"} 1`, "plexor_http_connections 1",
		`# TYPE plexor_http_request_duration_seconds histogram`)
}

// wants waits until the counters have these lines.
func wants(t *testing.T, c *web.Counters, lines ...string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		w := ask(c, "GET", "/")
		missing := ""
		for _, l := range lines {
			if !strings.Contains(w.Body.String(), "\n"+l+"\n") {
				missing = l
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no line %q in\n%s", missing, w.Body)
		}
	}
}

// TestCountersAreBounded: a client does not choose how much there is to count.
func TestCountersAreBounded(t *testing.T) {
	var c web.Counters
	for i := range 10_000 {
		c.Refused(nil, &http1.Error{Status: 400, What: fmt.Sprintf("%d\"\n", i)})
		r := httptest.NewRequest("GET", "/", nil)
		r.Method = fmt.Sprint("M", i)
		c.Done(http1.Record{Request: r, Status: 1000 + i})
	}
	w := ask(&c, "GET", "/")
	escaped := strings.Contains(w.Body.String(), `{code="400",reason="63\"\n"} 1`)
	if n := strings.Count(w.Body.String(), "\n"); n > 120 || !escaped {
		t.Errorf("%d lines:\n%s", n, w.Body)
	}
}
