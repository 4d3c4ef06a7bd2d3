package http1

// Limits bound what a peer may send. A zero field is its default; what is over a limit is refused with the status
// that is given here.
type Limits struct {
	Head     int // bytes of a head, with its line ends: 16 KiB (431)
	Fields   int // lines of a head behind the first, and of trailers: 100 (431)
	Target   int // bytes of a request's target: 8 KiB (414)
	Trailer  int // bytes of the trailers behind the last chunk: 4 KiB (431)
	Overhead int // bytes of all chunks' sizes, extensions and line ends beyond 16 for each chunk: 16 KiB (400)
}

// The defaults.
const (
	defaultHead     = 16 << 10
	defaultFields   = 100
	defaultTarget   = 8 << 10
	defaultTrailer  = 4 << 10
	defaultOverhead = 16 << 10
)

// WithDefaults is l with its zero fields filled.
func (l Limits) WithDefaults() Limits {
	for _, f := range [...]struct {
		v *int
		d int
	}{
		{&l.Head, defaultHead}, {&l.Fields, defaultFields}, {&l.Target, defaultTarget}, {&l.Trailer, defaultTrailer},
		{&l.Overhead, defaultOverhead},
	} {
		if *f.v <= 0 {
			*f.v = f.d
		}
	}
	return l
}
