package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/plexor-go/plexor/mq"
)

// A store is a key-value store: as safe as the server's jobs are.
type store struct {
	b    *backend
	name string
	base string
}

func (b *backend) KV(_ context.Context, name string) (mq.KV, error) {
	return &store{b: b, name: name, base: b.target.prefix + ":kv:{" + name + "}:"}, nil
}

func (s *store) wrap(what, key string, err error) error {
	return fmt.Errorf("redis: store %s: %s %s: %w", s.name, what, key, err)
}

func (s *store) Get(ctx context.Context, key string) (value []byte, version uint64, err error) {
	x, err := s.b.client.HMGet(ctx, s.base+"v:"+key, "v", "n").Result()
	if err != nil {
		return nil, 0, s.wrap("get", key, err)
	}
	v, _ := x[0].(string)
	n, ok := x[1].(string)
	if !ok {
		return nil, 0, mq.ErrNotFound
	}
	if version, err = strconv.ParseUint(n, 10, 64); err != nil {
		return nil, 0, s.wrap("get", key, err)
	}
	return []byte(v), version, nil
}

// put runs the script.
func (s *store) put(ctx context.Context, what, key string, value []byte, version uint64, expiry time.Duration) error {
	seconds := int64((expiry + time.Second - 1) / time.Second)
	n, err := kvScript.run(ctx, s.b.client, s.base, what, key, value, seconds, strconv.FormatUint(version, 10)).Int()
	if err != nil {
		return s.wrap(what, key, err)
	}
	return []error{mq.ErrNotFound, nil, mq.ErrExists, mq.ErrChanged}[n]
}

func (s *store) Set(ctx context.Context, key string, value []byte, expiry time.Duration) error {
	return s.put(ctx, "set", key, value, 0, expiry)
}

func (s *store) Add(ctx context.Context, key string, value []byte, expiry time.Duration) error {
	return s.put(ctx, "add", key, value, 0, expiry)
}

func (s *store) Swap(ctx context.Context, key string, value []byte, version uint64, expiry time.Duration) error {
	return s.put(ctx, "swap", key, value, version, expiry)
}

func (s *store) Delete(ctx context.Context, key string) error {
	if err := s.b.client.Del(ctx, s.base+"v:"+key).Err(); err != nil && !errors.Is(err, redis.Nil) {
		return s.wrap("delete", key, err)
	}
	return nil
}
