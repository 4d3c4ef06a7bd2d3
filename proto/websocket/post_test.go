package websocket

import (
	"strings"
	"testing"
)

// TestPostQueue holds what the queue of a Socket with a goroutine does when it is full, with each choice.
func TestPostQueue(t *testing.T) {
	for _, row := range []struct {
		name   string
		limits PostLimits
		posts  string // each a key, or - for none, and the frame
		want   string // what is in the queue
		errs   string // of each post: . none, f full, l too long
	}{
		{"refuse", PostLimits{Bytes: 4}, "-aa -bb -c -dd", "aa bb", "..ff"},
		{"refuse by number", PostLimits{Entries: 2}, "-a -b -c", "a b", "..f"},
		{"drop", PostLimits{Bytes: 4, DropOldest: true}, "-aa -bb -c -d", "bb c d", "...."},
		{"drop by number", PostLimits{Entries: 2, DropOldest: true}, "-a -b -c", "b c", "..."},
		{"close", PostLimits{Bytes: 4, Close: true}, "-aa -bb -c", "aa bb", "..f"},
		{"too long", PostLimits{Bytes: 4}, "-aa -bbbbb -cc", "aa cc", ".l."},
		{"too long to drop for", PostLimits{Bytes: 4, DropOldest: true}, "-aa -bbbbb -cc", "aa cc", ".l."},
		{"latest", PostLimits{Bytes: 4}, "kaa -b kcc", "cc b", "..."},
		{"latest in a full queue", PostLimits{Bytes: 4, Entries: 2}, "kaa -bb kcc", "cc bb", "..."},
		{"a longer latest", PostLimits{Bytes: 4}, "ka -bb kccc", "a bb", "..f"},
		{"a longer latest drops", PostLimits{Bytes: 4, DropOldest: true}, "ka -bb kccc", "ccc", "..."},
		{"other keys", PostLimits{Bytes: 4}, "ka lb kc", "c b", "..."},
	} {
		p := &post{limits: row.limits}
		errs := ""
		for e := range strings.FieldsSeq(row.posts) {
			var key any
			if e[0] != '-' {
				key = e[0]
			}
			switch err := p.take(posted{key, []byte(e[1:])}); err {
			case nil:
				errs += "."
			case ErrFull:
				errs += "f"
			case ErrTooLong:
				errs += "l"
			}
		}
		var got []string
		bytes := p.bytes
		for len(p.queue) > 0 {
			got = append(got, string(p.pop()))
		}
		if strings.Join(got, " ") != row.want || errs != row.errs || bytes != len(strings.Join(got, "")) || p.bytes != 0 {
			t.Errorf("%s: %q waits, of %d bytes, and the errors are %s", row.name, got, bytes, errs)
		}
	}
}
