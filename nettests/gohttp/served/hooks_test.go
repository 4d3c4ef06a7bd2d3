package served_test

// What Go's tests take from export_test.go of package net/http.

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/plexor-go/plexor/nettests/gohttp/httptest"
)

func TestMain(m *testing.M) { os.Exit(m.Run()) }

// CondSkipHTTP2 skips where there is no HTTP/2.
func CondSkipHTTP2(t testing.TB) {
	if httptest.Way == "conn" {
		t.Skip("package http1 has no HTTP/2")
	}
}

// ExportHttp2ConfigureServer has a client offered HTTP/2.
func ExportHttp2ConfigureServer(s *httptest.HTTPServer, _ any) error {
	s.TLSConfig = &tls.Config{NextProtos: []string{"h2", "http/1.1"}}
	return nil
}

// ExportHttp2ConfigureTransport has the Transport speak HTTP/2.
func ExportHttp2ConfigureTransport(tr *http.Transport) error {
	tr.ForceAttemptHTTP2 = true
	return nil
}

// SetRSTAvoidanceDelay has no counterpart.
func SetRSTAvoidanceDelay(*testing.T, time.Duration) {}

// setParallel does nothing: what leaks is looked for behind each test.
func setParallel(*testing.T) {}

// An eofReaderFunc is called when it is read, and has nothing.
type eofReaderFunc func()

func (f eofReaderFunc) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}
