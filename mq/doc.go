// Package mq has jobs that are not lost: one API over an embedded broker, a real one, or the process's own memory.
//
//	b, err := mq.Open(ctx, "nats+embedded:///var/lib/app/jobs")    // or nats://…, redis://…, amqp://…, mem://
//	err = b.Publish(ctx, "mail", body)                             // it is on the disk when Publish returns
//	err = b.Consume(ctx, "mail", mq.Consumer{Group: "senders"}, func(ctx context.Context, j *mq.Job) error { … })
//
// The package itself has mem:// alone. A broker's package adds its schemes when it is imported:
//
//	import _ "github.com/plexor-go/plexor/mq/nats" // nats:// and nats+embedded://
//
// # The life of a job
//
//	Publish ──▶ waiting ──▶ handed out ──▶ done: the handler returned nil
//	              ▲  ▲          │
//	              │  └──────────┤ an error: after a pause, at most Consumer.Tries times; or [Later]
//	              │             │
//	              │             ├──▶ dead: after the last try, or [Dead]: kept with its history for a person
//	              └─────────────│─── redriven                                      └──▶ dropped
//	                            └──▶ expired: its Deadline has passed
//
// A job is handed out at least once to each group of its queue, until it is done, dead, or expired. It is handed out
// again when its worker died, or was silent for [Consumer.Visibility]: so a handler may run twice for one job, and at
// the same time. What it does should be fit for that.
//
// A queue keeps its jobs for its groups. The first group that it ever has gets all jobs from the beginning, each later
// one those that were published after it came. A job of which all groups are done is removed.
//
// # Promises
//
// A nil from Publish means that the job is stored as safely as [Capabilities.Durability] says. An error tells, by
// [StoredBy], whether the job is not stored, perhaps stored, or stored all the same. What a broker can't do is refused
// when a queue is opened that asks for it: the error is a [*CapabilityError], which names those that can.
//
// # Who may call
//
// Methods of [Broker], [Queue] and [KV] are for any number of goroutines, and for coroutines, which park meanwhile.
// Handlers run on goroutines; if Consume was called by a coroutine, they are coroutines of its loop.
package mq
