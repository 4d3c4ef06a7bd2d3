package plexor_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// halfHello begins a ClientHello of which the rest never comes.
const halfHello = "\x16\x03\x01\x02\x00\x01"

// silent makes n clients that fall silent within the handshake. What they read in the end goes to ends.
func (b *tlsBench) silent(n int, ends chan<- error) {
	b.t.Helper()
	for range n {
		c := b.dial()
		send(b.t, c, halfHello)
		go func() {
			_, err := c.Read(make([]byte, 1))
			ends <- err
		}()
	}
}

// TestTLSFlood: of clients that fall silent within the handshake no more are kept than allowed: the longest silent go,
// a good client is served all the while, and their time ends the rest.
func TestTLSFlood(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		const limit, clients = 4, 40
		clock := loop.NewManualClock(time.Now())
		limits := plexor.Limits{UnfinishedHandshakes: limit}
		b := serveTLS(t, driver, &plexor.Server{Loops: 1, Clock: clock, Limits: limits}, nil, echoTLS)
		ends := make(chan error, clients)
		b.silent(clients/2, ends)
		b.await("the first half", func(s plexor.Stats) bool { return s.EvictedHandshakes == clients/2-limit })
		for range 3 {
			c := b.connect(nil)
			send(t, c, "x")
			want(t, c, "x")
		}
		b.silent(clients/2, ends)
		b.await("the second half", func(s plexor.Stats) bool {
			return s.EvictedHandshakes == clients-limit && s.Handshaking == limit && s.Conns == limit+3
		})
		for range clients - limit {
			if err := receive(t, ends, "the end of one that had to go"); err == nil || isTimeout(err) {
				t.Errorf("a client of the flood read: %v", err)
			}
		}
		clock.Advance(time.Minute)
		b.await("the end of all", func(s plexor.Stats) bool {
			return s.HandshakeTimeouts == limit && s.Handshaking == 0 && s.Conns == 3
		})
	})
}

// TestTLSSilentHoldNoPlace: one that waits for its client holds no place among Limits.Handshakes, here the only one.
func TestTLSSilentHoldNoPlace(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		const clients = 5
		limits := plexor.Limits{Handshakes: 1, HandshakeTimeout: time.Hour}
		b := serveTLS(t, driver, &plexor.Server{Loops: 1, Limits: limits}, nil, echoTLS)
		b.silent(clients, make(chan error, clients))
		b.await("the silent ones", func(s plexor.Stats) bool { return s.Handshaking == clients })
		c := b.connect(nil)
		send(t, c, "x")
		want(t, c, "x")
		b.await("the count", func(s plexor.Stats) bool {
			return s.Handshaking == clients && s.Handshakes == 1 && s.EvictedHandshakes == 0
		})
	})
}

// TestTLSFloodOfOnePeer: one address has no more than its share, and when it has more, its own have to go.
func TestTLSFloodOfOnePeer(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		const share, clients = 2, 6
		limits := plexor.Limits{UnfinishedHandshakes: share + 1, UnfinishedPerPeer: share, HandshakeTimeout: time.Hour}
		b := serveTLS(t, driver, &plexor.Server{Loops: 1, Limits: limits}, nil, echoTLS)
		other := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		patient, err := other.Dial("tcp", b.addr.String())
		if err != nil {
			t.Skipf("no second address here: %v", err)
		}
		defer patient.Close()
		c := tls.Client(&slow{Conn: patient, turn: make(chan struct{})}, b.client())
		done := make(chan error, 1)
		go func() { done <- c.Handshake() }()
		b.await("the patient one", func(s plexor.Stats) bool { return s.Handshaking == 1 })
		ends := make(chan error, clients)
		b.silent(clients, ends)
		b.await("the others", func(s plexor.Stats) bool {
			return s.EvictedHandshakes == clients-share && s.Handshaking == share+1
		})
		for range clients - share {
			if err := receive(t, ends, "the end of one that had to go"); err == nil || isTimeout(err) {
				t.Errorf("a client of the flood read: %v", err)
			}
		}
		close(c.NetConn().(*slow).turn)
		if err := receive(t, done, "the patient one"); err != nil {
			t.Errorf("its handshake: %v", err)
		}
	})
}

// slow reads nothing until turn is closed.
type slow struct {
	net.Conn
	turn chan struct{}
}

func (s *slow) Read(p []byte) (int, error) {
	<-s.turn
	return s.Conn.Read(p)
}

// TestTLSHandshakesAtWork: where a callback waits, no more than Limits.Handshakes are at work, none of those that wait
// for their turn has to go, and one more is refused.
func TestTLSHandshakesAtWork(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		ca := newAuthority(t, "theirs")
		cert := ca.issue("plexor.test")
		goOn, begun := make(chan struct{}), make(chan struct{}, 3)
		b := place{driver, tlsAddr}.serve(t,
			&plexor.Server{Loops: 1, Limits: plexor.Limits{Handshakes: 1, UnfinishedHandshakes: 2},
				TLS: &plexor.TLS{Config: &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
					begun <- struct{}{}
					return coro.Await(hello.Context(), func() (*tls.Certificate, error) {
						<-goOn
						return &cert, nil
					})
				}}}}, plexor.HandlerFunc(func(c *plexor.Conn) { fmt.Fprint(c, "done") }))
		cfg := &tls.Config{RootCAs: ca.pool, ServerName: "plexor.test"}
		clients := make([]*tls.Conn, 3)
		for i := range clients {
			clients[i] = tls.Client(b.dial(), cfg)
		}
		ends := make(chan error, len(clients))
		for i, c := range clients {
			go func() { ends <- c.Handshake() }()
			b.await("the next one", func(s plexor.Stats) bool { return s.Handshaking+int(s.RefusedHandshakes) == i+1 })
		}
		if err := receive(t, ends, "the one that is refused"); err == nil {
			t.Error("none is refused")
		}
		receive(t, begun, "the first")
		if len(begun) > 0 {
			t.Error("two are at work at once")
		}
		close(goOn)
		for range 2 {
			if err := receive(t, ends, "a handshake"); err != nil {
				t.Errorf("one that waited for its turn: %v", err)
			}
		}
		b.await("the counts", func(s plexor.Stats) bool {
			return s.Handshakes == 2 && s.RefusedHandshakes == 1 && s.EvictedHandshakes == 0
		})
	})
}
