// Package bus has rooms across machines: what is published to a room reaches its subscribers on all nodes, in the same
// order.
//
//	b, err := bus.Open(bus.Options{})                          // a node: in one process, or with a Transport of many
//	hall := b.Room("hall")
//	at, err := hall.Publish(ctx, []byte("hello"))              // its position: an epoch, and a number within it
//	s, err := hall.Subscribe(at)                               // behind a position, or from now on
//	e, err := s.Next(ctx)                                      // a message, a gap, or a new epoch
//	a, err := bus.NewAudience[*plexor.Outbox](hall, encode)    // for connections
//
// Package bus/nats has transports: a NATS server in each process, or servers that are there. This package knows no
// broker, and who imports it builds none.
//
// # What is promised
//
// A room's messages have numbers, from 1, within an epoch: the time in which one node orders the room. A subscriber
// sees the messages of an epoch in the order of their numbers, each once, and none is left out but where a Gap says so.
// When another node takes over, because the first one died, left, was cut off, or because a new node came, a NewEpoch
// says so, and whether anything of the epoch before may have been missed. While nodes are cut off from each other, each
// part has an epoch of its own; when they meet, one of the two ends, and those who were in the other one get a Gap.
//
// A message is published at most once. Publish returns its position, or an error that says that it was not published,
// or, if the node that orders the room was lost meanwhile, that nobody knows (ErrPerhaps). Messages of one node to a
// room keep their order. All is in memory: what must not be lost belongs into a queue or a database.
//
// Members of rooms (Room.Enter), services (Bus.Answer, Bus.Call) and values (Bus.Bucket) are what each node tells all
// others of itself. Members and services of a node that dies are gone within three seconds; a value lives as long as
// one node that has heard of it. A value is replaced by version, if that is asked for (Bucket.Update), by one of those
// who would. A call is done at most once, by one of those who answer it.
//
// # What it costs
//
// The owner of a room, which is found by the room's name and is another one for each room, sends a message once to each
// node that has subscribers. It and they keep the last messages (Limits.History), for subscribers that come back and
// for slow ones, which have no queue of their own. Nothing is sent for a room in which nothing happens. A node tells
// the others twice a second that it lives.
package bus
