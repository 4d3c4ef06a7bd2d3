// Package mqwire is how a job of package mq is stored besides its body, in brokers that have no place for that of their
// own.
package mqwire

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
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

// Most messages have an ID and nothing else, and there are many: these are written and read without encoding/json.
const (
	shortHead = `{"i":"`
	shortMid  = `","t":`
)

// isPlain reports whether s is in JSON as it is.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

// Encode has all of a message but its body, and the time when it was published. There is no newline in it.
func Encode(m *mq.Message, published time.Time) []byte {
	if m.Key == "" && len(m.Header) == 0 && m.NotBefore.IsZero() && m.Deadline.IsZero() && m.Priority == 0 &&
		isPlain(m.ID) {
		b := make([]byte, 0, len(shortHead)+len(m.ID)+len(shortMid)+21)
		b = append(append(append(b, shortHead...), m.ID...), shortMid...)
		return append(strconv.AppendInt(b, nanos(published), 10), '}')
	}
	x := meta{m.ID, m.Key, m.Header, nanos(m.NotBefore), nanos(m.Deadline), m.Priority, nanos(published)}
	b, err := json.Marshal(x)
	if err != nil {
		panic(err) // there is nothing in it that can't be
	}
	return b
}

// Decode makes the message again, whose body the caller sets.
func Decode(text []byte) (m mq.Message, published time.Time, err error) {
	if id, ns, ok := decodeShort(text); ok {
		return mq.Message{ID: id}, at(ns), nil
	}
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

// decodeShort reads what Encode has written without encoding/json.
func decodeShort(text []byte) (id string, ns int64, ok bool) {
	s, ok := strings.CutPrefix(string(text), shortHead)
	if !ok {
		return "", 0, false
	}
	id, rest, _ := strings.Cut(s, shortMid)
	digits, ok := strings.CutSuffix(rest, "}")
	if !ok || id == "" || !isPlain(id) {
		return "", 0, false
	}
	ns, err := strconv.ParseInt(digits, 10, 64)
	return id, ns, err == nil && digits == strconv.FormatInt(ns, 10)
}
