package eyeballs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

func tcpAddrs(hosts ...string) (addrs []sock.Addr) {
	for _, h := range hosts {
		addrs = append(addrs, sock.Addr{Scheme: "tcp", Host: h, Port: 9})
	}
	return addrs
}

func hostsOf(addrs []sock.Addr) (hosts []string) {
	for _, a := range addrs {
		hosts = append(hosts, a.Host)
	}
	return hosts
}

func TestInterleave(t *testing.T) {
	for _, row := range []struct{ name, in, want string }{
		{"one", "::1", "::1"},
		{"two", "127.0.0.1 ::1", "127.0.0.1 ::1"},
		{"one family", "127.0.0.1 127.0.0.2 127.0.0.3", "127.0.0.1 127.0.0.2 127.0.0.3"},
		{"as many of each", "::1 ::2 127.0.0.1 127.0.0.2", "::1 127.0.0.1 ::2 127.0.0.2"},
		{"the first one's family begins", "127.0.0.1 ::1 ::2 ::3", "127.0.0.1 ::1 ::2 ::3"},
		{"more of the first", "::1 ::2 ::3 127.0.0.1", "::1 127.0.0.1 ::2 ::3"},
		{"more of the other", "::1 127.0.0.1 127.0.0.2 127.0.0.3", "::1 127.0.0.1 127.0.0.2 127.0.0.3"},
		{"a zone is IPv6", "fe80::1%lo fe80::2%lo 127.0.0.1", "fe80::1%lo 127.0.0.1 fe80::2%lo"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := strings.Join(hostsOf(Interleave(tcpAddrs(strings.Fields(row.in)...))), " "); got != row.want {
				t.Errorf("Interleave(%s) = %s, want %s", row.in, got, row.want)
			}
		})
	}
}

const ms = time.Millisecond

// An answer is what a scripted attempt does: after some time it fails or has a connection; never 0: it is silent.
type answer struct {
	after time.Duration
	err   error
	late  bool // does not heed its cancellation, as a connection that is made at the same moment
}

const never = time.Hour

var errRefused = errors.New("refused")

// TestRace: who is tried when, who wins when, and what becomes of the others, to the millisecond of the loop's clock.
func TestRace(t *testing.T) {
	yes, no := func(d time.Duration) answer {
		return answer{after: d}
	}, func(d time.Duration) answer { return answer{after: d, err: errRefused} }
	for _, row := range []struct {
		name    string
		answers []answer
		bound   time.Duration // of the context; 0: none
		starts  string        // when the attempts begin, in ms
		end     time.Duration // when Race returns
		winner  int           // -1: nobody
		dropped string        // those that were connected for nothing
		errs    string
	}{
		{"one answers", []answer{yes(30 * ms)}, 0, "0", 30 * ms, 0, "", ""},
		{"one refuses", []answer{no(30 * ms)}, 0, "0", 30 * ms, -1, "", "refused"},
		{"the first answers in time", []answer{yes(240 * ms), yes(10 * ms)}, 0, "0", 240 * ms, 0, "", ""},
		{"the first is slow", []answer{yes(300 * ms), yes(100 * ms)}, 0, "0 250", 300 * ms, 0, "", ""},
		{"the second is faster", []answer{yes(500 * ms), yes(100 * ms)}, 0, "0 250", 350 * ms, 1, "", ""},
		{"the first is silent", []answer{yes(never), yes(20 * ms)}, 0, "0 250", 270 * ms, 1, "", ""},
		{"the first refuses", []answer{no(40 * ms), yes(20 * ms)}, 0, "0 40", 60 * ms, 1, "", ""},
		{"the first refuses at once", []answer{no(0), yes(20 * ms)}, 0, "0 0", 20 * ms, 1, "", ""},
		{"each refuses at once", []answer{no(0), no(0), no(0)}, 0, "0 0 0", 0, -1, "", "refused refused refused"},
		{"a later failure hurries the next", []answer{yes(never), no(30 * ms), yes(10 * ms)}, 0, "0 250 280", 290 * ms, 2, "",
			""},
		{"an old failure hurries the next too", []answer{no(260 * ms), yes(never), yes(10 * ms)}, 0, "0 250 260", 270 * ms, 2,
			"", ""},
		{"three silent ones", []answer{yes(never), yes(never), yes(never), yes(10 * ms)}, 0, "0 250 500 750", 760 * ms, 3, "",
			""},
		{"the last that is left answers late", []answer{no(10 * ms), yes(2000 * ms), no(10 * ms)}, 0, "0 10 260", 2010 * ms,
			1, "", ""},
		{"two at the same moment", []answer{yes(260 * ms), yes(10 * ms)}, 0, "0 250", 260 * ms, 0, "", ""},
		{"the loser is connected as well", []answer{{after: 400 * ms, late: true}, yes(50 * ms)}, 0, "0 250", 400 * ms, 1,
			"0", ""},
		{"the context ends all", []answer{yes(never), yes(never), yes(never)}, 300 * ms, "0 250", 300 * ms, -1, "",
			"deadline deadline"},
		{"the context ends a wait for the next", []answer{yes(never), yes(never)}, 100 * ms, "0", 100 * ms, -1, "",
			"deadline"},
		{"one refuses, then the context ends", []answer{no(20 * ms), yes(never)}, 100 * ms, "0 20", 100 * ms, -1, "",
			"refused deadline"},
	} {
		t.Run(row.name, func(t *testing.T) {
			clock := loop.NewManualClock(time.Unix(1_000_000, 0))
			l, err := loop.New(loop.Options{Clock: clock, Stall: -1})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- l.Run() }()
			var starts, dropped []string
			var hosts []string
			for i := range row.answers {
				hosts = append(hosts, fmt.Sprintf("192.0.2.%d", i))
			}
			addrs := tcpAddrs(hosts...)
			type result struct {
				winner int
				errs   []error
				at     time.Duration
			}
			var begin time.Time
			done := make(chan result, 1)
			go func() {
				r, err := coro.Call(t.Context(), coro.On(l), "", func(ctx context.Context) (r result, err error) {
					begin = l.Now()
					if row.bound > 0 {
						var cancel context.CancelFunc
						ctx, cancel = coro.WithTimeout(ctx, row.bound)
						defer cancel()
					}
					r.winner = -1
					v, errs := Race(ctx, addrs, Delay, func(ctx context.Context, a sock.Addr) (int, error) {
						i := slices.Index(hosts, a.Host)
						starts = append(starts, fmt.Sprint(l.Now().Sub(begin).Milliseconds()))
						x := row.answers[i]
						wait := func(ctx context.Context) error { return coro.Sleep(ctx, x.after) }
						err := error(nil)
						if x.late {
							err = coro.Shield(ctx, never, wait)
						} else {
							err = wait(ctx)
						}
						if err != nil {
							return 0, err
						}
						return i, x.err
					}, func(i int) { dropped = append(dropped, fmt.Sprint(i)) })
					if r.errs = errs; errs == nil {
						r.winner = v
					}
					r.at = l.Now().Sub(begin)
					return r, nil
				})
				if err != nil {
					t.Error(err)
				}
				done <- r
			}()
			var r result
			settle := func() {
				for range 8 { // turns of the loop, in which all that the step set off runs
					if err := l.Do(func() {}); err != nil {
						t.Fatal(err)
					}
				}
			}
			for began := false; !began; settle() { // the clock stands until it has begun
				_ = l.Do(func() { began = len(starts) > 0 })
			}
			for running := true; running; {
				select {
				case r = <-done:
					running = false
				default:
					clock.Advance(10 * ms)
					settle()
				}
			}
			if err := errors.Join(l.Close(), <-ended); err != nil {
				t.Error(err)
			}
			if got := strings.Join(starts, " "); got != row.starts {
				t.Errorf("attempts began at %s ms, want %s", got, row.starts)
			}
			if r.at != row.end || r.winner != row.winner {
				t.Errorf("%d won at %v, want %d at %v", r.winner, r.at, row.winner, row.end)
			}
			if got := strings.Join(dropped, " "); got != row.dropped {
				t.Errorf("dropped %q, want %q", got, row.dropped)
			}
			var errs []string
			for _, err := range r.errs {
				switch {
				case errors.Is(err, errRefused):
					errs = append(errs, "refused")
				case errors.Is(err, context.DeadlineExceeded):
					errs = append(errs, "deadline")
				default:
					errs = append(errs, fmt.Sprint(err))
				}
			}
			if got := strings.Join(errs, " "); got != row.errs {
				t.Errorf("errors %q, want %q", got, row.errs)
			}
		})
	}
}
