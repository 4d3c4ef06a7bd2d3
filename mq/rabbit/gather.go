package rabbit

import (
	"net"
	"sync"
	"time"

	"github.com/plexor-go/plexor/internal/wait"
)

const (
	// mostGathered is how many bytes wait to be written. A larger Write waits until there are none, and then goes whole.
	mostGathered = 64 << 10
	// mostHeld is how many bytes of a batch wait for the rest of it.
	mostHeld  = 4 << 10
	lastWrite = 250 * time.Millisecond // for what waits when the connection is closed
)

// A gatherer is a connection that writes what is written while it is at a write with the next one. The library makes a
// write of each message and of each acknowledgement, under a lock: by itself that is a system call, and a segment for
// the broker to read, for each. Write returns before its bytes have gone, as it does when the kernel has them; an error
// is that of the next Write, and closes the connection. Close comes after what was written.
type gatherer struct {
	net.Conn

	mu      sync.Mutex
	changed wait.HomeCond // of all below
	wait    []byte        // to be written
	held    int           // those who hold
	full    int           // those who wait for room
	closed  bool
	err     error
	ended   chan struct{} // run has returned
}

func gather(c net.Conn) *gatherer {
	g := &gatherer{Conn: c, ended: make(chan struct{})}
	g.changed.Init(&g.mu)
	go g.run()
	return g
}

// Write has p written soon. It keeps a copy.
func (g *gatherer) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.wait) > 0 && len(g.wait)+len(p) > mostGathered && g.err == nil && !g.closed {
		before := g.goesLocked()
		g.full++
		if !before && g.goesLocked() {
			g.changed.Broadcast()
		}
		g.changed.Wait(&g.mu)
		g.full--
	}
	switch {
	case g.err != nil:
		return 0, g.err
	case g.closed:
		return 0, net.ErrClosed
	}
	before := g.goesLocked()
	g.wait = append(g.wait, p...)
	if !before && g.goesLocked() {
		g.changed.Broadcast()
	}
	return len(p), nil
}

// goesLocked reports that what waits is to be written now.
func (g *gatherer) goesLocked() bool {
	return len(g.wait) > 0 && (g.held == 0 || g.full > 0 || g.closed || len(g.wait) >= mostHeld)
}

// hold has what is written wait for more, mostHeld bytes at most, until let is called.
func (g *gatherer) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held++
}

func (g *gatherer) let() {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.goesLocked()
	g.held--
	if !before && g.goesLocked() {
		g.changed.Broadcast()
	}
}

// run writes, until Close or an error.
func (g *gatherer) run() {
	defer close(g.ended)
	var spare []byte
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		for !g.goesLocked() {
			if g.closed {
				return
			}
			g.changed.Wait(&g.mu)
		}
		now := g.wait
		g.wait = spare[:0]
		g.changed.Broadcast() // there is room
		g.mu.Unlock()
		_, err := g.Conn.Write(now)
		g.mu.Lock()
		if err != nil {
			g.err, g.wait = err, nil
			g.changed.Broadcast()
			_ = g.Conn.Close() // the error says more; so who reads learns it too
			return
		}
		if spare = now; cap(spare) > 2*mostGathered { // of a large job
			spare = nil
		}
	}
}

// Close writes what waits, if the peer takes it at once, and closes the connection.
func (g *gatherer) Close() error {
	g.mu.Lock()
	g.closed = true
	g.changed.Broadcast()
	g.mu.Unlock()
	_ = g.SetWriteDeadline(time.Now().Add(lastWrite)) // it fails when the connection has ended
	<-g.ended
	return g.Conn.Close()
}
