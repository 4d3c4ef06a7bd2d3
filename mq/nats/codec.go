package nats

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/plexor-go/plexor/mq"
)

// Headers of ours.
const (
	idHeader        = mq.OwnHeader + "Id"
	keyHeader       = mq.OwnHeader + "Key"
	notBeforeHeader = mq.OwnHeader + "Not-Before" // in nanoseconds since 1970
	deadlineHeader  = mq.OwnHeader + "Deadline"   // the same
	publishedHeader = mq.OwnHeader + "Published"  // the same, of a job that was stored again
	restHeader      = mq.OwnHeader + "Headers"    // those of the publisher that can't be headers of NATS, as a query
	groupHeader     = mq.OwnHeader + "Group"      // of a dead job
	historyHeader   = mq.OwnHeader + "History"    // the same
	backHeader      = mq.OwnHeader + "Back"       // of a history: how often the job was handed to nobody, and came back
)

// encode makes a message of NATS. The publisher's headers are headers, so that other clients see them, but for those
// that the server would take for its own, or that would not come out as they went in.
func encode(subject string, m *mq.Message) *natsgo.Msg {
	out := &natsgo.Msg{Subject: subject, Data: m.Body, Header: natsgo.Header{}}
	rest := url.Values{}
	for name, value := range m.Header {
		if plainName(name) && plainValue(value) {
			out.Header[name] = []string{value}
		} else {
			rest.Set(name, value)
		}
	}
	set := func(name, value string) {
		if value != "" {
			out.Header[name] = []string{value}
		}
	}
	set(idHeader, url.QueryEscape(m.ID))
	set(keyHeader, url.QueryEscape(m.Key))
	set(restHeader, rest.Encode())
	for name, t := range map[string]time.Time{notBeforeHeader: m.NotBefore, deadlineHeader: m.Deadline} {
		if !t.IsZero() {
			set(name, nanos(t))
		}
	}
	return out
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

// plainName reports a name that is a token of HTTP (RFC 9110, section 5.6.2), as the client wants it, and not the
// server's own.
func plainName(s string) bool {
	const prefix = "Nats-"
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) || s == "Status" || s == "Description" {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}

// plainValue reports printable ASCII without spaces at its ends, which would be cut.
func plainValue(s string) bool {
	odd := func(r rune) bool { return r < ' ' || r > '~' }
	return s != "" && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, odd)
}

// decode is encode's other side. What it finds wrong was published by somebody else, or is a fault: the message is
// taken as far as it can be read.
func decode(h natsgo.Header, body []byte) (m mq.Message, published time.Time, err error) {
	m.Body = body
	for name, values := range h {
		value := ""
		if len(values) > 0 {
			value = values[0]
		}
		var e error
		switch {
		case name == idHeader:
			m.ID, e = url.QueryUnescape(value)
		case name == keyHeader:
			m.Key, e = url.QueryUnescape(value)
		case name == notBeforeHeader:
			m.NotBefore, e = parseNanos(value)
		case name == deadlineHeader:
			m.Deadline, e = parseNanos(value)
		case name == publishedHeader:
			published, e = parseNanos(value)
		case name == restHeader:
			var rest url.Values
			rest, e = url.ParseQuery(value)
			for name := range rest {
				put(&m, name, rest.Get(name))
			}
		case plainName(name) && !strings.HasPrefix(name, mq.OwnHeader):
			put(&m, name, value)
		}
		if e != nil {
			err = fmt.Errorf("nats: header %s: %w", name, e)
		}
	}
	return m, published, err
}

func put(m *mq.Message, name, value string) {
	if m.Header == nil {
		m.Header = make(map[string]string)
	}
	m.Header[name] = value
}

func parseNanos(s string) (time.Time, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	return time.Unix(0, n), nil
}
