package mq

import (
	"context"
	"hash/fnv"
	"time"
)

// QueueOptions are what a queue is to be. The zero value of a field means: as the queue is, or, if it has to be made,
// the default. What the broker can't do is refused with a [*CapabilityError], other settings than those of a queue that
// is there with a [*SettingsError].
type QueueOptions struct {
	// Durability is the least that is enough (default: what the broker, as it was opened, has). It is not a setting: it is
	// compared with Capabilities.Durability.
	Durability Durability
	// Delay is how far ahead Message.NotBefore will be, at most. It is not a setting either: a queue that can't is refused
	// when it is opened, and not when the first such job comes.
	Delay time.Duration
	// Ordered: jobs with the same Key are handed out to a group one after another, in the order in which they were
	// published: the next one only when the one before is done or dead, over all consumers and all tries. A job whose
	// NotBefore has not come holds up those after it.
	Ordered bool
	// Partitions is, for an ordered queue, how many jobs of a group may be out at once, at most: keys are spread over them
	// (default 16). A backend with an order for each key (mem) does not need it.
	Partitions int
	// Dedupe is how long the ID of a job is kept, so that a second one with the same is not stored (default: no IDs are).
	Dedupe time.Duration
	// Priorities is how many there are (default 1). Of jobs that wait those with the higher one are handed out first.
	Priorities int
	// Replicas is how many nodes of a cluster have each job (default 1, or what the broker was opened with).
	Replicas int
	// MaxJobs and MaxBytes are how many jobs may be stored, and bytes of them as the broker counts (default 1,000,000 and
	// 1 GiB). Beyond, Publish fails with ErrFull, or waits, see Wait. Dead jobs have bounds of their own.
	MaxJobs  int64
	MaxBytes int64
	// MaxDead is how many dead jobs are kept (default 100,000). Beyond, a job that is to be dead comes again every five
	// minutes until there is room, which is logged: no job is dropped by itself. It is a backend's to return ErrFull from
	// Bury then.
	MaxDead int64

	// Wait: a Publish to a queue that is full waits for room until its context ends. It is the handle's, not a setting.
	Wait bool
}

// The defaults of QueueOptions, for backends.
const (
	DefaultPartitions = 16
	DefaultMaxJobs    = 1_000_000
	DefaultMaxBytes   = 1 << 30
	DefaultMaxDead    = 100_000
)

// Fill returns o with the defaults in place of its zero fields: what a backend makes a queue with. Durability, Delay
// and Wait, which are no settings, are zero.
func (o QueueOptions) Fill() QueueOptions {
	o.Durability, o.Delay, o.Wait = 0, 0, false
	def := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	def(&o.MaxJobs, DefaultMaxJobs)
	def(&o.MaxBytes, DefaultMaxBytes)
	def(&o.MaxDead, DefaultMaxDead)
	o.Priorities, o.Replicas = max(o.Priorities, 1), max(o.Replicas, 1)
	if o.Partitions == 0 {
		o.Partitions = DefaultPartitions
	}
	if !o.Ordered {
		o.Partitions = 1
	}
	return o
}

// Differs compares what a queue has with what is wanted, zero fields of which mean anything: a *SettingsError of the
// first that differs, or nil. have is filled.
func (o QueueOptions) Differs(queue string, have QueueOptions) error {
	for _, f := range []struct {
		name       string
		have, want any
		differ     bool
	}{
		{"Ordered", have.Ordered, o.Ordered, o.Ordered && !have.Ordered},
		{"Partitions", have.Partitions, o.Partitions, o.Partitions != 0 && o.Partitions != have.Partitions},
		{"Dedupe", have.Dedupe, o.Dedupe, o.Dedupe != 0 && o.Dedupe != have.Dedupe},
		{"Priorities", have.Priorities, o.Priorities, o.Priorities > 1 && o.Priorities != have.Priorities},
		{"Replicas", have.Replicas, o.Replicas, o.Replicas != 0 && o.Replicas != have.Replicas},
		{"MaxJobs", have.MaxJobs, o.MaxJobs, o.MaxJobs != 0 && o.MaxJobs != have.MaxJobs},
		{"MaxBytes", have.MaxBytes, o.MaxBytes, o.MaxBytes != 0 && o.MaxBytes != have.MaxBytes},
		{"MaxDead", have.MaxDead, o.MaxDead, o.MaxDead != 0 && o.MaxDead != have.MaxDead},
	} {
		if f.differ {
			return &SettingsError{Queue: queue, Setting: f.name, Have: f.have, Want: f.want}
		}
	}
	return nil
}

// Partition is the number, below n, of the partition that jobs with this key, or, if it is empty, with this ID, are in.
// It is the same in every process and on every machine.
func Partition(m *Message, n int) int {
	if n == 1 {
		return 0
	}
	s := m.Key
	if s == "" {
		s = m.ID
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(s)) // it never fails
	return int(h.Sum32() % uint32(n))
}

// A Queue is one that was opened. Its methods are for any number of goroutines, and for coroutines.
type Queue struct {
	b    *Broker
	name string
	q    BackendQueue
	o    QueueOptions // as the queue is, and Wait as it was asked for
}

// Name is the queue's.
func (q *Queue) Name() string { return q.name }

// Settings are what the queue has.
func (q *Queue) Settings() QueueOptions { return q.o }

// Publish stores a job. When it returns nil the job is as safe as Capabilities.Durability says; StoredBy tells what an
// error means. A context that ends makes it return soon, with PerhapsStored unless more is known.
func (q *Queue) Publish(ctx context.Context, m Message) (Receipt, error) {
	rs, err := q.PublishBatch(ctx, []Message{m})
	return rs[0], err
}

// PublishBatch stores jobs, in their order, some of them at once, and returns when all are stored or have failed. The
// receipts are those of ms, one by one; the error is nil if all are stored, and else the first one's. It is much faster
// than one Publish after another, for the broker puts many on the disk at once.
func (q *Queue) PublishBatch(ctx context.Context, ms []Message) ([]Receipt, error) {
	return q.publish(ctx, ms)
}

// Dead lists dead jobs, the oldest first, at most most, of those after the one whose Ref is after ("": from the first).
func (q *Queue) Dead(ctx context.Context, after string, most int) ([]DeadJob, error) {
	return q.q.Dead(ctx, after, most)
}

// Redrive makes a dead job wait again, for its group, as a new one; ErrNoJob if there is none of that Ref.
func (q *Queue) Redrive(ctx context.Context, ref string) error { return q.q.Redrive(ctx, ref) }

// Drop removes a dead job: ErrNoJob if there is none of that Ref.
func (q *Queue) Drop(ctx context.Context, ref string) error { return q.q.Drop(ctx, ref) }

// Stats counts what is in the queue now.
func (q *Queue) Stats(ctx context.Context) (QueueStats, error) { return q.q.Stats(ctx) }
