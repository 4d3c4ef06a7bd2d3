package mq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/plexor-go/plexor/internal/sample"
	"github.com/plexor-go/plexor/internal/stack"
)

// Options are the choices of a Broker. The zero value of each field means its default.
type Options struct {
	Limits Limits
	// Log hears of jobs that fail, die and are lost, and of the broker's troubles (default slog.Default()): of ten alike
	// at once, then of one a second, of which the attribute "omitted" says how many before it were not written.
	Log *slog.Logger
}

var drivers struct {
	sync.Mutex
	of map[string]Driver
}

// Register adds a scheme. A backend's package calls it in its init. It panics when the scheme is there already.
func Register(scheme string, d Driver) {
	drivers.Lock()
	defer drivers.Unlock()
	if _, ok := drivers.of[scheme]; ok || scheme == "" || d.Open == nil && d.OpenKV == nil {
		panic(fmt.Sprintf("mq: Register(%q): a scheme is registered once, with a function to open it", scheme))
	}
	if drivers.of == nil {
		drivers.of = make(map[string]Driver)
	}
	drivers.of[scheme] = d
}

// Schemes are those that are registered, sorted.
func Schemes() []string {
	drivers.Lock()
	defer drivers.Unlock()
	return slices.Sorted(maps.Keys(drivers.of))
}

// driver finds the one of a URL. A password of the URL is in no error.
func driver(rawURL string) (*url.URL, Driver, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err // without the URL
		}
		return nil, Driver{}, fmt.Errorf("mq: the URL is wrong: %w", err)
	}
	drivers.Lock()
	d, ok := drivers.of[u.Scheme]
	drivers.Unlock()
	if ok {
		return u, d, nil
	}
	for _, k := range known {
		if k.Package != "" && slices.Contains(k.Schemes, u.Scheme) {
			return nil, d, fmt.Errorf("mq: the program does not have %s:// yet: import _ %q", u.Scheme,
				"github.com/plexor-go/plexor/mq/"+k.Package)
		}
	}
	return nil, d, fmt.Errorf("mq: unknown scheme %q: this program has %s", u.Scheme, strings.Join(Schemes(), ", "))
}

// Open connects to the broker of a URL, with default options. ctx bounds the call alone. Whoever opens closes.
func Open(ctx context.Context, rawURL string) (*Broker, error) { return Options{}.Open(ctx, rawURL) }

// Open connects to the broker of a URL. ctx bounds the call alone. Whoever opens closes.
func (o Options) Open(ctx context.Context, rawURL string) (*Broker, error) {
	stack.Given("mq: Open", "the context", ctx != nil)
	u, d, err := driver(rawURL)
	if err != nil {
		return nil, err
	}
	if d.Open == nil {
		return nil, fmt.Errorf("mq: %s:// has no queues: it is for OpenKV", u.Scheme)
	}
	return o.open(ctx, func(ctx context.Context, o Options) (Backend, error) { return d.Open(ctx, u, o) })
}

// Use makes a Broker of a backend that was opened in another way, as one that is part of a test. It is closed with it.
func (o Options) Use(backend Backend) (*Broker, error) {
	return o.open(context.Background(), func(context.Context, Options) (Backend, error) { return backend, nil })
}

func (o Options) open(ctx context.Context, f func(context.Context, Options) (Backend, error)) (*Broker, error) {
	if err := o.Limits.fill(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	log, endLog := sample.New(o.Log, nil)
	o.Log = log
	backend, err := await(ctx, "mq: open", func(ctx context.Context) (Backend, error) { return f(ctx, o) })
	if err != nil {
		endLog()
		return nil, err
	}
	b := &Broker{opt: o, endLog: endLog, backend: backend, can: backend.Capabilities(), queues: make(map[string]*opening)}
	b.life, b.end = context.WithCancelCause(context.Background())
	return b, nil
}

// OpenKV opens a key-value store of the broker, or cache, of a URL. Whoever opens it calls close in the end.
func OpenKV(ctx context.Context, rawURL, name string) (kv KV, closeIt func() error, err error) {
	stack.Given("mq: OpenKV", "the context", ctx != nil)
	u, d, err := driver(rawURL)
	if err != nil {
		return nil, nil, err
	}
	if d.OpenKV == nil {
		b, err := Open(ctx, rawURL)
		if err != nil {
			return nil, nil, err
		}
		if kv, err = b.KV(ctx, name); err != nil {
			return nil, nil, errors.Join(err, b.Close())
		}
		return kv, b.Close, nil
	}
	if err := checkName("store", name); err != nil {
		return nil, nil, err
	}
	o := Options{Log: slog.Default()}
	if err := o.Limits.fill(); err != nil {
		return nil, nil, err
	}
	back, err := await(ctx, "mq: open", func(ctx context.Context) (KVBackend, error) { return d.OpenKV(ctx, u, o) })
	if err != nil {
		return nil, nil, err
	}
	if kv, err = openStore(ctx, back, name, o.Limits); err != nil {
		return nil, nil, errors.Join(err, back.Close())
	}
	return kv, back.Close, nil
}
