package plexor_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
)

// TestStartTLSCancelled: an upgrade whose task is cancelled before, while the client is silent, while the client's last
// word is awaited, at the same moment as that comes (so many turns later), and after. It ends with the cause, and then
// nothing goes any more in either way; or well, and then both directions work. The next wait of its task fails in any
// case. Its place among Limits.Handshakes, here the only one, is free again.
func TestStartTLSCancelled(t *testing.T) {
	moments := []upgradeMoment{{"before", 0}, {"the client is silent", 0}, {"the client's last word is awaited", 0}}
	for turns := range 8 {
		moments = append(moments, upgradeMoment{fmt.Sprintf("%d turns after it", turns), turns})
	}
	moments = append(moments, upgradeMoment{"after", 0})
	eachDriver(t, func(t *testing.T, driver string) {
		ca := newAuthority(t, "theirs")
		cfg := &tls.Config{Certificates: []tls.Certificate{ca.issue("plexor.test")}}
		clients, errs := make(chan upgradeClient, 1), make(chan error, 1)
		b := place{driver, "tcp://127.0.0.1:0"}.serve(t, &plexor.Server{Loops: 1, Limits: plexor.Limits{Handshakes: 1}},
			plexor.GreeterFunc(func(c *plexor.Conn) {
				errs <- cancelUpgrade(c, cfg, clients, ca)
			}))
		for _, now := range moments {
			raw := &firstOnly{Conn: b.dial()}
			clients <- upgradeClient{raw, now}
			if err := receive(t, errs, "the handler"); err != nil {
				t.Errorf("cancelled %s: %v", now.name, err)
			}
			raw.Close()
			b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 && s.Handlers == 0 && s.Handshaking == 0 })
		}
	})
}

type upgradeMoment struct {
	name  string
	turns int // between the client's last word and the cancellation
}

type upgradeClient struct {
	raw *firstOnly
	upgradeMoment
}

// cancelUpgrade is the handler.
func cancelUpgrade(c *plexor.Conn, cfg *tls.Config, clients <-chan upgradeClient, ca *authority) error {
	ctx := context.WithoutCancel(c.Context())
	now, err := coro.Await(ctx, func() (upgradeClient, error) { return <-clients, nil })
	if err != nil {
		return err
	}
	raw, moment, turns := now.raw, now.name, now.turns
	client := tls.Client(raw, &tls.Config{RootCAs: ca.pool, ServerName: "plexor.test"})
	shake := func() error { // as far as its last word, which raw holds
		_, err := coro.Await(ctx, func() (int, error) { return 0, client.Handshake() })
		return err
	}
	return coro.Group(ctx, func(g *coro.Tasks) error {
		var first, later error
		done := false
		subject := g.Go(func(ctx context.Context) error {
			first = c.StartTLS(cfg)
			done = true
			if moment != "after" {
				later = coro.Sleep(ctx, time.Hour)
			}
			return nil
		})
		switch moment {
		case "before":
			subject.Cancel(errCut)
		case "the client is silent":
			for range 20 {
				if err := coro.Yield(ctx); err != nil {
					return err
				}
			}
			subject.Cancel(errCut)
		case "the client's last word is awaited":
			if err := shake(); err != nil {
				return err
			}
			subject.Cancel(errCut)
		default:
			if err := shake(); err != nil {
				return err
			}
			if err := raw.release(); err != nil {
				return err
			}
			if moment == "after" {
				break
			}
			for range turns {
				if err := coro.Sleep(ctx, time.Nanosecond); err != nil { // each is a turn of the loop
					return err
				}
			}
			subject.Cancel(errCut)
		}
		if err := subject.Wait(ctx); err != nil && err != errCut {
			return fmt.Errorf("the subject: %w", err)
		}
		if moment == "after" {
			subject.Cancel(errCut)
		}
		switch {
		case moment == "after" && first != nil:
			return fmt.Errorf("StartTLS: %w", first)
		case moment != "after" && done && !errors.Is(later, errCut):
			return fmt.Errorf("the next wait ended with %v, want %v", later, errCut)
		case moment == "before" && !done: // it did not begin
			return nil
		case turns == 0 && moment != "after" && moment[0] != '0' && !errors.Is(first, errCut),
			first != nil && !errors.Is(first, errCut):
			return fmt.Errorf("StartTLS: %v, want %v", first, errCut)
		case first != nil:
			return deadUpgrade(c)
		}
		return liveUpgrade(ctx, c, client)
	})
}

// deadUpgrade checks that nothing goes any more, in plain text neither.
func deadUpgrade(c *plexor.Conn) error {
	if n, err := c.Read(make([]byte, 1)); err == nil {
		return fmt.Errorf("a Read after it read %d bytes", n)
	}
	if n, err := c.Write([]byte("secret")); err == nil {
		return fmt.Errorf("a Write after it wrote %d bytes", n)
	}
	if c.ConnectionState().HandshakeComplete {
		return errors.New("there is a state of TLS")
	}
	return nil
}

// liveUpgrade checks that both directions work.
func liveUpgrade(ctx context.Context, c *plexor.Conn, client *tls.Conn) error {
	if _, err := io.WriteString(c, "to the client"); err != nil {
		return err
	}
	got, err := coro.Await(ctx, func() (string, error) {
		p := make([]byte, len("to the client"))
		if _, err := io.ReadFull(client, p); err != nil {
			return "", err
		}
		_, err := io.WriteString(client, "to the server")
		return string(p), err
	})
	if err != nil || got != "to the client" {
		return fmt.Errorf("the client read %q, %v", got, err)
	}
	p := make([]byte, len("to the server"))
	if _, err := io.ReadFull(c, p); err != nil || string(p) != "to the server" {
		return fmt.Errorf("the server read %q, %v", p, err)
	}
	return nil
}
