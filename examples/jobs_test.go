package examples

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/internal/natsnode"
	"github.com/plexor-go/plexor/internal/portion"
)

// doJobs runs the program on a broker so many times: the second time with what the first one left.
func doJobs(t *testing.T, backend, url string, times int) {
	t.Helper()
	for range times {
		out, err := exec.Command(build(t, "jobs"), url).CombinedOutput()
		want := backend + ": 10 jobs done, 1 dead: no such address\n"
		if err != nil || !strings.HasSuffix(string(out), want) {
			t.Errorf("%s: %v\n%s, want %s", url, err, out, want)
		}
	}
}

// TestJobs: the same program on each broker, by the URL alone.
func TestJobs(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ backend, url string }{
		{"mem", "mem://"}, {"mem", "mem://shared"}, {"nats+embedded", "nats+embedded://" + t.TempDir()},
	} {
		doJobs(t, row.backend, row.url, 2)
	}
	for _, row := range []struct {
		kind            brokers.Kind
		backend, scheme string
	}{{brokers.Redis, "redis", "redis://"}, {brokers.Rabbit, "rabbit", "amqp://"}} {
		t.Run(row.backend, func(t *testing.T) {
			t.Parallel()
			if row.backend == "rabbit" && !portion.All() {
				t.Skip("a start of RabbitMQ takes 7 s: PLEXOR_TESTS=all has it")
			}
			b, err := brokers.Start(t.Context(), row.kind, t.TempDir())
			if errors.Is(err, brokers.ErrAbsent) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(b.Close)
			doJobs(t, row.backend, row.scheme+b.Addr, 1)
		})
	}
	t.Run("a cluster", func(t *testing.T) {
		t.Parallel()
		doJobs(t, "nats", startCluster(t), 1)
	})
	if out, err := exec.Command(build(t, "jobs"), "kafka://x").CombinedOutput(); err == nil ||
		!strings.Contains(string(out), `unknown scheme "kafka"`) {
		t.Errorf("an unknown scheme: %v\n%s", err, out)
	}
}

// startCluster starts three nodes in this process.
func startCluster(t *testing.T) (url string) {
	t.Helper()
	addrs, err := brokers.FreeAddrs(6)
	if err != nil {
		t.Fatal(err)
	}
	clients, routes := addrs[:3], addrs[3:]
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var nodes []*natsnode.Node
	for i := range 3 {
		n, err := natsnode.Start(ctx, natsnode.Options{Name: fmt.Sprint("n", i), JetStream: true, Dir: t.TempDir(),
			SyncAlways: true, Client: clients[i], Cluster: routes[i], Routes: routes,
			Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(n.Close)
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		if err := n.Await(ctx, 2); err != nil {
			t.Fatal(err)
		}
	}
	return "nats://" + strings.Join(clients, ",") + "/?replicas=3&sync=always"
}
