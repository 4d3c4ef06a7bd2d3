package histories

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/internal/natsnode"
	"github.com/plexor-go/plexor/mq"
	_ "github.com/plexor-go/plexor/mq/memcache"
	_ "github.com/plexor-go/plexor/mq/nats"
	_ "github.com/plexor-go/plexor/mq/redis"
)

var runs = flag.Int("histories", 20, "how many histories of each store are checked")

const (
	patience = 10 * time.Second // for the check of a history
	clients  = 4
	each     = 40                     // operations of a client in a run
	keys     = 4                      // in a run
	rest     = 20 * time.Millisecond  // after an operation that failed: each more makes a history harder to check
	longest  = 200 * time.Millisecond // of an operation: then it has failed
)

// TestHistories: what clients see of a store at once is what they would see one after the other, in an order that their
// calls and returns allow. Operations that fail may have been done, or not, and not twice.
//
// go test -run TestHistories -histories 200 ./histories
func TestHistories(t *testing.T) {
	for _, row := range []struct {
		name string
		url  func(t *testing.T) (url string, p *brokers.Proxy) // a nil proxy: there is no network
	}{
		{"mem", func(*testing.T) (string, *brokers.Proxy) { return "mem://histories", nil }},
		{"nats+embedded", func(t *testing.T) (string, *brokers.Proxy) { return "nats+embedded://" + t.TempDir(), nil }},
		{"nats", func(t *testing.T) (string, *brokers.Proxy) {
			n, err := natsnode.Start(t.Context(), natsnode.Options{JetStream: true, Dir: t.TempDir(), Client: "127.0.0.1:0"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(n.Close)
			return proxied(t, "nats", n.Addr().String())
		}},
		{"redis", func(t *testing.T) (string, *brokers.Proxy) { return proxied(t, "redis", start(t, brokers.Redis)) }},
		{"memcached", func(t *testing.T) (string, *brokers.Proxy) {
			return proxied(t, "memcached", start(t, brokers.Memcached))
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			url, p := row.url(t)
			var all []mq.KV
			for range clients {
				kv, end, err := mq.OpenKV(t.Context(), url, "histories")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = end() }) // which it may do while it is parted from the broker
				all = append(all, kv)
			}
			unknown, total, undecided := 0, 0, 0
			for run := 0; run < *runs+undecided; run++ {
				seed := rand.Uint64()
				history, failed := play(t, all, p, fmt.Sprintf("r%d-", run), seed)
				total, unknown = total+clients*each, unknown+failed
				got := porcupine.CheckOperationsTimeout(register, history, patience)
				if got == porcupine.Unknown { // too many have failed at once: another one in its place
					if undecided++; undecided > 2+*runs/10 {
						t.Fatalf("%d of %d histories were not decided within %v each", undecided, run+1, patience)
					}
				}
				if got == porcupine.Illegal {
					for _, o := range history {
						t.Logf("%d: %d to %d: %+v: %+v", o.ClientId, o.Call, o.Return, o.Input, o.Output)
					}
					t.Fatalf("run %d, seed %d: the history is %v", run, seed, got)
				}
			}
			t.Logf("%d histories are right; %d more were not decided; of all %d operations %d failed", *runs, undecided, total,
				unknown)
			if p != nil && unknown == 0 {
				t.Error("no operation has failed: the network did nothing")
			}
		})
	}
}

func start(t *testing.T, k brokers.Kind) (addr string) {
	t.Helper()
	b, err := brokers.Start(t.Context(), k, t.TempDir())
	if errors.Is(err, brokers.ErrAbsent) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b.Addr
}

func proxied(t *testing.T, scheme, addr string) (string, *brokers.Proxy) {
	t.Helper()
	p, err := brokers.NewProxy(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return scheme + "://" + p.Addr, p
}

// play has all clients do what chance says, and the network fail meanwhile. A get that failed is not in the history.
func play(t *testing.T, all []mq.KV, p *brokers.Proxy, prefix string, seed uint64) (history []porcupine.Operation,
	failed int) {
	begin := time.Now()
	over := make(chan struct{})
	var faults, players sync.WaitGroup
	if p != nil {
		faults.Go(func() { fail(p, rand.New(rand.NewPCG(seed, 99)), over) })
	}
	var mu sync.Mutex
	versions := make(map[string]uint64) // of values
	for c, kv := range all {
		players.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(c)))
			player := player{kv: kv, rng: rng, prefix: prefix, c: c, last: make(map[string]seen)}
			for n := range each {
				in, version := player.next(n)
				o := porcupine.Operation{ClientId: c, Input: in, Call: int64(time.Since(begin))}
				out, version := player.do(t, in, version)
				o.Output, o.Return = out, int64(time.Since(begin))
				if out.unknown {
					o.Return = math.MaxInt64
				}
				if out.unknown {
					<-time.After(rest)
				}
				mu.Lock()
				if out.unknown {
					failed++
				}
				if !out.unknown || in.what != "get" {
					history = append(history, o)
				}
				if out.value != "" {
					if has, ok := versions[out.value]; ok && has != version {
						t.Errorf("the value %s has the versions %d and %d", out.value, has, version)
					}
					versions[out.value] = version
				}
				mu.Unlock()
			}
		})
	}
	players.Wait()
	close(over)
	faults.Wait()
	byVersion := make(map[uint64]string)
	for value, version := range versions {
		if other, ok := byVersion[version]; ok && value[:len(prefix)+1] == other[:len(prefix)+1] {
			t.Errorf("the values %s and %s of a key have the version %d", value, other, version)
		}
		byVersion[version] = value
	}
	return history, failed
}

// fail cuts and holds the network until over.
func fail(p *brokers.Proxy, rng *rand.Rand, over <-chan struct{}) {
	defer p.Heal()
	for {
		pause := func(most int) bool {
			select {
			case <-time.After(time.Duration(1+rng.IntN(most)) * time.Millisecond):
				return true
			case <-over:
				return false
			}
		}
		if !pause(100) {
			return
		}
		switch rng.IntN(4) {
		case 0:
			p.Hold()
		default:
			p.Cut()
		}
		if !pause(20) {
			return
		}
		p.Heal()
	}
}

// seen is what a client has read last of a key.
type seen struct {
	value   string
	version uint64
}

// A player is a client.
type player struct {
	kv     mq.KV
	rng    *rand.Rand
	prefix string // of the run's keys
	c      int
	last   map[string]seen
}

// next is what it does next.
func (p *player) next(n int) (in input, version uint64) {
	key := p.prefix + string(rune('a'+p.rng.IntN(keys)))
	value := fmt.Sprintf("%s:%d-%d", key, p.c, n)
	s := p.last[key]
	switch x := p.rng.IntN(10); {
	case x < 4:
		return input{what: "get", key: key}, 0
	case x < 6:
		return input{what: "set", key: key, value: value}, 0
	case x < 7:
		return input{what: "add", key: key, value: value}, 0
	case x < 9 && s.value != "":
		return input{what: "swap", key: key, value: value, under: s.value}, s.version
	case x < 9:
		return input{what: "get", key: key}, 0
	default:
		return input{what: "delete", key: key}, 0
	}
}

// do does it. An error that is no answer is not known to have done nothing.
func (p *player) do(t *testing.T, in input, version uint64) (output, uint64) {
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	var err error
	var out output
	switch in.what {
	case "get":
		var v []byte
		v, version, err = p.kv.Get(ctx, in.key)
		out.value = string(v)
		if err == nil {
			p.last[in.key] = seen{out.value, version}
		}
	case "set":
		err = p.kv.Set(ctx, in.key, []byte(in.value), 0)
	case "add":
		err = p.kv.Add(ctx, in.key, []byte(in.value), 0)
	case "swap":
		err = p.kv.Swap(ctx, in.key, []byte(in.value), version, 0)
	case "delete":
		err = p.kv.Delete(ctx, in.key)
	}
	switch {
	case err == nil:
		out.done = true
	case errors.Is(err, mq.ErrNotFound), errors.Is(err, mq.ErrExists), errors.Is(err, mq.ErrChanged):
	default:
		out = output{unknown: true}
	}
	return out, version
}
