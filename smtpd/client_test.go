package smtpd_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/proto/smtp"
)

// TestClientOnCoroutines sends from coroutines of one loop: in plain text, by STARTTLS, and over TLS from the
// beginning; ten at once, each of whose waits parks its coroutine.
func TestClientOnCoroutines(t *testing.T) {
	t.Parallel()
	cfg, ccfg := configs(t)
	for _, row := range []struct {
		url      string
		security smtp.Security
	}{
		{"tcp://127.0.0.1:0", smtp.NoTLS}, {"tcp://127.0.0.1:0", smtp.NeedStartTLS}, {"tls://127.0.0.1:0", smtp.ImplicitTLS},
	} {
		b := newBox()
		srv := &plexor.Server{TLS: &plexor.TLS{Config: cfg}}
		addr := serve(t, srv, &smtp.Server{Backend: b, TLS: cfg}, row.url)
		o := smtp.DialOptions{Security: row.security, TLS: ccfg}
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			return plexor.Dial(ctx, network+"://"+address)
		}
		const clients = 10
		err := plexor.Run(t.Context(), func(ctx context.Context) error {
			return coro.Group(ctx, func(g *coro.Tasks) error {
				for range clients {
					g.Go(func(ctx context.Context) error {
						c, err := smtp.Dial(ctx, addr, o)
						if err != nil {
							return err
						}
						m := &smtp.Message{To: []smtp.Recipient{{Mailbox: smtp.Mailbox{Local: "b", Domain: "x.example"}}},
							Data: strings.NewReader(strings.Repeat("a line\r\n", 10000))}
						if _, err := c.Send(ctx, m); err != nil {
							return err
						}
						return c.Quit(ctx)
					})
				}
				return nil
			})
		})
		if got := b.got(); err != nil || len(got) != clients || len(got[0]) != 80000 {
			t.Errorf("%s, %v: %v, %d messages", row.url, row.security, err, len(got))
		}
	}
}
