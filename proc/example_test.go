//go:build linux || darwin || freebsd || netbsd || openbsd

package proc_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/proc"
)

// The variable registers the function: in the workers as in the program that calls it.
var cube = proc.NewFunc("cube", func(_ context.Context, n int) (int, error) { return n * n * n, nil })

// Calls run in worker processes; results come in the order of the arguments. (main has called proc.Main.)
func ExamplePool() {
	p, err := proc.NewPool(proc.PoolOptions{Workers: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	for v, err := range cube.Map(context.Background(), p, slices.Values([]int{1, 2, 3})) {
		fmt.Println(v, err)
	}
	// Output:
	// 1 <nil>
	// 8 <nil>
	// 27 <nil>
}

// A program that serves by four workers. It is not run here, for it would serve until a signal.
func ExampleMaster() {
	proc.Register("shout", func(w *proc.Worker) error {
		return w.Serve(&plexor.Server{Loops: 1,
			Handler: plexor.Messages(frame.Line{Max: 1000}, func(c *plexor.Conn, line []byte) error {
				return c.Send(append(line, '!'))
			})})
	})
	proc.Main()
	m := &proc.Master{Entry: "shout", Workers: 4, Addrs: []string{"tcp://127.0.0.1:9000"}, PIDFile: "/run/shout.pid"}
	if err := m.Run(context.Background()); err != nil {
		fmt.Println(err)
	}
}
