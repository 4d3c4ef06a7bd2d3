//go:build linux || darwin || freebsd || netbsd || openbsd

package proc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/proc"
)

// A visit is an argument, and a result, with more to it than a number.
type visit struct {
	Name  string
	Pages []int
}

var (
	square = proc.NewFunc("square", func(_ context.Context, n int) (int, error) { return n * n, nil })
	grow   = proc.NewFunc("grow", func(_ context.Context, v visit) (*visit, error) {
		v.Pages = append(v.Pages, len(v.Pages))
		return &v, nil
	})
	whoami = proc.NewFunc("whoami", func(context.Context, struct{ N int }) (int, error) { return os.Getpid(), nil })
	refuse = proc.NewFunc("refuse", func(_ context.Context, why string) (int, error) { return 0, errors.New(why) })
	panics = proc.NewFunc("panics", func(_ context.Context, why string) (int, error) { panic(why) })
	// leaves ends its process, unless a file of that name is there, which it makes.
	leaves = proc.NewFunc("leaves", func(_ context.Context, path string) (string, error) {
		if f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600); err == nil || path == "/" {
			_ = f.Close()
			os.Exit(9)
		}
		return "stayed", nil
	})
	// holds runs until its context ends, or for ever; it makes a file when it begins.
	holds = proc.NewFunc("holds", func(ctx context.Context, a struct {
		Begun string
		Ever  bool
	}) (int, error) {
		if err := os.WriteFile(a.Begun, fmt.Append(nil, os.Getpid()), 0o600); err != nil {
			return 0, err
		}
		if a.Ever {
			select {}
		}
		<-ctx.Done()
		return 0, ctx.Err()
	})
	large = proc.NewFunc("large", func(_ context.Context, n int) ([]byte, error) { return make([]byte, n), nil })
)

// newPool makes a pool for a test, whose log is the test's.
func newPool(t testing.TB, o proc.PoolOptions) *proc.Pool {
	t.Helper()
	if o.Workers == 0 {
		o.Workers = 2
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	p, err := proc.NewPool(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if left := p.Stats().Left; left != 0 {
			t.Errorf("%d calls have no result after Close", left)
		}
	})
	return p
}

func TestPoolCall(t *testing.T) {
	p := newPool(t, proc.PoolOptions{})
	ctx := t.Context()
	if got, err := square.Call(ctx, p, 12); got != 144 || err != nil {
		t.Errorf("square(12) = %d, %v; want 144", got, err)
	}
	if got, err := grow.Call(ctx, p, visit{"ann", []int{7}}); err != nil || got.Name != "ann" ||
		!slices.Equal(got.Pages, []int{7, 1}) {
		t.Errorf("grow = %+v, %v; want ann with 7, 1", got, err)
	}
	if pid, err := whoami.Call(ctx, p, struct{ N int }{1}); err != nil || pid == os.Getpid() {
		t.Errorf("whoami = %d, %v; want another process than %d", pid, err, os.Getpid())
	}
	for _, row := range []struct {
		name string
		err  error
		want string
	}{
		{"an error", second(refuse.Call(ctx, p, "not today")), "proc: refuse(string) int: not today"},
		{"a panic", second(panics.Call(ctx, p, "oh no")), "proc: panics(string) int: it panicked: oh no\ngoroutine "},
	} {
		e, ok := errors.AsType[*proc.CallError](row.err)
		if !ok || !strings.HasPrefix(row.err.Error(), row.want) {
			t.Errorf("%s: got %v (%+v), want a CallError that begins with %q", row.name, row.err, e, row.want)
		}
	}
	if s := p.Stats(); s.Deaths != 0 || s.Done != 5 {
		t.Errorf("%+v, want no deaths, and 5 done", s)
	}
}

func second[T any](_ T, err error) error { return err }

func TestPoolMap(t *testing.T) {
	p := newPool(t, proc.PoolOptions{Queue: 4})
	const n = 500
	taken := 0
	numbers := func(yield func(int) bool) {
		for i := range n {
			if taken++; !yield(i) {
				return
			}
		}
	}
	i := 0
	for got, err := range square.Map(t.Context(), p, numbers) {
		if err != nil || got != i*i {
			t.Fatalf("result %d is %d, %v; want %d", i, got, err, i*i)
		}
		if i++; taken-i > 2+4 {
			t.Fatalf("%d were taken of the sequence when %d results had been given: no more than the pool holds may be under "+
				"way", taken, i)
		}
	}
	if i != n {
		t.Errorf("%d results, want %d", i, n)
	}
	for range square.Map(t.Context(), p, slices.Values([]int{1, 2, 3})) {
		break // what is under way is cancelled, and nothing is left
	}
	// An error is that of its call, and the others go on.
	var texts []string
	for got, err := range leaves.Map(t.Context(), p, slices.Values([]string{"/dev/null", "/", "/dev/null"})) {
		texts = append(texts, fmt.Sprintf("%s %v", got, err != nil))
	}
	if want := []string{"stayed false", " true", "stayed false"}; !slices.Equal(texts, want) {
		t.Errorf("got %q, want %q", texts, want)
	}
}

// TestPoolDeath: a call whose worker dies is begun again, as often as it may be, and fails then with the reason.
func TestPoolDeath(t *testing.T) {
	var log bytes.Buffer
	var mu sync.Mutex
	p := newPool(t, proc.PoolOptions{Workers: 1, Tries: 4,
		Log: slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil))})
	if got, err := leaves.Call(t.Context(), p, filepath.Join(t.TempDir(), "was here")); got != "stayed" || err != nil {
		t.Errorf("got %q, %v; want that the second try stays", got, err)
	}
	_, err := leaves.Call(t.Context(), p, "/")
	e, ok := errors.AsType[*proc.LostError](err)
	if !ok || e.Tries != 4 || e.Cause != "exit status 9" {
		t.Errorf("got %v, want a LostError of 4 tries by exit status 9", err)
	}
	if s := p.Stats(); s.Deaths != 5 || s.Again != 4 {
		t.Errorf("%+v, want 5 deaths and 4 calls again", s)
	}
	if got, err := square.Call(t.Context(), p, 3); got != 9 || err != nil {
		t.Errorf("afterwards: %d, %v", got, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if n := strings.Count(log.String(), "a pool's worker died"); n != 5 {
		t.Errorf("the log tells of %d deaths, want 5:\n%s", n, log.String())
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// hold begins a call that holds a worker, and returns its process.
func hold(t *testing.T, ctx context.Context, p *proc.Pool, ever bool) (*proc.Future[int], int) {
	t.Helper()
	begun := filepath.Join(t.TempDir(), "begun")
	f, err := holds.Submit(ctx, p, struct {
		Begun string
		Ever  bool
	}{begun, ever})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(begun)
		var pid int
		if _, scanErr := fmt.Sscan(string(text), &pid); err == nil && scanErr == nil {
			return f, pid
		}
		if time.Now().After(end) {
			t.Fatal("the call does not begin")
		}
	}
}

// TestPoolLimit: a call that takes too long fails, and its worker is replaced.
func TestPoolLimit(t *testing.T) {
	p := newPool(t, proc.PoolOptions{Workers: 1, Limit: 100 * time.Millisecond})
	f, pid := hold(t, t.Context(), p, true)
	_, err := f.Wait(t.Context())
	e, ok := errors.AsType[*proc.LimitError](err)
	if !ok || e.Limit != 100*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a LimitError", err)
	}
	if now, err := whoami.Call(t.Context(), p, struct{ N int }{}); err != nil || now == pid {
		t.Errorf("afterwards worker %d answers, %v; want another than %d", now, err, pid)
	}
	if s := p.Stats(); s.Again != 0 {
		t.Errorf("%+v: a call over its limit is not to be begun again", s)
	}
}

// TestPoolCancel: a call that is cancelled fails at once; its worker stays if the function returns, and is replaced if
// not.
func TestPoolCancel(t *testing.T) {
	cause := errors.New("enough")
	for _, row := range []struct {
		name string
		ever bool
	}{{"returns", false}, {"does not return", true}} {
		t.Run(row.name, func(t *testing.T) {
			p := newPool(t, proc.PoolOptions{Workers: 1, Grace: 50 * time.Millisecond})
			if !row.ever {
				p = newPool(t, proc.PoolOptions{Workers: 1, Grace: time.Hour})
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			f, pid := hold(t, ctx, p, row.ever)
			waits, err := square.Submit(ctx, p, 2) // behind it
			if err != nil {
				t.Fatal(err)
			}
			cancel(cause)
			for _, err := range []error{second(f.Wait(t.Context())), second(waits.Wait(t.Context())),
				second(square.Submit(ctx, p, 1))} {
				if !errors.Is(err, cause) {
					t.Errorf("got %v, want the cause", err)
				}
			}
			now, err := whoami.Call(t.Context(), p, struct{ N int }{})
			if err != nil || (now != pid) != row.ever {
				t.Errorf("afterwards worker %d answers, %v; before it was %d, and replaced = %v is wanted", now, err, pid, row.ever)
			}
		})
	}
}

// TestPoolBounds: the queue and the messages.
func TestPoolBounds(t *testing.T) {
	p := newPool(t, proc.PoolOptions{Workers: 1, Queue: 2, MaxMessage: 1 << 20})
	_, _ = hold(t, t.Context(), p, false)
	for range 2 {
		if _, err := square.Submit(t.Context(), p, 1); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := square.Submit(ctx, p, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Submit to a full queue: %v, want that it waits", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := square.Submit(t.Context(), p, 1); !errors.Is(err, proc.ErrPoolClosed) {
		t.Errorf("Submit to a closed pool: %v", err)
	}

	p = newPool(t, proc.PoolOptions{Workers: 1, MaxMessage: 1 << 20})
	if _, err := large.Call(t.Context(), p, 2<<20); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a result of 2 MiB: %v, want that it is too long", err)
	}
	if _, err := refuse.Call(t.Context(), p, strings.Repeat("x", 2<<20)); err == nil ||
		!strings.Contains(err.Error(), "too long") {
		t.Errorf("an argument of 2 MiB: %v, want that it is too long", err)
	}
	if got, err := large.Call(t.Context(), p, 1<<20); err != nil || len(got) != 1<<20 {
		t.Errorf("a result of 1 MiB: %d, %v", len(got), err)
	}
	if s := p.Stats(); s.Deaths != 0 {
		t.Errorf("%+v: what is too long is no reason to die", s)
	}
}

// TestPoolEnds: Shutdown waits for all that was submitted, Close for nothing.
func TestPoolEnds(t *testing.T) {
	p := newPool(t, proc.PoolOptions{})
	var fs []*proc.Future[int]
	for i := range 100 {
		f, err := square.Submit(t.Context(), p, i)
		if err != nil {
			t.Fatal(err)
		}
		fs = append(fs, f)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for i, f := range fs {
		if got, err := f.Wait(t.Context()); got != i*i || err != nil {
			t.Errorf("after Shutdown: square(%d) = %d, %v", i, got, err)
		}
	}
	p = newPool(t, proc.PoolOptions{Workers: 1})
	running, _ := hold(t, t.Context(), p, true)
	waiting, err := square.Submit(t.Context(), p, 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) ||
		!strings.Contains(err.Error(), "2 calls were not done") {
		t.Errorf("Shutdown: %v, want that 2 calls were not done", err)
	}
	for _, f := range []*proc.Future[int]{running, waiting} {
		if _, err := f.Wait(t.Context()); !errors.Is(err, proc.ErrPoolClosed) {
			t.Errorf("after Close: %v, want ErrPoolClosed", err)
		}
	}
}

// TestPoolFromCoroutines: a coroutine parks while it waits, and the loop goes on.
func TestPoolFromCoroutines(t *testing.T) {
	p := newPool(t, proc.PoolOptions{Workers: 1, Queue: 1})
	err := plexor.Run(t.Context(), func(ctx context.Context) error {
		return coro.Group(ctx, func(g *coro.Tasks) error {
			turns := 0
			busy, stop := context.WithCancel(ctx)
			g.Go(func(context.Context) error {
				for busy.Err() == nil {
					turns++
					if err := coro.Sleep(ctx, time.Millisecond); err != nil {
						return err
					}
				}
				return nil
			})
			defer stop()
			var done atomic.Int32
			return coro.Group(ctx, func(g *coro.Tasks) error {
				for i := range 100 { // more than the queue holds, so that Submit waits too
					g.Go(func(ctx context.Context) error {
						got, err := square.Call(ctx, p, i)
						if err == nil && got != i*i {
							err = fmt.Errorf("square(%d) = %d", i, got)
						}
						done.Add(1)
						return err
					})
				}
				return nil
			})
		})
	})
	if err != nil {
		t.Error(err)
	}
	// One that is cancelled while it waits.
	err = plexor.Run(t.Context(), func(ctx context.Context) error {
		return coro.Timeout(ctx, 50*time.Millisecond, func(ctx context.Context) error {
			_, err := holds.Call(ctx, p, struct {
				Begun string
				Ever  bool
			}{filepath.Join(t.TempDir(), "begun"), false})
			return err
		})
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a coroutine whose time is over gets %v", err)
	}
}

// TestPoolMasterDies: the workers of a pool end with the process that made it, whatever they are doing.
func TestPoolMasterDies(t *testing.T) {
	begun := filepath.Join(t.TempDir(), "begun")
	m := setup{Entry: "pool " + begun}.start(t, func(c *exec.Cmd) {})
	for end := time.Now().Add(patience); !exists(begun); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the call does not begin")
		}
	}
	m.signal(syscall.SIGKILL)
	m.exit()
	m.clean()
}

// poolMaster is a process with a pool that is busy.
func poolMaster(begun string) int {
	p, err := proc.NewPool(proc.PoolOptions{Workers: 2})
	if err != nil {
		panic(err)
	}
	_, err = holds.Call(context.Background(), p, struct {
		Begun string
		Ever  bool
	}{begun, true})
	panic(err)
}

func BenchmarkPool(b *testing.B) {
	p := newPool(b, proc.PoolOptions{})
	ctx := context.Background()
	b.Run("call", func(b *testing.B) {
		for b.Loop() {
			if _, err := square.Call(ctx, p, 3); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("map", func(b *testing.B) {
		numbers := func(yield func(int) bool) {
			for i := range b.N {
				if !yield(i) {
					return
				}
			}
		}
		for _, err := range square.Map(ctx, p, numbers) {
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
