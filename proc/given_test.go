//go:build linux || darwin || freebsd || netbsd || openbsd

package proc_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/proc"
)

// TestNil: an argument that is nil is named, and so is the line of the call.
func TestNil(t *testing.T) {
	p := newPool(t, proc.PoolOptions{Workers: 1})
	w := new(proc.Worker)
	var none context.Context
	future, err := square.Submit(t.Context(), p, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, want string
		f          func()
	}{
		{"Register", "the function", func() { proc.Register("given", nil) }},
		{"NewFunc", "the function", func() { proc.NewFunc[int, int]("given", nil) }},
		{"Func.Call without a context", "the context", func() { square.Call(none, p, 1) }},
		{"Func.Call without a pool", "the pool", func() { square.Call(t.Context(), nil, 1) }},
		{"Func.Submit without a context", "the context", func() { square.Submit(none, p, 1) }},
		{"Func.Submit without a pool", "the pool", func() { square.Submit(t.Context(), nil, 1) }},
		{"Func.Map without a context", "the context", func() { square.Map(none, p, numbers) }},
		{"Func.Map without a pool", "the pool", func() { square.Map(t.Context(), nil, numbers) }},
		{"Func.Map of nothing", "the sequence", func() { square.Map(t.Context(), p, nil) }},
		{"Future.Wait", "the context", func() { future.Wait(none) }},
		{"Pool.Shutdown", "the context", func() { p.Shutdown(none) }},
		{"Master.Run", "the context", func() { (&proc.Master{Entry: "echo"}).Run(none) }},
		{"Worker.Join", "the server", func() { w.Join(nil) }},
		{"Worker.Serve", "the server", func() { w.Serve(nil) }},
		{"Worker.Run", "the server", func() { w.Run(nil, "") }},
		{"Worker.OnTicketKeys", "the function", func() { w.OnTicketKeys(nil) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			defer func() {
				got := fmt.Sprint(recover())
				if !strings.HasPrefix(got, "proc: ") || !strings.Contains(got, row.want+" is nil, at ") ||
					!strings.Contains(got, "given_test.go:") {
					t.Errorf("it panicked with %q, want proc: …: %s is nil, and the line", got, row.want)
				}
			}()
			row.f()
		})
	}
	if n, err := future.Wait(t.Context()); n != 9 || err != nil {
		t.Errorf("the pool after those that were refused: %d, %v", n, err)
	}
}

func numbers(yield func(int) bool) { _ = yield(1) && yield(2) }
