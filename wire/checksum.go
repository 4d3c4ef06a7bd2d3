package wire

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Sum is a running Internet checksum (RFC 1071): the ones' complement sum of 16-bit words, not yet folded and not yet
// complemented. The zero Sum is that of no bytes.
//
// The sum of a packet in pieces is the sum of the pieces: s.Bytes(header).Bytes(payload). Each piece but the last has
// to be of even length.
type Sum uint64

// Bytes adds b. An odd last byte counts as if a zero followed.
//
// The sum does not depend on the order of bytes within words, but for a swap at the end (RFC 1071, section 2(B)): so it
// is taken of longer words, in the order that the processor likes, of which the sums are folded at the end.
func (s Sum) Bytes(b []byte) Sum {
	var acc, c uint64
	if n := len(b) / block; n > 0 {
		if hasAVX2 {
			acc = sumAVX2(&b[0], n)
		} else {
			acc = sumBlocks(b[:n*block])
		}
		b = b[n*block:]
	}
	for len(b) >= 8 {
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(b), 0)
		acc += c
		b = b[8:]
	}
	var tail uint64
	for i, x := range b {
		tail |= uint64(x) << (8 * i)
	}
	acc, c = bits.Add64(acc, tail, 0)
	acc += c
	return s + Sum(bits.ReverseBytes16(fold(acc)))
}

// block is what sumBlocks takes at a time, in bytes.
const block = 64

// sumBlocks is a sum of whole blocks as longer words in the processor's order, with the carry as two chains. The trap
// is that a chain is as long as the packet: each addition waits for the carry of the one before. Two that know nothing
// of each other run at the same time, and take two thirds of the time.
func sumBlocks(b []byte) uint64 {
	var acc, acd, c, d uint64
	for ; len(b) >= block; b = b[block:] {
		p := (*[block]byte)(b)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(p[0:]), 0)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(p[8:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(p[16:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(p[24:]), c)
		acc += c // never carries: where c is 1, acc is below its maximum, as c was 0 when the chain began
		acd, d = bits.Add64(acd, binary.LittleEndian.Uint64(p[32:]), 0)
		acd, d = bits.Add64(acd, binary.LittleEndian.Uint64(p[40:]), d)
		acd, d = bits.Add64(acd, binary.LittleEndian.Uint64(p[48:]), d)
		acd, d = bits.Add64(acd, binary.LittleEndian.Uint64(p[56:]), d)
		acd += d
	}
	acc, c = bits.Add64(acc, acd, 0)
	return acc + c
}

// Uint16 adds one word.
func (s Sum) Uint16(v uint16) Sum { return s + Sum(v) }

// Uint32 adds two words.
func (s Sum) Uint32(v uint32) Sum { return s + Sum(v>>16) + Sum(v&0xffff) }

// Addr adds an address, of 4 or of 16 bytes. The zero Addr adds nothing.
func (s Sum) Addr(a netip.Addr) Sum {
	if a.Is4() {
		v := a.As4()
		return s.Uint32(binary.BigEndian.Uint32(v[:]))
	}
	v := a.As16()
	hi, lo := binary.BigEndian.Uint64(v[:8]), binary.BigEndian.Uint64(v[8:])
	return s.Uint32(uint32(hi >> 32)).Uint32(uint32(hi)).Uint32(uint32(lo >> 32)).Uint32(uint32(lo))
}

// Checksum is what goes into the packet: folded to 16 bits and complemented. Over a packet that has its right checksum
// in it, it is 0.
func (s Sum) Checksum() uint16 { return ^fold(uint64(s)) }

// fold adds the carries up until 16 bits are left.
func fold(v uint64) uint16 {
	v = v>>32 + v&0xffffffff
	v = v>>16 + v&0xffff
	v = v>>16 + v&0xffff
	return uint16(v>>16 + v&0xffff)
}

// Checksum is the Internet checksum of b (RFC 1071).
func Checksum(b []byte) uint16 { return Sum(0).Bytes(b).Checksum() }

// Pseudo is the sum of the pseudo header that the checksums of TCP, UDP and ICMPv6 begin with: the addresses, the
// protocol, and the length of its header and payload in bytes (RFC 9293, section 3.1; RFC 8200, section 8.1).
func Pseudo(src, dst netip.Addr, p Protocol, length int) Sum {
	return Sum(0).Addr(src).Addr(dst).Uint16(uint16(p)).Uint32(uint32(length))
}

// UpdateChecksum is the checksum of a packet in which one word was old and has become new, where it was sum (RFC 1624,
// equation 3). A word at an odd place has to be given with its bytes swapped. It serves routers (TTL) and NAT.
func UpdateChecksum(sum, old, new uint16) uint16 {
	return ^fold(uint64(^sum) + uint64(^old) + uint64(new))
}
