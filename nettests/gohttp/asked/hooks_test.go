package asked_test

// What Go's tests take from export_test.go of package net/http.

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/plexor-go/plexor/nettests/gohttp/transport"
	"github.com/plexor-go/plexor/proto/http1"
)

func TestMain(m *testing.M) { os.Exit(m.Run()) }

// CondSkipHTTP2 skips where there is no HTTP/2.
func CondSkipHTTP2(testing.TB) {}

// ExportHttp2ConfigureServer has a server speak HTTP/2.
func ExportHttp2ConfigureServer(s *http.Server, _ any) error {
	s.TLSConfig = &tls.Config{NextProtos: []string{"h2", "http/1.1"}}
	return nil
}

// ExportHttp2ConfigureTransport has the Transport speak HTTP/2.
func ExportHttp2ConfigureTransport(tr *transport.Transport) error {
	tr.ForceAttemptHTTP2 = true
	return nil
}

// setParallel does nothing: what leaks is looked for behind each test.
func setParallel(*testing.T) {}

var (
	ExportErrRequestCanceled     = http1.ErrCanceled
	ExportErrRequestCanceledConn = http1.ErrCanceled
	ExportErrServerClosedIdle    = errors.New("http: server closed idle connection")
	MaxWriteWaitBeforeConnReuse  = new(time.Duration)
	NewLoggingConn               = func(_ string, c net.Conn) net.Conn { return c }
)

// Hooks have no counterpart.
func SetPendingDialHooks(_, _ func())                {}
func SetReadLoopBeforeNextReadHook(func())           {}
func SetRoundTripRetried(func())                     {}
func SetEnterRoundTripHook(func())                   {}
func SetRSTAvoidanceDelay(*testing.T, time.Duration) {}

// ResponseWriterConnForTesting is of the server.
func ResponseWriterConnForTesting(http.ResponseWriter) (net.Conn, bool) { return nil, false }

func runCancelTestTransport(t *testing.T, _ ...any) {
	t.Skip("web.Client has no CancelRequest")
}

func runSynctest(t *testing.T, _ ...any) {
	t.Skip("a bubble has a network of its own, that no loop reaches")
}
