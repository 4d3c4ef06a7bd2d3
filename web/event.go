package web

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// An Event is one of an event stream (WHATWG HTML, section 9.2, "Server-sent events").
type Event struct {
	// Data is the text; what ends a line in it (CR, LF, or both) is an LF to the client. Without Data and Name, an ID or
	// Retry is taken note of by the client, and nothing is dispatched there.
	Data string
	// Name is the type that a page listens to by addEventListener; "" is that of onmessage. It has no line ends.
	Name string
	// ID is what the client tells when it comes back (Last-Event-ID); "": as before. It has neither line ends nor NUL.
	ID string
	// Retry, if not 0, is how long the client waits before it comes back, in whole milliseconds.
	Retry time.Duration
}

// ErrEvent is an [Event] that can't be sent: a line end in its Name or ID, where it would begin a field that the sender
// did not mean, NUL in its ID, which clients then ignore, text that is not UTF-8, or a negative Retry.
var ErrEvent = errors.New("web: this is no event")

// Append writes the event behind b, as it is sent. b comes back as it was, with ErrEvent, if it is none.
func (e Event) Append(b []byte) ([]byte, error) {
	if err := e.check(); err != nil {
		return b, err
	}
	if e.ID != "" {
		b = appendLine(b, "id: ", e.ID)
	}
	if e.Retry > 0 {
		b = append(b, "retry: "...)
		b = append(strconv.AppendInt(b, max(e.Retry.Milliseconds(), 1), 10), '\n')
	}
	if e.Name != "" {
		b = appendLine(b, "event: ", e.Name)
	}
	if e.Data == "" && e.Name == "" && (e.ID != "" || e.Retry > 0) {
		return append(b, '\n'), nil
	}
	for rest := e.Data; ; {
		i := strings.IndexAny(rest, "\r\n")
		if i < 0 {
			return append(appendLine(b, "data: ", rest), '\n'), nil
		}
		b = appendLine(b, "data: ", rest[:i])
		if rest[i] == '\r' && strings.HasPrefix(rest[i+1:], "\n") {
			i++
		}
		rest = rest[i+1:]
	}
}

func appendLine(b []byte, field, value string) []byte {
	return append(append(append(b, field...), value...), '\n')
}

func (e Event) check() error {
	what := ""
	switch {
	case strings.ContainsAny(e.Name, "\r\n"):
		what = "a line end in its Name"
	case strings.ContainsAny(e.ID, "\r\n\x00"):
		what = "a line end or NUL in its ID"
	case !utf8.ValidString(e.Data) || !utf8.ValidString(e.Name) || !utf8.ValidString(e.ID):
		what = "text that is not UTF-8"
	case e.Retry < 0:
		what = "a negative Retry"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", ErrEvent, what)
}

// An eventLog is the last events that have an ID, for clients that come back.
type eventLog struct {
	first   uint64 // number of entries[0]; they count from 1 on
	entries []logged
	bytes   int
}

type logged struct {
	id, topic string
	p         []byte // as it is sent
}

// add puts one behind the others, and drops as many in front as the bounds want.
func (l *eventLog) add(e logged, entries, bytes int) {
	if l.first == 0 {
		l.first = 1
	}
	l.entries = append(l.entries, e)
	l.bytes += len(e.p)
	for len(l.entries) > entries || l.bytes > bytes {
		l.bytes -= len(l.entries[0].p)
		l.entries[0] = logged{}
		l.entries = l.entries[1:]
		l.first++
	}
}

// after is the number of the first event behind the one with this ID: of the first that there is, if it is not there.
func (l *eventLog) after(id string) uint64 {
	for i := len(l.entries) - 1; i >= 0; i-- {
		if l.entries[i].id == id {
			return l.first + uint64(i) + 1
		}
	}
	return max(l.first, 1)
}

// end is the number of the next event.
func (l *eventLog) end() uint64 { return max(l.first, 1) + uint64(len(l.entries)) }

// read is the events from number from up to end that are of interest, at most as many as make a piece, and the number
// of the first that was not looked at. Nothing: there are none left.
func (l *eventLog) read(from, end uint64, of func(topic string) bool) (p []byte, next uint64) {
	for next = max(from, l.first); next < end; next++ {
		e := &l.entries[next-l.first]
		if !of(e.topic) {
			continue
		}
		if len(p) > 0 && len(p)+len(e.p) > replayPiece {
			return p, next
		}
		p = append(p, e.p...)
	}
	return p, next
}

// replayPiece is how many bytes of former events are written at once, unless one is longer.
const replayPiece = 16 << 10
