package ftp

import "bytes"

// toNetwork appends p to b with each LF that has no CR before it made CR LF (RFC 959, section 3.1.1.1). last is the
// byte before p, and the last one of p is returned.
func toNetwork(b, p []byte, last byte) ([]byte, byte) {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			b = append(b, p...)
			last = p[len(p)-1]
			break
		}
		if i > 0 {
			last = p[i-1]
		}
		b = append(b, p[:i]...)
		if last != '\r' {
			b = append(b, '\r')
		}
		b = append(b, '\n')
		last, p = '\n', p[i+1:]
	}
	return b, last
}

// fromNetwork appends p to b with each CR LF made LF; b may begin one byte before p in the same memory. A CR at the end
// is held back, for its LF may come: held says so, and is what the call before returned.
func fromNetwork(b, p []byte, held bool) ([]byte, bool) {
	for _, c := range p {
		if held && c != '\n' {
			b = append(b, '\r')
		}
		if held = c == '\r'; !held {
			b = append(b, c)
		}
	}
	return b, held
}
