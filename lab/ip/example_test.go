package ip_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/plexor-go/plexor/lab/ip"
	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/wire"
)

// Two hosts on a cable of 10 ms: one asks whether the other is there.
func Example() {
	var hosts [2]*ip.Host
	var ports [2]*ip.Interface
	var cards [2]*link.Card
	for n := range hosts {
		hosts[n] = ip.New(ip.Options{Random: rand.New(rand.NewPCG(1, uint64(n))).Uint64})
		mac := wire.MAC{2, 0, 0, 0, 0, byte(n + 1)}
		ports[n], cards[n] = hosts[n].NewInterface("eth0", mac, 1500), &link.Card{Addr: mac}
		addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(n + 1)})
		if err := ports[n].Add(0, netip.PrefixFrom(addr, 24)); err != nil {
			fmt.Println(err)
		}
	}
	link.Connect(cards[0], cards[1], link.Wire(10*time.Millisecond), link.Wire(10*time.Millisecond), new(link.Pool))

	if err := hosts[0].Ping(0, ip.Echo{Addr: netip.MustParseAddr("10.0.0.2"), Data: []byte("hello")}); err != nil {
		fmt.Println(err)
	}
	for now := time.Duration(0); now < time.Second; now += time.Millisecond {
		for n, h := range hosts {
			for f := cards[n].Receive(now); f != nil; f = cards[n].Receive(now) {
				h.Frame(now, ports[n], f.Bytes)
				f.Free()
			}
			h.Advance(now)
			h.Flush(now, func(_ *ip.Interface, frame []byte) {
				if err := cards[n].Send(now, frame); err != nil {
					fmt.Println(err)
				}
			})
		}
		if e, ok := hosts[0].Reply(); ok {
			fmt.Printf("%v: %s from %v, ttl %d\n", now, e.Data, e.Addr, e.TTL) // ARP took a round trip too
		}
	}
	// Output: 40ms: hello from 10.0.0.2, ttl 64
}
