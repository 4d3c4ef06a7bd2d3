package nats

import (
	"context"
	"crypto/x509"
	"testing"

	"github.com/plexor-go/plexor/internal/authority"
	"github.com/plexor-go/plexor/internal/certs"
	"github.com/plexor-go/plexor/internal/natsnode"
	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
)

// TestTLS: jobs go by TLS to and from a server whose certificate has the right authority and name. Of each other case
// the error says what to do, and not the password.
func TestTLS(t *testing.T) {
	t.Parallel()
	ca := authority.New(t, "ca")
	node := func(name string, change func(*x509.Certificate)) string {
		o := natsnode.Options{JetStream: true, Dir: t.TempDir(), Token: "secret"}
		if name != "" {
			o.Certificate = certs.Pair(ca.Issue(name, change))
		}
		return "secret@" + server(t, o).Addr().String()
	}
	good := node("good", nil)
	b := mqtest.Broker(t, "nats+tls://"+good+"?ca="+ca.File)
	if err := b.Publish(within(t), "q", []byte("x")); err != nil {
		t.Fatal(err)
	}
	q, err := b.Queue(within(t), "q", mq.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(within(t))
	if err := q.Consume(ctx, mq.Consumer{}, func(context.Context, *mq.Job) error { cancel(); return nil }); err != nil {
		t.Error(err)
	}
	const untrusted = "its certificate is not trusted: write nats+tls://127.0.0.1:"
	for _, row := range []struct{ name, url, want string }{
		{"no authority", "nats+tls://" + good, untrusted},
		{"no TLS asked for, and so no authority", "nats://" + good, untrusted},
		{"another authority", "nats+tls://" + good + "?ca=" + authority.New(t, "other").File, untrusted},
		{"another name", "nats+tls://" + node("named", func(c *x509.Certificate) { c.IPAddresses = nil }) + "?ca=" + ca.File,
			untrusted},
		{"a server without TLS", "nats+tls://" + node("", nil) + "?ca=" + ca.File, "write nats:// in place of nats+tls://"},
		{"an authority without TLS", "nats://" + good + "?ca=" + ca.File, "for nats+tls://"},
		{"a file that there is not", "nats+tls://" + good + "?ca=/none", "nats: ca=/none: open /none"},
		{"a file without a certificate", "nats+tls://" + good + "?ca=" + ca.Issue("x", nil).KeyFile,
			"has no certificate in PEM"},
	} {
		t.Run(row.name, func(t *testing.T) { refused(t, row.url, row.want) })
	}
}
