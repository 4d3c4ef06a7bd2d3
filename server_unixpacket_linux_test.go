package plexor_test

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plexor-go/plexor"
)

// TestServeRefusesMessages: a listener of SOCK_SEQPACKET keeps messages apart, and a stream would merge and cut them.
func TestServeRefusesMessages(t *testing.T) {
	ln, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	srv := &plexor.Server{Handler: plexor.HandlerFunc(func(*plexor.Conn) {})}
	defer srv.Close()
	if err := srv.Serve(ln); err == nil || !strings.Contains(err.Error(), "type seqpacket") {
		t.Errorf("Serve: %v, want an error that says what the listener is", err)
	}
}
