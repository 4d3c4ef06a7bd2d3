// Package memcache has the scheme memcached:// of package mq: key-value stores alone, in one memcached server or
// several.
//
//	kv, closeIt, err := mq.OpenKV(ctx, "memcached://10.0.0.1:11211,10.0.0.2:11211", "sessions")
//
// # What is promised
//
// It is a cache: a value is in the memory of one server. It is gone when that ends, and when the server needs its room
// for others. Keys are spread over the servers by a hash, so another list of servers is another cache in part. There
// are no passwords: memcached is for a network that is trusted, or behind something else.
//
// A value with an expiry is there for up to a second longer. One that were to go after the 18th of January 2038, which
// is the last date that memcached knows, goes only as one without does.
//
// A read whose connection the server has closed is made again, once. A write is not, as after a restart of the server:
// its error says that it may have been done.
//
// The name of a store is a part of its keys and has at most [MostName] bytes. A value has at most what the server
// takes, 1 MiB less some bytes unless it was told otherwise (-I).
package memcache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/plexor-go/plexor/internal/reach"
	"github.com/plexor-go/plexor/mq"
)

const (
	defaultPort = "11211"
	// MostName is the length of a store's name: with a key of package mq it is one of memcached's, of 250 bytes.
	MostName = 49
	// answer is how long one call may take: memcached answers within a millisecond, or is not well.
	answer = 2 * time.Second
	idle   = 16 // connections to one server that are kept
	// month is the longest expiry that memcached takes as a time from now; a longer one must be a date.
	month = 30 * 24 * time.Hour
)

func init() { mq.Register("memcached", mq.Driver{OpenKV: open}) }

type backend struct{ client *memcache.Client }

func open(ctx context.Context, u *url.URL, _ mq.Options) (mq.KVBackend, error) {
	servers, err := parse(u)
	if err != nil {
		return nil, fmt.Errorf("memcache: %w", err)
	}
	list := new(memcache.ServerList)
	b := &backend{memcache.NewFromSelector(list)}
	b.client.Timeout, b.client.MaxIdleConns = answer, idle
	err = do(ctx, func() error {
		if err := list.SetServers(servers...); err != nil { // which looks up their names
			return err
		}
		return b.client.Ping()
	})
	if err != nil {
		err = fmt.Errorf("memcache: open %s: %w", strings.Join(servers, ","), reach.Advice("memcached", err))
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// parse reads a URL.
func parse(u *url.URL) (servers []string, err error) {
	switch {
	case u.User != nil:
		return nil, errors.New("the URL has a user, and memcached has none: leave it out")
	case u.RawQuery != "":
		return nil, fmt.Errorf("unknown option %q: there is none", u.RawQuery)
	case strings.Trim(u.Path, "/") != "":
		return nil, fmt.Errorf("the URL has the path %q, and memcached has none: leave it out", u.Path)
	}
	for s := range strings.SplitSeq(u.Host, ",") {
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			host, port = strings.Trim(s, "[]"), ""
		}
		if host == "" {
			return nil, errors.New("the URL has no host: write memcached://HOST:PORT, or several HOST:PORT with commas")
		}
		servers = append(servers, net.JoinHostPort(host, cmp.Or(port, defaultPort)))
	}
	return servers, nil
}

// do calls f, which knows no context, and returns when that has ended: f ends by itself, within answer.
func do(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (b *backend) Close() error { return b.client.Close() }

func (b *backend) KV(_ context.Context, name string) (mq.KV, error) {
	if len(name) > MostName {
		return nil, fmt.Errorf("memcache: store %q: its name has %d bytes, of %d", name, len(name), MostName)
	}
	return &store{b.client, name}, nil
}

// A store is a part of the keys.
type store struct {
	client *memcache.Client
	name   string
}

// do calls f for a key. A read is done again, once, if the connection was an old one that the server has closed. A
// write is not: the first may have been done, and what somebody else has stored since would be undone.
func (s *store) do(ctx context.Context, what, key string, twice bool, f func() error) error {
	err := do(ctx, func() error {
		err := f()
		if twice && (errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)) {
			err = f()
		}
		return err
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, memcache.ErrCacheMiss):
		return mq.ErrNotFound
	case errors.Is(err, memcache.ErrNotStored):
		return mq.ErrExists
	case errors.Is(err, memcache.ErrCASConflict):
		return mq.ErrChanged
	}
	return fmt.Errorf("memcache: store %s: %s %s: %w", s.name, what, key, err)
}

// item is a value as it is stored; it keeps nothing of the caller's.
func (s *store) item(key string, value []byte, expiry time.Duration) *memcache.Item {
	return &memcache.Item{
		Key: s.key(key), Value: append([]byte(nil), value...), Expiration: expiration(expiry, time.Now()),
	}
}

// expiration is an expiry as memcached takes it: in seconds from now, or as a date if that is more than a month. It is
// a second longer than was asked, for the server counts the turns of its clock: a value for a second goes at the next
// one, which may be at once.
func expiration(expiry time.Duration, now time.Time) int32 {
	if expiry == 0 {
		return 0
	}
	seconds := int64((expiry+time.Second-1)/time.Second) + 1
	if seconds > int64(month/time.Second) {
		seconds += now.Unix()
	}
	if seconds > math.MaxInt32 {
		return 0
	}
	return int32(seconds)
}

func (s *store) key(key string) string { return s.name + ":" + key }

func (s *store) Get(ctx context.Context, key string) (value []byte, version uint64, err error) {
	got := make(chan *memcache.Item, 2)
	err = s.do(ctx, "get", key, true, func() error {
		i, err := s.client.Get(s.key(key))
		if err == nil {
			got <- i
		}
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	i := <-got
	return i.Value, i.CasID, nil
}

func (s *store) Set(ctx context.Context, key string, value []byte, expiry time.Duration) error {
	i := s.item(key, value, expiry)
	return s.do(ctx, "set", key, false, func() error { return s.client.Set(i) })
}

func (s *store) Add(ctx context.Context, key string, value []byte, expiry time.Duration) error {
	i := s.item(key, value, expiry)
	return s.do(ctx, "add", key, false, func() error { return s.client.Add(i) })
}

func (s *store) Swap(ctx context.Context, key string, value []byte, version uint64, expiry time.Duration) error {
	i := s.item(key, value, expiry)
	i.CasID = version
	return s.do(ctx, "swap", key, false, func() error { return s.client.CompareAndSwap(i) })
}

func (s *store) Delete(ctx context.Context, key string) error {
	err := s.do(ctx, "delete", key, false, func() error { return s.client.Delete(s.key(key)) })
	if errors.Is(err, mq.ErrNotFound) {
		return nil
	}
	return err
}
