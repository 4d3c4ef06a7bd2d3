// Package ip is a host of a network of one's own: IPv4 and IPv6 on Ethernet, ARP and neighbor discovery, routes,
// fragments, ICMP, UDP, and lab/tcp's TCP on top. It has no sockets, clocks and goroutines: frames and a time go in;
// frames and the time of the next timer come out.
//
//	h := ip.New(ip.Options{Random: random})
//	eth := h.NewInterface("eth0", mac, 1500)
//	err := eth.Add(now, netip.MustParsePrefix("10.0.0.1/24"))
//
// Whoever runs it (a lab, a tap to a kernel, a test's table) does three things, from one goroutine at a time:
//
//	h.Frame(now, eth, b)     a frame has come, by a lab/link Card or from wherever
//	h.Advance(now)           the time of h.Next() has come
//	h.Flush(now, send)       take what is to be sent
//
// and the calls of a program on the host: [Host.ListenUDP] and [Host.DialUDP], [Host.Dial] and the listeners of
// [Host.TCP], [Host.Ping]. None of them waits, and none reads a clock or a generator: what has to be by chance comes
// from Options.Random. So a run with the same times, frames and random numbers is the same run, byte for byte.
//
// A host with Options.Forward is a router.
//
// # The life of a packet
//
// In: Frame looks whom the frame is for. input4 and input6 check the header, drop addresses that cannot be, and ask
// whether the packet is for this host: if not, forward4 and forward6 send it on. assemble puts fragments together, and
// deliver gives what is whole to ICMP, UDP or TCP.
//
// Out: output asks the routes for the neighbor that is next, and cuts what is too long. transmit asks for that
// neighbor's link address, and the packet waits for it. Packets to the host itself come in at the next Flush.
//
// # Whom a host believes
//
// Nobody further than needed, as any host of a link can say anything. An ARP answer counts where it was asked for;
// another address for a neighbor who is known makes the host ask him who is known. ICMP errors count where the packet
// that they quote can be this host's. Router advertisements count on interfaces that were told to Autoconfigure.
// Redirects and source routes do not count. Neighbor advertisements that override count, as RFC 4861 has it.
//
// # Addresses
//
// [Interface.Add] gives one at once, [Interface.Probe] asks first whether another has it, [Interface.Autoconfigure]
// takes what routers tell, and [Interface.DHCP] asks a server for one and keeps its lease. [Host.Lookup] asks
// name servers for others'.
//
// # Bounds
//
// All that others can make grow has a bound in [Limits]: neighbors and what waits for them, fragments by bytes and
// datagrams, in all and of a source, datagrams in sockets, known paths, learned routers and prefixes, errors and
// echoes a second. What is dropped is counted in Host.Dropped.
//
// # What it does not do
//
// It is in no multicast groups but those that every host is in, and reports none (IGMP, MLD). Link-local addresses have
// no zones: where several interfaces have them, that of the first matching route is used. Fragments are not cut to the
// path's MTU over IPv4 by DF, but by what ICMP has told.
package ip
