package nats

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/plexor-go/plexor/bus"
	"github.com/plexor-go/plexor/internal/authority"
)

func secure(a *authority.Authority, name string) *TLS {
	p := a.Issue(name, nil)
	return &TLS{CertFile: p.CertFile, KeyFile: p.KeyFile, CAFile: a.File}
}

// TestEmbeddedTLS: nodes are one by their certificates, without a password, and one of another authority is not.
func TestEmbeddedTLS(t *testing.T) {
	t.Parallel()
	ca := authority.New(t, "ca")
	var routes []string
	var all []*bus.Bus
	for i := range 3 {
		node, err := Embedded(within(t), "127.0.0.1:0", routes[:min(i, 1)], Options{TLS: secure(ca, fmt.Sprint("n", i))})
		if err != nil {
			t.Fatal(err)
		}
		routes = append(routes, node.Addr().String())
		all = append(all, open(t, node, fmt.Sprint("n", i), bus.Limits{History: 1000}))
	}
	node, err := Embedded(within(t), "127.0.0.1:0", routes, Options{TLS: secure(authority.New(t, "other"), "stranger")})
	if err != nil {
		t.Fatal(err)
	}
	stranger := open(t, node, "stranger", bus.Limits{})
	know(t, all)
	passes(t, all)
	if n := stranger.Stats().Nodes; n != 1 {
		t.Errorf("the stranger knows %d nodes", n)
	}
	bad := secure(ca, "bad")
	bad.CAFile = routes[0]
	if node, err := Embedded(within(t), "127.0.0.1:0", nil, Options{TLS: bad}); err == nil {
		_ = node.Close()
		t.Error("a CAFile that is not there is taken")
	}
}

// TestConnectedTLS: a server that asks for certificates lets nodes in that have one, and is refused if it has none of
// the authority's.
func TestConnectedTLS(t *testing.T) {
	t.Parallel()
	ca, other := authority.New(t, "ca"), authority.New(t, "other")
	text, err := os.ReadFile(ca.File)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		TLSTimeout: time.Minute.Seconds(), TLSConfig: &tls.Config{ClientCAs: roots,
			ClientAuth: tls.RequireAndVerifyClientCert, Certificates: []tls.Certificate{ca.Issue("server", nil).Load(t)}}})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.WaitForShutdown)
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server is not ready")
	}
	var all []*bus.Bus
	for i := range 2 {
		tr, err := Connect("nats://"+s.Addr().String(), Options{TLS: secure(ca, fmt.Sprint("n", i))})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, open(t, tr, fmt.Sprint("n", i), bus.Limits{History: 1000}))
	}
	know(t, all)
	passes(t, all)
	for name, row := range map[string]struct {
		tls  *TLS
		want string // "": some error; the server may end the connection before it has said why
	}{
		"no certificate":        {&TLS{CAFile: ca.File}, ""},
		"another authority's":   {&TLS{CAFile: other.File}, "unknown authority"},
		"its certificate":       {&TLS{CAFile: ca.File, CertFile: secure(other, "n").CertFile}, "n.crt"},
		"refused by the server": {&TLS{CAFile: ca.File, CertFile: both(t, other)}, ""},
		"another name":          {&TLS{CAFile: ca.File, ServerName: "node.test"}, "not node.test"},
		"neither of them":       {&TLS{}, "needs a CAFile"},
	} {
		tr, err := Connect("nats://"+s.Addr().String(), Options{TLS: row.tls})
		if err == nil {
			var b *bus.Bus
			if b, err = bus.Open(bus.Options{Transport: tr}); err == nil {
				_ = b.Close()
			}
		}
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %q", name, err, row.want)
		}
	}
}

// both is a file with a certificate and its key.
func both(t *testing.T, a *authority.Authority) string {
	p := a.Issue("both", nil)
	cert, err := os.ReadFile(p.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(p.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	name := p.CertFile + ".both"
	if err := os.WriteFile(name, append(cert, key...), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
