package mq

import (
	"context"
	"fmt"
	"strings"
	"time"
)

const (
	// mostKVKey is the length of a key in bytes: memcached's bound of 250 less a prefix.
	mostKVKey = 200
	// mostExpiry is the longest expiry, which is one of whole seconds for every store.
	mostExpiry = 100 * 365 * 24 * time.Hour
)

// A checked KV refuses keys and times that not every backend takes, and lets coroutines park.
type checkedKV struct {
	kv   KV
	most int // bytes of a value
}

func (k checkedKV) check(key string, value []byte, expiry time.Duration) error {
	ok := key != "" && len(key) <= mostKVKey && key[0] != '.' && key[len(key)-1] != '.' && !strings.Contains(key, "..")
	for _, c := range []byte(key) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			strings.IndexByte("-_./=", c) >= 0)
	}
	switch {
	case !ok:
		return fmt.Errorf("mq: %q is no key: it has 1 to %d letters, digits and -_./= , and dots apart and within", key,
			mostKVKey)
	case len(value) > k.most:
		return fmt.Errorf("mq: the value of %s has %d bytes, of %d that Limits.Body allows", key, len(value), k.most)
	case expiry < 0 || expiry > 0 && expiry < time.Second:
		return fmt.Errorf("mq: the expiry of %s is %v: it must be 0, or at least a second", key, expiry)
	case expiry > mostExpiry:
		return fmt.Errorf("mq: the expiry of %s is %v, of %v at most: 0 is for ever", key, expiry, mostExpiry)
	}
	return nil
}

// do calls f with a key that was checked.
func (k checkedKV) do(ctx context.Context, key string, value []byte, expiry time.Duration,
	f func(ctx context.Context) error) error {
	if err := k.check(key, value, expiry); err != nil {
		return err
	}
	_, err := await(ctx, "mq: key-value store", func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	return err
}

func (k checkedKV) Get(ctx context.Context, key string) (value []byte, version uint64, err error) {
	err = k.do(ctx, key, nil, 0, func(ctx context.Context) (err error) {
		value, version, err = k.kv.Get(ctx, key)
		return err
	})
	return value, version, err
}

func (k checkedKV) Set(ctx context.Context, key string, value []byte, expiry time.Duration) error {
	return k.do(ctx, key, value, expiry, func(ctx context.Context) error { return k.kv.Set(ctx, key, value, expiry) })
}

func (k checkedKV) Add(ctx context.Context, key string, value []byte, expiry time.Duration) error {
	return k.do(ctx, key, value, expiry, func(ctx context.Context) error { return k.kv.Add(ctx, key, value, expiry) })
}

func (k checkedKV) Swap(ctx context.Context, key string, value []byte, version uint64, expiry time.Duration) error {
	return k.do(ctx, key, value, expiry, func(ctx context.Context) error {
		return k.kv.Swap(ctx, key, value, version, expiry)
	})
}

func (k checkedKV) Delete(ctx context.Context, key string) error {
	return k.do(ctx, key, nil, 0, func(ctx context.Context) error { return k.kv.Delete(ctx, key) })
}
