package rabbit

import (
	"reflect"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/plexor-go/plexor/mq"
)

// deliver is what comes of a message that was published with number 7.
func deliver(p parcel) *amqp.Delivery {
	return &amqp.Delivery{MessageId: p.m.MessageId, CorrelationId: p.mark + "7", Headers: p.m.Headers, Body: p.m.Body}
}

// TestLetter: a job comes as it was published, and as it was when it is published anew; one that is no more than an ID
// and a body has no headers.
func TestLetter(t *testing.T) {
	now := time.Unix(1_700_000_000, 123_456_789)
	long := strings.Repeat("i", mostProperty+1)
	for name, tt := range map[string]struct {
		m     mq.Message
		plain bool
	}{
		"plain":     {mq.Message{ID: "a.b"}, true},
		"key":       {mq.Message{ID: "a", Key: "k"}, false},
		"header":    {mq.Message{ID: "a", Header: map[string]string{"X": "y"}}, false},
		"notBefore": {mq.Message{ID: "a", NotBefore: now.Add(1)}, false},
		"deadline":  {mq.Message{ID: "a", Deadline: now.Add(1)}, false},
		"priority":  {mq.Message{ID: "a", Priority: 1}, false},
		"longest":   {mq.Message{ID: long[1:]}, true},
		"longer":    {mq.Message{ID: long}, false},
	} {
		tt.m.Body = []byte("body")
		p := post(&tt.m, now)
		if (len(p.m.Headers) == 0) != tt.plain || len(p.m.MessageId) > mostProperty {
			t.Errorf("%s: headers %v, MessageId %q", name, p.m.Headers, p.m.MessageId)
		}
		d := deliver(p)
		for _, what := range []string{"as published", "published anew"} {
			l, err := read(d)
			if err != nil || !reflect.DeepEqual(l, letter{m: tt.m, published: now, attempt: 1}) {
				t.Errorf("%s, %s: %+v, %v", name, what, l, err)
			}
			d = deliver(again(d))
		}
	}
}

// TestNoLetter: a message that is nobody's job is refused, and one of the broker's headers does not make it one.
func TestNoLetter(t *testing.T) {
	for name, d := range map[string]amqp.Delivery{
		"nothing":        {},
		"another number": {MessageId: "a", CorrelationId: "7"},
		"no ID":          {CorrelationId: "mq1.5.7"},
		"no time":        {MessageId: "a", CorrelationId: "mq1..7"},
		"not whole":      {MessageId: "a", CorrelationId: "mq1.5"},
		"counted":        {MessageId: "a", Headers: amqp.Table{"x-delivery-count": int64(2)}},
		"another header": {MessageId: "a", CorrelationId: "mq1.5.7", Headers: amqp.Table{headMeta: int64(1)}},
	} {
		if l, err := read(&d); err == nil {
			t.Errorf("%s: it is %+v", name, l)
		}
	}
	d := amqp.Delivery{MessageId: "a", CorrelationId: "mq1.5.7", Headers: amqp.Table{"x-delivery-count": int64(2)}}
	if l, err := read(&d); err != nil || l.attempt != 3 || l.published.UnixNano() != 5 {
		t.Errorf("a plain job that was handed out before: %+v, %v", l, err)
	}
}

// FuzzPlain: whatever properties a message has, it is a job with an ID or an error.
func FuzzPlain(f *testing.F) {
	f.Add("a", "mq1.1700000000123456789.7")
	f.Add("a", "mq1.-9223372036854775808.")
	f.Add("", "x")
	f.Fuzz(func(t *testing.T, id, correlation string) {
		d := &amqp.Delivery{MessageId: id, CorrelationId: correlation}
		l, err := read(d)
		if err != nil {
			return
		}
		if l.m.ID == "" {
			t.Errorf("%q, %q is a job without an ID", id, correlation)
		}
	})
}
