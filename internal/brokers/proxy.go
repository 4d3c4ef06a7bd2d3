package brokers

import (
	"fmt"
	"net"
	"sync"
)

// A Proxy stands between clients and a broker, and can part them: Hold is a network that loses all packets and tells
// nobody, Cut one that ends connections. Its methods are for any number of goroutines.
type Proxy struct {
	Addr string // where clients come in

	to    string
	ln    net.Listener
	ended chan struct{}
	all   sync.WaitGroup

	mu    sync.Mutex
	gate  chan struct{} // closed: what comes is passed on
	held  bool          // gate is open
	cut   bool
	conns map[net.Conn]struct{}
}

// NewProxy begins to pass on what comes to a free port of 127.0.0.1 to that address. The caller calls Close.
func NewProxy(to string) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("brokers: proxy: %w", err)
	}
	p := &Proxy{Addr: ln.Addr().String(), to: to, ln: ln, ended: make(chan struct{}), gate: make(chan struct{}),
		conns: make(map[net.Conn]struct{})}
	close(p.gate)
	p.all.Go(p.accept)
	return p, nil
}

// Hold passes on nothing from now on: connections stay, and new ones are taken, but no byte comes out of any, nor its
// end. Some hundred KB wait in buffers until Heal.
func (p *Proxy) Hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.held {
		p.held, p.gate = true, make(chan struct{})
	}
}

// Cut ends all connections with a reset, and those that come from now on.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	p.openLocked()
	for c := range p.conns {
		reset(c)
	}
}

// Heal ends Hold and Cut: what Hold held is passed on.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
	p.openLocked()
}

func (p *Proxy) openLocked() {
	if p.held {
		p.held = false
		close(p.gate)
	}
}

// Close ends all connections, and returns when all goroutines have ended.
func (p *Proxy) Close() {
	close(p.ended)
	_ = p.ln.Close() // nobody is told
	p.Cut()
	p.all.Wait()
}

func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // it may have ended
	}
	_ = c.Close() // likewise
}

func (p *Proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		if !p.has(c) {
			continue
		}
		p.all.Go(func() {
			defer p.drop(c)
			if !p.passes() {
				return
			}
			b, err := net.Dial("tcp", p.to)
			if err != nil {
				return
			}
			if !p.has(b) {
				return
			}
			defer p.drop(b)
			p.all.Go(func() { p.pass(c, b) })
			p.pass(b, c)
		})
	}
}

// has notes a connection, or resets it if there are to be none.
func (p *Proxy) has(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		reset(c)
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	_ = c.Close() // it may have ended
}

// passes waits while all is held; false: the proxy ends.
func (p *Proxy) passes() bool {
	p.mu.Lock()
	gate := p.gate
	p.mu.Unlock()
	select {
	case <-gate:
		return true
	case <-p.ended:
		return false
	}
}

// pass passes on what comes from one to the other, and ends both with it.
func (p *Proxy) pass(from, to net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if !p.passes() {
			return
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}
