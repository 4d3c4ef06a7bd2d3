package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor/bus"
	"github.com/plexor-go/plexor/internal/natsnode"
)

// connected are buses on one server.
func connected(t testing.TB, n int, l bus.Limits) (all []*bus.Bus) {
	t.Helper()
	server, err := natsnode.Start(within(t), natsnode.Options{Client: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	for i := range n {
		tr, err := Connect("nats://"+server.Addr().String(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, open(t, tr, fmt.Sprint("n", i), l))
	}
	know(t, all)
	return all
}

// eachWay runs a test on three nodes with a server each, and on three that use one.
func eachWay(t *testing.T, f func(t *testing.T, all []*bus.Bus)) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) { t.Parallel(); f(t, embedded(t, 3, bus.Limits{})) })
	t.Run("connected", func(t *testing.T) { t.Parallel(); f(t, connected(t, 3, bus.Limits{})) })
}

// until waits for what comes to be.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for ctx := within(t); !is(); {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatal("not so: ", what)
		}
	}
}

// TestMembers: who enters on one node is seen on all, and watched, and gone when its node says goodbye.
func TestMembers(t *testing.T) {
	eachWay(t, func(t *testing.T, all []*bus.Bus) {
		w, err := all[0].Room("hall").WatchMembers()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		leave := make(map[string]func())
		for i, b := range all {
			for _, id := range []string{"same", fmt.Sprint("only ", i)} {
				if leave[id], err = b.Room("hall").Enter(id, []byte(id)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, b := range all {
			until(t, "all see all", func() bool { return len(b.Room("hall").Members()) == 2*len(all) })
		}
		leave["only 2"]()
		if err := all[1].Close(); err != nil {
			t.Error(err)
		}
		state := make(map[string]int)
		for want := map[string]int{"same": 2, "only 0": 1, "only 1": 0, "only 2": 0}; fmt.Sprint(state) != fmt.Sprint(want); {
			p, err := w.Next(within(t))
			if err != nil {
				t.Fatalf("%v, with %v", err, state)
			}
			state[p.ID] = len(p.In)
		}
		if n := len(all[2].Room("garden").Members()); n != 0 {
			t.Errorf("another room has %d", n)
		}
	})
}

// TestCalls: nobody, one of a group, answers of many parts, errors, deadlines, and who goes while it answers.
func TestCalls(t *testing.T) {
	eachWay(t, func(t *testing.T, all []*bus.Bus) {
		ctx := within(t)
		if _, err := all[0].Call(ctx, "echo", nil); err != bus.ErrNobody {
			t.Fatalf("nobody answers, and: %v", err)
		}
		asked := make(chan struct{}, 1)
		for i, b := range all[1:] {
			stop, err := b.Answer("echo", func(ctx context.Context, q *bus.Request) ([]byte, error) {
				switch string(q.Data) {
				case "fail":
					return nil, errors.New("no such thing")
				case "stay":
					asked <- struct{}{}
					fallthrough
				case "wait":
					<-ctx.Done()
					return nil, ctx.Err()
				case "many":
					for j := range 100 {
						if err := q.Send(ctx, fmt.Append(nil, j)); err != nil {
							return nil, err
						}
					}
				}
				return fmt.Append(nil, i+1), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(stop)
		}
		group := make(map[string]int)
		until(t, "both of a group are asked", func() bool {
			p, err := all[0].Call(ctx, "echo", []byte("x"))
			if err != nil && err != bus.ErrNobody { // they are not known yet
				slow(t, all)
				t.Fatal(err)
			}
			group[string(p)]++
			return group["1"] > 0 && group["2"] > 0
		})
		n := 0
		for p, err := range all[0].Stream(ctx, "echo", []byte("many")) {
			if err != nil || n < 100 && string(p) != fmt.Sprint(n) {
				slow(t, all)
				t.Fatalf("part %d is %q, %v", n, p, err)
			}
			n++
		}
		if slow(t, all); n != 101 {
			t.Errorf("%d parts", n)
		}
		var failed *bus.AnswerError
		slow(t, all)
		if _, err := all[0].Call(ctx, "echo", []byte("fail")); !errors.As(err, &failed) || failed.Text != "no such thing" {
			slow(t, all)
			t.Errorf("an answer that is an error: %v", err)
		}
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if _, err := all[0].Call(short, "echo", []byte("wait")); !errors.Is(err, context.DeadlineExceeded) {
			slow(t, all)
			t.Errorf("behind the deadline: %v", err)
		}
		goes(t, all, asked)
	})
}

// goes has the nodes that answer close while they do.
func goes(t *testing.T, all []*bus.Bus, asked <-chan struct{}) {
	t.Helper()
	caller := all[0]
	done := make(chan error, 1)
	go func() {
		_, err := caller.Call(within(t), "echo", []byte("stay"))
		done <- err
	}()
	select {
	case <-asked:
	case err := <-done:
		slow(t, all)
		t.Fatal(err)
	}
	for _, b := range all[1:] {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	// Closing ends the function's context; what it returns then may come before the goodbye.
	var failed *bus.AnswerError
	if err := <-done; !errors.Is(err, bus.ErrLost) && !errors.As(err, &failed) {
		t.Errorf("the node that answers goes: %v", err)
	}
	until(t, "nobody answers any more", func() bool {
		_, err := caller.Call(within(t), "echo", nil)
		return err == bus.ErrNobody
	})
}

// TestValues: values are seen on all nodes, watched, and outlive the node that has set them.
func TestValues(t *testing.T) {
	eachWay(t, func(t *testing.T, all []*bus.Bus) {
		w, err := all[2].Bucket("settings").Watch()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		for i, b := range all {
			for _, key := range []string{"same", fmt.Sprint("only ", i)} {
				if err := b.Bucket("settings").Put(key, []byte(key)); err != nil {
					t.Fatal(err)
				}
			}
		}
		want := "[only 0 only 1 only 2 same]"
		for _, b := range all {
			until(t, "all have all", func() bool { return fmt.Sprint(b.Bucket("settings").Keys()) == want })
		}
		if err := all[0].Close(); err != nil {
			t.Error(err)
		}
		if err := all[1].Bucket("settings").Delete("only 1"); err != nil {
			t.Error(err)
		}
		var state []string
		for fmt.Sprint(state) != "[only 0 only 2 same]" {
			c, err := w.Next(within(t))
			if err != nil {
				t.Fatalf("%v, with %q", err, state)
			}
			if i, in := slices.BinarySearch(state, c.Key); in && c.Deleted {
				state = slices.Delete(state, i, i+1)
			} else if !in && !c.Deleted {
				state = slices.Insert(state, i, c.Key)
			}
		}
		if v, ok := all[1].Bucket("settings").Get("only 0"); !ok || string(v) != "only 0" {
			t.Errorf("the value of the node that has gone is %q, %v", v, ok)
		}
	})
}

// TestSwap: nodes count together by compare-and-set, and one of them goes meanwhile: no step is lost.
func TestSwap(t *testing.T) {
	eachWay(t, func(t *testing.T, all []*bus.Bus) {
		const each = 50
		ctx := within(t)
		var unsure atomic.Int64 // steps of which nobody knows, since a node was so slow that it was taken for dead
		count := func(b *bus.Bus, key string, n int) error {
			k := b.Bucket("counters")
			for n > 0 {
				text, was, _ := k.Lookup(key)
				value, _ := strconv.Atoi(string(text)) // 0 for none
				_, err := k.Update(ctx, key, strconv.AppendInt(nil, int64(value+1), 10), was)
				switch err {
				case nil:
					n--
				case bus.ErrConflict:
				case bus.ErrLost:
					unsure.Add(1)
				default:
					return fmt.Errorf("%s is %d: %w", key, value, err)
				}
			}
			return nil
		}
		keys := strings.Fields("a b c d e f")
		var ends sync.WaitGroup
		for _, key := range keys {
			for _, b := range all {
				ends.Go(func() {
					if err := count(b, key, each); err != nil {
						t.Error(err)
					}
				})
			}
		}
		ends.Wait()
		if slow(t, all); unsure.Load() > 0 {
			t.Error("a call is lost, and no node")
		}
		if err := all[0].Close(); err != nil { // it has decided for some of them
			t.Error(err)
		}
		for _, key := range keys {
			if err := count(all[1], key, 1); err != nil {
				t.Error(err)
			}
			text, was, _ := all[1].Bucket("counters").Lookup(key)
			if want := strconv.Itoa(each*len(all) + 1); string(text) != want {
				t.Errorf("%s is %s, want %s", key, text, want)
			}
			if err := all[1].Bucket("counters").Remove(ctx, key, was); err != nil {
				t.Error(err)
			}
			if _, err := all[2].Bucket("counters").Create(ctx, key, nil); err != nil {
				t.Error(err)
			}
			if _, err := all[1].Bucket("counters").Create(ctx, key, nil); err != bus.ErrConflict {
				t.Errorf("created twice: %v", err)
			}
		}
	})
}
