package mq

import "time"

// QueueStats are a queue's counts now. -1 is a count that the broker does not give.
type QueueStats struct {
	Jobs   int64 // that are stored, for whichever group, the dead not counted
	Bytes  int64 // of them, as the broker counts
	Dead   int64
	Oldest time.Time // when the oldest was published; zero: there is none, or the broker does not tell
	Groups []GroupStats
}

// GroupStats are a group's.
type GroupStats struct {
	Name     string
	Waiting  int64 // to be handed out, with those whose time has not come
	InFlight int64 // handed out and not settled
}

// Stats are what a Broker has counted since it was opened, over all its queues.
type Stats struct {
	Published  int64 // stored
	Duplicates int64 // not stored, for a job with their ID was there
	Refused    int64 // not stored: ErrFull, beyond a limit, a lack of the backend
	Failed     int64 // of which it is not known, or known, that they are not stored, for another reason

	Started  int64 // tries
	Done     int64
	Retried  int64 // tries that failed, and are followed by another
	Returned int64 // given back: by Later, or by a drain
	Buried   int64 // dead
	Expired  int64 // whose Deadline had passed
	Lost     int64 // to another worker, as far as known
	Panics   int64 // of handlers; they are among the tries that failed
	Errors   int64 // of the broker, to a consumer's Ack, Nak, Extend and Bury
	InFlight int64 // now
}
