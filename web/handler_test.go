package web_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/web"
)

// drivers are those that a test takes: all that work here in CI, or where -run names a part of a test. Else they are
// the first and one of the others, which depends on the test's name: what a driver does is held by package loop.
func drivers(t *testing.T) (names []string) {
	names = workingDrivers()
	if portion.Everywhere() || len(names) < 2 {
		return names
	}
	others := names[1:]
	return []string{names[0], others[turnOf(t)>>1%len(others)]}
}

var workingDrivers = sync.OnceValue(func() (names []string) { // which tries each
	for _, d := range loop.Drivers() {
		if d.Err == nil {
			names = append(names, d.Name)
		}
	}
	return names
})

// turnOf is a number by the name of the test that t is part of, so that the tests differ in what they take by turns.
func turnOf(t *testing.T) int {
	top, _, _ := strings.Cut(t.Name(), "/")
	return portion.Turn(top)
}

// patience is how long what has to come may take. A process whose loops have both processors to themselves for minutes,
// with -race on a busy machine, lets goroutines wait.
const patience = 3 * time.Minute

// serve serves h until the test ends, and returns host:port.
func serve(t *testing.T, srv *plexor.Server, addr string, h http.Handler, o web.Options) string {
	t.Helper()
	a, err := srv.Open(addr, web.Handler(h, o))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		defer goOn(srv.Clock)()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return a.String()
}

// goOn has a clock that stands still go on, until the function that it returns is called: a loop looks by it whether
// what a closing connection wrote has arrived.
func goOn(clock loop.Clock) (stop func()) {
	c, manual := clock.(*loop.ManualClock)
	if !manual {
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				c.Advance(time.Millisecond)
			}
		}
	}()
	return func() { close(end); <-ended }
}

// A place is where a handler is tried: on a server of some driver, over TLS or not, on goroutines or inline.
type place struct {
	srv    *plexor.Server
	scheme string // tcp or tls
	h      http.Handler
	inline bool
}

// serve serves the handler until the test ends, and returns host:port.
func (p *place) serve(t *testing.T, o web.Options) string {
	t.Helper()
	return serve(t, p.srv, p.scheme+"://127.0.0.1:0", p.h, o)
}

// url is that of an address of serve.
func (p *place) url(addr string) string {
	return map[string]string{"tcp": "http", "tls": "https"}[p.scheme] + "://" + addr
}

// client is one that checks no certificate, and speaks HTTP/2 or not.
func (p *place) client(t *testing.T, h2 bool) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP1(!h2)
	tr.Protocols.SetHTTP2(h2)
	tr.Protocols.SetUnencryptedHTTP2(h2)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// open is a connection of a client's that ends with the test.
func (p *place) open(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	nc, r := open(t, addr)
	if p.scheme == "tls" {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
		r = bufio.NewReader(nc)
	}
	return nc, r
}

// eachScheme runs f on each driver, plain and over TLS. What TLS changes does not depend on the driver: so it is tried
// on all of them in CI, and else on the first.
func eachScheme(t *testing.T, f func(t *testing.T, p *place)) {
	for i, driver := range drivers(t) {
		for _, scheme := range []string{"tcp", "tls"} {
			if scheme == "tls" && i > 0 && !portion.Everywhere() {
				continue
			}
			t.Run(driver+"/"+scheme, func(t *testing.T) {
				f(t, &place{srv: &plexor.Server{Driver: driver, Loops: 2}, scheme: scheme})
			})
		}
	}
}

// eachWay is eachScheme with h on goroutines and inline: both on the first driver in plain text, and in CI everywhere,
// else by turns.
func eachWay(t *testing.T, h http.HandlerFunc, f func(t *testing.T, p *place)) {
	eachScheme(t, func(t *testing.T, p *place) {
		number := slices.Index(drivers(t), p.srv.Driver)
		both := portion.Everywhere() || number == 0 && p.scheme == "tcp"
		for way, h := range ways(h) {
			if !both && (way == "inline") != ((number+turnOf(t))%2 == 1) {
				continue
			}
			t.Run(way, func(t *testing.T) {
				srv := &plexor.Server{Driver: p.srv.Driver, Loops: p.srv.Loops}
				f(t, &place{srv: srv, scheme: p.scheme, h: h, inline: way == "inline"})
			})
		}
	})
}

func get(t *testing.T, c *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res, string(b)
}

func TestHandler(t *testing.T) {
	h := func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		addr := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		fmt.Fprintf(w, "%s %s %d %v %v %v", r.Method, r.URL, len(b), err, addr.String() == r.Host, r.TLS != nil)
	}
	eachWay(t, h, func(t *testing.T, p *place) {
		addr := p.serve(t, web.Options{})
		for proto, c := range map[int]*http.Client{1: p.client(t, false), 2: p.client(t, true)} {
			for _, n := range []int{0, 1, 1000, 100_000, 1 << 20} {
				req, _ := http.NewRequest("POST", p.url(addr)+"/a?b=c", strings.NewReader(strings.Repeat("x", n)))
				want := fmt.Sprintf("POST /a?b=c %d <nil> true %v", n, p.scheme == "tls")
				if res, got := get(t, c, req); got != want || res.ProtoMajor != proto {
					t.Errorf("HTTP/%d: %q, want %q", proto, got, want)
				}
			}
		}
	})
}
