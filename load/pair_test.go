package load

import (
	"bytes"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/frame"
)

// TestPair: of a pair of codecs each is asked what concerns it: what is sent is bounded by one, the answer by the
// other, and messages hold what neither takes for its own.
func TestPair(t *testing.T) {
	for _, row := range []struct {
		spec   string
		size   int
		expect Expect
		want   string // an error's, or nothing
	}{
		{"line~len4", 64, ExpectEcho, ""},
		{"len4~line", 64, ExpectEcho, ""},
		{"len1~len4", 255, ExpectEcho, ""},
		{"len1~len4", 300, ExpectEcho, "the codec len1 takes no message of 300 bytes"},
		{"len4~len1", 300, ExpectEcho, "the codec len1 takes no message of 300 bytes"},
		{"len4~len1", 255, ExpectUpper, ""},
		{"len1~len4", 254, ExpectUpper, "longer than the 255 that the codec len1 allows"},
	} {
		c, err := frame.Parse(row.spec)
		if err != nil {
			t.Fatal(err)
		}
		o := &Options{Size: row.size, Codec: c, Expect: row.expect}
		p := newPayload(o)
		if strings.Contains(row.spec, "line") && bytes.ContainsAny(p.sent, "\r\n") {
			t.Errorf("%s: the messages hold ends of lines", row.spec)
		}
		err = p.checkCodec(c)
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s with %d bytes: %v, want %q", row.spec, row.size, err, row.want)
		}
	}
}
