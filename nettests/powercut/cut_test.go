package powercut_test

import (
	"bufio"
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/plexor-go/plexor/nettests/powercut"
)

// TestPowerCut: what a program has promised to be safe is there after a power failure, at whatever moment, and whether
// all that was not synced is lost or a part of it. A careless program loses some: else this would try nothing.
//
// PLEXOR_POWER_CUTS=200 go test -run TestPowerCut ./powercut
func TestPowerCut(t *testing.T) {
	for _, row := range []struct {
		program string
		journal bool // the disk is one with a journal
		loses   bool
	}{
		{"mail queue", false, false},
		{"jobs", false, false},
		{"jobs", true, false},
		{"many jobs", false, false},
		{"many jobs", true, false},
		{"careful", false, false},
		{"lazy jobs", true, true},
		{"careless", true, true},
	} {
		name := row.program
		if row.journal {
			name += " with a journal"
		}
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			rng := rand.New(rand.NewPCG(seed, 0))
			promised, lost := 0, 0
			n := cuts(t)
			for i := range n {
				whole := i%2 == 0
				d := powercut.NewDisk()
				if row.journal {
					d.SetJournal()
				}
				p, l := cut(t, d, row.program, rng, whole)
				promised += p
				lost += len(l)
				if len(l) > 0 && !row.loses {
					t.Errorf("cut %d, seed %d: %d of %d are lost (all that was not synced: %v): %v", i, seed, len(l), p, whole,
						l[:min(len(l), 10)])
				}
			}
			if row.loses && lost == 0 {
				t.Error("nothing is lost: this tries nothing")
			}
			t.Logf("%d cuts, seed %d: %d things were promised, %d of them lost", n, seed, promised, lost)
		})
	}
}

// cut cuts the power once under a program, after so many promises as chance has it.
func cut(t *testing.T, d *powercut.Disk, program string, rng *rand.Rand, whole bool) (promised int, lost []string) {
	dir, unmount := mount(t, d)
	w := half(t, program+"/write", dir)
	out, err := w.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	after, pause := 1+rng.IntN(100), time.Duration(rng.IntN(3000))*time.Microsecond
	enough := make(chan struct{})
	names := make(chan []string)
	go func() {
		var all []string
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if all = append(all, lines.Text()); len(all) == after {
				close(enough)
			}
		}
		names <- all
	}()
	select {
	case <-enough:
		<-time.After(pause) // in the midst of a step, rather than at its end
	case <-time.After(patience):
		t.Errorf("there were no %d promises within %v", after, patience)
	}
	memory, _ := os.Readlink(filepath.Join(dir, "stage")) // of a broker, beside its disk
	d.Cut()
	if err := w.Process.Kill(); err != nil {
		t.Error(err)
	}
	all := <-names
	_ = w.Wait() // it was killed
	if memory != "" {
		if err := os.RemoveAll(memory); err != nil {
			t.Error(err)
		}
	}
	unmount()
	if whole {
		rng = nil
	}
	dir, unmount = mount(t, d.Restore(rng))
	defer unmount()
	left := map[string]bool{}
	var text bytes.Buffer
	r := half(t, program+"/read", dir)
	r.Stdout = &text
	if err := r.Run(); err != nil {
		t.Fatalf("after the failure: %v", err)
	}
	for line := range bytes.Lines(text.Bytes()) {
		left[string(bytes.TrimSpace(line))] = true
	}
	for _, name := range all {
		if !left[name] {
			lost = append(lost, name)
		}
	}
	return len(all), lost
}

// half is a half of a program, as a process.
func half(t *testing.T, role, dir string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, os.Args[0])
	c.Env = append(os.Environ(), roleVariable+"="+role, dirVariable+"="+dir)
	c.Stderr = os.Stderr
	return c
}
