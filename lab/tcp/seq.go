package tcp

// A Seq is a sequence number: compared and added modulo 2³² (RFC 9293, section 3.4).
type Seq uint32

// Less reports whether s comes before t: within half the sequence space.
func (s Seq) Less(t Seq) bool { return int32(s-t) < 0 }

// AtMost reports whether s comes before t, or is t.
func (s Seq) AtMost(t Seq) bool { return int32(s-t) <= 0 }

// Add is the number n later.
func (s Seq) Add(n int) Seq { return s + Seq(n) }

// To is how many numbers lie from s up to t.
func (s Seq) To(t Seq) int { return int(int32(t - s)) }

// later is the later of the two.
func later(s, t Seq) Seq {
	if s.Less(t) {
		return t
	}
	return s
}
