package ftp

import (
	"io"
	"runtime"
	"testing"
	"time"
)

// TestThreadsComeBack has clients that stop in the midst of a download: none holds a thread, each still hears of its
// ABOR, and who reads on gets all.
func TestThreadsComeBack(t *testing.T) {
	r := newRig(t, &Server{})
	const size = 64 << 20
	r.sparse("big", size)
	stops, aborts := r.in(), r.in()
	data, other := stops.passive(), aborts.passive()
	stops.do("RETR big", 150)
	aborts.do("RETR big", 150)
	for _, nc := range []io.Reader{data, other} {
		if _, err := io.ReadFull(nc, make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(patience); waiting.Load() != 0; stops.do("STAT", 213) {
		if time.Now().After(end) {
			t.Fatalf("%d threads wait for clients that have stopped", waiting.Load())
		}
	}
	aborts.do("ABOR", 426)
	aborts.want(226)
	if n, err := io.Copy(io.Discard, data); n != size-1<<20 || err != nil {
		t.Errorf("behind a stop %d bytes came, %v", n, err)
	}
	stops.want(226)
}

// TestThreadsAreFew: some of Go's processors are left for others, and one alone is never waited on.
func TestThreadsAreFew(t *testing.T) {
	for processors, want := range map[int]int32{1: 0, 2: 1, 3: 1, 64: 32} {
		if got := mostWaiting(processors); got != want {
			t.Errorf("of %d processors %d may wait, want %d", processors, got, want)
		}
	}
	waiting.Add(int32(runtime.GOMAXPROCS(0))) // as many as there are
	defer waiting.Add(-int32(runtime.GOMAXPROCS(0)))
	r := newRig(t, &Server{})
	r.sparse("big", bigger)
	if got := r.in().get("RETR big"); len(got) != bigger {
		t.Errorf("without a thread %d bytes came", len(got))
	}
}
