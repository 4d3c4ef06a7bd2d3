package rabbit

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A slowConn is a connection whose writes wait for the test.
type slowConn struct {
	net.Conn
	writes chan []byte // what each has
	errs   chan error  // what each returns
	closed chan struct{}
}

func newSlowConn() *slowConn {
	return &slowConn{writes: make(chan []byte), errs: make(chan error), closed: make(chan struct{}, 2)}
}

func (c *slowConn) Write(p []byte) (int, error) {
	c.writes <- bytes.Clone(p)
	return len(p), <-c.errs
}

func (c *slowConn) Close() error { c.closed <- struct{}{}; return nil }

func (c *slowConn) SetWriteDeadline(time.Time) error { return nil }

// put writes, and ends the test if that fails.
func put(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatalf("write: %d of %d bytes, %v", n, len(text), err)
	}
}

// TestGather: what is written during a write goes together, in its order, and Close comes after it.
func TestGather(t *testing.T) {
	c := newSlowConn()
	g := gather(c)
	put(t, g, "a")
	first := <-c.writes
	for _, text := range []string{"b", "c", "d"} {
		put(t, g, text)
	}
	closed := make(chan error, 1)
	go func() { closed <- g.Close() }()
	c.errs <- nil
	second := <-c.writes
	c.errs <- nil
	if err := <-closed; err != nil || string(first) != "a" || string(second) != "bcd" {
		t.Errorf("written %q and %q, then %v; want a and bcd", first, second, err)
	}
	if _, err := g.Write([]byte("e")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write after Close: %v", err)
	}
}

// TestGatherBound: no more than the bound waits, but for one piece that is longer.
func TestGatherBound(t *testing.T) {
	c := newSlowConn()
	g := gather(c)
	put(t, g, "a")
	<-c.writes
	put(t, g, strings.Repeat("b", 2*mostGathered))
	wrote := make(chan struct{})
	go func() {
		_, _ = g.Write([]byte("c")) // what comes of it is seen below
		close(wrote)
	}()
	c.errs <- nil
	if got := <-c.writes; len(got) != 2*mostGathered {
		t.Errorf("the write has %d bytes, want %d", len(got), 2*mostGathered)
	}
	<-wrote
	c.errs <- nil
	if got := string(<-c.writes); got != "c" {
		t.Errorf("the last write has %q", got)
	}
	c.errs <- nil
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// TestGatherFails: an error closes the connection, and is that of the writes that wait and of the next.
func TestGatherFails(t *testing.T) {
	c := newSlowConn()
	g := gather(c)
	put(t, g, "a")
	<-c.writes
	put(t, g, strings.Repeat("b", mostGathered))
	waits := make(chan error, 1)
	go func() { _, err := g.Write([]byte("c")); waits <- err }()
	broken := errors.New("broken")
	c.errs <- broken
	<-c.closed
	if err := <-waits; !errors.Is(err, broken) {
		t.Errorf("the write that waited: %v", err)
	}
	if _, err := g.Write([]byte("d")); !errors.Is(err, broken) {
		t.Errorf("the next write: %v", err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// TestGatherHold: what is written while somebody holds goes together, when nobody holds any more, when it is much, when
// there is no room for more, and when the connection is closed.
func TestGatherHold(t *testing.T) {
	much, more := strings.Repeat("b", mostHeld), strings.Repeat("b", mostGathered)
	for name, tt := range map[string]struct {
		then  func(g *gatherer)
		wants []string
	}{
		"let":     {func(g *gatherer) { put(t, g, "b"); g.let() }, []string{"ab"}},
		"much":    {func(g *gatherer) { put(t, g, much) }, []string{"a" + much}},
		"no room": {func(g *gatherer) { put(t, g, more) }, []string{"a", more}},
		"closed":  {func(g *gatherer) { _ = g.Close() }, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newSlowConn()
				g := gather(c)
				g.hold()
				g.hold()
				put(t, g, "a")
				g.let() // somebody else still holds
				synctest.Wait()
				select {
				case got := <-c.writes:
					t.Fatalf("%q is written at once", got)
				default:
				}
				go tt.then(g)
				for _, want := range tt.wants {
					if got := string(<-c.writes); got != want {
						t.Errorf("a write of %d bytes, %.9q; want %d, %.9q", len(got), got, len(want), want)
					}
					c.errs <- nil
				}
				_ = g.Close() // c says nothing else
			})
		})
	}
}

// TestGatherBubble: one that was made outside of a bubble can be written to in it, and is then woken from outside.
func TestGatherBubble(t *testing.T) {
	c := newSlowConn()
	g := gather(c)
	put(t, g, "a")
	<-c.writes
	put(t, g, strings.Repeat("b", mostGathered))
	time.AfterFunc(20*time.Millisecond, func() { // while the bubble's goroutine waits for room, most likely
		c.errs <- nil
		<-c.writes
		c.errs <- nil
		<-c.writes
		c.errs <- nil
	})
	synctest.Test(t, func(t *testing.T) { put(t, g, "c") })
	_ = g.Close() // c says nothing else
}

// TestGatherWaiters: two that wait for room sleep until there is some, and do not wake each other.
func TestGatherWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSlowConn()
		g := gather(c)
		put(t, g, "a")
		<-c.writes
		put(t, g, strings.Repeat("b", mostGathered))
		for range 2 {
			go func() { _, _ = g.Write([]byte("c")) }() // what comes of it is seen below
		}
		synctest.Wait() // it returns when all sleep
		c.errs <- nil
		<-c.writes
		c.errs <- nil
		if got := <-c.writes; string(got) != "c" && string(got) != "cc" {
			t.Errorf("the last write has %q", got)
		} else if c.errs <- nil; len(got) == 1 {
			<-c.writes
			c.errs <- nil
		}
		_ = g.Close() // c says nothing else
	})
}
