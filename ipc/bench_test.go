package ipc

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"

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
			run := func(ctx context.Context) error {
				for b.Loop() {
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
			b.ReportMetric(float64(pythonPipe)/1e3, "python-us/op")
		})
	}
}

// What Python 3.11 needs for the same on a machine of the kind these were written on, in nanoseconds.
const (
	pythonPipe = 45_000
	pythonSet  = 59_000
)
