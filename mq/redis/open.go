package redis

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/plexor-go/plexor/internal/reach"
	"github.com/plexor-go/plexor/mq"
)

const (
	defaultPort = "6379"
	pool        = 16 // connections: calls are combined, so few are under way at once
	// answer is how long one call may take. A server with appendfsync always is as slow as its disk.
	answer = 10 * time.Second
	dialed = 5 * time.Second
	// ReplicaWait is how long Publish waits for the replicas that the URL asks for, after the server itself has the job.
	ReplicaWait = 5 * time.Second
)

func init() {
	for _, scheme := range []string{"redis", "rediss"} {
		mq.Register(scheme, mq.Driver{Open: open})
	}
}

// A target is what a URL says.
type target struct {
	options  redis.Options
	durable  string // "", no, trust
	replicas int
	prefix   string
}

// parse reads a URL. A password is in no error.
func parse(u *url.URL) (*target, error) {
	t := &target{prefix: "plexor"}
	o := &t.options
	if u.Hostname() == "" {
		return nil, errors.New("the URL has no host: write redis://HOST:PORT/DB")
	}
	o.Addr = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), defaultPort))
	if u.User != nil {
		o.Username = u.User.Username()
		o.Password, _ = u.User.Password()
	}
	if db := strings.Trim(u.Path, "/"); db != "" {
		n, err := strconv.Atoi(db)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("the URL's path %q is no number of a database", db)
		}
		o.DB = n
	}
	if u.Scheme == "rediss" {
		o.TLSConfig = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	}
	for name, values := range u.Query() {
		v := values[len(values)-1]
		switch name {
		case "durable":
			if v != "no" && v != "trust" {
				return nil, fmt.Errorf("option durable: want no or trust, not %q", v)
			}
			t.durable = v
		case "replicas":
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 {
				return nil, fmt.Errorf("option replicas: want a number from 1 on, not %q", v)
			}
			t.replicas = n
		case "prefix":
			if v == "" || strings.ContainsAny(v, "{}") {
				return nil, fmt.Errorf("option prefix: %q: it is not empty and has no braces", v)
			}
			t.prefix = v
		default:
			return nil, fmt.Errorf("unknown option %q: there are durable, replicas and prefix", name)
		}
	}
	o.Protocol, o.PoolSize = 2, pool
	o.MaxRetries = -1 // a call that is made twice without a word is a job that is stored twice
	o.DialerRetries = 1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.ContextTimeoutEnabled = dialed, answer, answer, true
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return t, nil
}

// A backend is a server.
type backend struct {
	target *target
	client *redis.Client
	can    mq.Capabilities
	log    *slog.Logger

	mu         sync.Mutex
	made, free []*line
	closed     bool
}

func open(ctx context.Context, u *url.URL, o mq.Options) (mq.Backend, error) {
	t, err := parse(u)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	b := &backend{target: t, client: redis.NewClient(&t.options), log: o.Log}
	b.can = mq.Capabilities{Backend: "redis", Ordered: true, Delay: mq.Forever, Dedupe: mq.Forever, Priorities: 1,
		Replicas: 1, Bounded: true, KV: true}
	if err := b.check(ctx); err != nil {
		_ = b.client.Close() // the error is that it is of no use
		return nil, fmt.Errorf("redis: open %s: %w", t.options.Addr, reach.Advice("redis-server", err))
	}
	return b, nil
}

// check asks the server what it is.
func (b *backend) check(ctx context.Context) error {
	info, err := b.client.Info(ctx, "server").Result()
	switch {
	case err == nil:
	case refused(err):
		return fmt.Errorf("the server refuses this user or password; the URL is to have redis://USER:PASSWORD@HOST, with no "+
			"user for the server's requirepass: %w", err)
	default:
		return err
	}
	version := field(info, "redis_version")
	if major, _, _ := strings.Cut(version, "."); major == "" || len(major) == 1 && major < "7" {
		return fmt.Errorf("the server has version %q, and 7.0 or later is needed", version)
	}
	if field(info, "redis_mode") == "cluster" {
		return errors.New("the server is a node of a Redis Cluster, which is not supported: use a server of its own")
	}
	b.can.Durability, err = b.durability(ctx)
	if err != nil {
		return err
	}
	_, err = b.client.Do(ctx, "CLIENT", "LIST", "ID", "1").Result()
	b.can.SeesDeath = err == nil
	return nil
}

// durability is what a job survives that was stored.
func (b *backend) durability(ctx context.Context) (mq.Durability, error) {
	get := func(name string) (string, error) {
		m, err := b.client.ConfigGet(ctx, name).Result()
		return m[name], err
	}
	has := make(map[string]string)
	for _, name := range []string{"appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory",
		"maxmemory-policy"} {
		v, err := get(name)
		if err != nil && !isReply(err) {
			return 0, err
		}
		if err != nil {
			switch b.target.durable {
			case "trust":
				return mq.Synced, nil
			case "no":
				return mq.InMemory, nil
			}
			return 0, fmt.Errorf("the server does not tell whether jobs are on its disk when it says that it has them (CONFIG "+
				"GET %s: %w): add ?durable=trust to the URL if its settings are appendonly yes, appendfsync always, "+
				"no-appendfsync-on-rewrite no and maxmemory-policy noeviction, or ?durable=no to do without", name, err)
		}
		has[name] = v
	}
	if has["maxmemory"] != "0" && has["maxmemory-policy"] != "noeviction" {
		return 0, fmt.Errorf("the server drops keys, and so jobs, when its memory is full: maxmemory-policy is %s; set it "+
			"to noeviction", has["maxmemory-policy"])
	}
	for _, s := range []struct{ name, want string }{
		{"appendonly", "yes"}, {"appendfsync", "always"}, {"no-appendfsync-on-rewrite", "no"},
	} {
		switch {
		case has[s.name] == s.want:
		case b.target.durable != "no":
			return 0, fmt.Errorf("the server would lose jobs with its power: %s is %s; set it to %s, or add ?durable=no to the "+
				"URL to do without", s.name, has[s.name], s.want)
		case s.name == "appendonly":
			return mq.InMemory, nil
		default:
			return mq.Written, nil
		}
	}
	return mq.Synced, nil
}

// field is that of an answer to INFO.
func field(info, name string) string {
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// base is what the keys of a queue begin with.
func (b *backend) base(queue string) string { return b.target.prefix + ":mq:{" + queue + "}:" }

// known is the key of the set of all queues.
func (b *backend) known() string { return b.target.prefix + ":mq:queues" }

func (b *backend) Capabilities() mq.Capabilities { return b.can }

func (b *backend) Close() error { return errors.Join(b.closeLines(), b.client.Close()) }

func (b *backend) Queues(ctx context.Context) ([]string, error) {
	names, err := b.client.Sort(ctx, b.known(), &redis.Sort{Alpha: true}).Result()
	if err != nil {
		return nil, fmt.Errorf("redis: list queues: %w", err)
	}
	return names, nil
}

func (b *backend) DeleteQueue(ctx context.Context, name string) error {
	n, err := deleteScript.run(ctx, b.client, b.base(name), b.known(), name).Int()
	switch {
	case err != nil:
		return fmt.Errorf("redis: delete queue %s: %w", name, err)
	case n == 0:
		return mq.ErrNoQueue
	}
	return nil
}

func (b *backend) OpenQueue(ctx context.Context, name string, o mq.QueueOptions) (mq.BackendQueue, error) {
	f := o.Fill()
	ordered := int64(0)
	if f.Ordered {
		ordered = 1
	}
	s := mq.QueueOptions{Priorities: 1, Replicas: 1}
	var partitions, dedupe int64
	settings := []struct {
		name string
		want int64
		has  *int64
	}{
		{"ordered", ordered, &ordered}, {"partitions", int64(f.Partitions), &partitions},
		{"dedupe", f.Dedupe.Milliseconds(), &dedupe}, {"maxjobs", f.MaxJobs, &s.MaxJobs},
		{"maxbytes", f.MaxBytes, &s.MaxBytes}, {"maxdead", f.MaxDead, &s.MaxDead},
	}
	args := []any{b.known(), name, rand.Text()}
	for _, s := range settings {
		args = append(args, s.name, s.want)
	}
	has, err := openScript.run(ctx, b.client, b.base(name), args...).StringSlice()
	if err == nil && len(has) != len(settings) {
		err = fmt.Errorf("the server has answered %q", has)
	}
	if err != nil {
		return nil, fmt.Errorf("redis: open queue %s: %w", name, err)
	}
	for i, s := range settings {
		if *s.has, err = strconv.ParseInt(has[i], 10, 64); err != nil {
			return nil, fmt.Errorf("redis: open queue %s: its setting %s is %q", name, s.name, has[i])
		}
	}
	s.Ordered, s.Partitions, s.Dedupe = ordered == 1, int(partitions), time.Duration(dedupe)*time.Millisecond
	if err := o.Differs(name, s); err != nil {
		return nil, err
	}
	q := &queue{b: b, name: name, base: b.base(name), has: s}
	q.publisher.run = func(ps []*publishing) {
		_ = q.store(context.Background(), b.client, ps) // each has its error; who waits no longer has gone
	}
	q.publisher.alone = q.storeAlone
	return q, nil
}
