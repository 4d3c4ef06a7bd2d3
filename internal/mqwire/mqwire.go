// Package mqwire is how a job of package mq is stored besides its body, in brokers that have no place for that of their
// own.
package mqwire

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/plexor-go/plexor/mq"
)

// A meta is what is stored. Times are in nanoseconds since 1970; 0 is none.
type meta struct {
	ID        string            `json:"i"`
	Key       string            `json:"k,omitempty"`
	Header    map[string]string `json:"h,omitempty"`
	NotBefore int64             `json:"b,omitempty"`
	Deadline  int64             `json:"d,omitempty"`
	Priority  int               `json:"p,omitempty"`
	Published int64             `json:"t"`
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func at(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// Encode has all of a message but its body, and the time when it was published.
func Encode(m *mq.Message, published time.Time) []byte {
	x := meta{m.ID, m.Key, m.Header, nanos(m.NotBefore), nanos(m.Deadline), m.Priority, nanos(published)}
	b, err := json.Marshal(x)
	if err != nil {
		panic(err) // there is nothing in it that can't be
	}
	return b
}

// Decode makes the message again, whose body the caller sets.
func Decode(text []byte) (m mq.Message, published time.Time, err error) {
	var x meta
	if err := json.Unmarshal(text, &x); err != nil {
		return m, published, fmt.Errorf("what is stored with a job: %w", err)
	}
	if x.ID == "" {
		return m, published, fmt.Errorf("what is stored with a job has no ID: it is not of package mq")
	}
	return mq.Message{ID: x.ID, Key: x.Key, Header: x.Header, NotBefore: at(x.NotBefore), Deadline: at(x.Deadline),
		Priority: x.Priority}, at(x.Published), nil
}
