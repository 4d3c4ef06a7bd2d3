package ip

import (
	"net/netip"
	"slices"
	"time"

	"github.com/plexor-go/plexor/lab/tcp"
	"github.com/plexor-go/plexor/wire"
)

// An Echo is an echo request of ICMP, or what has come of one.
type Echo struct {
	Addr  netip.Addr // whom the request goes to; who has answered, or says why nobody does
	ID    uint16     // of the asker
	Seq   uint16     // of the request
	TTL   uint8      // of the request, 64 at 0; of the reply
	Whole bool       // the request may not be cut
	Data  []byte     //
	Err   error      // ErrUnreachable, ErrExpired or ErrTooLong, where Addr is who says so
}

// asked are the last echo requests that this host has sent: an error about another one is not believed.
const askedMost = 16

// Ping sends an echo request. Reply tells what comes of it.
func (h *Host) Ping(now time.Duration, e Echo) error {
	src, err := h.Source(e.Addr)
	if err != nil {
		return err
	}
	o := outgoing{src: src, dst: e.Addr, ttl: e.TTL, whole: e.Whole}
	rest := wire.EchoRest(e.ID, e.Seq)
	if e.Addr.Is4() {
		m := wire.ICMPv4{Type: wire.ICMPv4Echo, Rest: rest, Payload: e.Data}
		o.protocol = wire.ProtoICMPv4
		h.data, err = m.Append(h.data[:0])
	} else {
		m := wire.ICMPv6{Type: wire.ICMPv6Echo, Rest: rest, Payload: e.Data}
		o.protocol = wire.ProtoICMPv6
		h.data, err = m.Append(h.data[:0], src, e.Addr)
	}
	if err != nil || len(h.data) > 65535 {
		return ErrTooLong
	}
	o.payload = h.data
	if len(h.asked) == askedMost {
		h.asked = slices.Delete(h.asked, 0, 1)
	}
	h.asked = append(h.asked, Echo{Addr: e.Addr, ID: e.ID, Seq: e.Seq})
	return h.output(now, &o)
}

// Reply is the oldest answer to a Ping that nobody has taken.
func (h *Host) Reply() (e Echo, ok bool) {
	if len(h.echoes) == 0 {
		return e, false
	}
	e = h.echoes[0]
	h.echoes = slices.Delete(h.echoes, 0, 1)
	return e, true
}

func (h *Host) answer(e Echo) {
	if len(h.echoes) >= h.limits.Replies {
		h.Dropped.Sockets++
		return
	}
	e.Data = slices.Clone(e.Data)
	h.echoes = append(h.echoes, e)
}

func (h *Host) reply(p *incoming, id, seq uint16, data []byte) {
	h.answer(Echo{Addr: p.src, ID: id, Seq: seq, TTL: p.ttl, Data: data})
}

// mayAnswer reports whether one more echo request is answered.
func (h *Host) mayAnswer(now time.Duration) bool {
	if h.answers.take(now) {
		return true
	}
	h.Dropped.Echoes++
	return false
}

// adviseEcho tells who has sent an echo request to dst what the network says about it.
func (h *Host) adviseEcho(now time.Duration, from, dst netip.Addr, payload []byte, a tcp.Advice, mtu int) {
	id, seq := uint16(payload[4])<<8|uint16(payload[5]), uint16(payload[6])<<8|uint16(payload[7])
	sent := func(e Echo) bool { return e.Addr == dst && e.ID == id && e.Seq == seq }
	err := failure(a)
	if err == nil || !slices.ContainsFunc(h.asked, sent) {
		h.Dropped.Advice++
		return
	}
	if a == tcp.TooBig {
		h.paths.learn(now, dst, mtu)
	}
	h.answer(Echo{Addr: from, ID: id, Seq: seq, Err: err})
}
