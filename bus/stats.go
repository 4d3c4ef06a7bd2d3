package bus

// Stats are a node's counts since it began, and what there is now.
type Stats struct {
	Nodes int // that it is connected with, itself among them
	Rooms int // that it is in
	Owned int // that it orders

	Lost     int64 // nodes that are no more connected: they died, left, or were cut off
	Epochs   int64 // that it has begun
	Ordered  int64 // messages that it has given a number
	Received int64 // messages of rooms that it is in, each once for all of its subscribers
	Gaps     int64 // gaps and new epochs that its rooms had
	Resent   int64 // times that something was sent again, since the network or a node lost it
	Refused  int64 // frames that no rule allows, and nodes beyond Limits.Nodes
	Dropped  int64 // packets that did not fit into Limits.Out, or that the transport did not take
	Memory   int64 // bytes of messages that are kept
}
