// Package nats has the nodes of package bus find each other over NATS: by a server in each process, whose routes make
// one network of them, or by servers that are there already.
//
// It uses core NATS alone, which delivers at most once: what is lost the bus notices and sends again. Nothing is
// stored.
package nats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/plexor-go/plexor/bus"
	"github.com/plexor-go/plexor/internal/natsnode"
)

// mostPackets is how many packets may wait for the bus; more are lost, and sent again later. Each is 32 KiB, or one
// message.
const mostPackets = 1024

// flushLimit is how long packets may take to leave.
const flushLimit = time.Second

// connectLimit is how long a server may take until it has let this node in, with TLS and all. NATS's own bound is 2 s,
// which a machine that is busy as all of its programs start does not always keep; and Open fails then.
const connectLimit = 10 * time.Second

// A transport is a bus.Transport over a connection.
type transport struct {
	prefix string
	dial   func() (*nats.Conn, error)
	close  func()

	c    *nats.Conn
	in   chan *nats.Msg
	done chan struct{}
	ends sync.WaitGroup
}

// Options say how nodes of a bus find each other.
type Options struct {
	// Bus is the name of the bus: nodes with another one on the same servers are not seen. "" stands for "plexor". It
	// has letters, digits, - and _ only.
	Bus string
	// Token, or User and Password, is what the servers want to hear.
	Token          string
	User, Password string
	// Log is where the warnings of Embedded's server go, and what is to be said of TLS; nil: slog.Default().
	Log *slog.Logger
	// Open allows Embedded to listen on an address that others can reach without a password.
	Open bool
	// TLS has what passes between the servers of Embedded be encrypted, or what passes between this node and the
	// servers of Connect; nil: it is not, but for Connect with tls:// in the URL, by the system's authorities.
	TLS *TLS
}

// TLS is how nodes, or a node and servers, know each other: by certificates that the same authority has signed.
//
// Nodes of Embedded each have a certificate, and show it, whether they dial or are dialled; so it must be fit for both
// (extended key usage serverAuth and clientAuth). With it an address that others can reach needs no password. A node
// that is refused is tried again, and Log says why, on both sides.
//
// A certificate and key that are replaced are read again, the authority's certificate is not.
type TLS struct {
	// CertFile is this node's certificate, with those of the authorities between it and CAFile's behind it, and
	// KeyFile its private key, both in PEM. KeyFile "": CertFile has both. Connect may do without: the servers then do
	// not ask for one.
	CertFile, KeyFile string
	// CAFile has the certificates of the authorities that vouch for the others, in PEM. No others do.
	CAFile string
	// ServerName is a name that the certificates of all servers have; "": each has the name or address to which a
	// route or the URL leads. Nodes of Embedded that were not told of each other find each other by address, so theirs
	// must have that or a ServerName.
	ServerName string
}

func (o Options) prefix() (string, error) {
	if o.Bus == "" {
		o.Bus = "plexor"
	}
	if strings.Trim(o.Bus, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		return "", fmt.Errorf("bus/nats: the name %q has other signs than letters, digits, - and _", o.Bus)
	}
	return "bus." + o.Bus + ".", nil
}

// Connect uses servers that are there, by their URL: nats://host:4222, several of them with commas between. It does
// not matter to which of a cluster a node connects. A connection that breaks is made again, for ever; so the node is
// cut off from the others meanwhile, and says so by new epochs and gaps.
func Connect(url string, o Options) (bus.Transport, error) {
	prefix, err := o.prefix()
	if err != nil {
		return nil, err
	}
	opts := append(options(), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1)) // what can't leave is not for later
	switch {
	case o.Token != "":
		opts = append(opts, nats.Token(o.Token))
	case o.User != "":
		opts = append(opts, nats.UserInfo(o.User, o.Password))
	}
	if o.TLS != nil {
		c, err := (*natsnode.TLS)(o.TLS).Client(cmp.Or(o.Log, slog.Default()))
		if err != nil {
			return nil, fmt.Errorf("bus/nats: %w", err)
		}
		opts = append(opts, nats.Secure(c))
	}
	return &transport{prefix: prefix, close: func() {}, dial: func() (*nats.Conn, error) {
		return nats.Connect(url, opts...)
	}}, nil
}

// options are all connections'. What goes wrong with one the bus notices by what does not come.
func options() []nats.Option {
	return []nats.Option{nats.NoEcho(), nats.FlusherTimeout(flushLimit), nats.Timeout(connectLimit),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})}
}

// A Node is a NATS server in this process, and the transport of a bus on it.
type Node struct {
	transport
	server *natsnode.Node
}

// Embedded starts a server in this process. Its routes listen on address, HOST:PORT, port 0 for a free one, and lead
// to the servers of other nodes: the addresses of one or more of them, which need not be up yet. Closing the bus, or
// the Node if no bus was opened on it, ends the server.
func Embedded(ctx context.Context, address string, routes []string, o Options) (*Node, error) {
	prefix, err := o.prefix()
	if err != nil {
		return nil, err
	}
	server, err := natsnode.Start(ctx, natsnode.Options{Cluster: address, ClusterName: "bus-" + prefix[4:len(prefix)-1],
		Routes: routes, Token: o.Token, User: o.User, Password: o.Password, Open: o.Open, TLS: (*natsnode.TLS)(o.TLS),
		Log: o.Log})
	if err != nil {
		return nil, fmt.Errorf("bus/%w", err)
	}
	return &Node{transport{prefix: prefix, close: server.Close, dial: func() (*nats.Conn, error) {
		return server.Connect(append(options(), nats.NoReconnect())...)
	}}, server}, nil
}

// Addr is where routes of other nodes lead to.
func (n *Node) Addr() net.Addr { return n.server.ClusterAddr() }

func (t *transport) subject(to bus.NodeID) string {
	if to == 0 {
		return t.prefix + "all"
	}
	return t.prefix + to.String()
}

// Open is of bus.Transport. Both subjects fill one channel, so that packets stay in their order.
func (t *transport) Open(id bus.NodeID, take func([]byte)) (err error) {
	if t.c != nil {
		return errors.New("bus/nats: it is open already")
	}
	if t.c, err = t.dial(); err != nil {
		return err
	}
	t.in, t.done = make(chan *nats.Msg, mostPackets), make(chan struct{})
	for _, s := range []string{t.subject(id), t.subject(0)} {
		if _, err := t.c.ChanSubscribe(s, t.in); err != nil {
			t.c.Close()
			return err
		}
	}
	if err := t.c.Flush(); err != nil { // the server knows of them
		t.c.Close()
		return err
	}
	t.ends.Add(1)
	go t.take(take)
	return nil
}

func (t *transport) take(take func([]byte)) {
	defer t.ends.Done()
	for {
		select {
		case m := <-t.in:
			take(m.Data)
		case <-t.done:
			return
		}
	}
}

// Send is of bus.Transport.
func (t *transport) Send(to bus.NodeID, packet []byte) error {
	return t.c.Publish(t.subject(to), packet)
}

// Close is of bus.Transport. What was sent before leaves before.
func (t *transport) Close() error {
	if t.c != nil {
		_ = t.c.FlushTimeout(flushLimit) // who is cut off says no goodbye
		t.c.Close()
		close(t.done)
		t.ends.Wait()
	}
	t.close()
	return nil
}
