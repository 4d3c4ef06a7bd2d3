package tcp

// A proportion is the state of Proportional Rate Reduction (RFC 6937): in a recovery the peer's acknowledgments, and no
// timer, tell when to send, so that what is in flight gets less bit by bit, and is the threshold in the end.
type proportion struct {
	flight    int // when the recovery began
	delivered int // bytes since then
	out       int // bytes that were sent since then, again or for the first time
}

// proportionate sets the window of a recovery after an acknowledgment of so many more bytes. further says that it was a
// step forward that told of no more losses: then a segment more goes out (section 3.1's slow start).
func (c *Conn) proportionate(delivered int, further bool) {
	p, flight := &c.prr, c.flight()
	p.delivered += delivered
	var n int
	if flight > c.cc.threshold {
		share := int64(c.cc.threshold) * int64(p.delivered)
		n = int((share+int64(p.flight)-1)/int64(p.flight)) - p.out
	} else {
		n = max(p.delivered-p.out, delivered)
		if further {
			n += c.mss
		}
		n = min(n, c.cc.threshold-flight)
	}
	if p.out == 0 {
		n = max(n, c.mss) // the first retransmission
	}
	c.cc.window = flight + max(n, 0)
}
