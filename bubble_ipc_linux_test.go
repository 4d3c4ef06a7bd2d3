package plexor_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"

	"github.com/plexor-go/plexor/ipc"
	"github.com/plexor-go/plexor/ipc/shm"
)

// An outside has goroutines that are in no bubble call functions. Make it outside of one.
type outside chan func()

func newOutside(t *testing.T) outside {
	o := make(outside)
	go func() {
		for f := range o {
			go f()
		}
	}()
	t.Cleanup(func() { close(o) })
	return o
}

// call has f called, and gives what waits for its error.
func (o outside) call(results chan error, f func() error) (wait func() error) {
	o <- func() { results <- f() }
	return func() error { return <-results }
}

// inBubble calls f in a bubble. results has room for what goroutines outside it say.
func inBubble(t *testing.T, f func(t *testing.T, o outside, results chan error)) {
	t.Helper()
	o, results := newOutside(t), make(chan error, 8)
	synctest.Test(t, func(t *testing.T) { f(t, o, results) })
}

func wantNone(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// pipes are two pipes that are connected.
func pipes(t *testing.T) (p, q *ipc.Pipe) {
	t.Helper()
	p, f, err := ipc.NewPipe(ipc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	q, err = ipc.FilePipe(f, ipc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = p.Close(), q.Close() })
	return p, q
}

// TestBubblePipe: goroutines in a bubble and outside it wait for the same pipe, by turns, and a context of outside ends
// one's wait inside.
func TestBubblePipe(t *testing.T) {
	p, q := pipes(t)
	ctx, cancel := context.WithCancel(context.Background())
	_ = ctx.Done() // a channel of outside
	inBubble(t, func(t *testing.T, o outside, results chan error) {
		recv := func(ctx context.Context) error { _, err := p.Recv(ctx); return err }
		for range 20 {
			outer := o.call(results, func() error { return recv(context.Background()) })
			inner := make(chan error, 2)
			for range 2 {
				go func() { inner <- recv(t.Context()) }()
			}
			for range 3 {
				wantNone(t, "send", q.Send(context.Background(), []byte("x")))
			}
			wantNone(t, "received outside", outer())
			wantNone(t, "received inside", <-inner)
			wantNone(t, "received inside", <-inner)
		}
		ended := make(chan error)
		go func() { ended <- recv(ctx) }()
		o <- func() { cancel() }
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Recv: %v, want the context's end", err)
		}
		go func() { ended <- recv(t.Context()) }()
		closing := o.call(results, p.Close)
		wantNone(t, "close", closing())
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Recv: %v, want net.ErrClosed", err)
		}
	})
}

// TestBubblePython: a listener of a bubble is used outside it, and one of outside inside.
func TestBubblePython(t *testing.T) {
	const address = "tcp://127.0.0.1:0"
	opt := ipc.PythonOptions{AuthKey: []byte("key")}
	listen := func(t *testing.T) *ipc.PythonListener {
		l, err := ipc.ListenPython(address, opt)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	outer := listen(t)
	inBubble(t, func(t *testing.T, o outside, results chan error) {
		inner := listen(t)
		accept := func(l *ipc.PythonListener) error {
			c, err := l.Accept(context.Background())
			if err == nil {
				err = c.Close()
			}
			return err
		}
		dial := func(l *ipc.PythonListener) error {
			c, err := ipc.DialPython(context.Background(), l.Addr(), opt)
			if err == nil {
				err = c.Close()
			}
			return err
		}
		for _, l := range []*ipc.PythonListener{inner, outer} {
			here := make(chan error, 1)
			there := o.call(results, func() error { return accept(l) })
			wantNone(t, "dial inside", dial(l))
			wantNone(t, "accept outside", there())
			go func() { here <- accept(l) }()
			there = o.call(results, func() error { return dial(l) })
			wantNone(t, "accept inside", <-here)
			wantNone(t, "dial outside", there())
			there = o.call(results, func() error { return accept(l) })
			go func() { here <- accept(l) }()
			wantNone(t, "close", l.Close())
			for _, err := range []error{<-here, there()} {
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("Accept: %v, want net.ErrClosed", err)
				}
			}
		}
	})
}

// TestBubbleManager: calls of one client, in a bubble and outside it, wait for the same manager, and read for each
// other.
func TestBubbleManager(t *testing.T) {
	m, err := ipc.ServeManager(t.TempDir()+"/m", ipc.ManagerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c, err := ipc.DialManager(context.Background(), m.Path(), m.Token())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	inBubble(t, func(t *testing.T, o outside, results chan error) {
		for range 20 {
			here := make(chan error, 2)
			there := o.call(results, func() error { return ipc.OpenEvent(c, "e").Wait(context.Background()) })
			for range 2 {
				go func() { here <- ipc.OpenEvent(c, "e").Wait(t.Context()) }()
			}
			wantNone(t, "set", ipc.OpenEvent(c, "e").Set(t.Context()))
			wantNone(t, "waited outside", there())
			wantNone(t, "waited inside", <-here)
			wantNone(t, "waited inside", <-here)
			clear := o.call(results, func() error { return ipc.OpenEvent(c, "e").Clear(context.Background()) })
			wantNone(t, "clear", clear())
		}
	})
}

// TestBubbleRing: goroutines in a bubble and outside it wait by turns for the same ring, which one of the bubble has
// made, and one outside closes. A queue is made of such.
func TestBubbleRing(t *testing.T) {
	inBubble(t, func(t *testing.T, o outside, results chan error) {
		r, err := shm.New(shm.Options{Slots: 4})
		if err != nil {
			t.Fatal(err)
		}
		q := ipc.NewQueue[int](r, nil)
		get := func(ctx context.Context) error {
			item, err := q.Get(ctx)
			if err == nil {
				err = item.Done()
			}
			return err
		}
		for range 20 {
			here := make(chan error, 2)
			there := o.call(results, func() error { return get(context.Background()) })
			for range 2 {
				go func() { here <- get(t.Context()) }()
			}
			for i := range 3 {
				wantNone(t, "put", q.Put(t.Context(), i))
			}
			wantNone(t, "got outside", there())
			wantNone(t, "got inside", <-here)
			wantNone(t, "got inside", <-here)
		}
		here := make(chan error, 2)
		for range 2 {
			go func() { here <- get(t.Context()) }()
		}
		closing := o.call(results, q.Close)
		wantNone(t, "close", closing())
		for range 2 {
			if err := <-here; !errors.Is(err, net.ErrClosed) {
				t.Errorf("at the end: %v, want net.ErrClosed", err)
			}
		}
	})
}
