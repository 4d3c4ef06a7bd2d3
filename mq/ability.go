package mq

import (
	"fmt"
	"slices"
	"time"
)

// Durability is what a job survives once Publish has returned nil. A greater one is a safer one.
type Durability int

const (
	// InMemory: not the end of the broker's process.
	InMemory Durability = iota + 1
	// Written: the end of the broker's process, but not a failure of the machine or its power within some time.
	Written
	// Synced: the machine's power failure: it is on stable storage.
	Synced
	// Replicated: the loss of a machine, too: a majority of the nodes of a cluster has it, each as Synced.
	Replicated
)

func (d Durability) String() string {
	names := [...]string{"as the broker has it", "in memory", "written", "synced", "replicated"}
	if d < 0 || int(d) >= len(names) {
		return fmt.Sprintf("Durability(%d)", int(d))
	}
	return names[d]
}

// Capabilities are what a backend can do.
type Capabilities struct {
	// Backend is its name: mem, nats+embedded, nats, redis, rabbit.
	Backend string
	// Durability is what Publish's nil means.
	Durability Durability
	// Ordered: it has queues ordered by key, see QueueOptions.Ordered.
	Ordered bool
	// Delay is the longest time ahead that Message.NotBefore may be; 0: it has none.
	Delay time.Duration
	// Dedupe is the longest QueueOptions.Dedupe; 0: it has none.
	Dedupe time.Duration
	// Priorities is how many there can be; 1: it has none.
	Priorities int
	// Replicas is the greatest QueueOptions.Replicas; 1: it has none.
	Replicas int
	// Bounded: it holds QueueOptions.MaxJobs and MaxBytes exactly enough that a full queue refuses jobs.
	Bounded bool
	// SeesDeath: the jobs of a worker are handed out again when its connection ends. Else it takes Consumer.Visibility.
	SeesDeath bool
	// KV: it has key-value stores.
	KV bool
}

// lacks are what is asked for by o and not there, in words.
func (c *Capabilities) lacks(o *QueueOptions) (words []string) {
	lack := func(is bool, format string, a ...any) {
		if is {
			words = append(words, fmt.Sprintf(format, a...))
		}
	}
	lack(o.Durability > c.Durability, "durability %q (it has %q)", o.Durability, c.Durability)
	lack(o.Ordered && !c.Ordered, "order by key")
	lack(o.Delay > c.Delay, "delay of %v (it has %v at most)", o.Delay, c.Delay)
	lack(o.Dedupe > c.Dedupe, "dedupe window of %v (it has %v at most)", o.Dedupe, c.Dedupe)
	lack(o.Priorities > max(c.Priorities, 1), "%d priorities (it has %d at most)", o.Priorities, c.Priorities)
	lack(o.Replicas > max(c.Replicas, 1), "%d replicas (it has %d at most)", o.Replicas, c.Replicas)
	lack((o.MaxJobs > 0 || o.MaxBytes > 0) && !c.Bounded, "bound of a queue's jobs")
	return words
}

// check refuses a queue that asks for more than there is.
func (c *Capabilities) check(queue string, o *QueueOptions) error {
	words := c.lacks(o)
	if len(words) == 0 {
		return nil
	}
	var can []string
	for _, k := range known {
		if len(k.Can.lacks(o)) == 0 {
			can = append(can, k.Can.Backend)
		}
	}
	slices.Sort(can)
	return &CapabilityError{Queue: queue, Backend: c.Backend, Lack: words[0], Can: slices.Compact(can)}
}

// forever is a bound of time for a backend that has none of its own: a job's delay, in practice.
const forever = 100 * 365 * 24 * time.Hour

// Forever is what Capabilities.Delay and Dedupe are where the backend sets no bound.
const Forever = time.Duration(forever)

// A Known is a backend that this module has: what its schemes are, which package has to be imported for them, and the
// most that it can do. The suite in mqtest holds that a backend has not more.
type Known struct {
	Schemes []string
	Package string // below the module's mq; "": mq itself
	Can     Capabilities
}

// known are the backends of this module, for the texts of errors.
var known = []Known{
	{[]string{"mem"}, "", Capabilities{Backend: "mem", Durability: InMemory, Ordered: true, Delay: Forever,
		Dedupe: Forever, Priorities: 10, Replicas: 1, Bounded: true, SeesDeath: true, KV: true}},
	{[]string{"nats+embedded"}, "nats", Capabilities{Backend: "nats+embedded", Durability: Synced, Ordered: true,
		Delay: Forever, Dedupe: Forever, Priorities: 1, Replicas: 1, Bounded: true, KV: true}},
	{[]string{"nats", "nats+tls"}, "nats", Capabilities{Backend: "nats", Durability: Replicated, Ordered: true,
		Delay: Forever, Dedupe: Forever, Priorities: 1, Replicas: 5, Bounded: true, KV: true}},
	{[]string{"redis", "rediss"}, "redis", Capabilities{Backend: "redis", Durability: Synced, Ordered: true,
		Delay: Forever, Dedupe: Forever, Priorities: 1, Replicas: 1, Bounded: true, SeesDeath: true,
		KV: true}},
	{[]string{"amqp", "amqps"}, "rabbit", Capabilities{Backend: "rabbit", Durability: Replicated,
		Delay: (1<<24 - 1) * 100 * time.Millisecond, Priorities: 1, Replicas: 7, SeesDeath: true}},
	{[]string{"memcached"}, "memcache", Capabilities{Backend: "memcached", KV: true}},
}

// Backends are those of this module, imported or not. The slice is the caller's.
func Backends() []Known { return slices.Clone(known) }
