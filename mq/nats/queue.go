package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/plexor-go/plexor/mq"
)

// settingsKey is what of a stream's metadata has the queue's settings, and groupKey a consumer's group.
const (
	settingsKey = "plexor-queue"
	groupKey    = "plexor-group"
)

// A queue is a stream, with the two beside it.
type queue struct {
	b      *backend
	name   string
	o      mq.QueueOptions
	gather *gatherer // nil: each job is stored by itself

	mu    sync.Mutex
	aside map[string]bool // streams beside it that are there
}

func (b *backend) OpenQueue(ctx context.Context, name string, o mq.QueueOptions) (mq.BackendQueue, error) {
	q := &queue{b: b, name: name, aside: make(map[string]bool)}
	if err := b.insist(ctx, func(ctx context.Context) error { return q.open(ctx, o) }); err != nil {
		return nil, err
	}
	if b.stage != nil {
		q.gather = &gatherer{q: q}
	}
	return q, nil
}

func (q *queue) open(ctx context.Context, o mq.QueueOptions) error {
	for {
		s, err := q.b.js.Stream(ctx, jobsPrefix+q.name)
		switch {
		case err == nil:
			if err := q.adopt(s.CachedInfo().Config, o); err != nil {
				return err
			}
			return q.allowBatches(ctx, s.CachedInfo().Config)
		case !errors.Is(err, jetstream.ErrStreamNotFound):
			return fmt.Errorf("nats: open stream %s%s: %w", jobsPrefix, q.name, err)
		}
		q.o = o.Fill()
		if o.Replicas == 0 {
			q.o.Replicas = q.b.replicas
		}
		if o.MaxBytes == 0 && q.b.maxStore > 0 {
			q.o.MaxBytes = q.b.maxStore
		}
		_, err = q.b.js.CreateStream(ctx, q.stream())
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse): // by somebody else at the same time
			return q.refused(err)
		}
	}
}

// adopt takes the settings that the queue has.
func (q *queue) adopt(c jetstream.StreamConfig, o mq.QueueOptions) error {
	text, ok := c.Metadata[settingsKey]
	if err := json.Unmarshal([]byte(text), &q.o); !ok || err != nil {
		return fmt.Errorf("nats: the stream %s is there, and was not made by package mq: rename the queue, or delete that "+
			"stream", c.Name)
	}
	return o.Differs(q.name, q.o)
}

// allowBatches changes a stream that was made by somebody who knew no batches.
func (q *queue) allowBatches(ctx context.Context, c jetstream.StreamConfig) error {
	if q.b.stage == nil || c.AllowAtomicPublish {
		return nil
	}
	c.AllowAtomicPublish = true
	if _, err := q.b.js.UpdateStream(ctx, c); err != nil {
		return fmt.Errorf("nats: change stream %s to take batches: %w", c.Name, err)
	}
	return nil
}

// stream is the settings of the queue's. Until its first group comes it keeps all jobs; from then on, until all groups
// are done with them.
func (q *queue) stream() jetstream.StreamConfig {
	c := q.base(jobsPrefix, subjectPrefix)
	c.MaxMsgs, c.Duplicates, c.AllowAtomicPublish = q.o.MaxJobs, q.o.Dedupe, q.b.stage != nil
	if q.o.MaxBytes != q.b.maxStore { // the server would set so much aside for it
		c.MaxBytes = q.o.MaxBytes
	}
	text, err := json.Marshal(q.o)
	if err != nil {
		panic(fmt.Sprintf("nats: settings that are no JSON: %v", err))
	}
	c.Metadata = map[string]string{settingsKey: string(text)}
	return c
}

// base is what all of a queue's streams have.
func (q *queue) base(name, subject string) jetstream.StreamConfig {
	return jetstream.StreamConfig{Name: name + q.name, Subjects: []string{subject + q.name + ".>"},
		Discard: jetstream.DiscardNew, Replicas: q.o.Replicas, MaxBytes: -1, MaxMsgs: -1}
}

// refused adds advice to the server's refusal of a stream.
func (q *queue) refused(err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode {
		case codeNoResources, codeNoStorage, codeAccountResources:
			return fmt.Errorf("nats: make queue %s: the server has no room for %d bytes: ask for less by "+
				"QueueOptions.MaxBytes, or give it more (max_file_store; store= of nats+embedded): %w", q.name, q.o.MaxBytes, err)
		case codeReplicas, codeNoPeers:
			return fmt.Errorf("nats: make queue %s with %d replicas: the cluster needs as many nodes: %w", q.name, q.o.Replicas,
				err)
		}
	}
	return fmt.Errorf("nats: make queue %s: %w", q.name, err)
}

// Error codes of JetStream's API.
const (
	codeNoPeers          = 10005
	codeNotAvailable     = 10008
	codeNotLeader        = 10009
	codeNoResources      = 10023
	codeAccountResources = 10002
	codeNoStorage        = 10047
	codeReplicas         = 10074
	codeStoreFailed      = 10077
	codeWrongSequence    = 10071
)

// besides makes the stream of dead jobs, or of histories.
func (q *queue) besides(ctx context.Context, prefix string) error {
	if q.has(prefix) {
		return nil
	}
	c := q.base(prefix, deadSubject)
	c.MaxMsgs = q.o.MaxDead
	if prefix == historyPrefix {
		c = q.base(prefix, historySubj)
		c.MaxMsgs, c.MaxMsgsPerSubject, c.Discard = q.o.MaxJobs, 1, jetstream.DiscardOld
	}
	_, err := q.b.js.CreateStream(ctx, c)
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return q.refused(err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.aside[prefix] = true
	return nil
}

func (q *queue) has(prefix string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.aside[prefix]
}

func (q *queue) Settings() mq.QueueOptions { return q.o }

// subject is where a job is published: to all groups, or, redriven, to one.
func (q *queue) subject(m *mq.Message, group string) string {
	s := subjectPrefix + q.name + ".j." + strconv.Itoa(mq.Partition(m, q.o.Partitions))
	if group == "" {
		return s + ".a"
	}
	return s + ".g." + group
}

// consumer is the name of a group's consumer of a partition.
func (q *queue) consumer(group string, part int) string {
	if !q.o.Ordered {
		return group
	}
	return group + "=" + strconv.Itoa(part)
}

// Group makes the group's consumers. Those of the first group begin with the first job; then the stream is told to keep
// jobs for groups alone. A process that ends in the midst leaves a stream that keeps too much, until the next call.
func (q *queue) Group(ctx context.Context, group string) error {
	return q.b.insist(ctx, func(ctx context.Context) error { return q.group(ctx, group) })
}

func (q *queue) group(ctx context.Context, group string) error {
	s, err := q.b.js.Stream(ctx, jobsPrefix+q.name)
	if err != nil {
		return q.gone(err)
	}
	info := s.CachedInfo()
	first := info.Config.Retention == jetstream.LimitsPolicy
	for part := range q.o.Partitions {
		name := q.consumer(group, part)
		_, err := s.Consumer(ctx, name)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			_, err = s.CreateConsumer(ctx, q.consumerConfig(group, part, first))
			if err != nil && !errors.Is(err, jetstream.ErrConsumerExists) {
				return fmt.Errorf("nats: make consumer %s of stream %s: %w", name, info.Config.Name, err)
			}
		} else if err != nil {
			return q.gone(err)
		}
		if err := q.b.names.ofConsumer(info.Config.Name, name); err != nil {
			return err
		}
	}
	if !first {
		return nil
	}
	c := info.Config
	c.Retention = jetstream.InterestPolicy
	if _, err := q.b.js.UpdateStream(ctx, c); err != nil {
		return fmt.Errorf("nats: change stream %s to keep jobs for groups: %w", c.Name, err)
	}
	return nil
}

func (q *queue) consumerConfig(group string, part int, first bool) jetstream.ConsumerConfig {
	base := subjectPrefix + q.name + ".j." + strconv.Itoa(part)
	c := jetstream.ConsumerConfig{Durable: q.consumer(group, part), AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: firstAckWait, MaxDeliver: -1, MaxAckPending: -1, MaxWaiting: mostPulls,
		FilterSubjects: []string{base + ".a", base + ".g." + group},
		DeliverPolicy:  jetstream.DeliverNewPolicy, Metadata: map[string]string{groupKey: group}}
	if first {
		c.DeliverPolicy = jetstream.DeliverAllPolicy
	}
	if q.o.Ordered {
		c.MaxAckPending = 1
	}
	return c
}

const (
	firstAckWait = time.Second // until somebody subscribes with another
	mostPulls    = 4096        // that wait at a consumer: one or a few of each worker
)

// gone makes ErrNoQueue of a stream that is not there.
func (q *queue) gone(err error) error {
	if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound) {
		return mq.ErrNoQueue
	}
	return fmt.Errorf("nats: stream %s%s: %w", jobsPrefix, q.name, err)
}

// visibility makes AckWait what a consumer asks for. One that is longer stays, if somebody uses it: workers of a group
// that differ have the longest.
func (q *queue) visibility(ctx context.Context, group string, d time.Duration) error {
	for part := range q.o.Partitions {
		c, err := q.b.js.Consumer(ctx, jobsPrefix+q.name, q.consumer(group, part))
		if err != nil {
			return q.gone(err)
		}
		info := c.CachedInfo()
		has := info.Config.AckWait
		if has == d || has > d && (info.NumWaiting > 0 || info.NumAckPending > 0) {
			continue
		}
		cfg := info.Config
		cfg.AckWait = d
		if _, err := q.b.js.UpdateConsumer(ctx, jobsPrefix+q.name, cfg); err != nil {
			return fmt.Errorf("nats: change consumer %s: %w", cfg.Durable, err)
		}
	}
	return nil
}

func (q *queue) Stats(ctx context.Context) (st mq.QueueStats, err error) {
	err = q.b.insist(ctx, func(ctx context.Context) error { // the node that was to answer may have died with it
		st, err = q.stats(ctx)
		return err
	})
	return st, err
}

func (q *queue) stats(ctx context.Context) (mq.QueueStats, error) {
	s, err := q.b.js.Stream(ctx, jobsPrefix+q.name)
	if err != nil {
		return mq.QueueStats{}, q.gone(err)
	}
	state := s.CachedInfo().State
	st := mq.QueueStats{Jobs: int64(state.Msgs), Bytes: int64(state.Bytes)}
	if state.Msgs > 0 {
		st.Oldest = state.FirstTime
	}
	groups := make(map[string]int)
	list := s.ListConsumers(ctx)
	for c := range list.Info() {
		group, ok := c.Config.Metadata[groupKey]
		if !ok {
			continue // somebody else's
		}
		i, ok := groups[group]
		if !ok {
			i = len(st.Groups)
			groups[group] = i
			st.Groups = append(st.Groups, mq.GroupStats{Name: group})
		}
		st.Groups[i].Waiting += int64(c.NumPending)
		st.Groups[i].InFlight += int64(c.NumAckPending)
	}
	if err := list.Err(); err != nil && !errors.Is(err, jetstream.ErrEndOfData) {
		return st, q.gone(err)
	}
	dead, err := q.b.js.Stream(ctx, deadPrefix+q.name)
	switch {
	case err == nil:
		st.Dead = int64(dead.CachedInfo().State.Msgs)
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return st, fmt.Errorf("nats: stream %s%s: %w", deadPrefix, q.name, err)
	}
	return st, nil
}

// Subscribe begins to pull.
func (q *queue) Subscribe(ctx context.Context, group string, o mq.SubscribeOptions) (mq.Source, error) {
	err := q.b.insist(ctx, func(ctx context.Context) error { return q.visibility(ctx, group, o.Visibility) })
	if err != nil {
		return nil, err
	}
	s := &source{q: q, group: group, o: o, wake: make(chan struct{}, 1), has: make(map[*mq.Delivery]struct{}),
		asked: make([]asked, q.o.Partitions)}
	if err := s.listen(); err != nil {
		return nil, fmt.Errorf("nats: subscribe: %w", err)
	}
	q.b.mu.Lock()
	defer q.b.mu.Unlock()
	q.b.sources[s] = struct{}{}
	return s, nil
}

// status is the code of a message without content that the server sends about a request; 0: it is another message.
func status(m *natsgo.Msg) (code int, text string) {
	if len(m.Data) > 0 || len(m.Header) == 0 {
		return 0, ""
	}
	code, err := strconv.Atoi(m.Header.Get("Status"))
	if err != nil {
		return 0, ""
	}
	return code, strings.ToLower(m.Header.Get("Description"))
}
