package mq

import (
	"context"
	"time"
)

// A Message is a job as its publisher makes it. The zero value of each field means that there is none of it.
type Message struct {
	// Body is the job's content. It is the publisher's again when Publish has returned.
	Body []byte
	// ID names the job. In a queue with QueueOptions.Dedupe a second job with the ID of one that was published within that
	// time is not stored: Publish succeeds, with Receipt.Duplicate. If it is empty, Publish makes one up at random.
	ID string
	// Key is what an ordered queue orders by.
	Key string
	// Header is the publisher's own. Names are not empty, have no line ends and no colon, and do not begin with "Plexor-";
	// values have no line ends. The case of a name counts.
	Header map[string]string
	// NotBefore is the time before which the job is not handed out, by the broker's clock.
	NotBefore time.Time
	// Deadline is the time after which the job is of no use: it is not handed to a handler then, but removed and counted
	// as expired, by the worker's clock. A handler's context ends at it.
	Deadline time.Time
	// Priority is from 0, which is the lowest and the default, to one less than the queue's priorities.
	Priority int
}

// A Receipt is what became of a message that was published.
type Receipt struct {
	ID        string // the job's
	Duplicate bool   // a job with this ID was there already, so this one was not stored
	Err       error  // of PublishBatch: why this one was not, or perhaps not, stored: a *PublishError
}

// A Job is what a handler gets. It is the handler's until that returns; the fields are its own copies.
type Job struct {
	Message // Message.Body is the handler's, and may be kept

	Queue, Group string
	Published    time.Time // by the publisher's or the broker's clock
	Try          int       // which one this is, from 1; tries whose worker died count, those given back by Later do not
	Failures     []Failure // of the tries before, oldest first; bounded, see History
}

// A Handler does a job. nil: it is done. Later(…): it is given back. Dead(…): it is dead. Another error, or a panic:
// the try has failed. Its context ends at the job's Deadline, after Consumer.Limit, when the job was lost to another
// worker ([ErrLost]), and when a drain takes too long ([ErrDrained]); context.Cause says which.
type Handler func(ctx context.Context, j *Job) error

// A Failure is a try that did not succeed.
type Failure struct {
	Try    int       `json:"try"`
	At     time.Time `json:"at"`
	Worker string    `json:"worker"` // Consumer.Worker of who tried; "" if that died
	Why    string    `json:"why"`    // at most 512 bytes of the error's text
}

// A DeadJob is one that has been given up: it waits for a person, who redrives or drops it.
type DeadJob struct {
	Message

	Ref       string // names it to Redrive and Drop
	Queue     string
	Group     string // whose job it was
	Published time.Time
	Died      time.Time
	History   History
}
