// Package nats has the schemes of NATS JetStream for package mq:
//
//	nats+embedded:///var/lib/app/jobs     a server in the process, with its data in that folder
//	nats://user:password@host:4222        a server, or a cluster: nats://h1:4222,h2:4222,h3:4222/?replicas=3
//	nats+tls://host:4222?ca=FILE          by TLS, of a server whose certificate that authority has signed
//
// Import it for them:
//
//	import _ "github.com/plexor-go/plexor/mq/nats"
//
// # Embedded
//
// The server syncs each write before it answers, has no port, and bounds what it takes. The first process that opens
// the folder runs it; others that open the same folder use it, by a socket in the folder that no other user may open;
// when the first one ends, one of the others takes over. All have the same parameters: who asks for others is refused.
//
// When the disk is full, jobs are refused with [mq.ErrFull], what is stored is handed out, and the server is started
// anew when there is room; other processes have no answer meanwhile. Parameters:
//
//	store=8GiB     bytes on the disk, of all queues (default 8 GiB)
//	memory=64MiB   bytes of the server's own streams in memory (default 64 MiB)
//	sync=always    or off: then a power failure loses what was stored in the last two minutes
//	listen=H:P     a port for clients, which is not there else. One of another machine needs user and password in the URL
//
// What is published at the same time, or by one PublishBatch, is synced together, where the machine has /dev/shm. Up to
// some MiB of jobs on their way are there.
//
// # A server or cluster
//
// It must be version 2.11 or newer, with JetStream on. Whether it syncs is not told to clients, and by default it does
// every two minutes: so what is stored counts as [mq.Written], unless the URL says sync=always, which is the word of
// who runs the servers for "sync_interval: always" in their settings. Parameters: replicas=N (default 1) is how many
// nodes of the cluster have each job, for queues that are made; sync; and, of nats+tls, ca=FILE: the certificates, in
// PEM, of the authorities that may have signed the servers' (default: those that the system trusts).
//
// # What it stores
//
// Queue q is the stream PLEXOR_MQ_q, which keeps a job until all groups are done with it; each group is a durable
// consumer of it, or, in an ordered queue, one for each partition with one job out at a time. Dead jobs are in
// PLEXOR_DEAD_q and histories of jobs that failed in PLEXOR_HIST_q, which are made when they are needed first. A store
// s is KV_PLEXOR_s, the layout of NATS's own key-value stores.
//
// # What to know
//
// A delayed job is looked at when it comes to the head of its queue, and put off until its time by the server. The time
// of a pause between tries is kept in the server's consumer, whose state it does not sync: after a power failure a try
// may come early. IDs of jobs that are done are forgotten when the server, or all of a cluster's, is started anew, and
// so is then a part of QueueOptions.Dedupe's window. An ordered queue keeps the order of each partition, and a consumer
// of one should have Consumer.InFlight not below its Partitions: with fewer it asks the partitions in turn.
package nats

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/plexor-go/plexor/internal/natsnode"
	"github.com/plexor-go/plexor/internal/reach"
	"github.com/plexor-go/plexor/mq"
)

func init() {
	mq.Register("nats", mq.Driver{Open: openServer})
	mq.Register("nats+tls", mq.Driver{Open: openServer})
	mq.Register("nats+embedded", mq.Driver{Open: openEmbedded})
}

// Times of a connection.
const (
	connectTime   = 10 * time.Second // to connect, and for the server's answer to what changes queues
	reconnectWait = 100 * time.Millisecond
	reconnectMore = 100 * time.Millisecond // at random, so that not all come back at once
	// A server that answers no ping is left for another: one that stands still, or that packets do not reach, is seen
	// after three of them. The client's own default is six minutes.
	pingEvery = 3 * time.Second
	pingsOut  = 2
)

// oldest is the first version of the server that has what is used: several filters of a consumer, and values' expiry.
var oldest = [2]int{2, 11}

// groups is the first version of the server that is known to sync a batch once.
var groups = [2]int{2, 15}

// A backend is a connection to a server.
type backend struct {
	nc       *natsgo.Conn
	js       jetstream.JetStream
	can      mq.Capabilities
	log      *slog.Logger
	tls      *tls.Config // nil: a server that wants TLS has it by the authorities of the system
	replicas int         // of queues that are made
	maxStore int64       // what the server has for all queues, and the bound of one that has no other; 0: not known
	end      func()      // after the connection's end; nil: nothing
	names    *names      // nil: of a server that is not embedded, or that does not sync
	stage    *stage      // nil: the same, or it syncs each message of a batch
	acks     *acks

	life   context.Context // until Close
	cancel context.CancelFunc
	once   sync.Once

	mu      sync.Mutex
	sources map[*source]struct{}
	behind  sync.WaitGroup // what goes on behind a call: added to under mu, and not after life
}

// openServer opens nats:// and nats+tls://.
func openServer(ctx context.Context, u *url.URL, o mq.Options) (mq.Backend, error) {
	b := &backend{log: o.Log, replicas: 1}
	can := capabilities("nats")
	can.Durability, can.Replicas = mq.Written, 1
	synced, ca := false, ""
	for name, values := range u.Query() {
		var err error
		switch value := values[len(values)-1]; name {
		case "replicas":
			b.replicas, err = strconv.Atoi(value)
			if err != nil || b.replicas < 1 || b.replicas > capabilities("nats").Replicas {
				return nil, fmt.Errorf("nats: replicas=%s: it is 1 to %d", value, capabilities("nats").Replicas)
			}
		case "sync":
			if value != "always" {
				return nil, fmt.Errorf("nats: sync=%s: it is always, or left out", value)
			}
			synced = true
		case "ca":
			ca = value
			if u.Scheme != "nats+tls" || value == "" {
				return nil, fmt.Errorf("nats: ca=%s: it is a file of certificates in PEM, for nats+tls://", value)
			}
		default:
			return nil, fmt.Errorf("nats: unknown parameter %q: there are replicas, sync and ca", name)
		}
	}
	if synced {
		can.Durability = mq.Synced
		if b.replicas > 1 {
			can.Durability = mq.Replicated
		}
	}
	can.Replicas = capabilities("nats").Replicas
	b.can = can
	scheme := "nats"
	if u.Scheme == "nats+tls" {
		scheme = "tls"
		var err error
		if b.tls, err = byTLS(ca, o.Log); err != nil {
			return nil, fmt.Errorf("nats: ca=%s: %w", ca, err)
		}
	}
	var servers []string
	for _, host := range strings.Split(u.Host, ",") {
		servers = append(servers, (&url.URL{Scheme: scheme, User: u.User, Host: host}).String())
	}
	if err := b.connect(ctx, strings.Join(servers, ","), nil); err != nil {
		return nil, advice(err, u.Host)
	}
	return b, nil
}

// byTLS is the configuration of a client. "" is the authorities of the system.
func byTLS(ca string, log *slog.Logger) (*tls.Config, error) {
	if ca == "" {
		return &tls.Config{MinVersion: tls.VersionTLS12}, nil
	}
	return (&natsnode.TLS{CAFile: ca}).Client(log)
}

// capabilities are the most that a backend of this package can.
func capabilities(name string) mq.Capabilities {
	for _, k := range mq.Backends() {
		if k.Can.Backend == name {
			return k.Can
		}
	}
	panic("nats: mq does not know " + name)
}

// advice adds to an error what to do.
func advice(err error, host string) error {
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.Is(err, natsgo.ErrAuthorization), errors.Is(err, natsgo.ErrAuthExpired):
		return fmt.Errorf("nats: %s refuses user or password: give those that the server's settings have, as "+
			"nats://user:password@host: %w", host, err)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("nats: %s has no JetStream: start it with nats-server -js, or turn it on for the account: %w", host,
			err)
	case errors.Is(err, natsgo.ErrSecureConnWanted):
		return fmt.Errorf("nats: %s does not speak TLS: write nats:// in place of nats+tls://: %w", host, err)
	case errors.As(err, &untrusted):
		return fmt.Errorf("nats: %s speaks TLS, and its certificate is not trusted: write nats+tls://%s?ca=FILE with the "+
			"authority that has signed it, and the host by a name or address that it has: %w", host, host, err)
	case errors.Is(err, natsgo.ErrNoServers):
		return fmt.Errorf("nats: nobody answers at %s: is nats-server -js started there? %w", host, err)
	}
	return fmt.Errorf("nats: %s: %w", host, reach.Advice("nats-server", err))
}

// connect makes the connection, by dialer if that is not nil.
func (b *backend) connect(ctx context.Context, servers string, dialer natsgo.CustomDialer) error {
	patience := connectTime
	if end, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(end))
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	opts := []natsgo.Option{natsgo.Name("plexor mq"), natsgo.Timeout(max(patience, time.Millisecond)),
		natsgo.MaxReconnects(-1), natsgo.ReconnectWait(reconnectWait), natsgo.ReconnectJitter(reconnectMore, reconnectMore),
		natsgo.ReconnectBufSize(-1), // what can't be sent now is not sent later, behind the back of who was told
		natsgo.IgnoreAuthErrorAbort(), natsgo.PingInterval(pingEvery), natsgo.MaxPingsOutstanding(pingsOut),
		natsgo.DisconnectErrHandler(func(_ *natsgo.Conn, err error) { b.disconnected(err) }),
		natsgo.ReconnectHandler(func(*natsgo.Conn) { b.reconnected() }),
		natsgo.ErrorHandler(func(_ *natsgo.Conn, _ *natsgo.Subscription, err error) {
			b.log.Warn("nats: the client has an error", "err", err)
		})}
	if b.tls != nil {
		opts = append(opts, natsgo.Secure(b.tls))
	}
	if dialer != nil {
		opts = append(opts, natsgo.SetCustomDialer(dialer))
	}
	b.sources = make(map[*source]struct{})
	b.acks = newAcks()
	b.life, b.cancel = context.WithCancel(context.Background())
	var err error
	if b.nc, err = natsgo.Connect(servers, opts...); err != nil {
		b.cancel()
		return err
	}
	if err = b.greet(ctx); err != nil {
		b.cancel()
		b.nc.Close()
	}
	return err
}

// greet looks at who is there.
func (b *backend) greet(ctx context.Context) (err error) {
	version := b.nc.ConnectedServerVersion()
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil ||
		slices.Compare([]int{major, minor}, oldest[:]) < 0 {
		return fmt.Errorf("the server is version %s: it must be %d.%d or newer", version, oldest[0], oldest[1])
	}
	if slices.Compare([]int{major, minor}, groups[:]) < 0 {
		b.stage = nil
	}
	if b.js, err = jetstream.New(b.nc, jetstream.WithDefaultTimeout(connectTime)); err != nil {
		return err
	}
	err = b.insist(ctx, func(ctx context.Context) error {
		_, err := b.js.AccountInfo(ctx)
		return err
	})
	if err != nil {
		return err
	}
	return b.acks.listen(b.nc)
}

// answerTime is how long the server may take to answer a request about streams and consumers. One that is not answered
// came to a cluster that has no leader at the moment, and is made again: such requests can be.
const answerTime = 2 * time.Second

// insist calls f again while nobody answers, or too few nodes are known, until ctx ends or the time for it is over.
func (b *backend) insist(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, insistTime)
	defer cancel()
	gathered := time.Now().Add(gathering)
	for d := firstAbsent; ; d = min(2*d, lastAbsent) {
		once, stop := context.WithTimeout(ctx, answerTime)
		err := f(once)
		stop()
		again := noAnswer(err) || tooFew(err) && time.Now().Before(gathered)
		if err == nil || ctx.Err() != nil || !again || !pause(ctx, d) {
			return err
		}
	}
}

// insistTime is how long a call insists whose context has no end: a cluster elects a leader in some seconds.
const insistTime = 30 * time.Second

// gathering is how long a cluster that has just begun, or of which a node has just come back, may have fewer nodes than
// it has.
const gathering = 5 * time.Second

// tooFew reports that the cluster knows of fewer nodes than are asked for.
func tooFew(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeNoPeers
}

// noAnswer reports an error that says that nobody was there to answer.
func noAnswer(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, natsgo.ErrNoResponders) ||
		errors.Is(err, natsgo.ErrTimeout) || errors.Is(err, natsgo.ErrReconnectBufExceeded) ||
		errors.Is(err, natsgo.ErrDisconnected) ||
		errors.As(err, &api) && (api.ErrorCode == codeNotLeader || api.ErrorCode == codeNotAvailable)
}

func (b *backend) disconnected(err error) {
	if err != nil {
		b.log.Warn("nats: the connection broke, and is made anew", "err", err)
	}
	b.acks.broke()
}

func (b *backend) reconnected() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.sources {
		s.pullAnew()
	}
}

// goBehind calls f on another goroutine, for whose end Close waits; false: the backend is closed.
func (b *backend) goBehind(f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.life.Err() != nil {
		return false
	}
	b.behind.Go(f)
	return true
}

func (b *backend) Capabilities() mq.Capabilities { return b.can }

func (b *backend) Close() error {
	b.once.Do(func() {
		b.mu.Lock()
		b.cancel()
		b.mu.Unlock()
		b.behind.Wait()
		b.nc.Close()
		b.acks.broke()
		if b.end != nil {
			b.end()
		}
	})
	return nil
}

// Names of streams and subjects.
const (
	jobsPrefix    = "PLEXOR_MQ_"
	deadPrefix    = "PLEXOR_DEAD_"
	historyPrefix = "PLEXOR_HIST_"
	kvPrefix      = "PLEXOR_" // of a bucket
	subjectPrefix = "plexor.mq."
	deadSubject   = "plexor.dead."
	historySubj   = "plexor.hist."
)

func (b *backend) Queues(ctx context.Context) (names []string, err error) {
	list := b.js.StreamNames(ctx, jetstream.WithStreamListSubject(subjectPrefix+">"))
	for name := range list.Name() {
		if queue, ok := strings.CutPrefix(name, jobsPrefix); ok {
			names = append(names, queue)
		}
	}
	if err := list.Err(); err != nil && !errors.Is(err, jetstream.ErrEndOfData) {
		return nil, fmt.Errorf("nats: list streams: %w", err)
	}
	slices.Sort(names)
	return names, nil
}

func (b *backend) DeleteQueue(ctx context.Context, name string) error {
	for _, prefix := range []string{deadPrefix, historyPrefix, jobsPrefix} {
		err := b.js.DeleteStream(ctx, prefix+name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound) && prefix == jobsPrefix:
			return mq.ErrNoQueue
		case err != nil && !errors.Is(err, jetstream.ErrStreamNotFound):
			return fmt.Errorf("nats: delete stream %s%s: %w", prefix, name, err)
		}
	}
	return nil
}
