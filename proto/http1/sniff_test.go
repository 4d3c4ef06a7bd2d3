package http1

import (
	"net/http"
	"testing"
)

// FuzzContentType: it is what net/http's is.
func FuzzContentType(f *testing.F) {
	for c := range 256 {
		f.Add([]byte{byte(c), 'a', 'b'})
	}
	for _, s := range []string{"Hello", "<html>", "%PDF-", "GIF89a", "    <p>", "0123ftypmp42",
		"0123456789012345678901234567890123LP",
		"true\x00\x01\x02\x03", "a\x00b", "a\x1bb", "a\x0cb", "ID3", "BM", "PK\x03\x04", "\x00asm", ".snd", "wOFF", "OTTO",
		"ttcf", "MThd\x00\x00\x00\x06", "FORM0000AIFF", "a\x0bb", "caf\xc3\xa9", "a\x7fb"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		if got, want := contentType(b), http.DetectContentType(b); got != want {
			t.Errorf("%q is %s, want %s", b, got, want)
		}
	})
}
