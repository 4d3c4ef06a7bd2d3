package mqcmd

import (
	"context"
	"net"

	"github.com/plexor-go/plexor/internal/natsnode"
)

// anew waits until a node that could not write can do so, ends it, and starts another one in its place, which it
// returns. Meanwhile the node hands out what it has stored. nil: ctx has ended, and the node with it.
//
// A start that fails is tried again: the disk may be full once more, or another process may have the folder or a port.
func anew(ctx context.Context, n *natsnode.Node, o natsnode.Options) *natsnode.Node {
	o.Log.Error("the server can't write: nothing is stored until it can", "dir", o.Dir, "err", n.Fault())
	o.Name, o.Client = n.Name(), samePort(o.Client, n.Addr())
	if o.Cluster != "" {
		o.Cluster = samePort(o.Cluster, n.ClusterAddr())
	}
	told := ""
	for natsnode.AwaitRoom(o.Dir, ctx.Done()) {
		n.Close()
		next, err := natsnode.Start(ctx, o)
		if err == nil {
			o.Log.Info("the server can write again", "dir", o.Dir)
			return next
		}
		if err.Error() != told && ctx.Err() == nil {
			told = err.Error()
			o.Log.Warn("the server that could not write does not start anew: it is tried again", "err", err)
		}
	}
	n.Close()
	return nil
}

// samePort is an address HOST:PORT with the port that was taken for it, which port 0 leaves open.
func samePort(a string, taken net.Addr) string {
	host, _, err := net.SplitHostPort(a)
	if err != nil || taken == nil {
		return a
	}
	_, port, err := net.SplitHostPort(taken.String())
	if err != nil {
		return a
	}
	return net.JoinHostPort(host, port)
}
