package load

import (
	"fmt"
	"net"
	"net/http"
	"strconv"

	"github.com/plexor-go/plexor/proto/http1"
)

// HTTP is the request that a load of HTTP/1.1 sends, the same each time, in place of messages. Its answer is right if
// its status is below 400 and, where Status is set, is that; its framing is checked by package http1, strictly, and the
// bytes of its body are counted and not compared. An answer that ends with its connection is wrong, since nobody can
// tell whether it is whole; one that closes the connection though Depth more are under way loses these.
type HTTP struct {
	Method string   // default GET
	Target string   // default /
	Host   string   // default: that of the address
	Header []string // lines, as "Accept: text/html"
	Body   []byte
	Status int // that of a right answer; 0: any below 400
}

// request is the request as it is sent. Reconnect says with it that the connection ends.
func (h *HTTP) request(t *target, reconnect bool) ([]byte, error) {
	method, path, host := h.Method, h.Target, h.Host
	if method == "" {
		method = http.MethodGet
	}
	if path == "" {
		path = "/"
	}
	if host == "" {
		host = hostOf(t)
	}
	b := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, host)
	for _, line := range h.Header {
		b = append(append(b, line...), "\r\n"...)
	}
	if reconnect {
		b = append(b, "Connection: close\r\n"...)
	}
	if len(h.Body) > 0 {
		b = fmt.Appendf(b, "Content-Length: %d\r\n", len(h.Body))
	}
	b = append(b, "\r\n"...)
	var head http1.Head
	limits := http1.Limits{}.WithDefaults()
	s := http1.Scanner{Limits: limits}
	n, err := s.Scan(b)
	if err == nil && n != len(b) {
		err = http1.ErrLineEnd
	}
	if err == nil {
		err = head.ParseRequest(b, limits)
	}
	if err == nil && (head.Body != http1.NoBody) != (len(h.Body) > 0) {
		err = http1.ErrLength // by a line of Header
	}
	if err != nil {
		return nil, wrong("the request: %v", err)
	}
	return append(b, h.Body...), nil
}

// hostOf is what a request says if no other host is given.
func hostOf(t *target) string {
	if t.addr.Scheme == "unix" {
		return "localhost"
	}
	return net.JoinHostPort(t.addr.Host, strconv.Itoa(t.addr.Port))
}

// checkHTTP makes the request, and sets Size to its length.
func (o *Options) checkHTTP(t *target) (err error) {
	switch {
	case t.packets():
		return wrong("http: it is spoken on tcp, tls and unix addresses")
	case o.Codec != nil:
		return wrong("frame: http has frames of its own")
	case o.Expect != ExpectEcho && o.Expect != "":
		return wrong("expect: http has answers of its own")
	case o.HTTP.Status != 0 && (o.HTTP.Status < 200 || o.HTTP.Status > 999):
		return wrong("status: %d is none of an answer", o.HTTP.Status)
	}
	if o.request, err = o.HTTP.request(t, o.Reconnect); err == nil {
		o.Size = len(o.request)
	}
	return err
}

// answers takes the answers of a connection apart, in whatever pieces they come.
type answers struct {
	http   *HTTP
	scan   http1.Scanner
	chunks http1.Chunked
	kept   []byte // a part of a head, or of what chunks are framed by
	left   int64  // bytes of a body that are to come
	within uint8  // of what: see the constants
	status int
}

const (
	inHead uint8 = iota
	inBody
	inChunks
)

func newAnswers(h *HTTP) *answers {
	limits := http1.Limits{}.WithDefaults()
	return &answers{http: h, scan: http1.Scanner{Limits: limits, Response: true}, chunks: http1.Chunked{Limits: limits}}
}

// right reports whether the status is as it should be.
func (a *answers) right() bool {
	return a.http.Status == 0 && a.status < 400 || a.status == a.http.Status
}

// next takes what it can off the front of p, and reports whether an answer is whole with that.
func (a *answers) next(p []byte) (rest []byte, whole bool, err error) {
	if a.within == inBody {
		n := min(a.left, int64(len(p)))
		a.left -= n
		return p[n:], a.end(a.left == 0), nil
	}
	if len(a.kept) > 0 {
		p = append(a.kept, p...)
		a.kept = nil
	}
	if a.within == inChunks {
		_, n, err := a.chunks.Next(p)
		switch {
		case err != nil:
			return nil, false, err
		case a.chunks.Done():
			return p[n:], a.end(true), nil
		case n == 0:
			a.kept = append([]byte(nil), p...)
			return nil, false, nil
		}
		return p[n:], false, nil
	}
	n, err := a.scan.Scan(p)
	if n == 0 || err != nil {
		a.kept = append([]byte(nil), p...)
		return nil, false, err
	}
	whole, err = a.head(p[:n])
	return p[n:], whole, err
}

// head is told of a head; it reports whether that is the whole answer.
func (a *answers) head(b []byte) (whole bool, err error) {
	var h http1.Head
	method := a.http.Method
	if method == "" {
		method = http.MethodGet
	}
	if err := h.ParseResponse(b, method, a.scan.Limits); err != nil {
		return false, err
	}
	a.scan = http1.Scanner{Limits: a.scan.Limits, Response: true}
	if a.status = h.Status; h.Status < 200 {
		if h.Status == http.StatusSwitchingProtocols {
			return false, errSwitched
		}
		return false, nil // the answer comes behind it
	}
	switch h.Body {
	case http1.ByLength:
		a.within, a.left = inBody, h.Length
	case http1.ByChunks:
		a.within = inChunks
	case http1.ByClose:
		return false, errUnframed
	default:
		return true, nil
	}
	return false, nil
}

// end is the end of a body, if it is whole.
func (a *answers) end(whole bool) bool {
	if whole {
		a.within = inHead
		a.chunks.Reset()
	}
	return whole
}

// compareHTTP takes answers. A wrong status does not make the next answer wrong; wrong framing ends the connection.
func (st *stream) compareHTTP(p []byte, now int64) error {
	for len(p) > 0 && st.s != nil {
		if st.flight == 0 {
			return errSurplus
		}
		rest, whole, err := st.http.next(p)
		if err != nil {
			return fmt.Errorf("%w: %w", errWrong, err)
		}
		if p = rest; whole {
			if !st.http.right() {
				st.w.note(fmt.Errorf("status %d", st.http.status))
			}
			st.done(1, st.http.right(), now)
		}
	}
	return nil
}

// writeRequests sends n requests.
func (st *stream) writeRequests(n int) {
	b := st.w.scratch[:0]
	for ; n > 0; n-- {
		st.sent++
		b = append(b, st.w.opt.request...)
		if len(b) >= mostFrames || n == 1 {
			if !st.put(b) {
				break
			}
			b = b[:0]
		}
	}
	st.w.scratch = b[:0]
}
