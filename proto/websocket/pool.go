package websocket

// A pool keeps a bounded number of what is dear to make, for whoever needs one next. Unlike a sync.Pool it never
// holds more than its capacity, however many are given back at once. Any goroutine may use it.
type pool[T any] chan T

// get takes one out; ok is false where none is there.
func (p pool[T]) get() (t T, ok bool) {
	select {
	case t = <-p:
		return t, true
	default:
		return t, false
	}
}

// put gives one back, or drops it.
func (p pool[T]) put(t T) {
	select {
	case p <- t:
	default:
	}
}

// buffers are for messages that come in pieces, and for what is written. A longer one than mostPooled is left to the
// collector, so that one long message is not remembered for ever.
var buffers = make(pool[[]byte], idleBuffers)

const (
	idleBuffers = 256      // 4 MiB at most
	mostPooled  = 16 << 10 // bytes of capacity
	leastBuffer = 1 << 10  // of a new one
)

func getBuffer() []byte {
	if b, ok := buffers.get(); ok {
		return b
	}
	return make([]byte, 0, leastBuffer)
}

func putBuffer(b []byte) {
	if cap(b) >= leastBuffer && cap(b) <= mostPooled {
		buffers.put(b[:0])
	}
}
