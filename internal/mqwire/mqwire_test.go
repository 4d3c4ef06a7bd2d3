package mqwire_test

import (
	"encoding/json"
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

// FuzzShort: what is written by the short way is read by encoding/json, and by both to the same.
func FuzzShort(f *testing.F) {
	f.Add("a", int64(1))
	f.Add(`","t":1}`, int64(-1))
	f.Add("<\"\\\n>", int64(0))
	f.Add("ü\xff", int64(1<<62))
	f.Fuzz(func(t *testing.T, id string, ns int64) {
		m := mq.Message{ID: id}
		text := mqwire.Encode(&m, time.Unix(0, ns))
		var x struct {
			ID string `json:"i"`
			At int64  `json:"t"`
		}
		if err := json.Unmarshal(text, &x); err != nil || x.ID != string([]rune(id)) || x.At != ns {
			t.Errorf("%q at %d is %s: %v", id, ns, text, err)
		}
		got, at, err := mqwire.Decode(text)
		if id != "" && (err != nil || got.ID != x.ID || at != time.Unix(0, ns) && ns != 0) {
			t.Errorf("%s is %+v, %v, %v", text, got, at, err)
		}
	})
}
