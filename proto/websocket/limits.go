package websocket

// Limits bound what a peer may send. A zero field is its default; what is over a limit is refused with the code
// that is given here.
type Limits struct {
	Message  int64 // bytes of a message as it comes, all its frames together: 1 MiB (1009)
	Inflated int64 // bytes of a compressed message once it is inflated: 1 MiB (1009)
	Frames   int   // frames of a message, empty ones too: 1<<17, which is 4 MiB in pieces of 32 bytes (1008)
}

// The defaults.
const (
	defaultMessage  = 1 << 20
	defaultInflated = 1 << 20
	defaultFrames   = 1 << 17
)

// WithDefaults is l with its zero fields filled.
func (l Limits) WithDefaults() Limits {
	if l.Message <= 0 {
		l.Message = defaultMessage
	}
	if l.Inflated <= 0 {
		l.Inflated = defaultInflated
	}
	if l.Frames <= 0 {
		l.Frames = defaultFrames
	}
	return l
}
