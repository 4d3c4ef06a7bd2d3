package ipc

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

var killTime = flag.Duration("kill", 1500*time.Millisecond, "how long TestKill kills")

var killSeed = flag.Uint64("kill.seed", 0, "the seed of TestKill (0: a new one)")

const killQueue = 8

func init() { children["killed"] = killed }

// killed is what TestKill kills: it does all that can be held or waited for, one after the other at random, until
// somebody kills it. Its arguments are the manager's path and token, and a seed. An error that none should be ends it.
func killed(args []string) error {
	token, err := hex.DecodeString(args[1])
	if err != nil {
		return err
	}
	seed, err := strconv.ParseUint(args[2], 10, 64)
	if err != nil {
		return err
	}
	ctx := context.Background()
	c, err := DialManager(ctx, args[0], token)
	if err != nil {
		return err
	}
	rnd := rand.New(rand.NewPCG(seed, 1))
	for {
		if err := misbehave(ctx, c, rnd); err != nil {
			return err
		}
	}
}

func misbehave(ctx context.Context, c *Client, rnd *rand.Rand) error {
	// Half of the waits are given up at some moment, so that giving up and being killed meet.
	cancel := func() {}
	if rnd.IntN(2) == 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rnd.IntN(3000))*time.Microsecond)
	}
	defer cancel()
	given := func(err error) error {
		if errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrGone) {
			return nil
		}
		return err
	}
	all := context.WithoutCancel(ctx)
	switch rnd.IntN(6) {
	case 0: // what the lock protects is never seen half changed
		l, a, b := OpenRWLock(c, "lock"), OpenCounter(c, "a"), OpenCounter(c, "b")
		token, err := l.Lock(ctx)
		if err != nil {
			return given(err)
		}
		if ok, err := c.Do(all, l.Holds(token), a.Adding(1), b.Adding(1)); err != nil || !ok {
			return fmt.Errorf("the lock with token %d is not held: %v", token, err)
		}
		last, err := OpenCounter(c, "token").Get(all)
		if err != nil || last >= token {
			return fmt.Errorf("token %d came after %d: %v", token, last, err)
		}
		if err := OpenCounter(c, "token").Set(all, token); err != nil {
			return err
		}
		return l.Unlock(all, token)
	case 1:
		l := OpenRWLock(c, "lock")
		token, err := l.RLock(ctx)
		if err != nil {
			return given(err)
		}
		return l.Unlock(all, token)
	case 2:
		s := OpenSemaphore(c, "semaphore", 3)
		token, err := s.Acquire(ctx, 1+rnd.IntN(3))
		if err != nil {
			return given(err)
		}
		return s.Release(all, token)
	case 3:
		_, err := OpenBarrier(c, "barrier", 2).Wait(ctx)
		if errors.Is(err, ErrBarrierBroken) {
			return nil
		}
		return given(err)
	case 4:
		q := OpenSharedQueue[int](c, "queue", killQueue)
		if rnd.IntN(2) == 0 {
			return given(q.Put(ctx, rnd.Int()))
		}
		_, err := q.Get(ctx)
		return given(err)
	default:
		e := OpenEvent(c, "event")
		switch rnd.IntN(3) {
		case 0:
			return e.Set(all)
		case 1:
			return e.Clear(all)
		}
		return given(e.Wait(ctx))
	}
}

// TestKill kills clients at random moments, and starts new ones. All the time, and after the last is dead, nobody stays
// blocked: one who is not killed gets each thing within a bounded time. At the end the manager holds nothing of the
// dead.
func TestKill(t *testing.T) {
	m := manage(t, ManagerOptions{})
	seed := *killSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d (-kill.seed=%d)", seed, seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	const victims = 6
	ctx, cancel := context.WithTimeout(context.Background(), *killTime+2*patience)
	defer cancel()
	c := client(t, ctx, m)
	running := make([]*exec.Cmd, victims)
	begin := func(i int) {
		running[i] = child(t, "killed", m.Path(), hex.EncodeToString(m.Token()), fmt.Sprint(rnd.Uint64()))
		if err := running[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	end := func(i int) {
		cmd := running[i]
		cmd.Process.Kill()
		if err := cmd.Wait(); cmd.ProcessState.Exited() {
			t.Errorf("victim %d ended by itself: %v", i, err)
		}
	}
	for i := range running {
		begin(i)
	}
	kills := 0
	for over := time.Now().Add(*killTime); time.Now().Before(over) && !t.Failed(); {
		time.Sleep(time.Duration(rnd.IntN(20)) * time.Millisecond) // a random moment, not a wait for something
		i := rnd.IntN(victims)
		end(i)
		kills++
		begin(i)
		if err := pass(ctx, c); err != nil {
			t.Errorf("after %d kills: %v", kills, err)
		}
	}
	for i := range running {
		end(i)
	}
	t.Logf("%d kills", kills+victims)
	if err := pass(ctx, c); err != nil {
		t.Errorf("after the last kill: %v", err)
	}
	a, err := OpenCounter(c, "a").Get(ctx)
	want(t, "Get", "", err, "")
	b, err := OpenCounter(c, "b").Get(ctx)
	want(t, "a and b, which are changed in one step", a, err, b)
	c.Close()
	for left := time.Now().Add(patience); m.Clients() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(left) {
			t.Fatalf("%d clients are left", m.Clients())
		}
	}
	m.Close()
	if n := m.waiting.Load(); n != 0 {
		t.Errorf("%d calls still wait", n)
	}
	sum := 0
	for name, o := range m.st.objects {
		if len(o.holds) > 0 || len(o.waiting) > 0 || o.used != 0 || o.alone != nil || len(o.parties) > 0 ||
			len(o.watchers) > 0 {
			t.Errorf("%s keeps something of the dead: %+v", name, o)
		}
		sum += o.size
	}
	if sum != m.st.bytes {
		t.Errorf("the names count %d bytes, and the manager %d", sum, m.st.bytes)
	}
}

// pass takes, as one who is not killed, each thing that the victims fight for, and gives it back.
func pass(ctx context.Context, c *Client) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("blocked"))
	defer cancel()
	l := OpenRWLock(c, "lock")
	token, err := l.Lock(ctx)
	if err != nil {
		return err
	}
	if err := l.Unlock(ctx, token); err != nil {
		return err
	}
	s := OpenSemaphore(c, "semaphore", 3)
	if token, err = s.Acquire(ctx, 3); err != nil {
		return err
	}
	return s.Release(ctx, token)
}

// TestKillLoop: clients that live for a few microseconds leave nothing behind, however they end.
func TestKillLoop(t *testing.T) {
	m := manage(t, ManagerOptions{})
	ctx := limited(t)
	for i := range 100 {
		c, err := DialManager(ctx, m.Path(), m.Token())
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, err := OpenLock(c, "l").Lock(ctx)
			_ = err // held, or closed before
			_ = OpenEvent(c, "e").Wait(ctx)
		}()
		if i%2 == 0 {
			_, _ = OpenCounter(c, "n").Add(ctx, 1)
		}
		c.Close()
		receive(t, done, "the waits of a closed client")
	}
	c := client(t, ctx, m)
	_, err := OpenLock(c, "l").Lock(ctx)
	want(t, "Lock after all of them", "", err, "")
}
