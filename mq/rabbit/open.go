package rabbit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/plexor-go/plexor/internal/reach"
	"github.com/plexor-go/plexor/mq"
)

func init() {
	for _, scheme := range []string{"amqp", "amqps"} {
		mq.Register(scheme, mq.Driver{Open: open})
	}
}

// A backend is a broker.
type backend struct {
	url     string // without options
	addr    string // for errors
	config  amqp.Config
	prefix  string
	nodes   int
	can     mq.Capabilities
	log     *slog.Logger
	link    *link // for publishing
	control *link // for all else: see alarm

	browsing chan struct{} // holds a token while a queue is browsed

	mu     sync.Mutex
	groups map[string]bool // queue/group, of those that were made by this process or found
	levels map[string]bool // queue/level: queues of a delay that were declared
}

// parse reads a URL. A password is in no error.
func parse(u *url.URL, log *slog.Logger) (*backend, error) {
	b := &backend{prefix: "plexor", nodes: 1, log: log, groups: make(map[string]bool), levels: make(map[string]bool),
		browsing: make(chan struct{}, 1)}
	b.link = &link{b: b, calls: make(chan struct{}, mostOut)}
	b.control = &link{b: b, calls: make(chan struct{}, mostOut)}
	if u.Hostname() == "" {
		return nil, errors.New("the URL has no host: write amqp://USER:PASSWORD@HOST:PORT/VHOST")
	}
	for name, values := range u.Query() {
		v := values[len(values)-1]
		switch name {
		case "prefix":
			if v == "" || len(v) > mostPrefix || strings.ContainsAny(v, "*#'. ") {
				return nil, fmt.Errorf("option prefix: %q: it has 1 to %d bytes, and no dots, blanks, quotes, * and #", v,
					mostPrefix)
			}
			b.prefix = v
		case "nodes":
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 || n > mostNodes {
				return nil, fmt.Errorf("option nodes: want how many nodes the cluster has, from 1 to %d, not %q", mostNodes, v)
			}
			b.nodes = n
		default:
			return nil, fmt.Errorf("unknown option %q: there are nodes and prefix", name)
		}
	}
	plain := *u
	plain.RawQuery = ""
	b.url, b.addr = plain.String(), u.Host
	b.config = amqp.Config{Locale: "en_US", Properties: amqp.NewConnectionProperties()}
	b.config.Properties.SetClientConnectionName("plexor mq")
	return b, nil
}

const (
	mostPrefix = 16 // with it the broker's answers are whole, which it cuts at 255 bytes
	mostNodes  = 7  // of a cluster: RabbitMQ advises against more
)

func open(ctx context.Context, u *url.URL, o mq.Options) (mq.Backend, error) {
	b, err := parse(u, o.Log)
	if err != nil {
		return nil, fmt.Errorf("rabbit: %w", err)
	}
	conn, err := b.control.connection(ctx)
	if err != nil {
		return nil, fmt.Errorf("rabbit: open %s: %w", b.addr, explain(err))
	}
	if err := checkVersion(conn.Properties); err != nil {
		return nil, errors.Join(fmt.Errorf("rabbit: open %s: %w", b.addr, err), b.control.close())
	}
	b.can = mq.Capabilities{Backend: "rabbit", Durability: mq.Synced, Delay: mostDelay, Priorities: 1, Replicas: b.nodes,
		SeesDeath: true}
	if b.nodes > 2 {
		b.can.Durability = mq.Replicated
	}
	return b, nil
}

// explain says what to do about what a broker says to who connects.
func explain(err error) error {
	switch {
	case errors.Is(err, amqp.ErrCredentials), errors.Is(err, amqp.ErrSASL):
		return fmt.Errorf("the broker refuses this user or password; the URL is to have amqp://USER:PASSWORD@HOST (guest "+
			"may come from the broker's own machine only): %w", err)
	case errors.Is(err, amqp.ErrVhost), noVhost(err):
		return fmt.Errorf("the broker has no such virtual host, or not for this user: the URL's path is its name: %w", err)
	}
	return reach.Advice("rabbitmq-server", err)
}

// noVhost reports a virtual host that there is not: NOT_ALLOWED, as what the user may not, too.
func noVhost(err error) bool {
	var e *amqp.Error
	return errors.As(err, &e) && e.Code == amqp.NotAllowed && strings.Contains(e.Reason, "vhost")
}

// The oldest version that has what queues are made of: time to live and dead letters that are not lost in quorum
// queues.
const leastMajor, leastMinor = 3, 10

func checkVersion(properties amqp.Table) error {
	product, _ := properties["product"].(string)
	version, _ := properties["version"].(string)
	a, rest, _ := strings.Cut(version, ".")
	c, _, _ := strings.Cut(rest, ".")
	major, err := strconv.Atoi(a)
	minor, err2 := strconv.Atoi(c)
	old := major < leastMajor || major == leastMajor && minor < leastMinor
	if product != "RabbitMQ" || cmp.Or(err, err2) != nil || old {
		return fmt.Errorf("the broker is %q of version %q, and RabbitMQ %d.%d or later is needed", product, version,
			leastMajor, leastMinor)
	}
	return nil
}

func (b *backend) Capabilities() mq.Capabilities { return b.can }

func (b *backend) Close() error { return errors.Join(b.link.close(), b.control.close()) }
