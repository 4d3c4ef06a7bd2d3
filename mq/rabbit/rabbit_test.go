package rabbit_test

import (
	"errors"
	"os"
	"testing"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
	_ "github.com/plexor-go/plexor/mq/rabbit"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// server starts a rabbitmq-server for the test; it is skipped where there is none.
func server(t *testing.T, args ...string) *brokers.Broker {
	t.Helper()
	b, err := brokers.Start(t.Context(), brokers.Rabbit, t.TempDir(), args...)
	if errors.Is(err, brokers.ErrAbsent) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func open(t *testing.T, url string) *mq.Broker {
	t.Helper()
	b, err := mqtest.Options().Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSuite holds the backend to the contract of package mq, on a real server.
func TestSuite(t *testing.T) {
	s := server(t)
	mqtest.Run(t, func(t *testing.T) *mq.Broker { return open(t, "amqp://guest:guest@"+s.Addr) })
}
