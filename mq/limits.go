package mq

import (
	"fmt"
	"strings"
	"time"
)

// Limits bound what a message may have. The zero value of each field means its default.
type Limits struct {
	Body    int // bytes (default 960 KiB: NATS takes 1 MiB with headers; bigger things belong into a store)
	Headers int // their number (default 32)
	Header  int // bytes of all names and values (default 8 KiB)
	Key     int // bytes (default 256)
	ID      int // bytes (default 128)
	History int // bytes of a job's history (default 4 KiB): the oldest failures but the first give way
	Batch   int // messages of a PublishBatch that are under way at once (default 256)
}

const (
	defaultBody    = 960 << 10
	defaultHeaders = 32
	defaultHeader  = 8 << 10
	defaultKey     = 256
	defaultID      = 128
	defaultHistory = 4 << 10
	defaultBatch   = 256

	mostName = 64 // characters of a queue's, group's or store's name: with a prefix it is one of the broker's
)

// OwnHeader is what the names of headers begin with that are a backend's own.
const OwnHeader = "Plexor-"

func (l *Limits) fill() error {
	for _, f := range []struct {
		name string
		v    *int
		def  int
	}{
		{"Body", &l.Body, defaultBody}, {"Headers", &l.Headers, defaultHeaders}, {"Header", &l.Header, defaultHeader},
		{"Key", &l.Key, defaultKey}, {"ID", &l.ID, defaultID}, {"History", &l.History, defaultHistory},
		{"Batch", &l.Batch, defaultBatch},
	} {
		if *f.v < 0 {
			return fmt.Errorf("mq: Limits.%s is %d: it must be positive, or 0 for the default of %d", f.name, *f.v, f.def)
		}
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	return nil
}

// checkName refuses what is not a name in every broker: letters, digits, - and _.
func checkName(what, s string) error {
	ok := s != "" && len(s) <= mostName
	for _, c := range []byte(s) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}
	if !ok {
		return fmt.Errorf("mq: %q is no name of a %s: it has 1 to %d letters, digits, - and _", s, what, mostName)
	}
	return nil
}

// check refuses a message that is beyond the limits, or has what would be something else on the way.
func (l *Limits) check(m *Message) error {
	for _, f := range []struct {
		name string
		n    int
		most int
	}{
		{"Body", len(m.Body), l.Body}, {"Key", len(m.Key), l.Key}, {"ID", len(m.ID), l.ID},
		{"Header", len(m.Header), l.Headers},
	} {
		if f.n > f.most {
			return fmt.Errorf("mq: Message.%s has %d, of %d that Limits allow", f.name, f.n, f.most)
		}
	}
	if bad(m.ID) || bad(m.Key) {
		return fmt.Errorf("mq: Message.ID %q, Key %q: they must be of printable ASCII characters", m.ID, m.Key)
	}
	n := 0
	for name, value := range m.Header {
		n += len(name) + len(value)
		if name == "" || strings.ContainsAny(name, ": ") || bad(name) || strings.ContainsAny(value, "\r\n\x00") ||
			len(name) >= len(OwnHeader) && strings.EqualFold(name[:len(OwnHeader)], OwnHeader) {
			return fmt.Errorf("mq: Message.Header %q: %q is refused: a name is of printable ASCII without spaces and colons, "+
				"and does not begin with %q; a value has no line ends", name, value, OwnHeader)
		}
	}
	if n > l.Header {
		return fmt.Errorf("mq: Message.Header has %d bytes, of %d that Limits allow", n, l.Header)
	}
	return nil
}

// bad reports a byte that is not printable ASCII.
func bad(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// checkTimes refuses a delay that the backend can't have.
func checkTimes(queue string, c *Capabilities, m *Message, now time.Time) error {
	ahead := m.NotBefore.Sub(now)
	if m.NotBefore.IsZero() || ahead <= 0 {
		return nil
	}
	return c.check(queue, &QueueOptions{Delay: ahead})
}

// check refuses what can't be meant.
func (o *QueueOptions) check() error {
	for _, f := range []struct {
		name string
		v    int64
	}{
		{"Durability", int64(o.Durability)}, {"Delay", int64(o.Delay)}, {"Partitions", int64(o.Partitions)},
		{"Dedupe", int64(o.Dedupe)}, {"Priorities", int64(o.Priorities)}, {"Replicas", int64(o.Replicas)},
		{"MaxJobs", o.MaxJobs}, {"MaxBytes", o.MaxBytes}, {"MaxDead", o.MaxDead},
	} {
		if f.v < 0 {
			return fmt.Errorf("mq: QueueOptions.%s is negative", f.name)
		}
	}
	if o.Partitions > mostPartitions || o.Partitions > 1 && !o.Ordered {
		return fmt.Errorf("mq: QueueOptions.Partitions is %d: an ordered queue has at most %d, and another none",
			o.Partitions, mostPartitions)
	}
	return nil
}

// mostPartitions bounds what a backend makes for each: a consumer, a queue.
const mostPartitions = 256
