package mqcmd

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/plexor-go/plexor/internal/certs"
	"github.com/plexor-go/plexor/internal/natsnode"
)

// Serve serves the embedded broker.
type Serve struct {
	Dir     string   `required:"" placeholder:"FOLDER" help:"Where the jobs lie. It is made if there is none, and belongs to one process."`
	Listen  string   `default:"127.0.0.1:4222" placeholder:"HOST:PORT" help:"Where clients come in, with nats://HOST:PORT (default ${default}). Port 0 takes a free one. One that others than this machine can reach needs --token-file."`
	TLSCert string   `name:"cert" placeholder:"FILE" help:"A certificate, and its key, if --key has not: clients then speak TLS, with nats+tls://HOST:PORT?ca=FILE, where FILE is that of the authority that has signed it."`
	TLSKey  string   `name:"key" placeholder:"FILE" help:"Its private key."`
	Cluster string   `placeholder:"HOST:PORT" help:"Where the other nodes come in: this one is then one of a cluster."`
	Route   []string `placeholder:"HOST:PORT" help:"The cluster address of a node; give all of them, its own may be among them."`
	Name    string   `placeholder:"NAME" help:"The node's name in the cluster, the same after each start (default: from its cluster address)."`
	Cert    string   `name:"cluster-cert" placeholder:"FILE" help:"A certificate of this node, and its key, if --cluster-key has not: nodes then speak TLS with each other, and let nobody else in."`
	Key     string   `name:"cluster-key" placeholder:"FILE" help:"Its private key."`
	CA      string   `name:"cluster-ca" placeholder:"FILE" help:"The authority that has signed the certificates of all nodes."`
	Store   int64    `default:"8192" placeholder:"MB" help:"How much the jobs may take of the disk (default ${default})."`
	Memory  int64    `default:"64" placeholder:"MB" help:"How much streams in memory may take (default ${default})."`
	Token   string   `name:"token-file" placeholder:"FILE" help:"A file with a secret, which clients say as nats://SECRET@HOST and other nodes have too."`
	NoSync  bool     `help:"Do not wait for the disk at each job: a power failure then loses what was stored in the last two minutes."`
}

const (
	mega         = 1 << 20
	leastToken   = 16             // bytes of a secret
	servePayload = 1<<20 + 64<<10 // bytes of a message with its headers
)

// Run serves until a signal. A server that could not write, as on a full disk, is started anew when it can.
func (s *Serve) Run(w *World) error {
	o, err := s.options(w)
	if err != nil {
		return err
	}
	ctx, stop := until()
	defer stop()
	n, err := natsnode.Start(ctx, o)
	if err != nil {
		return err
	}
	scheme := "nats"
	if s.TLSCert != "" {
		scheme = "nats+tls"
	}
	fmt.Fprintf(w.Err, "listening mq %s://%s\n", scheme, n.Addr())
	if s.Cluster != "" {
		fmt.Fprintf(w.Err, "node %s listens to others at %s\n", n.Name(), n.ClusterAddr())
	}
	for n != nil {
		lives, ends := context.WithCancel(ctx)
		if s.Cluster != "" {
			go s.watch(lives, w, n)
		}
		select {
		case <-n.Broken():
			n = anew(ctx, n, o)
		case <-ctx.Done():
			n.Close()
			n = nil
		}
		ends() // of watch, which the end of its node ends, too
	}
	return nil
}

// watch tells, once for each start of the node, that the cluster is there.
func (s *Serve) watch(ctx context.Context, w *World, n *natsnode.Node) {
	peers := 0
	for _, r := range s.Route {
		if r != s.Cluster {
			peers++
		}
	}
	if err := n.Await(ctx, peers); err == nil {
		fmt.Fprintf(w.Err, "the cluster is complete: %s\n", strings.Join(append(n.Peers(), n.Name()), " "))
	}
}

func (s *Serve) options(w *World) (o natsnode.Options, err error) {
	if s.Store < 1 || s.Memory < 1 {
		return o, usage("--store and --memory: want numbers of megabytes from 1 on")
	}
	if s.Cluster == "" && (len(s.Route) > 0 || s.Name != "") {
		return o, usage("--route and --name: they are of use with --cluster alone")
	}
	if (s.Cert == "") != (s.CA == "") || s.Key != "" && s.Cert == "" || s.Cert != "" && s.Cluster == "" {
		return o, usage("--cluster-cert, --cluster-key and --cluster-ca: they go together, and with --cluster")
	}
	if s.TLSKey != "" && s.TLSCert == "" {
		return o, usage("--key: it is of use with --cert alone")
	}
	if s.Cluster != "" && len(s.Route) == 0 {
		return o, usage("--route: a node of a cluster needs those of the others, HOST:PORT of each")
	}
	o = natsnode.Options{JetStream: true, Dir: s.Dir, SyncAlways: !s.NoSync, Client: s.Listen, Cluster: s.Cluster,
		Routes: s.Route, Name: s.Name, Certificate: certs.Pair{CertFile: s.TLSCert, KeyFile: s.TLSKey},
		Log:    slog.New(slog.NewTextHandler(w.Err, nil)),
		Limits: natsnode.Limits{Memory: s.Memory * mega, Store: s.Store * mega, Payload: servePayload}}
	if s.Cluster != "" && s.Name == "" {
		o.Name = "node-" + strings.NewReplacer(":", "-", ".", "-", "[", "", "]", "").Replace(s.Cluster)
	}
	if s.Cert != "" {
		o.TLS = &natsnode.TLS{CertFile: s.Cert, KeyFile: s.Key, CAFile: s.CA}
	}
	if s.Token != "" {
		b, err := os.ReadFile(s.Token)
		if err != nil {
			return o, usage("--token-file: %w", err)
		}
		if o.Token = strings.TrimSpace(string(b)); len(o.Token) < leastToken {
			return o, usage("--token-file: the file has %d bytes, and a secret needs %d", len(o.Token), leastToken)
		}
	}
	for _, a := range []string{s.Listen, s.Cluster} {
		host, _, err := net.SplitHostPort(a)
		if a == "" {
			continue
		}
		if err != nil {
			return o, usage("%q: want HOST:PORT: %w", a, err)
		}
		ip := net.ParseIP(host)
		closed := a == s.Cluster && o.TLS != nil
		if here := host == "localhost" || ip != nil && ip.IsLoopback(); !here && o.Token == "" && !closed {
			return o, usage("--token-file: others than this machine can reach %s, so give a file with a secret", a)
		}
	}
	return o, nil
}
