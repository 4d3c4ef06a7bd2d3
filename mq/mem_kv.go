package mq

import (
	"context"
	"slices"
	"time"
)

// memKVMost is how many bytes the key-value stores of a mem:// broker hold, keys and values and memOverhead for each:
// beyond, ErrFull.
const memKVMost = 256 << 20

// A memKV is a KV in memory.
type memKV struct {
	s       *memStore
	values  map[string]memValue
	version uint64 // of the last change
}

type memValue struct {
	b       []byte
	version uint64
	until   time.Time // zero: for ever
}

// KV opens a store.
func (b *memBackend) KV(_ context.Context, name string) (KV, error) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	kv := b.s.kvs[name]
	if kv == nil {
		kv = &memKV{s: b.s, values: make(map[string]memValue)}
		b.s.kvs[name] = kv
	}
	return kv, nil
}

// get finds a value that is there. s.mu is held.
func (kv *memKV) get(key string) (memValue, bool) {
	v, ok := kv.values[key]
	if ok && !v.until.IsZero() && !time.Now().Before(v.until) {
		kv.remove(key)
		return memValue{}, false
	}
	return v, ok
}

func (kv *memKV) remove(key string) {
	if v, ok := kv.values[key]; ok {
		delete(kv.values, key)
		kv.s.kvSize -= memOverhead + len(key) + len(v.b)
	}
}

func (kv *memKV) put(key string, value []byte, expiry time.Duration) error {
	var until time.Time
	if expiry > 0 {
		until = time.Now().Add(roundUp(expiry))
	}
	old := 0
	if v, ok := kv.values[key]; ok {
		old = memOverhead + len(key) + len(v.b)
	}
	size := memOverhead + len(key) + len(value) - old
	if kv.s.kvSize+size > memKVMost {
		kv.s.expireKV()
		if kv.s.kvSize+size > memKVMost {
			return ErrFull
		}
	}
	kv.remove(key)
	kv.version++
	kv.values[key] = memValue{slices.Clone(value), kv.version, until}
	kv.s.kvSize += memOverhead + len(key) + len(value)
	return nil
}

// expireKV removes what has expired, of all stores.
func (s *memStore) expireKV() {
	for _, kv := range s.kvs {
		for key := range kv.values {
			kv.get(key)
		}
	}
}

// roundUp makes an expiry one of whole seconds.
func roundUp(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

func (kv *memKV) Get(_ context.Context, key string) ([]byte, uint64, error) {
	kv.s.mu.Lock()
	defer kv.s.mu.Unlock()
	v, ok := kv.get(key)
	if !ok {
		return nil, 0, ErrNotFound
	}
	return slices.Clone(v.b), v.version, nil
}

func (kv *memKV) Set(_ context.Context, key string, value []byte, expiry time.Duration) error {
	kv.s.mu.Lock()
	defer kv.s.mu.Unlock()
	return kv.put(key, value, expiry)
}

func (kv *memKV) Add(_ context.Context, key string, value []byte, expiry time.Duration) error {
	kv.s.mu.Lock()
	defer kv.s.mu.Unlock()
	if _, ok := kv.get(key); ok {
		return ErrExists
	}
	return kv.put(key, value, expiry)
}

func (kv *memKV) Swap(_ context.Context, key string, value []byte, version uint64, expiry time.Duration) error {
	kv.s.mu.Lock()
	defer kv.s.mu.Unlock()
	v, ok := kv.get(key)
	switch {
	case !ok:
		return ErrNotFound
	case v.version != version:
		return ErrChanged
	}
	return kv.put(key, value, expiry)
}

func (kv *memKV) Delete(_ context.Context, key string) error {
	kv.s.mu.Lock()
	defer kv.s.mu.Unlock()
	kv.remove(key)
	return nil
}
