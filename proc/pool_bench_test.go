//go:build linux || darwin || freebsd || netbsd || openbsd

package proc_test

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/plexor-go/plexor/ipc"
	"github.com/plexor-go/plexor/proc"
)

// beEcho has this program send back what comes over the pipe that is descriptor 3.
const beEcho = "PROC_TEST_ECHO"

func runEcho() int {
	p, err := ipc.FilePipe(os.NewFile(3, "pipe"), ipc.Options{})
	for err == nil {
		var msg []byte
		if msg, err = p.Recv(context.Background()); err == nil {
			err = p.Send(context.Background(), msg)
		}
	}
	return 0 // the other side has closed it
}

// BenchmarkPoolCall is one call at a time of a function that does nothing to speak of, and, by turns with it, a round
// trip of a pipe to a process that echoes: their medians in microseconds, and how many round trips a call takes.
func BenchmarkPoolCall(b *testing.B) {
	p := newPool(b, proc.PoolOptions{Workers: 1})
	pipe, theirs, err := ipc.NewPipe(ipc.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer pipe.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.ExtraFiles = append(os.Environ(), beEcho+"=yes"), []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer cmd.Wait()
	defer pipe.Close()
	_ = theirs.Close() // the child has it
	ctx := context.Background()
	msg := make([]byte, 64)
	call := func() error { _, err := square.Call(ctx, p, 3); return err }
	trip := func() error {
		err := pipe.Send(ctx, msg)
		if err == nil {
			_, err = pipe.Recv(ctx)
		}
		return err
	}
	const each = 50
	var calls, trips []time.Duration
	for n := 0; n < b.N; n += each {
		for _, side := range []struct {
			f    func() error
			took *[]time.Duration
		}{{call, &calls}, {trip, &trips}} {
			for range each {
				begun := time.Now()
				if err := side.f(); err != nil {
					b.Fatal(err)
				}
				*side.took = append(*side.took, time.Since(begun))
			}
		}
	}
	median := func(d []time.Duration) float64 {
		slices.Sort(d)
		return float64(d[len(d)/2]) / 1e3
	}
	b.ReportMetric(median(calls), "µs/call")
	b.ReportMetric(median(trips), "µs/trip")
	b.ReportMetric(median(calls)/median(trips), "trips/call")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkPoolMany is calls from many goroutines at once.
func BenchmarkPoolMany(b *testing.B) {
	p := newPool(b, proc.PoolOptions{Workers: 2})
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := square.Call(context.Background(), p, 3); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
