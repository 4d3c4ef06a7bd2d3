package natsnode

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/authority"
	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/internal/certs"
)

// secure is a node's TLS by that authority's certificate.
func secure(a *authority.Authority, name string, change func(*x509.Certificate)) *TLS {
	p := a.Issue(name, change)
	return &TLS{CertFile: p.CertFile, KeyFile: p.KeyFile, CAFile: a.File}
}

// TestTLS: nodes with certificates of one authority find each other without a password, by addresses that they were not
// told, and pass messages; one that speaks no TLS, or has no certificate, is not let in.
func TestTLS(t *testing.T) {
	t.Parallel()
	ca := authority.New(t, "ca")
	first := start(t, Options{Name: "first", Cluster: free, TLS: secure(ca, "first", nil)})
	route := []string{first.ClusterAddr().String()}
	second := start(t, Options{Name: "second", Cluster: free, Routes: route, TLS: secure(ca, "second", nil)})
	third := start(t, Options{Name: "third", Cluster: free, Routes: route, TLS: secure(ca, "third", nil)})
	for _, n := range []*Node{first, second, third} {
		if err := n.Await(within(t), 2); err != nil {
			t.Fatal(err)
		}
	}
	passes(t, second, third)
	for name, c := range map[string]*tls.Config{
		"without a certificate": {InsecureSkipVerify: true},
		"with another authority's": {InsecureSkipVerify: true, Certificates: []tls.Certificate{
			authority.New(t, "other").Issue("first", nil).Load(t)}},
	} {
		conn, err := tls.Dial("tcp", route[0], c)
		if err == nil { // the server's refusal comes behind the client's part of the handshake
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			_, err = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "remote error: tls: ") {
			t.Errorf("who comes %s: %v", name, err)
		}
	}
}

// passes has a message of one node reach the other.
func passes(t *testing.T, from, to *Node) {
	t.Helper()
	sub, err := connect(t, to).SubscribeSync("a")
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, from)
	got := make(chan error, 1)
	go func() {
		_, err := sub.NextMsgWithContext(within(t))
		got <- err
	}()
	for again := time.NewTicker(20 * time.Millisecond); ; <-again.C { // until the interest has come to the other node
		if err := c.Publish("a", nil); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-got:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}

// TestTLSJetStream: a cluster with streams over TLS.
func TestTLSJetStream(t *testing.T) {
	t.Parallel()
	ca := authority.New(t, "ca")
	routes, err := brokers.FreeAddrs(2)
	if err != nil {
		t.Fatal(err)
	}
	var nodes []*Node
	for i, a := range routes {
		name := fmt.Sprint("n", i)
		nodes = append(nodes, start(t, Options{Name: name, JetStream: true, Dir: t.TempDir(), Cluster: a, Routes: routes,
			TLS: secure(ca, name, nil), Token: "secret"}))
	}
	for _, n := range nodes {
		if err := n.Await(within(t), 1); err != nil {
			t.Fatal(err)
		}
	}
}

// A lockedBuffer is a log's text.
type lockedBuffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	news chan struct{}
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.news <- struct{}{}:
	default:
	}
	return b.b.Write(p)
}

func (b *lockedBuffer) await(ctx context.Context, words string) error {
	for {
		b.mu.Lock()
		text := b.b.String()
		b.mu.Unlock()
		if strings.Contains(text, words) {
			return nil
		}
		select {
		case <-b.news:
		case <-ctx.Done():
			return fmt.Errorf("%q is not in the log:\n%s", words, text)
		}
	}
}

// TestTLSStrangers: nodes that do not trust each other are not connected, and the log says why.
func TestTLSStrangers(t *testing.T) {
	t.Parallel()
	ca, other := authority.New(t, "ca"), authority.New(t, "other")
	foreign := secure(other, "foreign", nil)
	elsewhere := secure(ca, "elsewhere", func(c *x509.Certificate) { c.IPAddresses = nil })
	named := secure(ca, "named", func(c *x509.Certificate) { c.DNSNames = []string{"node.test"} })
	named.ServerName = "node.test"
	for _, row := range []struct {
		name       string
		home, come *TLS
		want       string // in the log of who comes
	}{
		{"another authority", secure(ca, "home", nil), foreign, "certificate signed by unknown authority"},
		{"another name", elsewhere, secure(ca, "comes", nil), "doesn't contain any IP SANs"},
		{"not the common name", secure(ca, "home2", nil), named, "not node.test"},
		{"in clear", nil, secure(ca, "comes2", nil), "first record does not look like a TLS handshake"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			home := start(t, Options{Name: "home", Cluster: free, TLS: row.home, Log: slog.New(slog.DiscardHandler)})
			log := &lockedBuffer{news: make(chan struct{}, 1)}
			comes := start(t, Options{Name: "comes", Cluster: free, TLS: row.come,
				Routes: []string{home.ClusterAddr().String()}, Log: slog.New(slog.NewTextHandler(log, nil))})
			if err := log.await(within(t), row.want); err != nil {
				t.Error(err)
			}
			if p := append(home.Peers(), comes.Peers()...); len(p) > 0 {
				t.Errorf("they are connected: %q", p)
			}
		})
	}
}

// TestTLSName: nodes that have a name in common need no address in their certificates.
func TestTLSName(t *testing.T) {
	t.Parallel()
	ca := authority.New(t, "ca")
	var nodes []*Node
	var routes []string
	for i := range 2 {
		set := secure(ca, fmt.Sprint("n", i), func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses = []string{"node.test"}, nil
		})
		set.ServerName = "node.test"
		nodes = append(nodes, start(t, Options{Cluster: free, Routes: routes, TLS: set}))
		routes = append(routes, nodes[i].ClusterAddr().String())
	}
	if err := nodes[1].Await(within(t), 1); err != nil {
		t.Error(err)
	}
}

// TestTLSRenewed: a certificate that is replaced is the one that the next node is shown.
func TestTLSRenewed(t *testing.T) {
	t.Parallel()
	ca := authority.New(t, "ca")
	n := start(t, Options{Cluster: free, TLS: secure(ca, "node", nil)})
	me := ca.Issue("me", nil).Load(t)
	serial := func() string {
		c, err := tls.Dial("tcp", n.ClusterAddr().String(),
			&tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{me}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := serial()
	ca.Issue("node", nil)
	ctx := within(t)
	for again := time.NewTicker(100 * time.Millisecond); serial() == before; {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatal("the old certificate is shown")
		}
	}
}

// TestClientTLS: a client that speaks no TLS is told that it must, and is not heard; those in the process need none.
func TestClientTLS(t *testing.T) {
	t.Parallel()
	ca := authority.New(t, "ca")
	n := start(t, Options{Client: free, Certificate: certs.Pair(ca.Issue("n", nil))})
	if _, err := connect(t, n).GetClientID(); err != nil {
		t.Error(err)
	}
	c, err := net.Dial("tcp", n.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "CONNECT {}\r\nPING\r\n"); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(c) // a reset is an end, too
	if !strings.Contains(string(text), `"tls_required":true`) || strings.Contains(string(text), "\r\nPONG") ||
		errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a client without TLS reads %q, %v", text, err)
	}
	for name, o := range map[string]Options{
		"is for clients": {Certificate: certs.Pair(ca.Issue("n", nil))},
		"has a CertFile": {Client: free, Certificate: certs.Pair{KeyFile: "x"}},
		"/none":          {Client: free, Certificate: certs.Pair{CertFile: "/none"}},
	} {
		n, err := Start(within(t), o)
		if err == nil {
			n.Close()
		}
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %q", err, name)
		}
	}
}

// TestTLSRefused: what the other nodes would refuse is refused at the start.
func TestTLSRefused(t *testing.T) {
	t.Parallel()
	ca := authority.New(t, "ca")
	good := ca.Issue("good", nil)
	change := func(change func(*TLS)) *TLS {
		set := &TLS{CertFile: good.CertFile, KeyFile: good.KeyFile, CAFile: ca.File}
		change(set)
		return set
	}
	for _, row := range []struct {
		name string
		tls  *TLS
		want string
	}{
		{"no certificate", change(func(s *TLS) { s.CertFile, s.KeyFile = "", "" }), "needs a CertFile"},
		{"a key alone", change(func(s *TLS) { s.CertFile = "" }), "needs a CertFile"},
		{"no authority", change(func(s *TLS) { s.CAFile = "" }), "needs a CAFile"},
		{"no such file", change(func(s *TLS) { s.CAFile = "/none" }), "/none"},
		{"an authority that is none", change(func(s *TLS) { s.CAFile = good.KeyFile }), "has no certificate in PEM"},
		{"another's key", change(func(s *TLS) { s.KeyFile = ca.Issue("x", nil).KeyFile }), "does not match"},
		{"another authority's", change(func(s *TLS) { s.CAFile = authority.New(t, "other").File }),
			"other nodes would refuse the certificate " + good.CertFile + ": x509: certificate signed by unknown authority"},
		{"another name", change(func(s *TLS) { s.ServerName = "node.test" }), "not node.test"},
		{"expired", secure(ca, "old", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}), "has expired"},
		{"a server's alone", secure(ca, "server", func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}), "incompatible key usage"},
	} {
		t.Run(row.name, func(t *testing.T) {
			n, err := Start(within(t), Options{Cluster: free, TLS: row.tls})
			if err == nil {
				n.Close()
			}
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
	if n, err := Start(within(t), Options{TLS: secure(ca, "alone", nil)}); err == nil {
		n.Close()
		t.Error("TLS without a cluster is taken")
	}
}
