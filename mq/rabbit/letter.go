package rabbit

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/plexor-go/plexor/internal/mqwire"
	"github.com/plexor-go/plexor/mq"
)

// What a message has besides the job's body. A table of headers costs both sides more than all else that is there, so a
// job that is no more than an ID and a body has none, and its properties are
//
//	MessageId      the job's ID
//	CorrelationId  mq1.T.N: T is when it was published, in nanoseconds since 1970, N the number of link.publish
//
// Any other job, and one that was published anew, has headMeta. Its MessageId is for people who look at it, and its
// CorrelationId N alone.
const (
	headMeta    = mq.OwnHeader + "Job"     // as mqwire has it
	headHistory = mq.OwnHeader + "History" // of the last Nak
	headAttempt = mq.OwnHeader + "Attempt" // how often it was handed out before it was published anew
	headGroup   = mq.OwnHeader + "Group"   // of a dead job
	headDied    = mq.OwnHeader + "Died"    // of a dead job: when, in nanoseconds since 1970
	headRef     = mq.OwnHeader + "Ref"     // of a dead job

	markPlain = "mq1."
	// mostProperty is how long a property can be. The library ends the connection at a longer one.
	mostProperty = 255
)

// post is a message with a job that is published now, to nowhere yet.
func post(m *mq.Message, now time.Time) parcel {
	p := parcel{m: amqp.Publishing{DeliveryMode: amqp.Persistent, Body: append([]byte(nil), m.Body...)}}
	if len(m.ID) <= mostProperty {
		p.m.MessageId = m.ID
	}
	if p.m.MessageId != "" && m.Key == "" && len(m.Header) == 0 && m.NotBefore.IsZero() && m.Deadline.IsZero() &&
		m.Priority == 0 {
		p.mark = markPlain + strconv.FormatInt(now.UnixNano(), 10) + "."
	} else {
		p.m.Headers = amqp.Table{headMeta: mqwire.Encode(m, now)}
	}
	return p
}

// again is a message with the job of d, which read has read, to be published anew as one that nobody has tried.
func again(d *amqp.Delivery) parcel {
	text, ok := d.Headers[headMeta]
	if !ok {
		m, published, _ := plain(d) // what can't be read has come to nobody
		text = mqwire.Encode(&m, published)
	}
	return parcel{m: amqp.Publishing{MessageId: d.MessageId, DeliveryMode: amqp.Persistent, Body: d.Body,
		Headers: amqp.Table{headMeta: text}}}
}

// plain reads the job of a message without headMeta, but for its body.
func plain(d *amqp.Delivery) (m mq.Message, published time.Time, err error) {
	rest, ours := strings.CutPrefix(d.CorrelationId, markPlain)
	text, _, whole := strings.Cut(rest, ".")
	ns, err := strconv.ParseInt(text, 10, 64)
	if !ours || !whole || err != nil || d.MessageId == "" {
		return m, published, fmt.Errorf("a message with MessageId %q, CorrelationId %q and without header %s is not of "+
			"package mq", d.MessageId, d.CorrelationId, headMeta)
	}
	return mq.Message{ID: d.MessageId}, time.Unix(0, ns), nil
}

// A letter is what a delivery of RabbitMQ says.
type letter struct {
	m         mq.Message
	published time.Time
	history   []byte
	attempt   int
}

// read reads one.
func read(d *amqp.Delivery) (l letter, err error) {
	if h, ok := d.Headers[headMeta]; ok {
		text, _ := h.([]byte)
		l.m, l.published, err = mqwire.Decode(text)
	} else {
		l.m, l.published, err = plain(d)
	}
	if err != nil {
		return l, err
	}
	l.m.Body = append([]byte(nil), d.Body...) // the receiver's; d's is for publishing it anew
	if l.history, _ = d.Headers[headHistory].([]byte); len(l.history) == 0 {
		l.history = nil
	}
	before, _ := d.Headers[headAttempt].(int64)
	again, _ := d.Headers["x-delivery-count"].(int64) // the broker's, of this message: 0 is not said
	l.attempt = int(before + again + 1)
	return l, nil
}
