// Package wire reads and writes packets: from the Ethernet frame to the DNS message, without state and without copies.
//
// A format is a struct. Parse fills it from bytes, and Append writes it behind other bytes:
//
//	format                          parse              emit                 standard
//	[Ethernet], [VLAN], [LLC]       Parse(b)           Append(b)            IEEE 802.3, 802.1Q, 802.2
//	[ARP] (RARP too)                Parse(b)           Append(b)            RFC 826, 903, 5227
//	[IPv4]                          Parse(b)           Append(b)            RFC 791
//	[IPv6] and extension headers    Parse(b)           Append(b)            RFC 8200, 4302
//	[ICMPv4]                        Parse(b)           Append(b)            RFC 792, 1191, 4884
//	[ICMPv6]                        Parse(b)           Append(b, src, dst)  RFC 4443
//	[NeighborSolicitation] …        Parse(b)           Append(b, src, dst)  RFC 4861, 8106
//	[UDP]                           Parse(b)           Append(b, src, dst)  RFC 768
//	[TCP], [TCPOptions]             Parse(b)           Append(b, src, dst)  RFC 9293, 7323, 2018
//	[DHCPv4]                        Parse(b)           Append(b)            RFC 2131, 2132
//	[DNS], [DNSBuilder]             Parse(b)           methods, Finish      RFC 1035, 3596
//	[BPDU]                          Parse(b)           Append(b)            IEEE 802.1D-2004
//
// [Packet] is all of them, one inside the other: its Parse takes a frame apart, and its String is tcpdump's line.
//
// # Parsing
//
// Parse takes the bytes of one packet and checks all of it: every length against the bytes that are there, every
// option, every name. What comes after Parse (the next option, a record's address) can no longer fail. Bytes behind the
// packet's own end are left out of Payload, as Ethernet's padding behind a short IPv4 packet is.
//
// Parse copies no bytes. Payload, Options and every other slice is a view into b, with no spare capacity behind it: the
// struct is good as long as b is not changed. Parse sets every field of the struct, so one struct may serve for all
// packets.
//
// Parse does not look at checksums: a network card may have done it, and a trace wants to show a packet whose checksum
// is wrong. Verify does, for the formats that have one.
//
// # Emitting
//
// Append writes the format and its Payload behind b, and returns the longer slice, as the append of the language
// does. It computes lengths and checksums; the field Checksum is what Parse found, and Append ignores it. Where b has
// the capacity, nothing is allocated and the payload is copied once. AppendHeader writes the header alone, for a
// payload of n bytes that the caller puts behind it: so headers stack up from the outside to the inside in one buffer.
//
// What Append writes, Parse takes; and what Parse took, Append writes byte for byte, up to a checksum that was wrong
// and to a DNS message's compression, which may be another.
//
// A value that the format cannot carry (an IPv6 address in an IPv4 header, options of 44 bytes) is an error, and b
// comes back as it was.
//
// # Errors
//
// All errors are an [*Error]: format, field, and the offset of the field in b. errors.Is tells the kinds apart:
// [ErrTruncated], [ErrLength], [ErrValue], [ErrUnsupported], [ErrLimit], [ErrChecksum]. The offset is what ICMP's
// parameter problem wants as its pointer. After an error, the struct's fields are not to be used, but where the
// format's Parse says so.
//
// No input makes a function of this package panic, and none makes it work for longer than a time linear in the input
// (in DNS, each name goes through at most 32 pointers).
//
// # Cost
//
// Parsing and emitting allocate nothing; an error is one allocation of 80 bytes. ARCHITECTURE.md has the
// figures with their machine.
//
// # Concurrency
//
// The package has no state. A value may be read from any number of goroutines, and written by one at a time.
package wire
