package websocket

import (
	"encoding/binary"
	"math/bits"
)

// Mask changes b in place, to masked or back (RFC 6455, section 5.3). pos is how many bytes of the payload came
// before b.
func Mask(b []byte, key [4]byte, pos int64) {
	// The key as it begins at pos, twice over; from here on its phase is that of b, and eight bytes leave it as it is.
	k32 := bits.RotateLeft32(binary.LittleEndian.Uint32(key[:]), -8*int(pos&3))
	k := uint64(k32)<<32 | uint64(k32)
	for len(b) >= 32 {
		v := b[:32]
		binary.LittleEndian.PutUint64(v[0:], binary.LittleEndian.Uint64(v[0:])^k)
		binary.LittleEndian.PutUint64(v[8:], binary.LittleEndian.Uint64(v[8:])^k)
		binary.LittleEndian.PutUint64(v[16:], binary.LittleEndian.Uint64(v[16:])^k)
		binary.LittleEndian.PutUint64(v[24:], binary.LittleEndian.Uint64(v[24:])^k)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(k >> (8 * i))
	}
}
