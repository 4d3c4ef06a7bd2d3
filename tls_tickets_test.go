package plexor_test

import (
	"crypto/tls"
	"io"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/loop"
)

// A wallet is a cache with one session, which can be kept from changing.
type wallet struct {
	mu     sync.Mutex
	cs     *tls.ClientSessionState
	locked bool
}

func (w *wallet) Get(string) (*tls.ClientSessionState, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cs, w.cs != nil
}

func (w *wallet) Put(_ string, cs *tls.ClientSessionState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.locked {
		w.cs = cs
	}
}

func (w *wallet) lock() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.locked = true
}

// resumes connects with the session of a wallet, has a byte echoed, so that a new ticket has come, and reports whether
// the session was resumed.
func (b *tlsBench) resumes(w *wallet) bool {
	b.t.Helper()
	cfg := b.client()
	cfg.ClientSessionCache = w
	c := tls.Client(b.dial(), cfg)
	defer c.Close()
	if err := c.Handshake(); err != nil {
		b.t.Fatalf("the client's handshake: %v", err)
	}
	if _, err := c.Write([]byte{'x'}); err != nil {
		b.t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		b.t.Fatal(err)
	}
	return c.ConnectionState().DidResume
}

func ticketKey(b byte) [32]byte { return [32]byte{b, 31: b} }

// servesTickets is a server with keys for tickets.
func servesTickets(t *testing.T, cfg *tls.Config, keys ...[32]byte) *tlsBench {
	t.Helper()
	srv := new(plexor.Server)
	srv.SetSessionTicketKeys(keys)
	return serveTLS(t, "", srv, cfg, echoTLS)
}

// sibling is another server of the same authority, with an address of the name addr.
func (b *tlsBench) sibling(addr string, cfg *tls.Config, keys ...[32]byte) *tlsBench {
	b.t.Helper()
	cfg.Certificates = []tls.Certificate{b.ca.issue("plexor.test")}
	srv := &plexor.Server{Loops: 1, TLS: &plexor.TLS{Config: cfg}}
	srv.SetSessionTicketKeys(keys)
	a, err := srv.Open(addr, echoTLS)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			b.t.Errorf("Close: %v", err)
		}
	})
	return &tlsBench{&bench{t: b.t, Server: srv, addr: a}, b.ca}
}

// TestTicketKeys: servers with the same keys take each other's tickets, by each version of TLS, as long as the key is
// among theirs, also when it is set while they run; at an address of another name they don't.
func TestTicketKeys(t *testing.T) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(v), func(t *testing.T) {
			version := func() *tls.Config { return &tls.Config{MaxVersion: v} }
			one := servesTickets(t, version(), ticketKey(1))
			two := one.sibling(tlsAddr, version(), ticketKey(1))
			other := one.sibling(tlsAddr+"?nodelay=true", version(), ticketKey(1))
			var w wallet
			want := func(when string, b *tlsBench, want bool) {
				t.Helper()
				if got := b.resumes(&w); got != want {
					t.Errorf("%s: resumed=%v, want %v", when, got, want)
				}
			}
			want("the first", one, false)
			want("at the same", one, true)
			w.lock()
			want("at the other", two, true)
			want("at an address of another name", other, false)
			two.SetSessionTicketKeys([][32]byte{ticketKey(2), ticketKey(1)})
			want("with a newer key", two, true)
			two.SetSessionTicketKeys([][32]byte{ticketKey(3), ticketKey(2)})
			want("without its key", two, false)
		})
	}
}

// TestTicketKeysOfTheUser: what the tls.Config says of tickets stays in force.
func TestTicketKeysOfTheUser(t *testing.T) {
	given := func() *tls.Config {
		cfg := new(tls.Config)
		cfg.SetSessionTicketKeys([][32]byte{ticketKey(7)})
		return cfg
	}
	used := func() *tls.Config { // which has made keys of its own, as one of another server has
		cfg := new(tls.Config)
		if _, err := cfg.EncryptTicket(tls.ConnectionState{}, new(tls.SessionState)); err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	for _, row := range []struct {
		name         string
		cfg          *tls.Config
		own, resumes bool // by the keys of the config; at all
	}{
		{"nothing", new(tls.Config), false, true},
		{"keys that it has made itself", used(), false, true},
		{"keys", given(), true, true},
		//lint:ignore SA1019 a user's program may have it
		{"the old field", &tls.Config{SessionTicketKey: ticketKey(7)}, true, true},
		{"no tickets", &tls.Config{SessionTicketsDisabled: true}, false, false},
		{"GetConfigForClient without", &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return nil, nil
		}}, false, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := servesTickets(t, row.cfg, ticketKey(1))
			var w wallet
			b.resumes(&w)
			w.lock()
			if got := b.resumes(&w); got != row.resumes {
				t.Errorf("resumed=%v, want %v", got, row.resumes)
			}
			b.SetSessionTicketKeys([][32]byte{ticketKey(2)})
			if got := b.resumes(&w); got != row.own {
				t.Errorf("after new keys of the server: resumed=%v, want %v", got, row.own)
			}
		})
	}
	t.Run("GetConfigForClient with keys", func(t *testing.T) {
		var forClient atomic.Pointer[tls.Config]
		b := servesTickets(t, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return forClient.Load(), nil
		}},
			ticketKey(1))
		cfg := given()
		cfg.Certificates = []tls.Certificate{b.ca.issue("plexor.test")}
		forClient.Store(cfg)
		var w wallet
		b.resumes(&w)
		b.SetSessionTicketKeys([][32]byte{ticketKey(2)})
		if !b.resumes(&w) {
			t.Error("not resumed after new keys of the server")
		}
	})
}

// TestTicketKeysOutliveCertificates: that the files of certificates are read again forgets no keys.
func TestTicketKeysOutliveCertificates(t *testing.T) {
	ca := newAuthority(t, "theirs")
	pair := files(t, "s")
	ca.write(pair, ca.issue("plexor.test"))
	clock := loop.NewManualClock(time.Now())
	srv := &plexor.Server{Clock: clock}
	srv.SetSessionTicketKeys([][32]byte{ticketKey(1)})
	b := &tlsBench{place{"", "tls://127.0.0.1:0?cert=" + url.QueryEscape(pair.CertFile) + "&key=" +
		url.QueryEscape(pair.KeyFile)}.serve(t, srv, echoTLS), ca}
	var w wallet
	b.resumes(&w)
	w.lock()
	ca.write(pair, ca.issue("plexor.test"))
	clock.Advance(time.Second)
	if b.resumes(new(wallet)) { // who asks for the certificate has it read
		t.Error("resumed without a session")
	}
	b.log.says(t, "TLS certificate reloaded")
	if !b.resumes(&w) {
		t.Error("not resumed after the certificate was read again")
	}
}

// TestTicketKeysNone: there must be a key.
func TestTicketKeysNone(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no keys are taken without a panic")
		}
	}()
	new(plexor.Server).SetSessionTicketKeys(nil)
}
