// Package natsnode is a NATS server in the process: a node that stands alone, or is one of a cluster. It bounds what
// the server takes of the machine, says why it did not start, and ends with all of its goroutines.
//
// The server is nats-server's own package, which reads no file of settings here, handles no signal and opens no port
// that it was not given.
package natsnode

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/plexor-go/plexor/internal/certs"
	"github.com/plexor-go/plexor/internal/sample"
)

// Options say what a node is. The zero value is a node with no port, no storage and no password.
type Options struct {
	// Name is the node's name, which no other node of the cluster has; "": a random one. With JetStream in a cluster
	// it must be the same after a restart.
	Name string

	// JetStream turns streams on. Dir is where they lie: a folder that is made, and that no other node uses
	// meanwhile. SyncAlways has each write be on stable storage before it is acknowledged; without it the server
	// syncs every two minutes.
	JetStream  bool
	Dir        string
	SyncAlways bool

	// Client is the address for clients, HOST:PORT, port 0 for a free one; "": none, and [Node.Connect] is the only
	// way in. (Nodes of a cluster have a port for clients all the same, since the server starts no cluster without:
	// one of loopback, which lets nobody in but those who know User and Password or Token, or nobody without those.)
	Client string

	// Cluster is the address for other nodes; "": it stands alone. ClusterName must be the same on all nodes; ""
	// stands for "plexor". Routes are HOST:PORT of other nodes: one that is up is enough, for nodes tell each other
	// of the rest. Nodes that are not up are tried again, for ever. With JetStream, Routes are all nodes, its own
	// address may be among them: their number says how many must agree when the cluster is first made.
	Cluster     string
	ClusterName string
	Routes      []string

	// User and Password, or Token, is what clients must say. Other nodes must say it too, those of Routes are told it
	// (a token as the password of the user "node"). An address that is not of this machine's loopback needs one of
	// them, unless Open is set.
	User, Password string
	Token          string
	Open           bool

	// Certificate has clients that come in at Client speak TLS, and nothing else; the zero value: they do not. It is
	// read again when its files are replaced. Connect and Pipe are without TLS all the same.
	Certificate certs.Pair

	// TLS has the nodes of the cluster speak TLS with each other; nil: what passes between them is not encrypted.
	// Clients have Certificate. With TLS other nodes alone can come in at Cluster, and a password is not needed there.
	TLS *TLS

	// Locked is called when the folder of streams is this process's alone, before the server reads it; nil: nothing.
	Locked func() error `json:"-"`

	// Log is where the server's warnings and errors go, at a bounded rate; nil: slog.Default().
	Log *slog.Logger

	Limits Limits
}

// Limits bound a node. The zero value of each field means its default.
type Limits struct {
	Memory  int64 // bytes of streams in memory: 64 MiB. The server's own default is three quarters of the machine's
	Store   int64 // bytes of streams on disk: 1 GiB. The server's own default is three quarters of what is free
	Conns   int   // clients at once: 1024, in process and by the port
	Pending int64 // bytes that wait for a client that does not read, which is then closed: 16 MiB
	Payload int32 // bytes of a message: 1 MiB, as the server has it
}

// ErrInUse is a folder that another node uses, of this process or another.
var ErrInUse = errors.New("another node uses the folder")

// patience is how long a start may take if its context has no deadline: streams of a gigabyte are read in less.
const patience = time.Minute

// handshakeTime is how long who connects may take until it has said who it is, within the process too, and the TLS
// handshake of two nodes. NATS's own bounds are 2 s, which a machine that is busy as its nodes start does not always
// keep.
const handshakeTime = 10 * time.Second

// look is how often the server is asked for what it tells nobody.
const look = 5 * time.Millisecond

// A Node is a server that runs. All methods are for any goroutine.
type Node struct {
	srv      *server.Server
	opts     Options
	token    string   // of clients
	lock     *os.File // held; nil: no folder
	log      *serverLog
	logEnds  func()
	once     sync.Once
	closed   chan struct{}
	listens  net.Addr // nil: not
	clusters net.Addr
}

// Start starts a node, and returns when it can be used: its ports listen, its streams are read. (Of the cluster it
// may be the first: see [Node.Await].) When ctx is done before, that is the error.
func Start(ctx context.Context, o Options) (*Node, error) {
	o = o.withDefaults()
	set, err := o.settings()
	if err != nil {
		return nil, fmt.Errorf("nats: %w", err)
	}
	n := &Node{opts: o, token: set.Authorization, closed: make(chan struct{})}
	if o.JetStream {
		if n.lock, err = lockFolder(o.Dir); err != nil {
			return nil, fmt.Errorf("nats: %s: %w", o.Dir, err)
		}
		if o.Locked != nil {
			if err := o.Locked(); err != nil {
				n.unlock()
				return nil, fmt.Errorf("nats: %s: %w", o.Dir, err)
			}
		}
	}
	if n.srv, err = server.NewServer(set); err != nil {
		n.unlock()
		return nil, fmt.Errorf("nats: %w", err)
	}
	var log *slog.Logger
	log, n.logEnds = sample.New(o.Log, nil)
	n.log = &serverLog{log: log.With("nats", n.srv.Name()), fatal: make(chan error, 1), broken: make(chan struct{})}
	n.srv.SetLoggerV2(n.log, false, false, false)
	if err := n.start(ctx, n.log.fatal); err != nil {
		n.Close()
		return nil, fmt.Errorf("nats: %w", err)
	}
	if a := n.srv.Addr(); a != nil && o.Client != "" {
		n.listens = a
	}
	if a := n.srv.ClusterAddr(); a != nil {
		n.clusters = a
	}
	return n, nil
}

// start waits for the start's end.
func (n *Node) start(ctx context.Context, fatal <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	started := make(chan struct{})
	go func() {
		defer close(started)
		n.srv.Start()
	}()
	select {
	case <-started:
	case err := <-fatal:
		return err
	case <-ctx.Done():
		n.srv.Shutdown()
		<-started
		return fmt.Errorf("the server has not started: %w", context.Cause(ctx))
	}
	for {
		select {
		case err := <-fatal:
			return err
		default:
		}
		if n.srv.ReadyForConnections(look) {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the server is not ready: %w", context.Cause(ctx))
		}
	}
}

func (o Options) withDefaults() Options {
	l := &o.Limits
	for _, f := range []struct {
		field *int64
		value int64
	}{{&l.Memory, 64 << 20}, {&l.Store, 1 << 30}, {&l.Pending, 16 << 20}} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	if l.Conns == 0 {
		l.Conns = 1024
	}
	if l.Payload == 0 {
		l.Payload = 1 << 20
	}
	if o.ClusterName == "" {
		o.ClusterName = "plexor"
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// settings are the server's.
func (o Options) settings() (*server.Options, error) {
	l := o.Limits
	switch {
	case l.Memory < 0 || l.Store < 0 || l.Conns < 0 || l.Pending < 0 || l.Payload < 0:
		return nil, fmt.Errorf("a limit is negative: %+v", l)
	case o.JetStream && o.Dir == "":
		return nil, errors.New("a folder (Dir) is needed for JetStream")
	case !o.JetStream && (o.Dir != "" || o.SyncAlways):
		return nil, errors.New("the fields Dir and SyncAlways are of use with JetStream alone")
	case o.Cluster == "" && len(o.Routes) > 0:
		return nil, errors.New("routes to other nodes need a Cluster address, at which they answer")
	case o.JetStream && o.Cluster != "" && o.Name == "":
		return nil, errors.New("a Name is needed for JetStream in a cluster: by it the others know the node after a restart")
	case o.JetStream && o.Cluster != "" && len(o.Routes) == 0:
		return nil, errors.New("the Routes of all nodes are needed for JetStream in a cluster")
	case o.TLS != nil && o.Cluster == "":
		return nil, errors.New("TLS is between the nodes of a cluster, and needs a Cluster address")
	case o.Certificate != certs.Pair{} && (o.Client == "" || o.Certificate.CertFile == ""):
		return nil, errors.New("a Certificate is for clients that come in at the address Client, and has a CertFile")
	case o.Token != "" && o.User != "":
		return nil, errors.New("a User and a Token are both given")
	case o.Password != "" && o.User == "":
		return nil, errors.New("a Password needs a User")
	}
	set := &server.Options{ServerName: o.Name, NoSigs: true, DontListen: o.Client == "", DisableJetStreamBanner: true,
		MaxConn: l.Conns, MaxPending: l.Pending, MaxPayload: l.Payload, MaxControlLine: 4096,
		JetStream: o.JetStream, StoreDir: o.Dir, SyncAlways: o.SyncAlways,
		JetStreamMaxMemory: l.Memory, JetStreamMaxStore: l.Store,
		Username: o.User, Password: o.Password, Authorization: o.Token, AuthTimeout: handshakeTime.Seconds()}
	err := o.clients(set)
	if err != nil {
		return nil, err
	}
	if o.Cluster == "" {
		return set, nil
	}
	if o.Client == "" { // StartRouting waits for the port of clients, and Shutdown for StartRouting
		set.DontListen, set.Host, set.Port, set.Cluster.NoAdvertise = false, "127.0.0.1", server.RANDOM_PORT, true
		if o.User == "" && o.Token == "" {
			set.Authorization = rand.Text()
		}
	}
	c := &set.Cluster
	c.AuthTimeout = handshakeTime.Seconds()
	if c.Host, c.Port, err = o.address(o.Cluster, o.TLS != nil); err != nil {
		return nil, err
	}
	if o.TLS != nil {
		if c.TLSConfig, err = o.TLS.nodes(o.Log); err != nil {
			return nil, err
		}
		c.TLSTimeout = handshakeTime.Seconds()
	}
	c.Name, c.Username, c.Password = o.ClusterName, o.User, o.Password
	if o.Token != "" {
		c.Username, c.Password = "node", o.Token
	}
	for _, r := range o.Routes {
		if _, _, err := net.SplitHostPort(r); err != nil {
			return nil, fmt.Errorf("route %q: %w", r, err)
		}
		u := &url.URL{Scheme: "nats", Host: r}
		if c.Username != "" {
			u.User = url.UserPassword(c.Username, c.Password)
		}
		set.Routes = append(set.Routes, u)
	}
	return set, nil
}

// clients sets how clients come in.
func (o Options) clients(set *server.Options) (err error) {
	if o.Client != "" {
		if set.Host, set.Port, err = o.address(o.Client, false); err != nil {
			return err
		}
	}
	if o.Certificate.CertFile != "" {
		set.TLSConfig, err = forClients(o.Certificate, o.Log)
		set.TLS, set.TLSTimeout = true, handshakeTime.Seconds()
	}
	return err
}

// address takes HOST:PORT apart. The server's word for a free port is -1. closed: who comes in must have a certificate.
func (o Options) address(a string, closed bool) (host string, port int, err error) {
	host, name, err := net.SplitHostPort(a)
	if err != nil {
		return "", 0, fmt.Errorf("address %q: %w", a, err)
	}
	if port, err = net.LookupPort("tcp", name); err != nil {
		return "", 0, fmt.Errorf("address %q: %w", a, err)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	ip := net.ParseIP(host)
	here := host == "localhost" || ip != nil && ip.IsLoopback()
	if !here && !closed && o.User == "" && o.Token == "" && !o.Open {
		return "", 0, fmt.Errorf("address %q can be reached by others: it needs a User and Password or a Token, "+
			"or to be Open to everybody", a)
	}
	return host, port, nil
}

// Connect is a connection to the node within the process, which needs no port, and says what the node wants to hear.
// It is the caller's to close, before the node.
func (n *Node) Connect(opts ...nats.Option) (*nats.Conn, error) {
	all := []nats.Option{nats.InProcessServer(n.srv), nats.Timeout(handshakeTime)}
	switch {
	case n.token != "":
		all = append(all, nats.Token(n.token))
	case n.opts.User != "":
		all = append(all, nats.UserInfo(n.opts.User, n.opts.Password))
	}
	c, err := nats.Connect("", append(all, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("nats: in process: %w", err)
	}
	return c, nil
}

// Broken is closed when the node could not write to a stream, as on a disk that is full: Fault says why. It answers
// nothing that is published to that stream any more, until it was closed and another one is started in the folder. The
// state of a consumer counts too, and in a cluster the log of each group of nodes that agree, its leaders' too: on a
// full disk such a group has the server turn all streams of the node off.
func (n *Node) Broken() <-chan struct{} { return n.log.broken }

// Fault is why the node is broken; nil: it is not.
func (n *Node) Fault() error {
	select {
	case <-n.log.broken:
		return n.log.fault
	default:
		return nil
	}
}

// Name is the node's name.
func (n *Node) Name() string { return n.srv.Name() }

// Addr is where clients come in; nil: it has no port.
func (n *Node) Addr() net.Addr { return n.listens }

// ClusterAddr is where other nodes come in; nil: it stands alone.
func (n *Node) ClusterAddr() net.Addr { return n.clusters }

// Peers are the names of the other nodes that it is connected with, sorted.
func (n *Node) Peers() (names []string) {
	z, err := n.srv.Routez(nil)
	if err != nil {
		return nil // it does not fail without options
	}
	for _, r := range z.Routes {
		names = append(names, r.RemoteName)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Await waits until the node is connected with so many others, and, if it has JetStream, until the cluster has agreed
// on who leads it, for which more than half of its nodes must be up. (Its leader may still take some of them for
// offline, and refuse to place a stream on them for a moment.)
func (n *Node) Await(ctx context.Context, peers int) error {
	t := time.NewTicker(look)
	defer t.Stop()
	for len(n.Peers()) < peers || n.opts.JetStream && !n.srv.JetStreamIsCurrent() {
		select {
		case <-t.C:
		case <-n.closed:
			return errors.New("nats: the node is closed")
		case <-ctx.Done():
			return fmt.Errorf("nats: node %s has %d of %d peers, %q: %w", n.Name(), len(n.Peers()), peers, n.Peers(),
				context.Cause(ctx))
		}
	}
	return nil
}

// Close ends the node, and returns when all of its goroutines have ended. Later calls return when the first does.
// Connections that were not closed before try to come back to it until they are.
func (n *Node) Close() {
	n.once.Do(func() {
		n.log.end()
		n.srv.Shutdown()
		n.srv.WaitForShutdown()
		n.unlock()
		n.logEnds()
		close(n.closed)
	})
}

func (n *Node) unlock() {
	if n.lock != nil {
		_ = n.lock.Close() // and so the lock ends
	}
}

// lockFolder makes the folder, and has it for this process until the file is closed.
func lockFolder(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// Pipe is a connection to the node within the process, as Connect's, for who speaks NATS's protocol on it or passes it
// on. The node takes it for one of its clients, and asks for what they must say.
func (n *Node) Pipe() (net.Conn, error) {
	c, err := n.srv.InProcessConn()
	if err != nil {
		return nil, fmt.Errorf("nats: in process: %w", err)
	}
	return c, nil
}
