package lab

import (
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/wire"
)

// An outside is the far end of a cable that leaves the world.
type outside struct {
	dev  io.ReadWriteCloser
	card *link.Card
	gone chan struct{} // closed when nobody reads any more
}

// Outside joins a host of a live world to what is not in the world, by a cable with a line of these options in each
// direction: dev is its far end. A Read of it is one Ethernet frame that comes to the host, and waits for that; a Write
// takes one that the host sends, and should not wait, as the world does meanwhile. A [tap.Device] is such a one, and
// the far end is the machine's kernel then. The host gets the addresses on that cable; no names are known there.
//
// dev is the world's from then on, and World.Close closes it, which has to end a Read that waits. A frame that Write
// fails with is lost, and a Read that fails ends the cable. The MTU is 1500 bytes: a dev has that too, and no offloads.
//
// [tap.Device]: https://pkg.go.dev/github.com/plexor-go/plexor/lab/tap#Device
func (w *World) Outside(h *Host, dev io.ReadWriteCloser, o link.Options, addrs ...netip.Prefix) error {
	if !w.opt.Live {
		return errors.New("lab: Outside of a world in virtual time: what is outside does not wait for it")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if h.w != w {
		return errors.New("lab: Outside: the host is of another world")
	}
	p := w.plugAs(h, nil, madeUp())
	for _, a := range addrs {
		if err := p.i.Add(w.time(), a); err != nil {
			w.unplug(p)
			return fmt.Errorf("lab: Outside: %v: %w", a, err)
		}
		if a.Addr().Is4() {
			p.four = a.Addr()
		} else {
			p.six = a.Addr()
		}
	}
	out := &outside{dev: dev, card: &link.Card{Promiscuous: true}, gone: make(chan struct{})}
	lines := [2]link.Line{}
	for way := range lines {
		lines[way] = link.New(o, func(fault string) *rand.Rand {
			return w.stream(fmt.Sprint("outside ", len(w.outside), way, " ", fault))
		}, func(_ time.Duration, f *link.Frame, what link.Fate) { w.fate(p, f, what) })
	}
	link.Connect(p.card, out.card, lines[0], lines[1], &w.pool)
	w.outside = append(w.outside, out)
	go w.read(out, p)
	return nil
}

// unplug takes an end away that has no cable yet. The caller holds mu.
func (w *World) unplug(p *plug) {
	for _, a := range p.i.Addresses() {
		p.i.Remove(a.Prefix.Addr())
	}
	w.plugs = slices.DeleteFunc(w.plugs, func(q *plug) bool { return q == p })
	delete(p.host.plugs, p.i)
}

// read brings in what comes from outside.
func (w *World) read(out *outside, p *plug) {
	defer close(out.gone)
	buf := make([]byte, mostFrame)
	for {
		n, err := out.dev.Read(buf)
		if err != nil {
			return // it was closed, or the cable is at its end
		}
		w.mu.Lock()
		w.sending, w.comment = true, w.comment[:0]
		err = out.card.Send(w.time(), buf[:n])
		w.sending = false
		if err != nil {
			w.comment = append(w.comment, err.Error())
		}
		w.record(p, buf[:n])
		w.agenda.expect(p)
		w.lively.leave()
	}
}

// mostFrame is how long a frame from outside may be, in bytes: more than the MTU and all headers are.
const mostFrame = 2048

// deliver hands out what has come to the far end. The caller holds World.mu.
func (out *outside) deliver(now time.Duration) (busy bool) {
	for f := out.card.Receive(now); f != nil; f = out.card.Receive(now) {
		_, _ = out.dev.Write(f.Bytes) // it is lost then
		f.Free()
		busy = true
	}
	return busy
}

// close ends the far end. The caller does not hold World.mu.
func (out *outside) close() error {
	err := out.dev.Close()
	<-out.gone
	return err
}

// random is the system's generator: whoever knows the seed of a host that others reach could guess its sequence numbers
// and ports.
func random() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // it never fails: it ends the program where there are no random numbers
	return binary.NativeEndian.Uint64(b[:])
}

// system is random as a source.
type system struct{}

func (system) Uint64() uint64 { return random() }

// madeUp is a link address by chance, as it has to differ from those of other processes' hosts.
func madeUp() wire.MAC {
	n := random()
	return wire.MAC{2, byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), byte(n >> 32)}
}
