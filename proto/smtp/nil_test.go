package smtp

import (
	"context"
	"net"
	"testing"
)

// TestNilContext: it is an error, and nothing is dialled.
func TestNilContext(t *testing.T) {
	t.Parallel()
	var none context.Context
	if _, err := Dial(none, "127.0.0.1:1", DialOptions{}); err != errNoContext {
		t.Errorf("Dial: %v", err)
	}
	nc, peer := net.Pipe()
	defer peer.Close()
	if _, err := NewClient(none, nc, ClientOptions{}); err != errNoContext {
		t.Errorf("NewClient: %v", err)
	}
	served, other := net.Pipe()
	defer other.Close()
	if err := new(Server).Serve(none, served); err != errNoContext {
		t.Errorf("Serve: %v", err)
	}
	if err := new(Client).Noop(none); err != errNoContext {
		t.Errorf("Noop: %v", err)
	}
}
