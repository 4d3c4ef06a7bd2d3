package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/plexor-go/plexor/mq"
)

// A kv is a key-value store: a stream with one message for each key, laid out as NATS's own are. A value's version is
// its number in the stream. It is read at the stream's leader, so that who has written sees it.
type kv struct {
	b      *backend
	q      *queue // for its way to publish
	stream jetstream.Stream
	prefix string // of subjects
}

// KV opens a store.
func (b *backend) KV(ctx context.Context, name string) (mq.KV, error) {
	c := jetstream.StreamConfig{Name: "KV_" + kvPrefix + name, Subjects: []string{"$KV." + kvPrefix + name + ".>"},
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, Replicas: b.replicas, AllowMsgTTL: true, AllowRollup: true,
		MaxBytes: -1, MaxMsgs: -1}
	s, err := b.js.CreateStream(ctx, c)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		s, err = b.js.Stream(ctx, c.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("nats: make store %s: %w", name, err)
	}
	return &kv{b: b, q: &queue{b: b, name: name}, stream: s, prefix: "$KV." + kvPrefix + name + "."}, nil
}

func (k *kv) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	m, err := k.stream.GetLastMsgForSubject(ctx, k.prefix+key)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, 0, mq.ErrNotFound
	case err != nil:
		return nil, 0, fmt.Errorf("nats: get %s: %w", key, err)
	case m.Header.Get("KV-Operation") != "": // another client of NATS has deleted it
		return nil, 0, mq.ErrNotFound
	}
	return m.Data, m.Sequence, nil
}

// put publishes a value. after is the version that there must be; nil: any.
func (k *kv) put(ctx context.Context, key string, value []byte, expiry time.Duration, after *uint64) error {
	m := &natsgo.Msg{Subject: k.prefix + key, Data: value, Header: natsgo.Header{}}
	if expiry > 0 {
		seconds := (expiry + time.Second - 1) / time.Second
		m.Header["Nats-TTL"] = []string{strconv.FormatInt(int64(seconds), 10) + "s"}
	}
	if after != nil {
		m.Header[natsgo.ExpectedLastSubjSeqHdr] = []string{strconv.FormatUint(*after, 10)}
	}
	a := k.q.store(ctx, []*natsgo.Msg{m})[0]
	var api *jetstream.APIError
	if errors.As(a.err, &api) && api.ErrorCode == codeWrongSequence {
		return mq.ErrChanged
	}
	if a.err != nil {
		return fmt.Errorf("nats: set %s: %w", key, a.err)
	}
	return nil
}

func (k *kv) Set(ctx context.Context, key string, value []byte, expiry time.Duration) error {
	return k.put(ctx, key, value, expiry, nil)
}

func (k *kv) Add(ctx context.Context, key string, value []byte, expiry time.Duration) error {
	err := k.put(ctx, key, value, expiry, new(uint64))
	if errors.Is(err, mq.ErrChanged) {
		return mq.ErrExists
	}
	return err
}

func (k *kv) Swap(ctx context.Context, key string, value []byte, version uint64, expiry time.Duration) error {
	if version == 0 {
		return mq.ErrChanged // to the server it would be: none
	}
	return k.put(ctx, key, value, expiry, &version)
}

func (k *kv) Delete(ctx context.Context, key string) error {
	if err := k.stream.Purge(ctx, jetstream.WithPurgeSubject(k.prefix+key)); err != nil {
		return fmt.Errorf("nats: delete %s: %w", key, err)
	}
	return nil
}
