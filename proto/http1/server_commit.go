package http1

import (
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"
)

// How the head of an answer comes about, and how an answer ends.

// fix writes down the fields that the handler has set: what it changes from now on is not seen (but for trailers).
// Those that say how the message ends are the server's own, but a Transfer-Encoding of the handler's, which has coded
// the body by itself: chunked follows it.
func (x *response) fix() {
	for name, values := range x.header {
		switch name {
		case "Content-Length":
			x.fixLength(values)
		case "Connection":
			for _, v := range values {
				x.closes = x.closes || hasToken(v, "close")
			}
		case "Date":
			x.hasDate = true
		case "Content-Type":
			x.hasType = true
		case "Content-Encoding":
			x.encoded = x.encoded || len(values) > 0 && values[0] != ""
		case "Transfer-Encoding":
			x.fixCoding(values)
		case "Trailer":
			x.trailing = true
		}
	}
	if len(x.header) > 0 {
		but := [...]string{"Content-Length", "Transfer-Encoding", "Content-Type"}
		n := 2
		if x.status == http.StatusNotModified {
			n = 3 // it has none of its own (RFC 9110, section 15.4.5)
		}
		x.c.in.fields = appendFields(x.c.in.fields[:0], x.header, but[:n]...)
		if x.coding != "" && x.req.ProtoMinor == 1 && allowsBody(x.status) && x.req.Method != http.MethodHead {
			o := append(appendValue(append(x.c.in.fields, "Transfer-Encoding: "...), x.coding), "\r\n"...)
			x.c.in.fields = o
		}
	}
	if x.coded {
		x.length = -1
	}
}

// fixCoding takes a Transfer-Encoding that the handler has set: "chunked" is how the answer is sent then, even if it is
// short, "identity" has it end with the connection.
func (x *response) fixCoding(values []string) {
	if len(values) == 0 || values[0] == "" {
		return
	}
	x.coded, x.encoded = true, true
	switch v := values[0]; {
	case strings.EqualFold(v, "chunked"):
	case strings.EqualFold(v, "identity"):
		x.coded, x.bare = false, true
	default:
		x.coding = v
	}
}

func (x *response) fixLength(values []string) {
	if len(values) == 0 {
		x.noLength = true
		return
	}
	n, err := strconv.ParseUint(textproto.TrimString(values[0]), 10, 63)
	if err != nil || len(values) > 1 && slices.ContainsFunc(values, func(v string) bool { return v != values[0] }) {
		x.mistake("invalid Content-Length", "value", values[0])
		return
	}
	x.length = int64(n)
}

// hasToken reports whether a list has the token, in any case.
func hasToken(list, token string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(textproto.TrimString(t), token) {
			return true
		}
	}
	return false
}

// appendFields writes fields, by their names in order, but for some. A name that is none is left out, and what would
// end a line in a value is a space, as net/http has it.
func appendFields(b []byte, header http.Header, but ...string) []byte {
	var room [16]string
	names := room[:0]
	for name := range header {
		if !slices.Contains(but, name) && !strings.HasPrefix(name, http.TrailerPrefix) {
			names = append(names, name)
		}
	}
	if len(names) > 1 {
		slices.Sort(names)
	}
	for _, name := range names {
		if name == "" || !allOf(name, isToken) {
			continue
		}
		for _, v := range header[name] {
			b = append(append(b, name...), ": "...)
			b = append(appendValue(b, v), "\r\n"...)
		}
	}
	return b
}

// appendValue writes a field's value in one line.
func appendValue(b []byte, v string) []byte {
	v = textproto.TrimString(v)
	if allOf(v, isValue) {
		return append(b, v...)
	}
	for i := range len(v) {
		if c := v[i]; chars[c]&isValue != 0 {
			b = append(b, c)
		} else {
			b = append(b, ' ')
		}
	}
	return b
}

// commit sends the head, and the body as far as it is there. It is final when nothing more comes.
func (x *response) commit(final bool) error {
	c, b := x.c, x.c.in
	x.committed = true
	head := x.req.Method == http.MethodHead
	if x.lost || !x.duplex && !x.body.finishEarly(final) || c.srv.draining.Load() {
		x.closes = true
	}
	body := allowsBody(x.status)
	switch {
	case !body:
		x.length = -1
	case x.length >= 0:
	case final && !x.noLength && !x.coded && !x.bare && !x.trailers() && (!head || len(b.body) > 0):
		x.length = int64(len(b.body))
	case head:
	case x.req.ProtoMinor == 1 && !x.bare:
		x.chunked = true
	default:
		x.closes, x.keep = true, false
	}
	c.putStatus(x.status)
	o := append(b.out, b.fields...)
	if !x.hasDate {
		o = append(o, date(c.srv.now())...)
	}
	if !x.hasType && body && len(b.body) > 0 && !x.encoded {
		o = append(append(append(o, "Content-Type: "...), contentType(b.body)...), "\r\n"...)
	}
	switch {
	case x.length >= 0:
		o = append(strconv.AppendInt(append(o, "Content-Length: "...), x.length, 10), "\r\n"...)
	case x.chunked:
		o = append(o, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case x.closes && !hasToken(x.header.Get("Connection"), "close"):
		o = append(o, "Connection: close\r\n"...)
	case x.keep && !x.closes && x.header["Connection"] == nil:
		o = append(o, "Connection: keep-alive\r\n"...)
	}
	b.out = append(o, "\r\n"...)
	return x.send(b.body)
}

// finishEarly is what has to be done with a body before the answer begins. Clients that speak before they listen are
// read to their end, as far as that is near; false: it is not, and the connection can't be used any more.
func (b *body) finishEarly(final bool) bool {
	switch {
	case b.kind == NoBody || b.err == io.EOF:
		return true
	case b.waits(), b.kind == ByLength && b.left > mostDiscarded:
		return false
	case final: // nobody reads any more
		return b.finish()
	case !b.state.CompareAndSwap(bodyRests, bodyReads):
		return false
	}
	ok := b.finish()
	if !ok && b.err == nil {
		b.err = http.ErrBodyReadAfterClose
	}
	b.state.CompareAndSwap(bodyReads, bodyRests)
	return ok
}

// trailers reports whether there are, or may be, trailers.
func (x *response) trailers() bool {
	if x.trailing {
		return true
	}
	for name := range x.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

// appendTrailers writes those that the handler has announced, or marked by http.TrailerPrefix.
func (x *response) appendTrailers(b []byte) []byte {
	trailers := make(http.Header)
	for _, v := range x.header["Trailer"] {
		for name := range strings.SplitSeq(v, ",") {
			name = textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name))
			if trails([]byte(name)) && x.header[name] != nil {
				trailers[name] = x.header[name]
			}
		}
	}
	for key, values := range x.header {
		name, ok := strings.CutPrefix(key, http.TrailerPrefix)
		if name = textproto.CanonicalMIMEHeaderKey(name); ok && trails([]byte(name)) {
			trailers[name] = values
		}
	}
	return appendFields(b, trailers)
}

// end is called when the handler has returned: it sends what is left, and says what becomes of the connection.
func (x *response) end() error {
	c := x.c
	x.ctx.end()
	if x.hijacked {
		x.ended.Store(true)
		if x.begin == nil {
			return ErrGone
		}
		return x.change()
	}
	x.ended.Store(true)
	x.lost = !x.body.stop()
	c.in.lost = x.lost
	x.unwatch()
	if x.aborted {
		_ = c.flush() // the answers before it, and what there is of this one
		if x.committed && !x.chunked && x.length < 0 && allowsBody(x.status) {
			return ErrAborted // its end would be taken for the answer's
		}
		return io.EOF
	}
	if !x.wroteHeader {
		x.writeHeader(http.StatusOK)
	}
	if !x.committed {
		if err := x.commit(true); err != nil {
			return err
		}
	}
	if x.chunked {
		c.put("0\r\n")
		if x.header != nil {
			c.in.out = x.appendTrailers(c.in.out)
		}
		c.put("\r\n")
	}
	if x.length >= 0 && x.written < x.length && x.req.Method != http.MethodHead && allowsBody(x.status) {
		return x.done(io.EOF) // less than was promised: its end says so
	}
	if x.lost || x.body.kind != NoBody && !x.body.finish() {
		return x.done(io.EOF)
	}
	if x.closes {
		return x.done(io.EOF)
	}
	return x.done(nil)
}

// done takes back what the request has set on the connection.
func (x *response) done(err error) error {
	c := x.c
	if x.writeBy || x.timedWrite {
		if e := c.flush(); e != nil {
			return e
		}
		_ = c.nc.SetWriteDeadline(time.Time{})
	}
	if !x.lost && (x.readBy || x.body.limited) {
		_ = c.nc.SetReadDeadline(time.Time{})
	}
	if c.in.failed != nil && err == nil {
		return c.in.failed
	}
	return err
}

// change goes over to another protocol.
func (x *response) change() error {
	c := x.c
	if err := c.flush(); err != nil {
		return err
	}
	if c.timed {
		c.untime()
	}
	ahead := slices.Clone(c.in.unread())
	c.in.r = c.in.w
	p, err := x.begin(c.nc, ahead)
	if err != nil {
		if p != nil {
			p.Closed(err)
		}
		return err
	}
	if p == nil {
		return errors.New("http: Switch: no Protocol")
	}
	c.more = &connMore{proto: p}
	return nil
}

// putStatus begins an answer.
func (c *ServerConn) putStatus(status int) {
	if status == http.StatusOK {
		c.put("HTTP/1.1 200 OK\r\n")
		return
	}
	c.put("HTTP/1.1 ")
	c.putInt(int64(status))
	text := http.StatusText(status)
	if text == "" {
		text = "status code " + strconv.Itoa(status)
	}
	c.put(" ")
	c.put(text)
	c.put("\r\n")
}

// putHex begins a chunk of n bytes.
func (c *ServerConn) putHex(n int) {
	c.in.out = append(strconv.AppendUint(c.in.out, uint64(n), 16), "\r\n"...)
}
