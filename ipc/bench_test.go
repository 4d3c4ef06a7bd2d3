//go:build unix

package ipc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
)

func init() {
	children["echo"] = func([]string) error {
		p, err := FilePipe(os.NewFile(3, "pipe"), Options{})
		if err != nil {
			return err
		}
		return echo(context.Background(), p)
	}
	children["echo on a loop"] = func([]string) error {
		p, err := FilePipe(os.NewFile(3, "pipe"), Options{})
		if err != nil {
			return err
		}
		return plexor.Run(context.Background(), func(ctx context.Context) error { return echo(ctx, p) })
	}
}

// A clock notes how long each turn of a benchmark takes, for the median: on a machine with other work the mean tells of
// that.
type clock struct {
	last  time.Time
	turns []time.Duration
}

func (c *clock) tick() {
	now := time.Now()
	if !c.last.IsZero() {
		c.turns = append(c.turns, now.Sub(c.last))
	}
	c.last = now
}

func (c *clock) report(b *testing.B) {
	if len(c.turns) > 0 {
		slices.Sort(c.turns)
		b.ReportMetric(float64(c.turns[len(c.turns)/2])/1e3, "median-us")
		b.ReportMetric(float64(c.turns[len(c.turns)/20])/1e3, "p05-us")
	}
}

// echo sends back what it receives, until the end.
func echo(ctx context.Context, p *Pipe) error {
	defer p.Close()
	for {
		msg, files, err := p.RecvFiles(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		err = p.Send(ctx, msg, asConns(files)...)
		for _, f := range files {
			f.Close()
		}
		if err != nil {
			return err
		}
	}
}

// BenchmarkPipe is a message of 64 bytes to another process and back. Python's multiprocessing.Pipe: see pythonFigures.
func BenchmarkPipe(b *testing.B) {
	for _, row := range []struct{ name, child string }{{"goroutine", "echo"}, {"coroutine", "echo on a loop"}} {
		b.Run(row.name, func(b *testing.B) {
			mine, theirs, err := NewPipe(Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer mine.Close()
			cmd := child(b, row.child)
			cmd.ExtraFiles = []*os.File{theirs}
			start(b, cmd)
			msg := make([]byte, 64)
			var cl clock
			run := func(ctx context.Context) error {
				for b.Loop() {
					cl.tick()
					if err := mine.Send(ctx, msg); err != nil {
						return err
					}
					if _, err := mine.Recv(ctx); err != nil {
						return err
					}
				}
				return nil
			}
			if row.name == "goroutine" {
				err = run(context.Background())
			} else {
				err = plexor.Run(context.Background(), run)
			}
			if err != nil {
				b.Fatal(err)
			}
			cl.report(b)
			b.ReportMetric(float64(pythonPipe)/1e3, "python-us")
		})
	}
}

// What Python 3.11 needs for the same on a machine of the kind these were written on, in nanoseconds.
const (
	pythonPipe = 45_000
	pythonSet  = 59_000
)

func init() {
	// It serves a manager on the path that is its argument, with the token on standard input, until that ends.
	children["manager"] = func(args []string) error {
		token := make([]byte, 32)
		if _, err := io.ReadFull(os.Stdin, token); err != nil {
			return err
		}
		m, err := ServeManager(args[0], ManagerOptions{Token: token})
		if err != nil {
			return err
		}
		defer m.Close()
		os.Stdout.WriteString("ready\n")
		_, err = io.Copy(io.Discard, os.Stdin)
		return err
	}
}

// managerProcess serves a manager in another process.
func managerProcess(t testing.TB) (path string, token []byte) {
	t.Helper()
	path = socketPath(t)
	token = bytes.Repeat([]byte("t"), 32)
	cmd := child(t, "manager", path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, cmd)
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the manager: %v", err)
		}
	})
	if _, err := in.Write(token); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the manager said %q, %v", line, err)
	}
	return path, token
}

// BenchmarkManagerSet sets a key of a map in another process. Python's multiprocessing.Manager: see pythonSet.
func BenchmarkManagerSet(b *testing.B) {
	path, token := managerProcess(b)
	for _, caller := range []string{"goroutine", "coroutine"} {
		b.Run(caller, func(b *testing.B) {
			var cl clock
			run := func(ctx context.Context) error {
				c, err := DialManager(ctx, path, token)
				if err != nil {
					return err
				}
				defer c.Close()
				m := OpenMap[int, int](c, "m")
				for i := 0; b.Loop(); i++ {
					cl.tick()
					if err := m.Set(ctx, i%100, i); err != nil {
						return err
					}
				}
				return nil
			}
			var err error
			if caller == "goroutine" {
				err = run(context.Background())
			} else {
				err = plexor.Run(context.Background(), run)
			}
			if err != nil {
				b.Fatal(err)
			}
			cl.report(b)
			b.ReportMetric(float64(pythonSet)/1e3, "python-us")
		})
	}
}
