package ipc

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/sock"
)

// crowded is a unix socket whose backlog is full.
func crowded(t *testing.T) (s sock.Socket, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	a := sock.Addr{Scheme: "unix", Path: path}
	s, err := sock.Listen(a, sock.Options{Backlog: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // the test is over
	for n := 0; err == nil; n++ {
		var c sock.Socket
		if c, _, err = sock.Connect(a, sock.Options{}); err == nil {
			t.Cleanup(func() { _ = c.Close() }) // likewise
		}
		if n > 20 {
			t.Fatal("the backlog is never full")
		}
	}
	if !errors.Is(err, sock.ErrWouldBlock) {
		t.Fatal(err)
	}
	return s, path
}

// TestDialCrowded: a unix socket whose backlog is full is tried again until there is room, or the context ends.
func TestDialCrowded(t *testing.T) {
	s, path := crowded(t)
	eachCaller(t, func(t *testing.T, ctx context.Context) {
		for what, dial := range map[string]func(ctx context.Context) error{
			"DialPipe":    func(ctx context.Context) error { _, err := DialPipe(ctx, path, Options{}); return err },
			"DialManager": func(ctx context.Context) error { _, err := DialManager(ctx, path, nil); return err },
			"DialPython": func(ctx context.Context) error {
				_, err := DialPython(ctx, "unix://"+path, PythonOptions{})
				return err
			},
		} {
			var err error
			for limit := 10 * time.Millisecond; limit < 10*time.Second && !errors.Is(err, sock.ErrWouldBlock); limit *= 2 {
				late, cancel := context.WithTimeout(ctx, limit) // a busy machine may take that long for the first try
				err = dial(late)
				cancel()
			}
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, sock.ErrWouldBlock) ||
				!strings.Contains(err.Error(), "backlog is full") {
				t.Errorf("%s: %v, want the context's end, and that the backlog is full", what, err)
			}
		}
		room := time.AfterFunc(10*time.Millisecond, func() {
			if c, err := s.Accept(); err != nil {
				t.Error(err)
			} else {
				_ = c.Close() // only to make room
			}
		})
		defer room.Stop()
		p, err := DialPipe(ctx, path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := DialPipe(context.Background(), path+"-none", Options{}); errors.Is(err, net.ErrClosed) || err == nil {
		t.Errorf("a path that is not there: %v", err)
	}
}
