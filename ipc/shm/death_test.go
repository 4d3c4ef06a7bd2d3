//go:build linux

package shm

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDeath kills a party at each step of what it does, and the one that cleans up after it: there is no step at which
// nobody died. It is one test, since tests run in any order. Who meets others at a lock has more steps than the last
// time, so that a step may have another number by then and be left out: that is another round.
func TestDeath(t *testing.T) {
	const rounds = 5
	parts := 0
	t.Run("at each step", func(t *testing.T) { parts++; deathsAtEachStep(t) })
	t.Run("of the rescuer", func(t *testing.T) { parts++; deathsOfTheRescuer(t) })
	if parts < 2 {
		return // a part was asked for
	}
	left := leftOut(t)
	for round := 1; len(left) > 0 && round < rounds && !t.Failed(); round++ {
		t.Logf("nobody died at %q: once more", left)
		t.Run("at each step again", deathsAtEachStep)
		left = leftOut(t)
	}
	if len(left) > 0 && !t.Failed() {
		t.Errorf("nobody died at %q", left)
	}
}

// deathsAtEachStep kills a party at each step of each scene in turn, until it comes to its end alive.
func deathsAtEachStep(t *testing.T) {
	for _, scene := range slices.Sorted(maps.Keys(scenes)) {
		t.Run(scene, func(t *testing.T) {
			t.Parallel() // a scene has a ring of its own
			for n, over := 1, false; !over; n++ {
				t.Run(strconv.Itoa(n), func(t *testing.T) {
					r, put := scenery(t, scene == "put huge")
					joined := join(r)
					s := tell(t, r, scene, n)
					over = s.died == ""
					remember(s.died)
					must, may, ended := verdict(put, s)
					survey(t, r, joined, must, may, ended)
					if t.Failed() {
						t.Logf("killed at %q", s.died)
						over = true
					}
					if scene == "create" {
						tidy(t, s)
					}
				})
			}
		})
	}
}

// tidy removes what the scene "create" made, and checks that it is all or nothing.
func tidy(t *testing.T, s story) {
	name := testName(os.Getpid(), "steps")
	r, err := Open(name)
	if errors.Is(err, os.ErrNotExist) && s.died != "" {
		return
	}
	if err != nil {
		t.Fatalf("after a death at %q: %v", s.died, err)
	}
	if err := errors.Join(r.Close(), Remove(name)); err != nil {
		t.Error(err)
	}
}

// deathsOfTheRescuer has one party die, and then the one that cleans up after it at each of its steps in turn.
func deathsOfTheRescuer(t *testing.T) {
	for _, row := range []struct {
		name, scene, at string
		rescuer         string
	}{
		{"with the lock, an item half in the queue", "put batch", "put: half in the queue", "put"},
		{"with the lock, an item half out of the queue", "get all", "get: half out of the queue", "get"},
		{"with the lock, an item half freed", "done", "done: half in the list", "done"},
		{"without the lock, with items taken", "done", "get: a slot read", "get all"},
		{"without the lock, with an item half written", "put huge", "put: a slot filled", "put"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel() // a row has rings of its own
			// Which step has that name? The first death that says so.
			first := 0
			for n := 1; first == 0; n++ {
				r, _ := scenery(t, row.scene == "put huge")
				switch s := tell(t, r, row.scene, n); s.died {
				case row.at:
					first = n
				case "":
					t.Fatalf("no step of %q is called %q", row.scene, row.at)
				}
				discard(t, r)
			}
			for n, over := 1, false; !over; n++ {
				t.Run(strconv.Itoa(n), func(t *testing.T) {
					r, put := scenery(t, row.scene == "put huge")
					// The victim is not to die in the place that the rescuer takes.
					placeholder := another(t, r)
					victim := tell(t, r, row.scene, first)
					vanish(t, placeholder)
					rescuer := tell(t, r, row.rescuer, n)
					over = rescuer.died == ""
					remember(rescuer.died)
					must, may, ended := verdict(put, victim, rescuer)
					survey(t, r, join(r), must, may, ended)
					if t.Failed() {
						t.Logf("the victim died at %q, the rescuer at %q", victim.died, rescuer.died)
						over = true
					}
				})
			}
		})
	}
}

// discard closes a ring that was made to look for a step.
func discard(t *testing.T, r *Ring) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// vanish does to a party of this process what the kernel does to one that is killed: its file is closed, and nothing
// else.
func vanish(t *testing.T, r *Ring) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := errors.Join(unix.Munmap(r.mem), unix.Close(r.fd)); err != nil {
		t.Fatal(err)
	}
	r.closed.Store(true)
	r.mem, r.head = nil, nil
}

// leftOut are the steps of the source at which nobody died.
func leftOut(t *testing.T) (steps []string) {
	t.Helper()
	files, err := filepath.Glob("*_linux.go")
	if err != nil {
		t.Fatal(err)
	}
	died.Lock()
	defer died.Unlock()
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\.step\("([^"]+)"\)`).FindAllSubmatch(source, -1) {
			if died.at[string(m[1])] == 0 {
				steps = append(steps, string(m[1]))
			}
		}
	}
	t.Logf("%d steps, died at %v", len(died.at), died.at)
	return steps
}
