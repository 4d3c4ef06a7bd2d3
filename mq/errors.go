package mq

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Errors that errors.Is finds.
var (
	// ErrFull is a queue that holds as much as QueueOptions.MaxJobs or MaxBytes allow, or a broker that says that its disk
	// or memory is full. The job is not stored.
	ErrFull = errors.New("mq: the queue is full")
	// ErrClosed is a Broker, or what belongs to it, after Close.
	ErrClosed = errors.New("mq: closed")
	// ErrLost is a job that is no longer this worker's: it was silent for too long, and the job may run elsewhere by now.
	ErrLost = errors.New("mq: the job was lost to another worker")
	// ErrDrained is the cause of a handler's context when a drain took longer than Consumer.Drain.
	ErrDrained = errors.New("mq: the consumer drains, and the time for that is over")
	// ErrNoQueue is a queue, and ErrNoJob a dead job, that is not there.
	ErrNoQueue = errors.New("mq: there is no such queue")
	ErrNoJob   = errors.New("mq: there is no such job")

	// ErrNotFound, ErrExists and ErrChanged are of a KV: the key has no value; it has one; it has another version.
	ErrNotFound = errors.New("mq: the key has no value")
	ErrExists   = errors.New("mq: the key has a value already")
	ErrChanged  = errors.New("mq: the value was changed by somebody else")
)

// Stored says whether a job is stored.
type Stored int

const (
	// NotStored: it is not, and will not be; it may be published again.
	NotStored Stored = iota
	// PerhapsStored: nobody knows, as when the connection broke before the broker's answer. Publishing it again, with its
	// ID, makes a duplicate at worst, and none in a queue with QueueOptions.Dedupe.
	PerhapsStored
	// IsStored: it is, though perhaps less safely than was asked for: see the error.
	IsStored
)

func (s Stored) String() string {
	return [...]string{NotStored: "not stored", PerhapsStored: "perhaps stored", IsStored: "stored"}[s]
}

// A PublishError is why a Publish failed, and what is known of the job.
type PublishError struct {
	Queue, ID string
	Stored    Stored
	Err       error
}

func (e *PublishError) Error() string {
	return fmt.Sprintf("mq: publish to %s: job %s is %v: %v", e.Queue, e.ID, e.Stored, e.Err)
}

func (e *PublishError) Unwrap() error { return e.Err }

// StoredBy says what an error of Publish means for the job. nil is IsStored, and an error of another kind NotStored:
// the message was refused before it was sent.
func StoredBy(err error) Stored {
	var p *PublishError
	switch {
	case err == nil:
		return IsStored
	case errors.As(err, &p):
		return p.Stored
	default:
		return NotStored
	}
}

// A CapabilityError is a queue, or a message, that asks for what its backend can't do.
type CapabilityError struct {
	Queue   string
	Backend string
	Lack    string   // what it can't, in words
	Can     []string // the names of the backends that can
}

func (e *CapabilityError) Error() string {
	can := "no backend can"
	if len(e.Can) > 0 {
		can = "these can: " + strings.Join(e.Can, ", ")
	}
	return fmt.Sprintf("mq: queue %s: backend %s has no %s; %s", e.Queue, e.Backend, e.Lack, can)
}

// A SettingsError is a queue that is there already, with other settings than it was opened with.
type SettingsError struct {
	Queue, Setting string
	Have, Want     any
}

func (e *SettingsError) Error() string {
	return fmt.Sprintf("mq: queue %s exists with %s %v, and was opened with %v: open it with what it has (or leave the "+
		"field empty), or delete the queue and its jobs", e.Queue, e.Setting, e.Have, e.Want)
}

// A giveBack is Later's error.
type giveBack struct {
	after time.Duration
	why   error
}

func (e *giveBack) Error() string {
	return fmt.Sprintf("mq: given back for %v: %v", e.after, e.why)
}

func (e *giveBack) Unwrap() error { return e.why }

// Later is what a handler returns to give the job back: it is handed out again, to anybody, after the time, and the
// try does not count. why may be nil.
func Later(after time.Duration, why error) error { return &giveBack{max(after, 0), why} }

type fatal struct{ why error }

func (e *fatal) Error() string { return "mq: not to be tried again: " + text(e.why) }
func (e *fatal) Unwrap() error { return e.why }

// Dead is what a handler returns for a job that no further try can help: it is dead at once. why is for its history.
func Dead(why error) error { return &fatal{why} }

func text(err error) string {
	if err == nil {
		return "no reason given"
	}
	return err.Error()
}
