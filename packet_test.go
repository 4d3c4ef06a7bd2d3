package plexor_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

func (b *bench) packets(h plexor.PacketFunc) net.Conn {
	b.t.Helper()
	a, err := b.OpenPackets("udp://127.0.0.1:0", h)
	if err != nil {
		b.t.Fatal(err)
	}
	return dial(b.t, a)
}

// exchange sends datagrams and reads as many answers.
func exchange(t *testing.T, c net.Conn, sent ...string) (got []string) {
	t.Helper()
	for _, s := range sent {
		send(t, c, s)
	}
	p := make([]byte, 70000)
	for range sent {
		n, err := c.Read(p)
		if err != nil {
			t.Fatalf("after %d of %d answers: %v", len(got), len(sent), err)
		}
		got = append(got, string(p[:n]))
	}
	return got
}

// TestPackets: each datagram is its handler's own while that waits, and the answer goes to its peer.
func TestPackets(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		b := place{driver: driver}.serve(t, &plexor.Server{}, nil)
		client := b.packets(func(p *plexor.Packet) {
			was := string(p.Data)
			if was != "quick" {
				if err := coro.Sleep(p.Context(), time.Millisecond); err != nil {
					t.Error(err)
				}
			}
			if string(p.Data) != was || p.Truncated {
				t.Errorf("the datagram %q became %q", was, p.Data)
			}
			if err := p.Reply(fmt.Append(nil, was, " from ", p.Peer, " to ", p.LocalAddr())); err != nil {
				t.Error(err)
			}
		})
		got := exchange(t, client, "slow", "quick", "")
		want := []string{}
		for _, s := range []string{"quick", "slow", ""} {
			want = append(want, fmt.Sprint(s, " from ", client.LocalAddr(), " to ", client.RemoteAddr()))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		b.await("the counts", func(s plexor.Stats) bool { return s.PacketsIn == 3 && s.PacketsOut == 3 })
	})
}

// TestPacketLimit: datagrams over the limit of handlers are dropped and counted.
func TestPacketLimit(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		goOn := make(chan struct{})
		b := place{driver: driver}.serve(t, &plexor.Server{Loops: 1, Limits: plexor.Limits{Packets: 2}}, nil)
		client := b.packets(func(p *plexor.Packet) {
			if _, err := coro.Await(p.Context(), func() (int, error) { <-goOn; return 0, nil }); err != nil {
				t.Error(err)
			}
			if err := p.Reply(p.Data); err != nil {
				t.Error(err)
			}
		})
		for i := range 5 {
			send(t, client, fmt.Sprint(i))
		}
		b.await("the drops", func(s plexor.Stats) bool { return s.PacketsDropped == 3 && s.Handlers == 2 })
		close(goOn)
		got := []string{}
		p := make([]byte, 10)
		for range 2 {
			n, err := client.Read(p)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(p[:n]))
		}
		if slices.Sort(got); !slices.Equal(got, []string{"0", "1"}) {
			t.Errorf("answered were %q", got)
		}
	})
}

// TestPacketErrors: what can't be sent says so; a handler that panics is logged; a Packet is its handler's until that
// returns.
func TestPacketErrors(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		b := place{driver: driver}.serve(t, &plexor.Server{Loops: 1}, nil)
		var last *plexor.Packet
		client := b.packets(func(p *plexor.Packet) {
			switch string(p.Data) {
			case "large":
				err := p.Reply(make([]byte, 66000))
				if !errors.Is(err, loop.ErrTooLarge) {
					t.Errorf("a reply of 66000 bytes: %v, want loop.ErrTooLarge", err)
				}
			case "last":
				if err := last.Reply([]byte("x")); !errors.Is(err, plexor.ErrReturned) {
					t.Errorf("a Packet whose handler has returned: %v, want ErrReturned", err)
				}
				if context.Cause(last.Context()) == nil {
					t.Error("its context has not ended")
				}
			case "elsewhere":
				err, _ := coro.Await(p.Context(), func() (error, error) { return p.WriteTo(nil, netip.AddrPort{}), nil })
				var misuse *coro.MisuseError
				if !errors.As(err, &misuse) {
					t.Errorf("WriteTo from a goroutine: %v, want a *coro.MisuseError", err)
				}
			case "panic":
				panic("oh no")
			}
			last = p
			if err := p.Reply([]byte("done")); err != nil {
				t.Error(err)
			}
		})
		exchange(t, client, "large")
		exchange(t, client, "last")
		exchange(t, client, "elsewhere")
		send(t, client, "panic")
		b.log.says(t, "a handler panicked", "udp://"+client.LocalAddr().String(), "packet_test.go")
		exchange(t, client, "after")
		if s := b.Stats(); s.Panics != 1 {
			t.Errorf("the stats are %+v", s)
		}
	})
}

// TestPacketDrain: datagrams that have come are handled before the server ends.
func TestPacketDrain(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		b := place{driver: driver}.serve(t, &plexor.Server{Loops: 1}, nil)
		handled := 0
		client := b.packets(func(p *plexor.Packet) {
			if handled++; handled == 1 {
				blockABit()
			}
			if err := p.Reply(p.Data); err != nil {
				t.Error(err)
			}
		})
		for range 20 {
			send(t, client, "x")
		}
		b.shutdown()
		if handled != 20 {
			t.Errorf("%d of 20 datagrams were handled", handled)
		}
		p := make([]byte, 10)
		for i := range 20 {
			if _, err := client.Read(p); err != nil {
				t.Fatalf("answer %d: %v", i, err)
			}
		}
	})
}

// blockABit lets datagrams pile up.
func blockABit() { time.Sleep(20 * time.Millisecond) }
