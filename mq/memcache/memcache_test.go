package memcache_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/mq"
	_ "github.com/plexor-go/plexor/mq/memcache"
	"github.com/plexor-go/plexor/mq/mqtest"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// store opens one.
func store(t *testing.T, url, name string) mq.KV {
	t.Helper()
	kv, closeIt, err := mq.OpenKV(t.Context(), url, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := closeIt(); err != nil {
			t.Error(err)
		}
	})
	return kv
}

// TestSuite holds the stores to the contract of package mq, on a real server, and on two of them.
func TestSuite(t *testing.T) {
	one, two := brokers.Need(t, brokers.Memcached), brokers.Need(t, brokers.Memcached)
	for name, url := range map[string]string{"one": one.Addr, "two": one.Addr + "," + two.Addr} {
		t.Run(name, func(t *testing.T) {
			url := "memcached://" + url
			t.Run("KV", func(t *testing.T) { mqtest.KV(t, store(t, url, "a-"+name), store(t, url, "a-"+name)) })
			t.Run("KVExpiry", func(t *testing.T) { mqtest.KVExpiry(t, store(t, url, "b-"+name)) })
			t.Run("KVSwapRace", func(t *testing.T) { mqtest.KVSwapRace(t, store(t, url, "c-"+name)) })
		})
	}
}

// TestLongest: the longest name of a store with the longest key is one of memcached's, and a longer one is refused.
func TestLongest(t *testing.T) {
	url := "memcached://" + brokers.Need(t, brokers.Memcached, "-I", "512k").Addr
	kv := store(t, url, strings.Repeat("n", 49))
	key := strings.Repeat("k", 200)
	if err := kv.Set(t.Context(), key, []byte("v"), 60*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	if v, _, err := kv.Get(t.Context(), key); err != nil || string(v) != "v" {
		t.Errorf("after 0 of 60 days: %q, %v", v, err)
	}
	if _, _, err := mq.OpenKV(t.Context(), url, strings.Repeat("n", 50)); err == nil {
		t.Error("a name of 50 bytes was taken")
	}
	err := kv.Set(t.Context(), "big", make([]byte, 600<<10), 0)
	if err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("a value of 600 KiB: %v, want that it is too large", err)
	}
}

// TestRestart: a store outlives its server's death, empty.
func TestRestart(t *testing.T) {
	s := brokers.Need(t, brokers.Memcached)
	kv := store(t, "memcached://"+s.Addr, "x")
	if err := kv.Set(t.Context(), "k", []byte("v"), 0); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if _, _, err := kv.Get(t.Context(), "k"); err == nil || errors.Is(err, mq.ErrNotFound) {
		t.Errorf("the server is dead, and Get returned %v", err)
	}
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := kv.Get(t.Context(), "k"); !errors.Is(err, mq.ErrNotFound) {
		t.Errorf("the server is new, and Get returned %v", err)
	}
	if err := kv.Set(t.Context(), "k", []byte("w"), 0); err != nil {
		t.Fatal(err)
	}
	if v, _, err := kv.Get(t.Context(), "k"); err != nil || !bytes.Equal(v, []byte("w")) {
		t.Errorf("%q, %v", v, err)
	}
}

// TestOnce: a write whose answer does not come is not made again, for what somebody else has stored meanwhile would be
// undone.
func TestOnce(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var writes atomic.Int32
	go func() { // plays a server that ends a connection instead of answering a write
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					switch what, _, _ := strings.Cut(lines.Text(), " "); what {
					case "version":
						fmt.Fprint(c, "VERSION 1.6.18\r\n")
					case "set", "delete", "add", "cas":
						writes.Add(1)
						return
					}
				}
			}()
		}
	}()
	kv := store(t, "memcached://"+ln.Addr().String(), "x")
	for what, err := range map[string]error{
		"Set":    kv.Set(t.Context(), "k", []byte("v"), 0),
		"Add":    kv.Add(t.Context(), "k", []byte("v"), 0),
		"Swap":   kv.Swap(t.Context(), "k", []byte("v"), 1, 0),
		"Delete": kv.Delete(t.Context(), "k"),
	} {
		if err == nil || errors.Is(err, mq.ErrNotFound) {
			t.Errorf("%s had no answer, and returned %v", what, err)
		}
	}
	if n := writes.Load(); n != 4 {
		t.Errorf("4 writes were made %d times", n)
	}
}

// TestStopped: a server that stands still holds no call up for longer than its context.
func TestStopped(t *testing.T) {
	s := brokers.Need(t, brokers.Memcached)
	kv := store(t, "memcached://"+s.Addr, "x")
	s.Pause()
	defer s.Resume()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := kv.Set(ctx, "k", nil, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Set returned %v", err)
	}
	if err := kv.Delete(t.Context(), "k"); err == nil {
		t.Error("Delete succeeded")
	}
}

// TestRefused: what is wrong with a URL is said, and what to do.
func TestRefused(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"memcached://":                   "no host",
		"memcached://u:secret@127.0.0.1": "has a user",
		"memcached://127.0.0.1/x":        `path "/x"`,
		"memcached://127.0.0.1?x=1":      `unknown option "x=1"`,
		"memcached://127.0.0.1:1":        "open 127.0.0.1:1: nobody listens there: is memcached started",
	} {
		_, _, err := mq.OpenKV(t.Context(), url, "x")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
	if _, err := mq.Open(t.Context(), "memcached://127.0.0.1"); err == nil || !strings.Contains(err.Error(), "OpenKV") {
		t.Errorf("Open for queues: %v", err)
	}
}
