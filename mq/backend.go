package mq

import (
	"context"
	"net/url"
	"time"
)

// This file is the contract between the core and a backend. The core has the policy: how often a job is tried, the
// pauses between, its history, progress, deadlines, drains, counts. A backend stores, hands out and takes back; the
// suite in package mqtest holds each line of this.

// A Driver opens what one or several schemes stand for. A backend's package gives it to Register in its init.
type Driver struct {
	// Open connects and checks: the broker's version, the password, what it promises. Its error says what to do. It
	// refuses parameters of the URL that it does not know. nil: the scheme has no queues.
	Open func(ctx context.Context, u *url.URL, o Options) (Backend, error)
	// OpenKV is for a scheme that has key-value stores and no queues; nil: a Backend that is a KVBackend serves.
	OpenKV func(ctx context.Context, u *url.URL, o Options) (KVBackend, error)
}

// A Backend is a connection to a broker. Its methods are for any number of goroutines at once. Every method that takes
// a context returns soon after that has ended.
type Backend interface {
	// Capabilities are those of this very broker, as it was opened; they do not change.
	Capabilities() Capabilities
	// OpenQueue makes the queue, or opens the one that is there. The core has checked the name and o against Capabilities.
	// Zero fields of o mean: as the queue has it, or the default (see QueueOptions) if it has to be made. A field that
	// differs from what the queue has is a *SettingsError. The core opens a queue once.
	OpenQueue(ctx context.Context, name string, o QueueOptions) (BackendQueue, error)
	// Queues are the names of all that there are, sorted.
	Queues(ctx context.Context) ([]string, error)
	// DeleteQueue removes a queue with its jobs, the dead ones too: ErrNoQueue if there is none.
	DeleteQueue(ctx context.Context, name string) error
	// Close ends the connection. The core has closed all sources before. Jobs that were handed out and not settled go to
	// others, as soon as the backend can.
	Close() error
}

// A BackendQueue is a queue. Its methods are for any number of goroutines at once.
type BackendQueue interface {
	// Settings are what the queue has: no field is zero for which there is a default.
	Settings() QueueOptions
	// Publish stores jobs, in their order, each as durably as Capabilities says, and waits for that. It sets Err or
	// Duplicate of the receipt of each: Err is ErrFull if the queue is full, with NotStored; else a *PublishError (of
	// which the core fills in Queue and ID) that tells what is known. ms have IDs, are within the limits, and are not
	// changed; nothing of them is kept after the return. len(rs) is len(ms).
	Publish(ctx context.Context, ms []*Message, rs []Receipt)
	// Group makes a group that is not there. The first of a queue gets all jobs from the beginning, each later one those
	// that are published from then on.
	Group(ctx context.Context, group string) error
	// Subscribe begins to take jobs of a group, which Group has made. ctx bounds the call alone.
	Subscribe(ctx context.Context, group string, o SubscribeOptions) (Source, error)
	// Dead lists dead jobs, the oldest first, at most most of them, of those after the one whose Ref is after ("": from
	// the first). Fewer than most means that there are no more.
	Dead(ctx context.Context, after string, most int) ([]DeadJob, error)
	// Redrive makes a dead job wait again, for its group alone: as a new one, with no tries and no history, that is not
	// taken for a duplicate. When it returns, the job waits as durably as after Publish, and is dead no more. If it fails,
	// or the process ends, in the midst, the job may be both, and is never neither. ErrNoJob if there is none. Delays have
	// passed.
	Redrive(ctx context.Context, ref string) error
	// Drop removes a dead job: ErrNoJob if there is none.
	Drop(ctx context.Context, ref string) error
	// Stats counts what there is now.
	Stats(ctx context.Context) (QueueStats, error)
}

// SubscribeOptions are how a consumer takes jobs.
type SubscribeOptions struct {
	// InFlight is how many jobs a Source has handed out, at most, that are not settled.
	InFlight int
	// Visibility is how long a job may be out without Extend until it is handed out again.
	Visibility time.Duration
	// Worker names the consumer, for people.
	Worker string
}

// A Source hands out jobs of one group to one consumer. Next is for one goroutine; the other methods are for any number
// at once. Each delivery is settled once, by one of Ack, Nak and Bury; if that fails it may be tried again. They, and
// Extend, return ErrLost where the backend knows that the job is not this consumer's any more.
type Source interface {
	// Next waits until there are jobs, and returns at least one and at most most, in the order of the queue; or the cause
	// of ctx's end, and then no job is lost by it. most is not more than what is free of InFlight. Jobs whose NotBefore
	// has not come are not returned. A broken connection is made anew inside, as long as that can succeed; what Next
	// returns otherwise ends the Consume.
	Next(ctx context.Context, most int) ([]*Delivery, error)
	// Ack: the job is done, for this group. That it returns nil means that the broker was told, or that it will be with
	// the next flush, soon; an Ack that is lost with the connection makes the job come again.
	Ack(ctx context.Context, d *Delivery) error
	// Nak gives a job back, to be handed out after the delay, to any consumer, with the history in place of the one that
	// it had. It counts as handed out again then: the Delivery's Attempt is one more.
	Nak(ctx context.Context, d *Delivery, delay time.Duration, history []byte) error
	// Extend says that the job is being worked on: it stays with this consumer for Visibility from now on.
	Extend(ctx context.Context, d *Delivery) error
	// Bury makes the job dead, with the history. Only when that is stored, as durably as Publish stores, is it taken from
	// its group: if the process ends in the midst, the job is dead and handed out once more, and buried a second time is
	// dead once, where the backend can tell.
	Bury(ctx context.Context, d *Delivery, history []byte) error
	// Close ends it. What is not settled is given back at once, where the backend can, and else after Visibility. Next
	// returns ErrClosed.
	Close() error
}

// A Delivery is a job that was handed out.
type Delivery struct {
	Message             // as it was published; Body is the receiver's
	Published time.Time // by the publisher's or the broker's clock
	Attempt   int       // how often it was handed out to this group, with this time: 1, 2, …
	History   []byte    // of the last Nak; nil: there was none
	Token     any       // the backend's own
}

// A KVBackend has key-value stores. A Backend may be one, and it is what Driver.OpenKV returns.
type KVBackend interface {
	// KV opens the store of that name, and makes it if there is none. The core has checked the name, and checks keys,
	// sizes and expiries before each call.
	KV(ctx context.Context, name string) (KV, error)
	Close() error
}

// KV is a store of values by key: a cache, a lock's ground, a session's state. How safe it is is the backend's matter:
// see its package. A key is 1 to 200 bytes of letters, digits and -_./= and no dot is first, last, or beside another. A
// value may be empty. Methods are for any number of goroutines, and return soon after their context has ended.
//
// expiry is how long the value is there, a second to a hundred years, rounded up to whole seconds; 0: until it is
// deleted or, in a cache, pushed out.
type KV interface {
	// Get returns the value, which is the caller's, and its version, which is that of no other value that the key has had;
	// or ErrNotFound.
	Get(ctx context.Context, key string) (value []byte, version uint64, err error)
	// Set stores a value, whatever there was.
	Set(ctx context.Context, key string, value []byte, expiry time.Duration) error
	// Add stores a value if there is none, or returns ErrExists.
	Add(ctx context.Context, key string, value []byte, expiry time.Duration) error
	// Swap stores a value in place of the one with that version, or returns ErrChanged; ErrNotFound if there is none,
	// where the backend can tell.
	Swap(ctx context.Context, key string, value []byte, version uint64, expiry time.Duration) error
	// Delete removes the value; that there is none is not an error.
	Delete(ctx context.Context, key string) error
}
