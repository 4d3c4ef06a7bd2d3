package frame

import (
	"bytes"
	"strings"
	"testing"
)

// TestNil: a codec or a stream that is nil is an error that says so, and Incoming and Outgoing give it back.
func TestNil(t *testing.T) {
	last := func(_ any, err error) error { return err }
	for _, row := range []struct {
		name, want string
		err        func() error
	}{
		{"NewDecoder", "the codec", func() error { return last(NewDecoder(nil)) }},
		{"Decoder.Reset", "the codec", func() error { return new(Decoder).Reset(nil) }},
		{"NewReader without a codec", "the codec", func() error { return last(NewReader(new(bytes.Buffer), nil)) }},
		{"NewReader of nothing", "the stream", func() error { return last(NewReader(nil, Line{})) }},
		{"NewWriter without a codec", "the codec", func() error { return last(NewWriter(new(bytes.Buffer), nil)) }},
		{"NewWriter to nothing", "the stream", func() error { return last(NewWriter(nil, Line{})) }},
		{"AppendWhole", "the codec", func() error { return last(AppendWhole(nil, nil, []byte("x"))) }},
		{"Pair.Check", "In or Out", func() error { return Pair{}.Check() }},
	} {
		t.Run(row.name, func(t *testing.T) {
			if err := row.err(); err == nil || !strings.Contains(err.Error(), row.want+" is nil") {
				t.Errorf("%v, want that %s is nil", err, row.want)
			}
		})
	}
	if in, out := Incoming(nil), Outgoing(nil); in != nil || out != nil {
		t.Errorf("Incoming and Outgoing of nil: %v, %v", in, out)
	}
}
