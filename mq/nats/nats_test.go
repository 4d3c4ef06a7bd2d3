package nats

import (
	"testing"

	"github.com/plexor-go/plexor/internal/natsnode"
	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
)

func TestEmbeddedSuite(t *testing.T) {
	t.Parallel()
	url := "nats+embedded://" + t.TempDir()
	_ = mqtest.Broker(t, url) // runs the server as long as the suite takes
	mqtest.Run(t, func(t *testing.T) *mq.Broker { return mqtest.Broker(t, url) })
}

// server starts one with a port.
func server(t *testing.T, o natsnode.Options) *natsnode.Node {
	t.Helper()
	o.Client, o.Log = "127.0.0.1:0", mqtest.Options().Log
	n, err := natsnode.Start(within(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// TestServerSuite is for a server that is outside, with a password, and that syncs nothing.
func TestServerSuite(t *testing.T) {
	t.Parallel()
	n := server(t, natsnode.Options{JetStream: true, Dir: t.TempDir(), User: "u", Password: "p:/@",
		Limits: natsnode.Limits{Store: 100 << 30}})
	mqtest.Run(t, func(t *testing.T) *mq.Broker {
		return mqtest.Broker(t, "nats://u:p%3A%2F%40@"+n.Addr().String())
	})
}

// TestBacklog has no test beside it: it looks at the memory of the process.
func TestBacklog(t *testing.T) {
	mqtest.Backlog(t, "nats+embedded://"+t.TempDir()+"?sync=off", 32<<20)
}
