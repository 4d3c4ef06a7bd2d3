package brokers_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/internal/leak"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// TestStart: each broker that is installed answers, dies when it is killed, and answers again on the same port.
func TestStart(t *testing.T) {
	for _, k := range []brokers.Kind{brokers.Redis, brokers.Memcached, brokers.Rabbit} {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			if k.Name == brokers.Rabbit.Name && os.Getenv("PLEXOR_TESTS") != "all" {
				t.Skip("two starts of it take 15 s, and mq/rabbit's tests start one: PLEXOR_TESTS=all has them")
			}
			b, err := brokers.Start(t.Context(), k, t.TempDir())
			if errors.Is(err, brokers.ErrAbsent) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			addr, pid := b.Addr, b.PID()
			b.Kill()
			if c, err := net.Dial("tcp", addr); err == nil {
				c.Close()
				t.Error("it was killed, and listens")
			}
			if err := b.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if b.Addr != addr || b.PID() == pid {
				t.Errorf("after Run: %s, process %d, want %s and another process than %d", b.Addr, b.PID(), addr, pid)
			}
		})
	}
}

// TestStartRefused: a broker that ends at once is an error with what it printed.
func TestStartRefused(t *testing.T) {
	t.Parallel()
	b, err := brokers.Start(t.Context(), brokers.Redis, t.TempDir(), "--no-such-setting", "1")
	switch {
	case errors.Is(err, brokers.ErrAbsent):
		t.Skip(err)
	case err == nil:
		b.Close()
		t.Fatal("redis-server with a setting that there is not has started")
	case !strings.Contains(err.Error(), "no-such-setting"):
		t.Errorf("%v: want what the server printed of the setting", err)
	}
}
