package web_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/web"
)

// drivers are those that work here.
func drivers(t *testing.T) (names []string) {
	for _, d := range loop.Drivers() {
		if d.Err == nil {
			names = append(names, d.Name)
		}
	}
	return names
}

// serve serves h until the test ends, and returns host:port.
func serve(t *testing.T, srv *plexor.Server, addr string, h http.Handler, o web.Options) string {
	t.Helper()
	a, err := srv.Open(addr, web.Handler(h, o))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return a.String()
}

// eachWay runs f with h on goroutines and inline, on each driver.
func eachWay(t *testing.T, h http.HandlerFunc, f func(t *testing.T, srv *plexor.Server, h http.Handler)) {
	for _, driver := range drivers(t) {
		t.Run(driver+"/goroutines", func(t *testing.T) { f(t, &plexor.Server{Driver: driver, Loops: 2}, h) })
		t.Run(driver+"/inline", func(t *testing.T) { f(t, &plexor.Server{Driver: driver, Loops: 2}, web.Inline(h)) })
	}
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
	eachWay(t, h, func(t *testing.T, srv *plexor.Server, h http.Handler) {
		for _, scheme := range []string{"tcp", "tls"} {
			addr := serve(t, &plexor.Server{Driver: srv.Driver, Loops: 2}, scheme+"://127.0.0.1:0", h, web.Options{})
			for _, h2 := range []bool{false, true} {
				tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: h2,
					Protocols: new(http.Protocols)}
				tr.Protocols.SetHTTP1(!h2)
				tr.Protocols.SetHTTP2(h2)
				tr.Protocols.SetUnencryptedHTTP2(h2)
				c := &http.Client{Transport: tr}
				url := strings.Replace(strings.Replace(scheme, "tcp", "http", 1), "tls", "https", 1) + "://" + addr
				for _, n := range []int{0, 1, 1000, 100_000, 1 << 20} {
					req, _ := http.NewRequest("POST", url+"/a?b=c", strings.NewReader(strings.Repeat("x", n)))
					want := fmt.Sprintf("POST /a?b=c %d <nil> true %v", n, scheme == "tls")
					if res, got := get(t, c, req); got != want || res.ProtoMajor != map[bool]int{false: 1, true: 2}[h2] {
						t.Errorf("%s h2=%v: %q, want %q", scheme, h2, got, want)
					}
				}
				tr.CloseIdleConnections()
			}
		}
	})
}
