package proc

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"iter"
	"reflect"
	"runtime/debug"
	"sync"

	"github.com/plexor-go/plexor/internal/stack"
)

// A Func is a function that the worker processes of a [Pool] can call, by its name. Its argument and result travel in
// the encoding of package gob, whose rules are theirs: exported fields alone, and types behind an interface registered.
// All methods may be called by any goroutine, and by coroutines.
type Func[In, Out any] struct{ name string }

// funcs are what was registered.
var funcs struct {
	sync.Mutex
	of map[string]func(ctx context.Context, in []byte) ([]byte, error)
}

// NewFunc registers f. Call it before [Main], most simply in a variable's declaration:
//
//	var square = proc.NewFunc("square", func(ctx context.Context, n int) (int, error) { return n * n, nil })
//
// f runs in a worker process, one call at a time in each. Its context ends when the caller's does: f should then return
// soon, for its process is killed if it does not. Its error comes to the caller as a [*CallError]. A
// name goes with the types: the same one with others is another function. NewFunc panics when both are taken.
func NewFunc[In, Out any](name string, f func(ctx context.Context, in In) (Out, error)) *Func[In, Out] {
	stack.Given("proc: NewFunc", "the function", f != nil)
	full := fmt.Sprintf("%s(%v) %v", name, reflect.TypeFor[In](), reflect.TypeFor[Out]())
	funcs.Lock()
	defer funcs.Unlock()
	if name == "" || funcs.of[full] != nil {
		panic(fmt.Sprintf("proc: NewFunc(%q): a name must not be empty and is given once for these types", name))
	}
	if funcs.of == nil {
		funcs.of = make(map[string]func(context.Context, []byte) ([]byte, error))
	}
	funcs.of[full] = func(ctx context.Context, in []byte) ([]byte, error) {
		var arg In
		if err := decode(in, &arg); err != nil {
			return nil, err
		}
		out, err := f(ctx, arg)
		if err != nil {
			return nil, err
		}
		return encode(&out)
	}
	return &Func[In, Out]{full}
}

// call runs a function here, in the worker.
func call(ctx context.Context, name string, in []byte) (out []byte, err error) {
	funcs.Lock()
	f := funcs.of[name]
	funcs.Unlock()
	if f == nil {
		return nil, fmt.Errorf("proc: this program has no function %s: call proc.NewFunc before proc.Main", name)
	}
	returned := false
	defer func() {
		if !returned {
			err = fmt.Errorf("it panicked: %v\n%s", recover(), debug.Stack())
		}
	}()
	out, err = f(ctx, in)
	returned = true
	return out, err
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(v); err != nil {
		return nil, fmt.Errorf("proc: encode a %T: %w", v, err)
	}
	return b.Bytes(), nil
}

func decode(b []byte, v any) error {
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(v); err != nil {
		return fmt.Errorf("proc: decode a %T: %w", v, err)
	}
	return nil
}

// A Future is the result of a call that is under way.
type Future[Out any] struct{ t *task }

// Submit puts a call into the pool's queue, and waits while that is full. It fails with what gob says of the argument,
// with ErrPoolClosed, or with the cause of ctx. ctx bounds the call's life, too: when it ends, a call that has not
// begun is dropped, one that runs is cancelled, and the Future fails with the cause.
func (f *Func[In, Out]) Submit(ctx context.Context, p *Pool, in In) (*Future[Out], error) {
	stack.Given("proc: Func.Submit", "the context", ctx != nil)
	stack.Given("proc: Func.Submit", "the pool", p != nil)
	b, err := encode(&in)
	if err != nil {
		return nil, err
	}
	t, err := p.submit(ctx, f.name, b)
	if err != nil {
		return nil, err
	}
	return &Future[Out]{t}, nil
}

// Done is closed when there is a result. To a goroutine in a testing/synctest bubble it gives a channel of that bubble,
// whose time stands still as long as the call goes on.
func (f *Future[Out]) Done() <-chan struct{} { return f.t.over.Done() }

// Wait waits for the result. An error is a *CallError if the function returned it, a *LostError if the workers that ran
// it died, a *LimitError if it took too long, or a cancelled context's cause. ctx bounds the wait alone.
func (f *Future[Out]) Wait(ctx context.Context) (out Out, err error) {
	stack.Given("proc: Future.Wait", "the context", ctx != nil)
	if err := await(ctx, "proc: wait for "+f.t.name, &f.t.over); err != nil {
		return out, err
	}
	if f.t.err != nil {
		return out, f.t.err
	}
	return out, decode(f.t.out, &out)
}

// Call is Submit and Wait. Where a worker is idle a goroutine talks to it by itself, which saves it four switches to
// others.
func (f *Func[In, Out]) Call(ctx context.Context, p *Pool, in In) (out Out, err error) {
	stack.Given("proc: Func.Call", "the context", ctx != nil)
	stack.Given("proc: Func.Call", "the pool", p != nil)
	b, err := encode(&in)
	if err != nil {
		return out, err
	}
	t, err := p.call(ctx, f.name, b)
	if err != nil {
		return out, err
	}
	return (&Future[Out]{t}).Wait(ctx)
}

// Map calls the function with all values of a sequence, as many at once as the pool has workers, and gives the results
// in their order, each as soon as it and those before it are there. As many are under way as the pool has workers and
// places in its queue together, at most: a long sequence is taken bit by bit, on the caller's goroutine. An error is
// that of its call, and the others go on; leaving the loop cancels what is under way.
func (f *Func[In, Out]) Map(ctx context.Context, p *Pool, seq iter.Seq[In]) iter.Seq2[Out, error] {
	stack.Given("proc: Func.Map", "the context", ctx != nil)
	stack.Given("proc: Func.Map", "the pool", p != nil)
	stack.Given("proc: Func.Map", "the sequence", seq != nil)
	return func(yield func(Out, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var under []*Future[Out]
		give := func() bool {
			out, err := under[0].Wait(ctx)
			under = under[1:]
			return yield(out, err)
		}
		for in := range seq {
			if len(under) >= p.window && !give() {
				return
			}
			fut, err := f.Submit(ctx, p, in)
			if err != nil {
				t := newTask(ctx, f.name, nil)
				t.finish(nil, err)
				fut = &Future[Out]{t}
			}
			under = append(under, fut)
			for len(under) > 0 && under[0].t.finished() {
				if !give() {
					return
				}
			}
		}
		for len(under) > 0 {
			if !give() {
				return
			}
		}
	}
}
