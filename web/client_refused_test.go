package web_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/web"
)

// TestClientDistrust: an https server that is not trusted is named, and nothing speaks of STARTTLS or of a layer.
func TestClientDistrust(t *testing.T) {
	t.Parallel()
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer srv.Close()
	withClientOn(t, "auto", web.ClientOptions{}, func(ctx context.Context, c *web.Client) error {
		_, _, err := fetch(ctx, &http.Client{Transport: c}, "GET", srv.URL+"/", nil)
		_, shaken := errors.AsType[*plexor.HandshakeError](err)
		_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
		if !shaken || !unverified {
			t.Errorf("error %v, want a *plexor.HandshakeError of the certificate", err)
			return nil
		}
		want := "web: connect to " + strings.TrimPrefix(srv.URL, "https://") + ": handshake tcp "
		if text := err.Error(); !strings.Contains(text, want) || strings.Contains(text, "starttls") ||
			strings.Contains(text, "plexor:") {
			t.Errorf("it says %q, want %q in it, no starttls and no layer", text, want)
		}
		return nil
	})
}
