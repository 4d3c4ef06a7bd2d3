package http1

import (
	"fmt"
	"strconv"
)

// AppendRequest writes a request's first line behind b. The method must be a token and the target without spaces and
// control characters; else b comes back as it was, with ErrMethod or ErrTarget.
func AppendRequest(b []byte, method, target string) ([]byte, error) {
	switch {
	case len(method) == 0 || !allOf(method, isToken):
		return b, ErrMethod
	case len(target) == 0 || !allOf(target, isTarget):
		return b, ErrTarget
	}
	b = append(append(b, method...), ' ')
	return append(append(b, target...), " HTTP/1.1\r\n"...), nil
}

// AppendStatus writes a response's first line behind b. The status must have three digits, and the reason no control
// characters; it may be empty.
func AppendStatus(b []byte, status int, reason string) ([]byte, error) {
	if status < 100 || status > 999 || !allOf(reason, isValue) {
		return b, fmt.Errorf("http: status %d %q: %w", status, reason, ErrStatusLine)
	}
	b = strconv.AppendInt(append(b, "HTTP/1.1 "...), int64(status), 10)
	return append(append(append(b, ' '), reason...), "\r\n"...), nil
}

// AppendField writes a field behind b. A name that is no token, or a value with a control character in it, a line end
// above all, would be other fields, or another message, to whoever reads it: b comes back as it was, with
// ErrFieldName or ErrFieldValue.
func AppendField(b []byte, name, value string) ([]byte, error) {
	switch {
	case len(name) == 0 || !allOf(name, isToken):
		return b, fmt.Errorf("http: field %q: %w", name, ErrFieldName)
	case !allOf(value, isValue):
		return b, fmt.Errorf("http: field %s: %w", name, ErrFieldValue)
	}
	b = append(append(b, name...), ": "...)
	return append(append(b, value...), "\r\n"...), nil
}

// AppendChunk writes a chunk of a body behind b. No data is no chunk: one of length 0 would end the body.
func AppendChunk(b, data []byte) []byte {
	if len(data) == 0 {
		return b
	}
	b = append(strconv.AppendUint(b, uint64(len(data)), 16), "\r\n"...)
	return append(append(b, data...), "\r\n"...)
}

// AppendLastChunk writes the last chunk of a body, with the trailers, which end in "\r\n" each (AppendField writes
// them).
func AppendLastChunk(b []byte, trailers []byte) []byte {
	return append(append(append(b, "0\r\n"...), trailers...), "\r\n"...)
}

func allOf(s string, kind uint8) bool {
	for i := range len(s) {
		if chars[s[i]]&kind == 0 {
			return false
		}
	}
	return true
}
