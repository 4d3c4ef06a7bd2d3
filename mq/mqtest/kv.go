package mqtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/mq"
)

func testKV(t *testing.T, r *rig) {
	r.needs(r.b.Capabilities().KV, "key-value stores")
	kv, err := r.b.KV(r.ctx(), r.name)
	if err != nil {
		t.Fatal(err)
	}
	other, err := r.broker().KV(r.ctx(), r.name)
	if err != nil {
		t.Fatal(err)
	}
	KV(t, kv, other)
	third, err := r.b.KV(r.ctx(), r.name+"-2")
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Set(r.ctx(), "mine", nil, 0); err != nil {
		t.Fatal(err)
	}
	if _, _, err := third.Get(r.ctx(), "mine"); !errors.Is(err, mq.ErrNotFound) {
		t.Errorf("another store has it too: %v", err)
	}
}

func testKVExpiry(t *testing.T, r *rig) {
	r.needs(r.b.Capabilities().KV, "key-value stores")
	kv, err := r.b.KV(r.ctx(), r.name)
	if err != nil {
		t.Fatal(err)
	}
	KVExpiry(t, kv)
}

func testKVSwapRace(t *testing.T, r *rig) {
	r.needs(r.b.Capabilities().KV, "key-value stores")
	kv, err := r.b.KV(r.ctx(), r.name)
	if err != nil {
		t.Fatal(err)
	}
	KVSwapRace(t, kv)
}

// KV holds a store to its contract: kv and other are two connections to it. It is for what has no queues.
func KV(t *testing.T, kv, other mq.KV) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	has := func(key, want string) uint64 {
		t.Helper()
		v, version, err := other.Get(ctx, key)
		if err != nil || string(v) != want {
			t.Fatalf("%s is %q, %v; want %q", key, v, err, want)
		}
		return version
	}
	key := "A/b_c-d.e=9"
	if _, _, err := kv.Get(ctx, key); !errors.Is(err, mq.ErrNotFound) {
		t.Errorf("Get of nothing: %v", err)
	}
	must(kv.Delete(ctx, key))
	if err := kv.Swap(ctx, key, nil, 1, 0); !errors.Is(err, mq.ErrNotFound) && !errors.Is(err, mq.ErrChanged) {
		t.Errorf("Swap of nothing: %v", err)
	}
	must(kv.Add(ctx, key, []byte("one"), 0))
	v1 := has(key, "one")
	if err := other.Add(ctx, key, []byte("two"), 0); !errors.Is(err, mq.ErrExists) {
		t.Errorf("Add of what is there: %v", err)
	}
	must(other.Swap(ctx, key, []byte("three"), v1, 0))
	if err := kv.Swap(ctx, key, []byte("four"), v1, 0); !errors.Is(err, mq.ErrChanged) {
		t.Errorf("Swap of an old version: %v", err)
	}
	v3 := has(key, "three")
	must(kv.Set(ctx, key, []byte("three"), 0)) // the same, and yet another version
	if err := kv.Swap(ctx, key, []byte("four"), v3, 0); !errors.Is(err, mq.ErrChanged) {
		t.Errorf("Swap after a Set of the same value: %v", err)
	}
	must(kv.Delete(ctx, key))
	if _, _, err := other.Get(ctx, key); !errors.Is(err, mq.ErrNotFound) {
		t.Errorf("Get of what was deleted: %v", err)
	}
	must(other.Add(ctx, key, nil, 0)) // it is as if it had never been, but for its version
	if v := has(key, ""); v == v1 || v == v3 {
		t.Errorf("version %d came again", v)
	}
	big := bytes.Repeat([]byte{0, 255, '\r', '\n'}, 1<<16)
	must(kv.Set(ctx, "big", big, 0))
	if v, _, err := other.Get(ctx, "big"); err != nil || !bytes.Equal(v, big) {
		t.Errorf("a value of %d bytes came back as %d, %v", len(big), len(v), err)
	}
	for _, bad := range []string{"", ".a", "a.", "a..b", "a b", "a*", "a>", "a\r\nb", "ä", strings.Repeat("k", 201)} {
		if err := kv.Set(ctx, bad, nil, 0); err == nil {
			t.Errorf("the key %q was taken", bad)
		}
	}
	must(kv.Set(ctx, strings.Repeat("k", 200), nil, 0))
	if err := kv.Set(ctx, "k", nil, time.Millisecond); err == nil {
		t.Error("an expiry of a millisecond was taken")
	}
	if err := kv.Set(ctx, "k", nil, math.MaxInt64); err == nil {
		t.Error("an expiry of 292 years was taken")
	}
}

// KVExpiry holds that values go, and not before their time, wherever a second of the server's clock they were set in.
func KVExpiry(t *testing.T, kv mq.KV) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for key, expiry := range map[string]time.Duration{"later": time.Hour, "much": 20 * 365 * 24 * time.Hour, "never": 0} {
		if err := kv.Set(ctx, key, []byte(key), expiry); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	tick := time.NewTicker(time.Second / 4)
	defer tick.Stop()
	for i := range 4 {
		all.Go(func() { expires(ctx, t, kv, fmt.Sprint("soon", i)) })
		<-tick.C
	}
	all.Wait()
	for _, key := range []string{"later", "much", "never"} {
		if v, _, err := kv.Get(ctx, key); err != nil || string(v) != key {
			t.Errorf("%s: %q, %v", key, v, err)
		}
	}
	if err := kv.Add(ctx, "soon0", []byte("again"), time.Hour); err != nil {
		t.Errorf("Add of what has expired: %v", err)
	}
}

// expires sets a value for a second.
func expires(ctx context.Context, t *testing.T, kv mq.KV, key string) {
	begin := time.Now()
	if err := kv.Set(ctx, key, nil, time.Second); err != nil {
		t.Error(err)
		return
	}
	for {
		_, _, err := kv.Get(ctx, key)
		if errors.Is(err, mq.ErrNotFound) {
			break
		}
		if err != nil || time.Since(begin) > patience {
			t.Errorf("after %v a value for a second is there: %v", time.Since(begin), err)
			return
		}
	}
	if took := time.Since(begin); took < 500*time.Millisecond {
		t.Errorf("a value for a second was gone after %v", took)
	}
}

// KVSwapRace: of those that change a value at once, none undoes another's change.
func KVSwapRace(t *testing.T, kv mq.KV) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := kv.Set(ctx, "n", []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	const workers, each = 4, 10
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for done := 0; done < each; {
				v, version, err := kv.Get(ctx, "n")
				if err != nil {
					t.Errorf("Get: %v", err)
					return
				}
				n, err := strconv.Atoi(string(v))
				if err != nil {
					t.Errorf("the value is %q", v)
					return
				}
				err = kv.Swap(ctx, "n", []byte(strconv.Itoa(n+1)), version, 0)
				switch {
				case err == nil:
					done++
				case !errors.Is(err, mq.ErrChanged):
					t.Errorf("Swap: %v", err)
					return
				}
			}
		})
	}
	all.Wait()
	if v, _, err := kv.Get(ctx, "n"); err != nil || string(v) != strconv.Itoa(workers*each) {
		t.Errorf("%d increments made it %q, %v", workers*each, v, err)
	}
}
