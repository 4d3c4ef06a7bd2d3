package main

import (
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
)

// A soak that notices nothing is worth nothing: a sound server passes, and each kind of harm is told.
func TestSoak(t *testing.T) {
	var (
		file *os.File
		kept [][]byte
		mu   sync.Mutex
	)
	for _, row := range []struct {
		name, want string
		spoil      func(p []byte)
	}{
		{"sound", "", nil},
		{"a wrong byte", "are not those that were sent", func(p []byte) {
			p[len(p)/2] ^= 1 // of every piece, for a client that vanishes looks at none
		}},
		{"a descriptor left open", "descriptors are open that were not before", func([]byte) {
			mu.Lock()
			defer mu.Unlock()
			if file == nil {
				file, _ = os.Open(os.DevNull)
			}
		}},
		{"memory left", "are alive afterwards that were not before", func(p []byte) {
			mu.Lock()
			defer mu.Unlock()
			kept = append(kept, make([]byte, len(p)))
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if strings.Contains(row.want, "descriptors") && descriptors() == 0 {
				t.Skip("the system does not tell how many descriptors are open")
			}
			s := &soak{driver: loop.Drivers()[0].Name, clients: 20, seed: 1, spoil: row.spoil}
			if loop.Drivers()[0].Err != nil {
				s.driver = "auto"
			}
			err := s.run(time.Second)
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("seed %d: %v, want %q", s.seed, err, row.want)
			}
			verdict := "ok: no byte wrong, no descriptor left, memory flat"
			if row.want != "" {
				verdict = "FAILED: "
			}
			if got := s.report(err); !strings.Contains(got, verdict) || !strings.Contains(got, row.want) {
				t.Errorf("it reports\n%swant %q, and %q", got, verdict, row.want)
			}
			if s.bytes.Load() == 0 || s.conns.Load() == 0 {
				t.Errorf("%d connections, %d bytes: want some", s.conns.Load(), s.bytes.Load())
			}
		})
	}
	if file != nil {
		file.Close()
	}
	runtime.KeepAlive(kept)
}

func TestChosen(t *testing.T) {
	if names, err := chosen(""); err != nil || len(names) == 0 {
		t.Errorf("chosen: %v, %v", names, err)
	}
	if names, err := chosen("devpoll"); err == nil || !strings.Contains(err.Error(), "there are ") {
		t.Errorf("an unknown driver: %v, %v; want an error that lists those there are", names, err)
	}
}
