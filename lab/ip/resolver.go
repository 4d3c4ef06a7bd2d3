package ip

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// A Lookup is a question of a stub resolver for the addresses of a name (RFC 1034, section 5.3.1). Whoever made it
// calls Advance when the time of Next has come and when the host has datagrams, until Done.
//
// An answer counts that comes from the server that was asked, to the port that asked, with the number of the question
// and the question itself (RFC 5452, section 9): port and number are by chance, and anew for each try.
type Lookup struct {
	h       *Host
	servers []netip.Addr
	name    string // as it is asked for
	kind    wire.DNSType
	s       *Socket
	id      uint16
	tries   int
	at      time.Duration
	done    bool
	addrs   []netip.Addr
	err     error
}

// The bounds of a lookup.
const (
	lookupTries  = 3               // of each server
	lookupWait   = 2 * time.Second // for an answer; doubled for each round of the servers
	lookupChain  = 8               // aliases (CNAME) that are followed in an answer
	lookupAddrs  = 32              // addresses that are taken of an answer
	lookupPerTry = 16              // datagrams that are looked at for each Advance: more are guesses
)

// Lookup asks the servers, one after the other, for a name's addresses: of IPv6 where six is set. An address in digits
// is its own answer. ErrAddress: there is no server.
func (h *Host) Lookup(now time.Duration, servers []netip.Addr, name string, six bool) (*Lookup, error) {
	l := &Lookup{h: h, servers: slices.Clone(servers), name: strings.TrimSuffix(name, "."), kind: wire.DNSA, at: off}
	if six {
		l.kind = wire.DNSAAAA
	}
	if a, err := netip.ParseAddr(name); err == nil && a.Is4() != six {
		l.addrs, l.done = []netip.Addr{a}, true
		return l, nil
	}
	if len(servers) == 0 {
		return nil, ErrAddress
	}
	l.ask(now)
	return l, nil
}

// Next is the time at which Advance has something to do; not ok when the lookup is done.
func (l *Lookup) Next() (at time.Duration, ok bool) { return l.at, !l.done }

// Done is the outcome, once ok. ErrNoName: there is no such name. ErrNoData: it has no such addresses. ErrTruncated:
// the answer does not fit into a datagram. ErrTimeout: nobody has answered who could tell.
func (l *Lookup) Done() (addrs []netip.Addr, err error, ok bool) {
	return slices.Clone(l.addrs), l.err, l.done
}

// Close gives the lookup up.
func (l *Lookup) Close() { l.finish(nil, ErrClosed) }

func (l *Lookup) finish(addrs []netip.Addr, err error) {
	if l.done {
		return
	}
	l.addrs, l.err, l.done, l.at = addrs, err, true, off
	if l.s != nil {
		l.s.Close()
	}
}

// ask sends the question to the next server, from a port of its own.
func (l *Lookup) ask(now time.Duration) {
	if l.s != nil {
		l.s.Close()
		l.s = nil
	}
	if l.tries == lookupTries*len(l.servers) {
		l.finish(nil, ErrTimeout)
		return
	}
	server := l.servers[l.tries%len(l.servers)]
	l.at = now + lookupWait<<(l.tries/len(l.servers))
	l.tries++
	l.id = uint16(l.h.random())
	d := wire.NewDNSBuilder(nil, l.id, wire.DNSRecursionDesired)
	d.Question(l.name, l.kind, wire.DNSInternet)
	b, err := d.Finish()
	if err != nil {
		l.finish(nil, ErrNoName) // no name can be like that
		return
	}
	if l.s, err = l.h.DialUDP(netip.AddrPortFrom(server, wire.DNSPort)); err == nil {
		err = l.s.Send(now, b)
	}
	if err != nil {
		l.at = now // the next one, if there is one
	}
}

// Advance looks at what has come, and asks again when it is time.
func (l *Lookup) Advance(now time.Duration) {
	for n := 0; !l.done && l.s != nil && n < lookupPerTry; n++ {
		d, ok, err := l.s.Read()
		if err != nil {
			l.at = now // the server's port is closed, or there is no way to it
			break
		}
		if !ok {
			break
		}
		l.answer(now, d.Data)
	}
	if !l.done && l.at <= now {
		l.ask(now)
	}
}

// answer takes a datagram of the server.
func (l *Lookup) answer(now time.Duration, b []byte) {
	var m wire.DNS
	if m.Parse(b) != nil {
		return
	}
	q, ok := m.Question()
	if !ok || m.ID != l.id || m.Flags&wire.DNSResponse == 0 || m.Flags.Opcode() != 0 || !q.Name.Is(l.name) ||
		q.Type != l.kind || q.Class != wire.DNSInternet {
		l.h.Dropped.Advice++
		return
	}
	switch code := m.Flags.RCode(); {
	case m.Flags&wire.DNSTruncated != 0:
		l.finish(nil, ErrTruncated)
	case code == wire.DNSNXDomain:
		l.finish(nil, ErrNoName)
	case code != wire.DNSNoError:
		l.at = now // this server cannot tell: the next one
	default:
		if addrs := l.addresses(&m, q.Name); len(addrs) > 0 {
			l.finish(addrs, nil)
		} else {
			l.finish(nil, ErrNoData)
		}
	}
}

// addresses are those of a name in an answer, behind at most lookupChain aliases. Records of other names do not count.
func (l *Lookup) addresses(m *wire.DNS, name wire.DNSName) (addrs []netip.Addr) {
	for range lookupChain + 1 {
		var alias wire.DNSName
		more := false
		for r, rest, ok := m.Records().Next(); ok; r, rest, ok = rest.Next() {
			if r.Section != wire.DNSAnswers || r.Class != wire.DNSInternet || !r.Name.Equal(name) {
				continue
			}
			if a, is := r.Addr(); is && r.Type == l.kind && len(addrs) < lookupAddrs {
				addrs = append(addrs, a)
			}
			if t, is := r.Target(); is && r.Type == wire.DNSCNAME {
				alias, more = t, true
			}
		}
		if len(addrs) > 0 || !more {
			return addrs
		}
		name = alias
	}
	return nil
}
