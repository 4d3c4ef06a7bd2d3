package frame

// A State is how far a Resumer has come in a frame: what the four numbers mean is the codec's affair. It is zero where
// a frame begins.
type State [4]int

// A Resumer is a Codec for frames whose end is found by going through them from the front, element by element (nested
// arrays, say). Scan would have to begin anew with each piece that comes, and a peer that sends a frame of a hundred
// thousand elements a byte at a time would cost that many steps a byte.
//
// A decoder calls Scan for what arrives whole, and Resume for a frame that it gathers.
type Resumer interface {
	Codec

	// Resume is Scan, for a frame of which an earlier call has seen a part: at is what that call left there, and zero
	// for the first one. It must answer as Scan does, and is called with at least the bytes of the earlier call.
	Resume(p []byte, at *State) (Span, error)
}

// scan is the codec's Scan or Resume for the frame in d's buffer.
func (d *Decoder) scan(have []byte) (Span, error) {
	if r, ok := d.codec.(Resumer); ok {
		return r.Resume(have, &d.buf.state)
	}
	return d.codec.Scan(have, d.seen)
}
