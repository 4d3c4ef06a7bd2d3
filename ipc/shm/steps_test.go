//go:build linux

package shm

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A child of these tests plays a scene, and kills itself at the step of it whose number it was given. What it says on
// the way, on standard output, is how its parent knows what must be in the ring afterwards, and what may be.

const (
	dieEnv = "PLEXOR_SHM_DIE" // the number of the step; 0: only say how many there are

	stepSlots    = 12
	stepSlotSize = 64
	long         = 3*stepSlotSize - 10 // spans three slots
	huge         = 16<<10 + 10         // spans slots of many pages
)

func say(words ...any) { fmt.Println(words...) }

// content is what an item of that name and length holds.
func content(name string, length int) []byte {
	b := []byte(name + ":" + strconv.Itoa(length) + ":")
	for len(b) < length {
		b = append(b, name[len(b)%len(name)])
	}
	return b
}

// nameOf checks an item's content, and gives its name.
func nameOf(data []byte) (string, error) {
	parts := bytes.SplitN(data, []byte(":"), 3)
	if len(parts) < 3 {
		return "", fmt.Errorf("an item has the content %.40q", data)
	}
	length, err := strconv.Atoi(string(parts[1]))
	if err != nil || !bytes.Equal(content(string(parts[0]), length), data) {
		return "", fmt.Errorf("an item has the content %.40q, of %d bytes", data, len(data))
	}
	return string(parts[0]), nil
}

// The verbs of scenes.

func scenePut(r *Ring, names ...string) error {
	var items [][]byte
	for _, name := range names {
		length := 10
		switch name[0] {
		case 'L':
			length = long
		case 'H':
			length = huge
		}
		items = append(items, content(name, length))
		say("putting", name)
	}
	if n, err := r.Put(context.Background(), items...); err != nil {
		return fmt.Errorf("put %v: %d, %w", names, n, err)
	}
	for _, name := range names {
		say("put", name)
	}
	return nil
}

func sceneGet(r *Ring, n int) ([]Item, error) {
	items := make([]Item, n)
	n, err := r.Get(context.Background(), items, nil)
	for _, item := range items[:n] {
		if _, err := nameOf(item.Data); err != nil {
			return nil, err
		}
	}
	return items[:n], err
}

func sceneDone(r *Ring, items []Item) error {
	for _, item := range items {
		name, err := nameOf(item.Data)
		if err != nil {
			return err
		}
		say("doing", name)
	}
	if err := r.Done(items...); err != nil {
		return err
	}
	for _, item := range items {
		name, _ := nameOf(item.Data) // it had one above
		say("done", name)
	}
	return nil
}

var scenes = map[string]func(r *Ring) error{
	"put":       func(r *Ring) error { return scenePut(r, "c1") },
	"put batch": func(r *Ring) error { return scenePut(r, "b1", "L2", "b3") },
	"put huge":  func(r *Ring) error { return scenePut(r, "H1") },
	"get": func(r *Ring) error {
		_, err := sceneGet(r, 1)
		return err
	},
	"get all": func(r *Ring) error {
		_, err := sceneGet(r, 10)
		return err
	},
	"done": func(r *Ring) error {
		items, err := sceneGet(r, 10)
		if err != nil {
			return err
		}
		return sceneDone(r, items)
	},
	"return": func(r *Ring) error {
		items, err := sceneGet(r, 10)
		if err != nil {
			return err
		}
		return r.Return(items[1:]...) // the first goes back at Close
	},
	"wait": func(r *Ring) error {
		items, err := sceneGet(r, 10)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*CheckInterval)
		defer cancel()
		if _, err := r.Get(ctx, items, nil); !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("Get of an empty ring: %w", err)
		}
		return nil
	},
	"end": func(r *Ring) error {
		say("ending")
		return r.End()
	},
	"create": func(*Ring) error {
		name := testName(os.Getppid(), "steps")
		r, err := Create(name, Options{})
		if err != nil {
			return err
		}
		return r.Close()
	},
}

// playScene has the calling process killed at a step of the scene.
func playScene(name string) func(r *Ring) error {
	return func(r *Ring) error { return scenes[name](r) }
}

func init() {
	for name := range scenes {
		children["scene "+name] = playScene(name)
	}
}

// armSteps counts steps from now on, if the environment says which of them is the last.
func armSteps() {
	die, err := strconv.Atoi(os.Getenv(dieEnv))
	if err != nil {
		return
	}
	n := 0
	var mu sync.Mutex // Close and a wait may be in two goroutines
	atStep = func(name string) {
		mu.Lock()
		defer mu.Unlock()
		if n++; n == die {
			say("died", name)
			_ = unix.Kill(os.Getpid(), unix.SIGKILL) // what follows would show that it did not work
			select {}
		}
	}
}

func testName(pid int, what string) string { return fmt.Sprintf("plexor-test-%d-%s", pid, what) }

// A story is what a child said.
type story struct {
	putting, put, doing, done map[string]bool
	died                      string // at which step; "": it came to its end
	ended                     bool
}

// tell plays a scene with a death at step n.
func tell(t *testing.T, r *Ring, scene string, n int) story {
	t.Helper()
	cmd := child(t, r, "scene "+scene, dieEnv+"="+strconv.Itoa(n))
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	err := waitFor(cmd)
	s := story{putting: map[string]bool{}, put: map[string]bool{}, doing: map[string]bool{}, done: map[string]bool{}}
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		verb, rest, _ := strings.Cut(lines.Text(), " ")
		switch verb {
		case "putting":
			s.putting[rest] = true
		case "put":
			s.put[rest] = true
		case "doing":
			s.doing[rest] = true
		case "done":
			s.done[rest] = true
		case "died":
			s.died = rest
		case "ending":
			s.ended = true
		}
	}
	if state := cmd.ProcessState.String(); state != "signal: killed" || s.died == "" {
		if err != nil || s.died != "" {
			t.Fatalf("the child ended with %q, and its last step was %q", state, s.died)
		}
	}
	return s
}

// waitFor waits for a child with a limit, after which it is killed.
func waitFor(cmd *exec.Cmd) error {
	limit := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() }) // Wait tells
	defer limit.Stop()
	return cmd.Wait()
}

// survey checks what a party finds that comes after the death: must is all there, and at most may is, each once and
// whole; nobody waits for ever; no slot is lost.
func survey(t *testing.T, r *Ring, joined <-chan error, must, may map[string]bool, ended bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	seen := map[string]bool{}
	items := make([]Item, 1)
	for {
		n, err := r.TryGet(items, nil)
		if errors.Is(err, io.EOF) && ended {
			break
		}
		if errors.Is(err, ErrEmpty) {
			s, err := r.Stats()
			if err != nil {
				t.Fatal(err)
			}
			if s.Taken == 0 && s.Parties == 1 {
				break
			}
			// What the dead had is still to come: a wait finds it, if it comes at all.
			short, stop := context.WithTimeout(ctx, 2*CheckInterval)
			err = r.WaitItem(short)
			if stop(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			if ctx.Err() != nil {
				t.Fatalf("stuck, with %+v", s)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		name, err := nameOf(items[0].Data)
		if err != nil {
			t.Fatal(err)
		}
		if seen[name] {
			t.Errorf("%s came twice", name)
		}
		seen[name] = true
		if err := r.Done(items[:n]...); err != nil {
			t.Fatal(err)
		}
	}
	for name := range must {
		if !seen[name] {
			t.Errorf("%s is lost; there were %v", name, slices.Sorted(maps.Keys(seen)))
		}
	}
	for name := range seen {
		if !may[name] {
			t.Errorf("%s came, and may not", name)
		}
	}
	if err := <-joined; err != nil {
		t.Errorf("Join: %v", err)
	}
	if s, err := r.Stats(); err != nil || s != (Stats{Free: int(r.shape.slots), Parties: 1}) {
		t.Errorf("at the end %+v, %v; want all %d slots free", s, err, r.shape.slots)
	}
	if _, err := r.TryPut(content("z", r.MaxItem())); err != nil && !ended {
		t.Errorf("an item that takes all slots: %v", err)
	}
}

// join waits for the ring to be done, asleep by the time that a child comes.
func join(r *Ring) <-chan error {
	joined := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		joined <- r.Join(ctx)
	}()
	return joined
}

// scenery is a ring with some items, which this process put.
func scenery(t *testing.T, huge bool) (r *Ring, put map[string]bool) {
	t.Helper()
	o := Options{Slots: stepSlots, SlotSize: stepSlotSize}
	if huge {
		o.SlotSize = 8<<10 - 64
	}
	r = make1(t, o)
	put = map[string]bool{"p1": true, "p2": true, "L3": true}
	for _, name := range slices.Sorted(maps.Keys(put)) {
		length := 10
		if name == "L3" {
			length = long
		}
		if _, err := r.TryPut(content(name, length)); err != nil {
			t.Fatal(err)
		}
	}
	return r, put
}

// died collects the names of all steps at which a child died.
var died struct {
	sync.Mutex
	at map[string]int
}

func remember(step string) {
	died.Lock()
	defer died.Unlock()
	if died.at == nil {
		died.at = map[string]int{}
	}
	died.at[step]++
}

// verdict is what must and may be in the ring after a story.
func verdict(put map[string]bool, stories ...story) (must, may map[string]bool, ended bool) {
	must, may = maps.Clone(put), maps.Clone(put)
	for _, s := range stories {
		maps.Copy(may, s.putting)
		maps.Copy(must, s.put)
		ended = ended || s.ended
	}
	for _, s := range stories {
		for name := range s.doing {
			delete(must, name)
		}
		for name := range s.done {
			delete(may, name)
		}
	}
	return must, may, ended
}
