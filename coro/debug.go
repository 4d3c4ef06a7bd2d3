package coro

// A State is what a task does at the moment.
type State uint8

const (
	Ready   State = iota // it can run, and will, in this turn
	Running              // on the loop, now
	Waiting              // until it is woken or cancelled
	Ended
)

func (s State) String() string { return [...]string{"ready", "running", "waiting", "ended"}[s] }
