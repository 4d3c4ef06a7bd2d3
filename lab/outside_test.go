package lab_test

import (
	"errors"
	"io"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/lab"
	"github.com/plexor-go/plexor/lab/ip"
	"github.com/plexor-go/plexor/lab/link"
)

// A wire is one end of a cable in memory, between two worlds: what is written to one is read from the other, and lost
// where there is no room.
type wireEnd struct {
	in, out chan []byte
	closed  chan struct{}
	once    sync.Once
}

func newWire() (a, b *wireEnd) {
	there, back := make(chan []byte, 256), make(chan []byte, 256)
	return &wireEnd{in: back, out: there, closed: make(chan struct{})},
		&wireEnd{in: there, out: back, closed: make(chan struct{})}
}

func (e *wireEnd) Read(p []byte) (int, error) {
	select {
	case b := <-e.in:
		return copy(p, b), nil
	case <-e.closed:
		return 0, io.EOF
	}
}

func (e *wireEnd) Write(p []byte) (int, error) {
	select {
	case e.out <- append([]byte(nil), p...):
		return len(p), nil
	default:
		return 0, io.ErrShortWrite
	}
}

func (e *wireEnd) Close() error { e.once.Do(func() { close(e.closed) }); return nil }

var outsideA, outsideB = netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("192.0.2.2/24")

// TestOutside joins two live worlds: a server in one, a client in the other, and faults between them.
func TestOutside(t *testing.T) {
	end, other := newWire()
	addrs := []netip.Prefix{outsideA, outsideB}
	var hosts []*lab.Host
	for n, dev := range []*wireEnd{end, other} {
		w := lab.New(lab.Options{Live: true})
		t.Cleanup(func() {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
		hosts = append(hosts, w.Host("host"))
		if err := w.Outside(hosts[n], dev, link.Options{Delay: time.Millisecond, Loss: 0.01}, addrs[n]); err != nil {
			t.Fatal(err)
		}
	}
	srv := &plexor.Server{Network: hosts[0], Handler: plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) })}
	if _, err := srv.Open("tcp://:7", nil); err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	c, err := hosts[1].DialContext(t.Context(), "tcp", "192.0.2.1:7")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const size = 300_000
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := c.Write(make([]byte, size)); err != nil {
			t.Error(err)
		}
	})
	if _, err := io.ReadFull(c, make([]byte, size)); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

// TestOutsideRefused: what cannot be joined is not, and leaves the host as it was.
func TestOutsideRefused(t *testing.T) {
	dev, _ := newWire()
	virtual := lab.New(lab.Options{})
	defer virtual.Close()
	if err := virtual.Outside(virtual.Host("a"), dev, link.Options{}, outsideA); err == nil {
		t.Error("virtual time is joined to the system's")
	}
	w := lab.New(lab.Options{Live: true})
	defer w.Close()
	h := w.Host("a")
	if err := w.Outside(virtual.Host("b"), dev, link.Options{}, outsideA); err == nil {
		t.Error("another world's host is joined")
	}
	err := w.Outside(h, dev, link.Options{}, outsideA, netip.MustParsePrefix("224.0.0.1/4"))
	if !errors.Is(err, ip.ErrAddress) {
		t.Errorf("a group as an address: %v", err)
	}
	if _, err := h.DialContext(t.Context(), "tcp", "192.0.2.2:7"); !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("a network that it has not joined: %v", err)
	}
	if err := w.Outside(h, dev, link.Options{}, outsideA); err != nil {
		t.Error(err)
	}
}
