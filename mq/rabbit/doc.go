// Package rabbit has the schemes amqp:// and amqps:// of package mq: queues in RabbitMQ, of version 3.10 or later.
//
//	amqp://USER:PASSWORD@HOST:5672/VHOST?nodes=3&prefix=app
//
// # What is promised
//
// All queues are quorum queues: Publish returns when the broker has confirmed a job, and then it is on the disk of most
// of the queue's nodes. nodes=N says of how many nodes the broker is, which AMQP does not tell; from three on
// Capabilities.Durability is mq.Replicated, and queues have so many replicas unless QueueOptions.Replicas says
// otherwise.
//
// A job is its consumer's as long as the consumer's connection lives. When that ends the job goes to others at once; a
// process that stands still loses it after two to three heartbeats, which are a third of Consumer.Visibility, from 5 s
// to 30 s. A handler that hangs in a process that lives loses its job after Visibility. RabbitMQ itself closes the
// channel of a consumer that has a job for longer than its consumer_timeout (30 minutes unless it is set otherwise):
// raise it for jobs that take longer.
//
// A broker that is low on disk or on memory (disk_free_limit, vm_memory_high_watermark) makes Publish fail with
// mq.ErrFull and the reason at once, or wait for room with QueueOptions.Wait. A job that was on its way just then is
// stored when there is room: until then Publish waits for the broker's word, for as long as its context lasts, and the
// job is perhaps stored after that. Jobs are handed out and acknowledged meanwhile. One that is given back stays with
// its consumer for Visibility, and comes again: its try counts, and is not in its history. No new queue or group is
// made by a connection that has published.
//
// # What it can't
//
//   - IDs are not compared: there is no dedupe window.
//   - There are no order by key and no priorities.
//   - The bounds of a queue are rough: RabbitMQ notices some jobs late that a queue is full. So a queue that asks for
//     MaxJobs or MaxBytes is refused; the defaults hold, roughly.
//   - A delay is 19 days at most, and a multiple of 100 ms, rounded up.
//   - Only what waits is counted: Jobs and InFlight are unknown, and jobs whose time has not come are in no count.
//   - Listing, redriving and dropping dead jobs reads all those before it. It is for a person, not for a program.
//   - A job that is given back, or buried, is published anew, confirmed, and then acknowledged: if the process ends in
//     the midst there are two of it. A job that is given back goes to the end of the queue.
//   - Attempts are RabbitMQ's count: a job that was sent ahead to a process that is killed has been tried, in its eyes.
package rabbit
