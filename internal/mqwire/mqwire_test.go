package mqwire_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/mqwire"
	"github.com/plexor-go/plexor/mq"
)

// TestRoundTrip: what was encoded comes back, to the nanosecond.
func TestRoundTrip(t *testing.T) {
	now := time.Unix(1_700_000_000, 123_456_789)
	for _, m := range []mq.Message{
		{ID: "a"},
		{ID: "b", Key: "k", Header: map[string]string{"X": "ü \t", "Y": ""}, NotBefore: now.Add(time.Hour),
			Deadline: now.Add(1), Priority: 3},
	} {
		got, published, err := mqwire.Decode(mqwire.Encode(&m, now))
		if err != nil || !reflect.DeepEqual(got, m) || !published.Equal(now) {
			t.Errorf("%+v became %+v, published %v, %v", m, got, published, err)
		}
	}
}

// FuzzDecode: whatever lies in a broker is a message or an error.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"i":"a","t":1}`))
	f.Add([]byte(`{"i":"a","h":{"x":"y"},"b":-1,"d":9223372036854775807,"t":0}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, _, err := mqwire.Decode(b); err == nil && m.ID == "" {
			t.Errorf("%q is a message without an ID", b)
		}
	})
}
