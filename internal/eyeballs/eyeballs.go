// Package eyeballs is Happy Eyeballs, version 2 (RFC 8305), for coroutines: a name has several addresses, of two
// families, some of which may lead nowhere without saying so. So they are tried in turn but not one after the other:
// the next attempt begins when one has failed, or at the latest Delay after the last one began, and the first
// connection that stands wins.
//
//	0 ms    2001:db8::1   ───────────────────────────✕ (closed)
//	250 ms      192.0.2.1       ───✕ refused
//	310 ms          2001:db8::2     ──────✓ wins
//
// The families take turns (section 4), beginning with that of the address which RFC 6724 puts first. Both are asked for
// at once, and sorted, so there is no Resolution Delay (section 3): the system's resolver, in contrast to a DNS client
// of our own, also knows /etc/hosts, and gives its answer in one piece.
package eyeballs

import (
	"context"
	"errors"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/sock"
)

// Delay is the Connection Attempt Delay that section 5 recommends.
const Delay = 250 * time.Millisecond

// errLost is why attempts end after another one has won.
var errLost = errors.New("plexor: another address answered first")

// Interleave has the families take turns; within one the order stays.
func Interleave(addrs []sock.Addr) []sock.Addr {
	if len(addrs) < 3 {
		return addrs
	}
	first := isIPv6(addrs[0])
	var same, other []sock.Addr
	for _, a := range addrs {
		if isIPv6(a) == first {
			same = append(same, a)
		} else {
			other = append(other, a)
		}
	}
	turns := make([]sock.Addr, 0, len(addrs))
	for i := range max(len(same), len(other)) {
		turns = append(turns, same[min(i, len(same)):min(i+1, len(same))]...)
		turns = append(turns, other[min(i, len(other)):min(i+1, len(other))]...)
	}
	return turns
}

func isIPv6(a sock.Addr) bool {
	ap, ok := a.AddrPort()
	return ok && ap.Addr().Is6()
}

// Race connects to the first of addrs that answers. Each attempt is a task; connect must return soon after its context
// is cancelled, and Race returns when all have. What connects too late goes to drop. If none succeeds, the errors are
// those of the attempts that were made, in their order, or one error for all.
func Race[T any](ctx context.Context, addrs []sock.Addr, delay time.Duration,
	connect func(context.Context, sock.Addr) (T, error), drop func(T)) (v T, errs []error) {
	var zero T
	won := false
	errs = make([]error, len(addrs))
	tried := 0
	var failed coro.Event // since the last attempt began
	err := coro.Group(ctx, func(g *coro.Tasks) error {
		for i, a := range addrs {
			failed.Reset()
			tried++
			g.GoNamed("dial "+a.String(), func(ctx context.Context) error {
				c, err := connect(ctx, a)
				switch {
				case err != nil:
					errs[i] = err
					failed.Set()
				case won:
					drop(c)
				default:
					won, v = true, c
					g.Cancel(errLost)
				}
				return nil
			})
			if tried == len(addrs) {
				break
			}
			err := coro.Timeout(g.Context(), delay, failed.Wait)
			if won || err != nil && g.Context().Err() != nil {
				break // all are cancelled, this body too
			}
		}
		return nil
	})
	switch {
	case err != nil: // ctx was cancelled before, or something panicked
		if won {
			drop(v)
		}
		return zero, []error{err}
	case won:
		return v, nil
	}
	return zero, errs[:tried]
}
