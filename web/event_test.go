package web_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/web"
)

// A seen is an event as a client has it.
type seen struct{ name, data, id string }

// A reader of an event stream, as the specification has it (WHATWG HTML, section 9.2.6): each step of it is here, and
// nothing of the sender's.
type eventReader struct {
	in       *bufio.Reader
	begun    bool
	skipLF   bool // the line before ended with a CR
	id, last string
	retry    int
	comments int
	data     strings.Builder
	name     string
}

// line is the next line, without its end, which is LF, CR, or both.
func (r *eventReader) line() (string, error) {
	var b strings.Builder
	for {
		if _, err := r.in.Peek(1); err != nil {
			return "", err // a last line without an end is none
		}
		p, _ := r.in.Peek(r.in.Buffered())
		if r.skipLF && p[0] == '\n' {
			_, _ = r.in.Discard(1)
			r.skipLF = false
			continue
		}
		r.skipLF = false
		i := bytes.IndexAny(p, "\r\n")
		if i < 0 {
			b.Write(p)
			_, _ = r.in.Discard(len(p))
			continue
		}
		b.Write(p[:i])
		r.skipLF = p[i] == '\r'
		_, _ = r.in.Discard(i + 1)
		break
	}
	s := b.String()
	if !r.begun {
		s = strings.TrimPrefix(s, "\ufeff")
		r.begun = true
	}
	return s, nil
}

// next is the next event that is dispatched.
func (r *eventReader) next() (seen, error) {
	for {
		line, err := r.line()
		if err != nil {
			return seen{}, err // what has come of an event is thrown away
		}
		field, value, colon := strings.Cut(line, ":")
		switch {
		case line == "":
			r.last = r.id
			data, name := r.data.String(), r.name
			r.data.Reset()
			r.name = ""
			if data == "" {
				continue
			}
			if name == "" {
				name = "message"
			}
			return seen{name, strings.TrimSuffix(data, "\n"), r.last}, nil
		case colon && field == "":
			r.comments++
			continue
		}
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			r.name = value
		case "data":
			r.data.WriteString(value + "\n")
		case "id":
			if !strings.Contains(value, "\x00") {
				r.id = value
			}
		case "retry":
			if n, err := strconv.ParseUint(value, 10, 31); err == nil {
				r.retry = int(n)
			}
		}
	}
}

// TestEventReader holds the reader of these tests to the specification's own examples.
func TestEventReader(t *testing.T) {
	for _, row := range []struct {
		stream string
		want   []seen
	}{
		{"data: YHOO\ndata: +2\ndata: 10\n\n", []seen{{"message", "YHOO\n+2\n10", ""}}},
		{": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
			[]seen{{"message", "first event", "1"}, {"message", "second event", ""}, {"message", " third event", ""}}},
		{"data\n\ndata\ndata\n\ndata:", []seen{{"message", "", ""}, {"message", "\n", ""}}},
		{"data:test\r\rdata: test\r\n\r\n", []seen{{"message", "test", ""}, {"message", "test", ""}}},
		{"\ufeffevent: add\ndata: 7\n\nevent: none\n\ndata: 8\n\n", []seen{{"add", "7", ""}, {"message", "8", ""}}},
	} {
		r := &eventReader{in: bufio.NewReader(strings.NewReader(row.stream))}
		for _, want := range row.want {
			if got, err := r.next(); err != nil || got != want {
				t.Errorf("%q: %+v and %v, want %+v", row.stream, got, err, want)
			}
		}
		if got, err := r.next(); err != io.EOF {
			t.Errorf("%q: then %+v and %v", row.stream, got, err)
		}
	}
}

// TestEventFormat holds that what is sent is what a client sees, and that nothing in a field becomes another one.
func TestEventFormat(t *testing.T) {
	for _, row := range []struct {
		e     web.Event
		want  *seen // nil: nothing is dispatched
		retry int
	}{
		{web.Event{Data: "a"}, &seen{"message", "a", ""}, 0},
		{web.Event{}, &seen{"message", "", ""}, 0},
		{web.Event{Data: " a"}, &seen{"message", " a", ""}, 0},
		{web.Event{Data: "a:b: c"}, &seen{"message", "a:b: c", ""}, 0},
		{web.Event{Data: "a\nb"}, &seen{"message", "a\nb", ""}, 0},
		{web.Event{Data: "a\r\nb\rc\n\nd"}, &seen{"message", "a\nb\nc\n\nd", ""}, 0},
		{web.Event{Data: "\n"}, &seen{"message", "\n", ""}, 0},
		{web.Event{Data: "a\n"}, &seen{"message", "a\n", ""}, 0},
		{web.Event{Data: "\r"}, &seen{"message", "\n", ""}, 0},
		{web.Event{Data: "a\n\nevent: x\nid: 9\nretry: 1\n\ndata: b"},
			&seen{"message", "a\n\nevent: x\nid: 9\nretry: 1\n\ndata: b", ""}, 0},
		{web.Event{Data: "\x00\u00e4\u2028\ufeff"}, &seen{"message", "\x00\u00e4\u2028\ufeff", ""}, 0},
		{web.Event{Data: "\ufeff"}, &seen{"message", "\ufeff", ""}, 0},
		{web.Event{Name: "add", Data: "a"}, &seen{"add", "a", ""}, 0},
		{web.Event{Name: "add"}, &seen{"add", "", ""}, 0},
		{web.Event{Name: " x:y", Data: "a"}, &seen{" x:y", "a", ""}, 0},
		{web.Event{ID: "1", Data: "a"}, &seen{"message", "a", "1"}, 0},
		{web.Event{ID: " \u00e4: ", Data: "a"}, &seen{"message", "a", " \u00e4: "}, 0},
		{web.Event{ID: "1"}, nil, 0},
		{web.Event{Retry: 1500 * time.Millisecond}, nil, 1500},
		{web.Event{Retry: time.Microsecond, Data: "a"}, &seen{"message", "a", ""}, 1},
	} {
		p, err := row.e.Append([]byte("data: before\n\n"))
		r := &eventReader{in: bufio.NewReader(strings.NewReader(string(p) + "data: behind\n\n"))}
		first, _ := r.next()
		if err != nil || first.data != "before" {
			t.Fatalf("%+v: %v, %q", row.e, err, p)
		}
		if row.want != nil {
			if got, err := r.next(); err != nil || got != *row.want {
				t.Errorf("%+v: %q is %+v, want %+v", row.e, p, got, *row.want)
			}
		}
		if got, err := r.next(); err != nil || got != (seen{"message", "behind", row.e.ID}) || r.retry != row.retry {
			t.Errorf("%+v: %q, then %+v, retry %d", row.e, p, got, r.retry)
		}
	}
	for _, e := range []web.Event{
		{Name: "a\nb"}, {Name: "a\r"}, {ID: "a\nb"}, {ID: "\r"}, {ID: "a\x00"}, {Data: "\xff"}, {Name: "\xff"}, {ID: "\xff"},
		{Retry: -1},
	} {
		if p, err := e.Append([]byte("x")); !errors.Is(err, web.ErrEvent) || string(p) != "x" {
			t.Errorf("%+q: %q and %v", e, p, err)
		}
	}
}

// FuzzEvent holds the same for whatever a program sends.
func FuzzEvent(f *testing.F) {
	f.Add("a\r\nb", "name", "id")
	f.Add("\n\ndata: x", "", "")
	f.Fuzz(func(t *testing.T, data, name, id string) {
		p, err := web.Event{Data: data, Name: name, ID: id}.Append(nil)
		if err != nil {
			return
		}
		if name == "" {
			if name = "message"; data == "" && id != "" {
				return
			}
		}
		data = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(data)
		r := &eventReader{in: bufio.NewReader(strings.NewReader(string(p)))}
		if got, err := r.next(); err != nil || got != (seen{name, data, id}) {
			t.Errorf("%q is %+v and %v", p, got, err)
		}
		if got, err := r.next(); err != io.EOF {
			t.Errorf("%q has another event: %+v", p, got)
		}
	})
}
