package http1

import "net/http"

// mayBe are the bytes that something begins with that http.DetectContentType knows, or that is no text: what begins
// with another one, and is text, is plain text. Also white space, which is skipped before some of them.
var mayBe = func() (t [256]bool) {
	for c := range t {
		t[c] = c <= ' ' || c >= 0x7f
	}
	for _, c := range "<%GRFMOBPwtI.a" {
		t[c] = true
	}
	return t
}()

// sniffed is how many bytes say what the type is.
const sniffed = 512

// contentType is http.DetectContentType, quicker for plain text.
func contentType(b []byte) string {
	if mayBe[b[0]] || len(b) > 8 && string(b[4:8]) == "ftyp" || len(b) > 35 && string(b[34:36]) == "LP" {
		return http.DetectContentType(b)
	}
	for _, c := range b[:min(len(b), sniffed)] {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 0x1b {
			return http.DetectContentType(b)
		}
	}
	return "text/plain; charset=utf-8"
}
