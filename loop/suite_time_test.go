//go:build linux || darwin || freebsd

package loop_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// Timers against a model that is nothing but a list: set, set anew and stopped at random, from outside and from timers.
func TestTimersAgainstAModel(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		for range 5 {
			seed := rand.Uint64()
			t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { timersAgainstAModel(t, driver, seed) })
		}
	})
}

func timersAgainstAModel(t *testing.T, driver string, seed uint64) {
	type entry struct {
		id   int
		when time.Time
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	r := run(t, loop.Options{Driver: driver, Clock: manual()})
	var model []entry // in the order in which they were set
	var timers []*loop.Timer
	var ran []int
	waiting := func(id int) bool { return slices.ContainsFunc(model, func(e entry) bool { return e.id == id }) }
	drop := func(id int) { model = slices.DeleteFunc(model, func(e entry) bool { return e.id == id }) }
	set := func(id int, d time.Duration) {
		drop(id)
		model = append(model, entry{id, r.clock.Now().Add(max(d, 0))})
	}
	duration := func() time.Duration { return time.Duration(rng.IntN(50)-5) * time.Millisecond }
	change := func() {
		switch id := rng.IntN(len(timers) + 1); {
		case id == len(timers) || rng.IntN(4) == 0:
			id, d := len(timers), duration()
			timers = append(timers, r.AfterFunc(d, func() { ran = append(ran, id) }))
			set(id, d)
		case rng.IntN(2) == 0:
			d, was := duration(), waiting(id)
			if got := timers[id].Reset(d); got != was {
				t.Errorf("Reset says it was waiting: %v; want %v", got, was)
			}
			set(id, d)
		default:
			was := waiting(id)
			if got := timers[id].Stop(); got != was {
				t.Errorf("Stop says it was waiting: %v; want %v", got, was)
			}
			drop(id)
		}
	}
	for range 100 {
		r.do(func() {
			for range rng.IntN(40) {
				change()
			}
		})
		r.clock.Advance(time.Duration(rng.IntN(20)) * time.Millisecond)
		r.turns(2)
		r.do(func() {
			now := r.clock.Now()
			due := slices.DeleteFunc(slices.Clone(model), func(e entry) bool { return e.when.After(now) })
			slices.SortStableFunc(due, func(a, b entry) int { return a.when.Compare(b.when) })
			var want []int
			for _, e := range due {
				want = append(want, e.id)
				drop(e.id)
			}
			// Those that were due at once ran before the clock was moved, and so before those that became due.
			if !slices.Equal(ran, want) {
				t.Errorf("ran %v: want %v", ran, want)
			}
			ran = ran[:0]
		})
		if t.Failed() {
			return
		}
	}
}

// A timer is never early, by the system's clock.
func TestTimerIsNeverEarly(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver})
		const n = 300
		done := make(chan struct{}, n)
		for range n {
			d := time.Duration(rand.IntN(30_000_000))
			set := time.Now()
			r.Post(func() {
				r.AfterFunc(d, func() {
					if took := time.Since(set); took < d {
						t.Errorf("a timer of %v ran after %v", d, took)
					}
					done <- struct{}{}
				})
			})
		}
		for range n {
			recv(t, "a timer", done)
		}
	})
}

// 100,000 timers are set, half of them stopped, and the others run, all in little time.
func TestManyTimers(t *testing.T) {
	const n = 100_000
	r := run(t, loop.Options{Driver: driverNames(t)[0], Clock: manual()})
	start := time.Now()
	ran, last := 0, -1
	r.do(func() {
		var ts []*loop.Timer
		for i := range n {
			d := time.Duration((i*7919)%n) * time.Millisecond
			ts = append(ts, r.AfterFunc(time.Second+d, func() {
				ran++
				if at := int(d / time.Millisecond); at < last {
					t.Errorf("the timer of %d ms ran after that of %d ms", at, last)
				} else {
					last = at
				}
			}))
		}
		for i := 0; i < n; i += 2 {
			if !ts[i].Stop() || ts[i].Stop() {
				t.Error("Stop: want true, and then false")
			}
		}
	})
	r.advance(time.Hour)
	r.do(func() {
		if ran != n/2 {
			t.Errorf("%d timers ran: want %d", ran, n/2)
		}
	})
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	} else {
		t.Logf("it took %v", took)
	}
}

// What sets itself going again at once does not keep sockets from being served, nor the others of its kind from
// running.
func TestNothingStarves(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		for name, again := range map[string]func(r *rig, f func()){
			"AfterFunc(0)": func(r *rig, f func()) { r.AfterFunc(0, f) },
			"Post":         func(r *rig, f func()) { r.Post(f) },
			"Soon":         func(r *rig, f func()) { r.Soon(f) },
			"Reset":        func(r *rig, f func()) { f() },
		} {
			t.Run(name, func(t *testing.T) {
				r := run(t, loop.Options{Driver: driver})
				rounds, stop := 0, false
				var f func()
				if name == "Reset" { // a timer that resets itself
					var tm *loop.Timer
					again = func(r *rig, _ func()) { tm = r.AfterFunc(0, func() { rounds++; tm.Reset(-1) }) }
				}
				f = func() {
					if rounds++; !stop {
						again(r, f)
					}
				}
				r.do(f)
				a := r.serve("tcp", func() loop.Handler { return loop.HandlerFunc(func(c *loop.Conn, p []byte) { c.Write(p) }) })
				p := dial(t, a)
				for i := range 20 {
					p.send(pattern(100 + i))
					p.expect(pattern(100 + i))
				}
				timer := make(chan struct{})
				r.do(func() { r.AfterFunc(time.Millisecond, func() { close(timer) }) })
				recv(t, "a timer", timer)
				r.do(func() { // a posted function
					if rounds < 10 {
						t.Errorf("it ran %d times only", rounds)
					}
					stop = true
				})
				p.Close()
			})
		}
	})
}

// Deadlines are those of net.Conn, told by a call: once, and the connection is as usable as before.
func TestDeadlines(t *testing.T) {
	const s = time.Second
	type do func(k *link)
	at := func(f func(*loop.Conn, time.Time) error, d time.Duration) do {
		return func(k *link) {
			k.do(func() {
				if err := f(k.c, k.Now().Add(d)); err != nil {
					k.t.Errorf("setting a deadline: %v", err)
				}
			})
		}
	}
	zero := func(f func(*loop.Conn, time.Time) error) do {
		return func(k *link) { k.do(func() { f(k.c, time.Time{}) }) }
	}
	read, write_, both := (*loop.Conn).SetReadDeadline, (*loop.Conn).SetWriteDeadline, (*loop.Conn).SetDeadline
	pass := func(d time.Duration) do { return func(k *link) { k.advance(d); k.turns(1) } }
	fill := func(k *link) { k.do(func() { write(k.t, k.c, pattern(large)) }) }
	for name, row := range map[string]struct {
		steps []do
		want  []string
	}{
		"read":                       {[]do{at(read, 2*s), pass(s), pass(s)}, []string{"read"}},
		"read, not yet":              {[]do{at(read, 2*s), pass(2*s - 1)}, nil},
		"read, once":                 {[]do{at(read, s), pass(s), pass(s), pass(9 * s)}, []string{"read"}},
		"read, again":                {[]do{at(read, s), pass(s), at(read, s), pass(s)}, []string{"read", "read"}},
		"read, past":                 {[]do{at(read, -s), pass(0)}, []string{"read"}},
		"read, now":                  {[]do{at(read, 0), pass(0)}, []string{"read"}},
		"read, taken back":           {[]do{at(read, s), zero(read), pass(9 * s)}, nil},
		"read, moved later":          {[]do{at(read, s), at(read, 5*s), pass(4 * s)}, nil},
		"read, moved later, expires": {[]do{at(read, s), at(read, 5*s), pass(4 * s), pass(s)}, []string{"read"}},
		"read, moved earlier":        {[]do{at(read, 5*s), at(read, s), pass(s)}, []string{"read"}},
		"read, taken back and set":   {[]do{at(read, s), zero(read), at(read, 3*s), pass(2 * s), pass(s)}, []string{"read"}},
		"write, nothing waits":       {[]do{at(write_, s), pass(2 * s)}, nil},
		"write, output waits":        {[]do{fill, at(write_, s), pass(s)}, []string{"write"}},
		"write, past, output waits":  {[]do{fill, at(write_, -s), pass(0)}, []string{"write"}},
		"write, taken back":          {[]do{fill, at(write_, s), zero(write_), pass(9 * s)}, nil},
		"both":                       {[]do{fill, at(both, s), pass(s), pass(s)}, []string{"read", "write"}},
		"both, nothing waits":        {[]do{at(both, s), pass(s), pass(s)}, []string{"read"}},
		"both, taken back":           {[]do{fill, at(both, s), zero(both), pass(9 * s)}, nil},
		"both, apart":                {[]do{fill, at(read, 2*s), at(write_, s), pass(s), pass(s)}, []string{"write", "read"}},
		"both, one moved": {[]do{fill, at(both, s), at(write_, 3*s), pass(s), pass(s), pass(s)},
			[]string{"read", "write"}},
		"after the peer's end": {[]do{
			func(k *link) { k.peer.closeWrite(); k.until("EOF", func() bool { return k.w.sawEOF }) },
			at(read, s), pass(9 * s),
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			eachBeside(t, func(t *testing.T, driver string) {
				r := run(t, loop.Options{Driver: driver, Clock: manual(), Linger: time.Hour})
				var got []string
				var data int
				k := r.connect("tcp", sock.Options{}, &watcher{
					data: func(_ *loop.Conn, p []byte) { data += len(p) },
					eof:  func(*loop.Conn) {},
					expired: func(_ *loop.Conn, err *loop.DeadlineError) {
						got = append(got, err.Op)
						var ne net.Error
						if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(error(err), &ne) || !ne.Timeout() {
							t.Errorf("Expired got %v: want a net.Error with Timeout that is os.ErrDeadlineExceeded", err)
						}
					},
				})
				for _, step := range row.steps {
					step(k)
				}
				k.do(func() {
					if !slices.Equal(got, row.want) {
						t.Errorf("Expired for %q: want %q", got, row.want)
					}
				})
				// As usable as before, in both directions.
				waiting := 0
				k.do(func() { k.c.SetDeadline(time.Time{}); waiting = k.c.Pending() })
				if waiting > 0 {
					k.peer.expect(pattern(large))
					k.until("all has left", func() bool { return k.c.Pending() == 0 })
				}
				k.do(func() { write(t, k.c, []byte("still here")) })
				k.peer.expect([]byte("still here"))
				if !k.w.sawEOF {
					k.peer.send([]byte("and I"))
					k.until("Data", func() bool { return data == 5 })
				}
				k.do(func() { k.c.Abort() })
			})
		})
	}
}

// Once the write deadline has passed Write fails, until it is set anew; what was taken before still leaves.
func TestWriteAfterTheDeadline(t *testing.T) {
	eachBeside(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver, Clock: manual()})
		k := r.connect("tcp", sock.Options{}, &watcher{})
		k.do(func() {
			write(t, k.c, pattern(1000))
			k.c.SetWriteDeadline(r.Now().Add(time.Second))
			write(t, k.c, pattern(2000)[1000:])
		})
		k.advance(time.Second)
		for range 2 {
			k.do(func() {
				n, err := k.c.Write([]byte("x"))
				var ne net.Error
				if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
					t.Errorf("Write after the deadline: %d, %v; want a timeout", n, err)
				}
			})
		}
		k.do(func() {
			k.c.SetReadDeadline(time.Time{}) // has nothing to do with it
			if _, err := k.c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Write: %v; want a timeout still", err)
			}
			k.c.SetWriteDeadline(r.Now().Add(time.Second))
			write(t, k.c, pattern(3000)[2000:])
		})
		k.peer.expect(pattern(3000))
		k.do(func() { k.c.Abort() })
	})
}

// The default for Expired, and for all else: the connection ends with the deadline's error.
func TestBaseExpires(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		type base struct{ loop.Base }
		for name, h := range map[string]loop.Handler{"Base": base{},
			"HandlerFunc": loop.HandlerFunc(func(*loop.Conn, []byte) {})} {
			t.Run(name, func(t *testing.T) {
				r := run(t, loop.Options{Driver: driver, Clock: manual()})
				closed := make(chan error, 1)
				a := r.serve("tcp", func() loop.Handler { return &tap{h, closed} })
				p := dial(t, a)
				r.until("there is a connection", func() bool { return r.Stats().Conns == 1 })
				r.advance(time.Second)
				if err := recv(t, "Closed", closed); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("Closed got %v: want os.ErrDeadlineExceeded", err)
				}
				p.Close()
			})
		}
	})
}

// A tap hands everything on, sets a deadline of a second, and tells the end.
type tap struct {
	loop.Handler
	closed chan error
}

func (h *tap) Opened(c *loop.Conn) {
	h.Handler.Opened(c)
	c.SetReadDeadline(c.Loop().Now().Add(time.Second))
}

func (h *tap) Closed(c *loop.Conn, err error) {
	h.Handler.Closed(c, err)
	h.closed <- err
}
