// Package h2 tries HTTP/2 of package web, which is net/http's on connections of the engine: by h2spec beside a bare
// net/http, and by the known floods.
package h2

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/web"
)

func TestMain(m *testing.M) {
	if what := os.Getenv(specEnv); what != "" {
		beSpec(what)
		return
	}
	os.Exit(leak.Main(m))
}

// patience is what nothing reaches when all is well.
const patience = time.Minute

// ours serves h on an address of Plexor until the test ends, and returns its URL.
func ours(t *testing.T, scheme string, h http.Handler) string {
	t.Helper()
	srv := &plexor.Server{Loops: 2, Log: slog.New(slog.DiscardHandler)}
	a, err := srv.Open(scheme+"://127.0.0.1:0", web.Handler(h, web.Options{Log: slog.New(slog.DiscardHandler)}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return map[string]string{"tcp": "http", "tls": "https"}[scheme] + "://" + a.String()
}

// bare is the same by net/http alone.
func bare(t *testing.T, scheme string, h http.Handler) string {
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if scheme == "tls" {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetHTTP1(true)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
	}
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

// servers are both, by name.
var servers = map[string]func(t *testing.T, scheme string, h http.Handler) string{"ours": ours, "bare net/http": bare}

// client is net/http's, which speaks HTTP/2 or HTTP/1.1 alone.
func client(t *testing.T, h2 bool) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP1(!h2)
	tr.Protocols.SetHTTP2(h2)
	tr.Protocols.SetUnencryptedHTTP2(h2)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// dial is a connection that is to speak HTTP/2.
func dial(t *testing.T, url string) net.Conn {
	t.Helper()
	scheme, addr, _ := strings.Cut(url, "://")
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	if scheme == "https" {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	}
	return nc
}
