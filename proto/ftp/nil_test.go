package ftp

import (
	"context"
	"testing"
)

// TestNilContext: it is an error, and nothing is dialled.
func TestNilContext(t *testing.T) {
	t.Parallel()
	var none context.Context
	if _, err := Dial(none, "127.0.0.1:1", ClientOptions{}); err != errNoContext {
		t.Errorf("Dial: %v", err)
	}
	srv := &Server{Users: usersFunc(nil)}
	if err := new(Session).Init(none, srv, nil); err != errNoContext {
		t.Errorf("Init: %v", err)
	}
	c := new(Client)
	if err := c.Noop(none); err != errNoContext {
		t.Errorf("Noop: %v", err)
	}
	if _, err := c.ReadDir(none, "/"); err != errNoContext {
		t.Errorf("ReadDir: %v", err)
	}
}
