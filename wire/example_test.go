package wire_test

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/plexor-go/plexor/wire"
)

// Headers stack up from the outside to the inside in one buffer: nothing is allocated where it is large enough, and the
// payload is copied once.
func Example() {
	src, dst := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	udp := wire.UDP{SrcPort: 1024, DstPort: 7, Payload: []byte("hello")}
	ip := wire.IPv4{TTL: 64, Protocol: wire.ProtoUDP, Src: src, Dst: dst}
	eth := wire.Ethernet{Dst: wire.Broadcast, Src: wire.MAC{2, 0, 0, 0, 0, 1}, Type: wire.EtherTypeIPv4}

	n := wire.UDPLen + len(udp.Payload)
	frame := make([]byte, 0, 1514)
	frame, err := eth.AppendHeader(frame, wire.IPv4MinLen+n)
	if err == nil {
		frame, err = ip.AppendHeader(frame, n)
	}
	if err == nil {
		frame, err = udp.Append(frame, src, dst)
	}
	fmt.Println(len(frame), err)

	var p wire.Packet
	fmt.Println(p.Parse(frame))
	fmt.Println(&p)
	// Output:
	// 47 <nil>
	// <nil>
	// IP 10.0.0.1.1024 > 10.0.0.2.7: UDP, length 5
}

// An error says what is wrong, and at which byte.
func ExampleError() {
	packet := []byte{0x45, 0, 5, 220, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
	var ip wire.IPv4
	err := ip.Parse(packet)
	fmt.Println(err)
	var e *wire.Error
	if errors.As(err, &e) && errors.Is(err, wire.ErrLength) {
		fmt.Println(e.Field, e.Offset, e.Value, e.Bound)
	}
	// Output:
	// wire: IPv4: total length at byte 2: bad length 1500, against 20
	// total length 2 1500 20
}

// A message is written record by record, with its names compressed, and read without a copy.
func ExampleDNSBuilder() {
	b := wire.NewDNSBuilder(nil, 7, wire.DNSResponse|wire.DNSRecursionDesired|wire.DNSRecursionAvailable)
	b.Question("www.example.com", wire.DNSA, wire.DNSInternet)
	b.Target(wire.DNSAnswers, "www.example.com", wire.DNSCNAME, 60, "example.com")
	b.Addr(wire.DNSAnswers, "example.com", 60, netip.MustParseAddr("192.0.2.1"))
	msg, err := b.Finish()
	if err != nil {
		fmt.Println(err)
		return
	}
	var m wire.DNS
	if err := m.Parse(msg); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(&m)
	for r, rest, ok := m.Records().Next(); ok; r, rest, ok = rest.Next() {
		fmt.Println(r.Name, r.TTL, &r)
	}
	// Output:
	// 7 2/0/0 CNAME example.com., A 192.0.2.1 (63)
	// www.example.com. 60 CNAME example.com.
	// example.com. 60 A 192.0.2.1
}
