package wire

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

var be = binary.BigEndian // network byte order (RFC 1700, "Data Notation")

// extend makes b longer by n bytes. It returns all of it, and the new bytes, which hold anything.
func extend(b []byte, n int) (all, added []byte) {
	all = slices.Grow(b, n)[:len(b)+n]
	return all, all[len(b):]
}

// cut is b[from:to] without capacity behind it: nobody can append to a view and write into the packet.
func cut(b []byte, from, to int) []byte { return b[from:to:to] }

// addr4 and addr16 read an address.
func addr4(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b)) }

func addr16(b []byte) netip.Addr { return netip.AddrFrom16([16]byte(b)) }

// put4 and put16 write an address of the right length.
func put4(b []byte, a netip.Addr) {
	v := a.As4()
	copy(b, v[:])
}

func put16(b []byte, a netip.Addr) {
	v := a.As16()
	copy(b, v[:])
}

// appendHex writes v with so many digits.
func appendHex(b []byte, v uint64, digits int) []byte {
	const set = "0123456789abcdef"
	for i := digits - 1; i >= 0; i-- {
		b = append(b, set[v>>(4*i)&15])
	}
	return b
}
