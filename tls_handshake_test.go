package plexor_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
)

// TestTLSResumption: a session is resumed by its ticket, also one that an earlier connection got on another loop.
func TestTLSResumption(t *testing.T) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(v), func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				b := serveTLS(t, driver, &plexor.Server{}, nil, plexor.GreeterFunc(func(c *plexor.Conn) {
					fmt.Fprint(c, c.ConnectionState().DidResume)
				}))
				cfg := b.client()
				cfg.MaxVersion, cfg.ClientSessionCache = v, tls.NewLRUClientSessionCache(1)
				for i := range 3 {
					c := b.connect(cfg)
					want(t, c, fmt.Sprint(i > 0))
					wantEnd(t, c)
				}
			})
		})
	}
}

// TestTLSALPN: the protocol is the server's first that the client knows too, and none in common is an error for both.
func TestTLSALPN(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		b := serveTLS(t, driver, &plexor.Server{}, &tls.Config{NextProtos: []string{"b/2", "a/1"}},
			plexor.GreeterFunc(func(c *plexor.Conn) {
				fmt.Fprintf(c, "%q", c.ConnectionState().NegotiatedProtocol)
			}))
		for _, row := range []struct{ offers, want string }{{"", `""`}, {"a/1", `"a/1"`}, {"a/1 b/2", `"b/2"`}, {"c/3", ""}} {
			cfg := b.client()
			cfg.NextProtos = strings.Fields(row.offers)
			c := b.try(cfg)
			if row.want == "" {
				if err := c.Handshake(); err == nil {
					t.Errorf("ALPN %q: no error", row.offers)
				}
				continue
			}
			want(t, c, row.want)
			wantEnd(t, c)
		}
		b.log.says(t, "level=WARN", "TLS handshake failed", "application protocol")
	})
}

// TestTLSSNI: each name gets its certificate, and an unknown one the first.
func TestTLSSNI(t *testing.T) {
	ca := newAuthority(t, "theirs")
	a, b := files(t, "a"), files(t, "b")
	ca.write(a, ca.issue("a.test"))
	ca.write(b, ca.issue("b.test", "*.b.test"))
	eachDriver(t, func(t *testing.T, driver string) {
		srv := place{driver, tlsAddr}.serve(t, &plexor.Server{TLS: &plexor.TLS{Pairs: []plexor.KeyPair{a, b}}},
			plexor.GreeterFunc(func(c *plexor.Conn) { fmt.Fprint(c, c.ConnectionState().ServerName) }))
		for _, row := range []struct{ name, want string }{{"a.test", "a.test"}, {"b.test", "b.test"}, {"x.b.test", "b.test"},
			{"c.test", "a.test"}} {
			c := tls.Client(srv.dial(), &tls.Config{ServerName: row.name, InsecureSkipVerify: true})
			want(t, c, row.name)
			if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != row.want {
				t.Errorf("%s got the certificate of %s, want %s", row.name, got, row.want)
			}
			c.Close()
		}
	})
}

// TestTLSClientCertificates: the right one is let in, and no handler sees any other; the log tells why, once each.
func TestTLSClientCertificates(t *testing.T) {
	good, bad := newAuthority(t, "good"), newAuthority(t, "bad")
	for _, row := range []struct {
		name  string
		certs []tls.Certificate
		says  string // "": it is let in
	}{
		{"right", []tls.Certificate{good.issue("alice")}, ""},
		{"wrong", []tls.Certificate{bad.issue("mallory")}, "the certificate of the client was refused"},
		{"none", nil, "certificate"},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				b := serveTLS(t, driver, &plexor.Server{},
					&tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: good.pool},
					plexor.GreeterFunc(func(c *plexor.Conn) {
						fmt.Fprint(c, c.ConnectionState().PeerCertificates[0].Subject.CommonName)
					}))
				cfg := b.client()
				if len(row.certs) > 0 { // sent even if the server names other authorities
					cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate,
						error) {
						return &row.certs[0], nil
					}
				}
				c := b.try(cfg)
				got, err := io.ReadAll(c)
				c.Close()
				if row.says == "" {
					if string(got) != "alice" || err != nil {
						t.Errorf("the client read %q, %v; want alice", got, err)
					}
					return
				}
				if len(got) > 0 || err == nil {
					t.Errorf("the client read %q, %v; want an error", got, err)
				}
				b.log.says(t, "level=WARN", row.says)
				b.await("its end", func(s plexor.Stats) bool { return s.Conns == 0 && s.HandshakeErrors == 1 })
				if n := strings.Count(b.log.text(), "msg=\"TLS handshake"); n != 1 {
					t.Errorf("%d lines of the log, want 1:\n%s", n, b.log.text())
				}
			})
		})
	}
}

// TestTLSNotTLS: what clients get wrong is told in words.
func TestTLSNotTLS(t *testing.T) {
	for _, row := range []struct{ name, says, sends, reply string }{
		{"HTTP", "speaks plain HTTP on a TLS port", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
		{"SSH", "does not speak TLS (its first bytes are ", "SSH-2.0-x\r\n", ""},
		{"noise", "level=WARN", "\x00\x01\x02\x03\x04\x05\x06\x07", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				b := serveTLS(t, driver, &plexor.Server{}, nil, echoTLS)
				c := b.dial()
				send(t, c, row.sends)
				got, err := io.ReadAll(c)
				if err != nil || !strings.HasPrefix(string(got), row.reply) || row.reply == "" &&
					strings.Contains(string(got), "HTTP") {
					t.Errorf("the client got %q, %v; want %q", got, err, row.reply)
				}
				if _, body, ok := strings.Cut(string(got), "\r\n\r\n"); ok &&
					!strings.Contains(string(got), fmt.Sprintf("Content-Length: %d\r\n", len(body))) {
					t.Errorf("the body has %d bytes, the header says otherwise: %q", len(body), got)
				}
				b.log.says(t, "level=WARN", row.says, "peer=tcp://")
				b.await("the count", func(s plexor.Stats) bool { return s.HandshakeErrors == 1 && s.Handlers == 0 })
			})
		})
	}
}

// TestTLSUnknownCA: a client that does not trust the certificate is told of as such.
func TestTLSUnknownCA(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		b := serveTLS(t, driver, &plexor.Server{}, nil, echoTLS)
		if err := b.try(&tls.Config{ServerName: "plexor.test",
			RootCAs: newAuthority(t, "other").pool}).Handshake(); err == nil {
			t.Error("the client trusts the server")
		}
		b.log.says(t, "level=WARN", "the client does not trust the certificate it got")
	})
}

// TestTLSProbe: who connects and goes, before or within the handshake, is worth no warning.
func TestTLSProbe(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		b := serveTLS(t, driver, &plexor.Server{}, nil, echoTLS)
		for _, sends := range []string{"", "\x16\x03\x01\x02"} {
			c := b.dial()
			send(t, c, sends)
			closeWrite(t, c)
			if got, err := io.ReadAll(c); err != nil {
				t.Errorf("after %q: %q, %v", sends, got, err)
			}
			c.Close()
		}
		reset(t, b.dial())
		b.await("the end", func(s plexor.Stats) bool { return s.Accepted == 3 && s.Conns == 0 })
		if text := b.log.text(); strings.Contains(text, "level=WARN") || strings.Contains(text, "level=ERROR") {
			t.Errorf("the log has a warning:\n%s", text)
		}
	})
}

// TestTLSSlowHandshake: a handshake has its time from the connection's start, however busy the client looks.
func TestTLSSlowHandshake(t *testing.T) {
	beside(t)
	for _, row := range []struct{ name, first string }{{"silent", ""}, {"half a hello", "\x16\x03\x01\x02\x00\x01"}} {
		t.Run(row.name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				b := serveTLS(t, driver, &plexor.Server{Limits: plexor.Limits{HandshakeTimeout: 250 * time.Millisecond}}, nil,
					echoTLS)
				// On a busy machine it may take longer itself, and the client's end of a handshake is not the server's.
				var good *tls.Conn
				for answered := []byte{0}; answered[0] == 0; {
					c, _ := b.dialReset()
					good = tls.Client(c, b.client())
					if good.Handshake() == nil {
						_, _ = good.Write([]byte("y")) // if it was refused, the Read fails
						_, _ = good.Read(answered)
					}
				}
				was := b.Stats().HandshakeTimeouts
				c, resets := b.dialReset()
				_, _ = io.WriteString(c, row.first) // if it was reset, the Read fails
				if n, err := c.Read(make([]byte, 1)); err == nil {
					t.Errorf("the client read %d bytes", n)
				}
				b.await("the count", func(s plexor.Stats) bool {
					return s.HandshakeTimeouts == was+resets+1 && s.Conns == 1 && s.Handshaking == 0
				})
				send(t, good, "x") // whose time is up no more
				want(t, good, "x")
			})
		})
	}
}

// dialReset is dial to a server that resets who is slow: on a busy machine that may be before Dial has seen that it is
// connected. resets is how often it was.
func (b *tlsBench) dialReset() (c net.Conn, resets int64) {
	b.t.Helper()
	for end := time.Now().Add(patience); ; resets++ {
		c, err := dialPeer(b.addr)
		if err == nil {
			b.t.Cleanup(func() { c.Close() })
			_ = c.SetDeadline(time.Now().Add(patience)) // it fails when it was reset
			return c, resets
		}
		if time.Now().After(end) {
			b.t.Fatal(err)
		}
	}
}
