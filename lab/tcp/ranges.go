package tcp

import "slices"

// maxRanges is how many ranges of bytes out of order a receiver keeps apart. What would be one more is dropped, and
// comes again: a peer that sends every second byte costs no more than this.
const maxRanges = 64

// A span is a range of the sequence space, without its end.
type span struct{ from, to Seq }

// ranges are what has come out of order, in order, none touching another. recent is the newest first: the order in
// which SACK blocks are sent (RFC 2018, section 4).
type ranges struct {
	list   []span
	recent []span // at most 4
}

// add puts a range in, and reports whether there was room.
func (r *ranges) add(s span) bool {
	i, _ := slices.BinarySearchFunc(r.list, s.from, func(a span, from Seq) int { return from.To(a.to) })
	// list[i] is the first that ends at or behind s.from.
	j := i
	for j < len(r.list) && r.list[j].from.AtMost(s.to) {
		if r.list[j].from.Less(s.from) {
			s.from = r.list[j].from
		}
		s.to = later(s.to, r.list[j].to)
		j++
	}
	if i == j && len(r.list) >= maxRanges {
		return false
	}
	r.list = slices.Replace(r.list, i, j, s)
	r.recent = slices.DeleteFunc(r.recent, func(o span) bool { return s.from.AtMost(o.from) && o.to.AtMost(s.to) })
	r.recent = slices.Insert(r.recent, 0, s)
	if len(r.recent) > 4 {
		r.recent = r.recent[:4]
	}
	return true
}

// take removes what now follows on from next, and returns where that ends.
func (r *ranges) take(next Seq) Seq {
	n := 0
	for n < len(r.list) && r.list[n].from.AtMost(next) {
		next = later(next, r.list[n].to)
		n++
	}
	if n == 0 {
		return next
	}
	r.list = slices.Delete(r.list, 0, n)
	r.recent = slices.DeleteFunc(r.recent, func(o span) bool { return o.from.Less(next) })
	if len(r.list) == 0 {
		*r = ranges{}
	}
	return next
}
