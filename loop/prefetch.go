package loop

import (
	"unsafe"

	"github.com/plexor-go/plexor/internal/prefetch"
)

// A Prefetcher is a [Handler] whose Data looks at memory of its own. In a turn in which many connections have received
// something, the loop calls Prefetch before Data: Prefetch(0), then, with calls for other connections in between,
// Prefetch(1), and so on to Prefetch(PrefetchSteps-1). A step has the processor fetch memory that is found by looking
// at what the step before fetched, so that nobody waits for it. It must change nothing, and Data may come without it,
// or not at all. It is optional, and worth it where connections are thousands.
type Prefetcher interface {
	Prefetch(step int)
}

// PrefetchSteps is how many steps there are.
const PrefetchSteps = 4

// manyConns is from how many connections on a loop fetches ahead: with fewer, all that they consist of stays in the
// processor's caches.
const manyConns = 128

// A lookahead is the handlers that are called next, each a step further on than the one after it. What a step fetches
// arrives while a handler runs, so there is one step for each call.
type lookahead [PrefetchSteps]Prefetcher

// The connection itself, and what a driver keeps of it, come before the steps of its handler.
const (
	aheadOfCall = len(lookahead{}) // from the first step to the call
	aheadConn   = aheadOfCall + 1
	aheadSlot   = aheadConn + 1
)

// next takes in the connection that is called after aheadOfCall others, and makes a step for all of them; nil: there is
// none.
func (a *lookahead) next(c *Conn) {
	copy(a[1:], a[:])
	a[0] = nil
	if c != nil {
		a[0], _ = c.handler.(Prefetcher)
	}
	for step, h := range a {
		if h != nil {
			h.Prefetch(step)
		}
	}
}

func (c *Conn) prefetch() { prefetch.Bytes(unsafe.Pointer(c), unsafe.Sizeof(*c)) }
