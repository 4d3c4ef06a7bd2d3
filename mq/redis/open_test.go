package redis_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
)

// TestRefused: a server that would lose jobs is refused, with what to do; a URL can take it as it is.
func TestRefused(t *testing.T) {
	t.Parallel()
	hidden := []string{"--rename-command", "CONFIG", ""}
	full := []string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}
	for _, row := range []struct {
		name, query string
		args        []string
		want        string // of the error; "": it is opened
		durable     mq.Durability
	}{
		{"always", "", nil, "", mq.Synced},
		{"every second", "", []string{"--appendfsync", "everysec"}, "appendfsync is everysec; set it to always", 0},
		{"every second, taken", "?durable=no", []string{"--appendfsync", "everysec"}, "", mq.Written},
		{"no file", "", []string{"--appendonly", "no"}, "appendonly is no; set it to yes", 0},
		{"no file, taken", "?durable=no", []string{"--appendonly", "no"}, "", mq.InMemory},
		{"rewriting", "", []string{"--no-appendfsync-on-rewrite", "yes"}, "on-rewrite is yes; set it to no", 0},
		{"silent", "", hidden, "add ?durable=trust to the URL if its settings are", 0},
		{"silent, trusted", "?durable=trust", hidden, "", mq.Synced},
		{"silent, taken", "?durable=no", hidden, "", mq.InMemory},
		{"trusted, and it tells", "?durable=trust", []string{"--appendfsync", "everysec"}, "appendfsync is everysec", 0},
		{"drops keys", "?durable=no", full, "maxmemory-policy is allkeys-lru; set it to noeviction", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := brokers.Need(t, brokers.Redis, row.args...)
			b, err := mq.Open(t.Context(), "redis://"+s.Addr+row.query)
			switch {
			case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)):
				t.Errorf("%v, want %q", err, row.want)
			case row.want == "" && err != nil:
				t.Error(err)
			case row.want == "" && b.Capabilities().Durability != row.durable:
				t.Errorf("it is %v, want %v", b.Capabilities().Durability, row.durable)
			}
			if err != nil {
				return
			}
			defer b.Close()
			var lack *mq.CapabilityError
			if _, err := b.Queue(t.Context(), "q", mq.QueueOptions{Durability: row.durable + 1}); !errors.As(err, &lack) {
				t.Errorf("a queue that asks for more: %v", err)
			}
		})
	}
}

// TestPassword: without the password, or with a wrong one, the error says so, and has neither.
func TestPassword(t *testing.T) {
	t.Parallel()
	s := brokers.Need(t, brokers.SecretRedis, "--requirepass", "hunter2")
	for _, user := range []string{"", ":wrong99@", "nobody:wrong99@"} {
		_, err := mq.Open(t.Context(), "redis://"+user+s.Addr)
		if err == nil || !strings.Contains(err.Error(), "refuses this user or password") ||
			strings.Contains(err.Error(), "wrong99") {
			t.Errorf("%q: %v", user, err)
		}
	}
	if err := mqtest.Broker(t, "redis://:hunter2@"+s.Addr).Close(); err != nil {
		t.Error(err)
	}
}

// TestURL: what is wrong with a URL is said.
func TestURL(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"redis://":                             "no host",
		"redis://127.0.0.1:1/x":                "no number of a database",
		"redis://127.0.0.1:1?durable=yes":      "option durable",
		"redis://127.0.0.1:1?replicas=0":       "option replicas",
		"redis://127.0.0.1:1?prefix={":         "option prefix",
		"redis://127.0.0.1:1?appendfsync=none": `unknown option "appendfsync"`,
		"redis://127.0.0.1:1":                  "open 127.0.0.1:1: nobody listens there: is redis-server started",
	} {
		if _, err := mq.Open(t.Context(), url); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}

// TestVersions: a server that is too old, or of a cluster, is refused with what is needed.
func TestVersions(t *testing.T) {
	t.Parallel()
	for info, want := range map[string]string{
		"redis_version:6.2.14\r\nredis_mode:standalone\r\n": `version "6.2.14", and 7.0 or later is needed`,
		"redis_mode:standalone\r\n":                         `version "", and 7.0 or later is needed`,
		"redis_version:7.2.4\r\nredis_mode:cluster\r\n":     "a node of a Redis Cluster, which is not supported",
	} {
		if _, err := mq.Open(t.Context(), "redis://"+fake(t, info)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", info, err, want)
		}
	}
}

// fake plays a server that tells this of itself.
func fake(t *testing.T, info string) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					switch strings.ToUpper(lines.Text()) {
					case "INFO":
						fmt.Fprintf(c, "$%d\r\n%s\r\n", len(info), info)
					case "HELLO", "CLIENT":
						fmt.Fprint(c, "-ERR unknown command\r\n")
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// TestReplicas: a job that the replicas do not have is stored, and an error says that it is less safe than asked for.
func TestReplicas(t *testing.T) {
	t.Parallel()
	main := brokers.Need(t, brokers.Redis, "--repl-diskless-sync-delay", "0")
	host, port, _ := strings.Cut(main.Addr, ":")
	b := mqtest.Broker(t, "redis://"+main.Addr+"?replicas=1")
	defer b.Close()
	if portion.All() { // it takes ReplicaWait
		err := b.Publish(t.Context(), "q", []byte("x"))
		if mq.StoredBy(err) != mq.IsStored || err == nil || !strings.Contains(err.Error(), "0 replicas have it, of 1") {
			t.Errorf("without a replica: %v", err)
		}
	}
	brokers.Need(t, brokers.Redis, "--replicaof", host+" "+port)
	err := errors.New("no publish was tried")
	for end := time.Now().Add(time.Minute); err != nil && time.Now().Before(end); {
		err = b.Publish(t.Context(), "q", []byte("x"))
	}
	if err != nil {
		t.Errorf("with a replica: %v", err)
	}
}

// TestOutOfMemory: a server without memory refuses jobs, and those that it has can be done, which makes room.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	s := brokers.Need(t, brokers.Redis, "--maxmemory", "8mb")
	b := mqtest.Broker(t, "redis://"+s.Addr)
	defer b.Close()
	body := make([]byte, 100<<10)
	stored := 0
	for {
		err := b.Publish(t.Context(), "q", body)
		if errors.Is(err, mq.ErrFull) && mq.StoredBy(err) == mq.NotStored {
			break
		}
		if err != nil || stored == 1000 {
			t.Fatalf("after %d jobs: %v", stored, err)
		}
		stored++
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := 0
	err := b.Consume(ctx, "q", mq.Consumer{InFlight: 1}, func(context.Context, *mq.Job) error {
		if done++; done == stored {
			cancel()
		}
		return nil
	})
	if err != nil || done != stored {
		t.Fatalf("%d of %d jobs were done, %v", done, stored, err)
	}
	if err := b.Publish(t.Context(), "q", body); err != nil {
		t.Errorf("there is room again: %v", err)
	}
}
