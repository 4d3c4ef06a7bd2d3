package http1

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A response is a request that is being answered: the http.ResponseWriter, and all else that there is of the two. It
// is made anew for each request, and never used again. What lies in pools is given back when the handler has returned.
//
//	header is open ──WriteHeader──▶ fields are fixed ──more than a buffer, Flush──▶ the head is sent ──▶ …
//	                                      └──the handler returns──▶ with a Content-Length, in one piece
type response struct {
	c    *ServerConn
	req  *http.Request
	ctx  requestContext
	body body
	url  url.URL

	header  http.Header
	status  int
	length  int64 // Content-Length that the handler gave; -1: none
	written int64
	sent    int64 // of the body, to the client

	wroteHeader bool
	committed   bool // the head is on its way
	chunked     bool
	closes      bool // the connection ends behind the answer
	keep        bool // of HTTP/1.0, whose client wants it to stay
	hasType     bool
	hasDate     bool
	encoded     bool   // there is a Content-Encoding: the type can't be seen from the bytes
	coded       bool   // the handler has set a Transfer-Encoding: it is chunked behind that
	bare        bool   // and it was "identity"
	coding      string // and it was another one
	noLength    bool   // the handler does not want a Content-Length
	trailing    bool   // the handler has announced trailers
	duplex      bool   // EnableFullDuplex
	hijacked    bool
	ended       atomic.Bool
	lost        bool // somebody goes on reading the body, though the handler has returned
	aborted     bool
	readBy      bool // the handler has set a read deadline, or a write deadline
	writeBy     bool
	timedWrite  bool // the deadline of WriteTime is set

	watcher   *watcher
	told      bool // the connection tells when the client goes
	reading   bool // somebody reads from the connection
	begin     func(net.Conn, []byte) (Protocol, error)
	began     time.Time
	bodyBegan time.Time
	failure   error // of the body's framing
}

var (
	_ http.Hijacker   = (*response)(nil)
	_ http.Flusher    = (*response)(nil)
	_ io.ReaderFrom   = (*response)(nil)
	_ io.StringWriter = (*response)(nil)
	_ Switcher        = (*response)(nil)
)

var errEnded = errors.New("http: the handler of this ResponseWriter has returned")

// serve calls the handler.
func (x *response) serve() {
	returned := false
	defer func() {
		if f := x.req.MultipartForm; f != nil {
			_ = f.RemoveAll() // what is left of it is the system's to clear
		}
		if returned {
			return
		}
		x.aborted = true
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			x.c.srv.logger.Error("a handler panicked: the connection is closed", "peer", x.req.RemoteAddr,
				"method", x.req.Method, "url", x.req.RequestURI, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		} else if v == nil {
			x.ctx.end() // runtime.Goexit goes on
		}
	}()
	if x.req.RequestURI == "*" && x.req.Method == http.MethodOptions {
		x.Header().Set("Content-Length", "0") // it asks for the server as a whole (RFC 9110, section 9.3.7)
	} else {
		x.c.srv.Handler.ServeHTTP(x, x.req)
	}
	returned = true
}

// Header is of http.ResponseWriter.
func (x *response) Header() http.Header {
	if x.header == nil {
		x.header = make(http.Header)
	}
	return x.header
}

// WriteHeader is of http.ResponseWriter.
func (x *response) WriteHeader(status int) {
	switch {
	case x.hijacked:
		x.mistake("WriteHeader on a connection that was hijacked")
		return
	case x.wroteHeader:
		x.mistake("superfluous WriteHeader")
		return
	case x.ended.Load():
		x.mistake("WriteHeader after the handler has returned")
		return
	case status < 100 || status > 999:
		panic(fmt.Sprintf("invalid WriteHeader code %v", status)) // as net/http has it
	case status < 200 && status != http.StatusSwitchingProtocols:
		x.inform(status)
		return
	}
	if x.body.expects {
		x.body.sending.Lock()
		defer x.body.sending.Unlock()
	}
	x.writeHeader(status)
}

func (x *response) writeHeader(status int) {
	x.wroteHeader = true
	x.status = status
	x.fix()
}

// inform sends an interim answer (RFC 9110, section 15.2).
func (x *response) inform(status int) {
	if status == http.StatusContinue {
		if !x.body.expects {
			return
		}
		x.body.sending.Lock()
		defer x.body.sending.Unlock()
		if !x.body.awaited {
			return
		}
		x.body.awaited = false
	}
	if x.req.ProtoMinor == 0 {
		return // has none of these
	}
	c := x.c
	c.putStatus(status)
	c.in.out = appendFields(c.in.out, x.header, "Content-Length", "Transfer-Encoding")
	c.put("\r\n")
	_ = c.flush() // who writes on finds out
}

// mistake tells the log of a handler's mistake, and where it is. what is one of a few: it stands for all lines alike.
func (x *response) mistake(what string, attrs ...any) {
	at := "?"
	for skip := 2; skip < 12; skip++ {
		pc, file, line, ok := runtime.Caller(skip)
		if !ok {
			break
		}
		f := runtime.FuncForPC(pc)
		if name := f.Name(); !strings.Contains(name, "http1.(*response)") && !strings.HasPrefix(name, "net/http.") {
			at = fmt.Sprintf("%s:%d", file, line)
			break
		}
	}
	x.c.srv.logger.Warn("http: "+what, append(attrs, "at", at)...)
}

// allowsBody reports whether an answer with this status may have a body.
func allowsBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// Write is of http.ResponseWriter.
func (x *response) Write(p []byte) (int, error) {
	more, err := x.begins(len(p))
	if !more {
		return 0, err
	}
	return x.add(p)
}

// WriteString is of io.StringWriter.
func (x *response) WriteString(s string) (int, error) {
	more, err := x.begins(len(s))
	if !more {
		return 0, err
	}
	if b := x.c.in; !x.committed && len(b.body)+len(s) <= cap(b.body) {
		b.body = append(b.body, s...)
		return len(s), nil
	}
	return x.add([]byte(s))
}

// begins checks a Write of n bytes.
func (x *response) begins(n int) (more bool, err error) {
	switch {
	case x.hijacked:
		if n > 0 {
			x.mistake("Write on a connection that was hijacked")
		}
		return false, http.ErrHijacked
	case x.ended.Load():
		return false, errEnded
	}
	if !x.wroteHeader {
		x.WriteHeader(http.StatusOK)
	}
	if n == 0 {
		return false, nil
	}
	if !allowsBody(x.status) {
		return false, http.ErrBodyNotAllowed
	}
	if x.length >= 0 && x.written+int64(n) > x.length {
		return false, http.ErrContentLength
	}
	x.written += int64(n)
	return true, nil
}

// add takes p into the buffer, and sends when that is full.
func (x *response) add(p []byte) (n int, err error) {
	if !x.committed {
		b := x.c.in
		n = min(len(p), cap(b.body)-len(b.body))
		b.body = append(b.body, p[:n]...)
		if n == len(p) {
			return n, nil
		}
		if err := x.commit(false); err != nil {
			return 0, err
		}
	}
	if err := x.send(p[n:]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// send sends a piece of the body behind the head.
func (x *response) send(p []byte) error {
	if len(p) == 0 || x.req.Method == http.MethodHead {
		return nil
	}
	x.sent += int64(len(p))
	c := x.c
	if x.sent > mostOut {
		x.limitWrite()
	}
	if !x.chunked {
		return c.putData(p)
	}
	c.putHex(len(p))
	if err := c.putData(p); err != nil {
		return err
	}
	c.put("\r\n")
	return nil
}

// limitWrite sets the deadline for the client to take what is written.
func (x *response) limitWrite() {
	if d := x.c.srv.writeTime(); d > 0 && !x.writeBy {
		_ = x.c.nc.SetWriteDeadline(x.c.srv.now().Add(d))
		x.timedWrite = true
	}
}

// Flush is of http.Flusher.
func (x *response) Flush() { _ = x.FlushError() }

// FlushError sends what was written so far; it is what http.ResponseController calls.
func (x *response) FlushError() error {
	switch {
	case x.hijacked:
		return http.ErrHijacked
	case x.ended.Load():
		return errEnded
	}
	if !x.wroteHeader {
		x.WriteHeader(http.StatusOK)
	}
	if !x.committed {
		if err := x.commit(false); err != nil {
			return err
		}
	}
	return x.c.flush()
}

// copySize is what ReadFrom reads at once, in bytes.
const copySize = 32 << 10

var copies = sync.Pool{New: func() any { return new([copySize]byte) }}

// SendFile writes n bytes of a file, from off on, as Write does; where the connection can, the system sends them
// without the program. It fails with errors.ErrUnsupported, and has written nothing, where the connection can't.
func (x *response) SendFile(f *os.File, off, n int64) (int64, error) {
	s, ok := x.c.nc.(fileSender)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	more, err := x.begins(int(n))
	if !more {
		return 0, err
	}
	if !x.committed {
		if err := x.commit(false); err != nil {
			return 0, err
		}
	}
	if x.req.Method == http.MethodHead {
		return n, nil
	}
	if x.chunked {
		x.c.putHex(int(n))
	}
	if err := x.c.flush(); err != nil {
		return 0, err
	}
	m, err := x.sendPieces(s, f, off, n)
	if x.sent += m; err != nil {
		x.c.in.failed = err
		return m, err
	}
	if x.chunked {
		x.c.put("\r\n")
	}
	return m, nil
}

// sentAtOnce is how much of a file the client may take WriteTime for, in bytes.
const sentAtOnce = 1 << 20

func (x *response) sendPieces(s fileSender, f *os.File, off, n int64) (sent int64, err error) {
	for sent < n && err == nil {
		var m int64
		x.limitWrite()
		m, err = s.SendFile(f, off+sent, min(n-sent, sentAtOnce))
		sent += m
	}
	return sent, err
}

// A fileSender is a connection to which the system can send a file.
type fileSender interface {
	SendFile(f *os.File, off, n int64) (int64, error)
}

// leastSent is from which length on, in bytes, a file is left to the system to send.
const leastSent = 64 << 10

// sendFile is ReadFrom of a file, or of the beginning of one, that is long. ok is false where it is not.
func (x *response) sendFile(src io.Reader) (n int64, ok bool, err error) {
	most := int64(math.MaxInt64)
	l, limited := src.(*io.LimitedReader)
	if limited {
		src, most = l.R, l.N
	}
	f, isFile := src.(*os.File)
	if _, can := x.c.nc.(fileSender); !can || !isFile || most < leastSent {
		return 0, false, nil
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, false, nil
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil || min(info.Size()-at, most) < leastSent {
		return 0, false, nil
	}
	n, err = x.SendFile(f, at, min(info.Size()-at, most))
	if limited {
		l.N -= n
	}
	if _, e := f.Seek(at+n, io.SeekStart); err == nil {
		err = e
	}
	return n, true, err
}

// ReadFrom is of io.ReaderFrom.
func (x *response) ReadFrom(src io.Reader) (n int64, err error) {
	if n, ok, err := x.sendFile(src); ok {
		return n, err
	}
	b := copies.Get().(*[copySize]byte)
	defer copies.Put(b)
	return io.CopyBuffer(onlyWriter{x}, src, b[:])
}

type onlyWriter struct{ io.Writer }

// SetReadDeadline is for http.ResponseController: Reads of the body fail with os.ErrDeadlineExceeded when t has passed.
func (x *response) SetReadDeadline(t time.Time) error {
	if x.hijacked || x.ended.Load() {
		return http.ErrHijacked
	}
	x.readBy = true
	return x.c.nc.SetReadDeadline(t)
}

// SetWriteDeadline is for http.ResponseController, likewise.
func (x *response) SetWriteDeadline(t time.Time) error {
	if x.hijacked || x.ended.Load() {
		return http.ErrHijacked
	}
	x.writeBy = true
	return x.c.nc.SetWriteDeadline(t)
}

// EnableFullDuplex is for http.ResponseController: what is left of the body is not read before the answer is sent.
func (x *response) EnableFullDuplex() error {
	x.duplex = true
	return nil
}

// refused notes that the body's framing is wrong, after which nothing can be read of this connection.
func (x *response) refused(err error) {
	x.failure = err
	if e, ok := errors.AsType[*Error](err); ok && x.c.srv.Refused != nil {
		x.c.srv.Refused(x.c.nc, e)
	}
}

func (x *response) record(err error) Record {
	s := x.c.srv
	status := x.status
	if status == 0 && x.begin != nil {
		status = http.StatusSwitchingProtocols
		if a, ok := x.c.protocol().(interface{ Status() int }); ok {
			status = a.Status()
		}
	}
	return Record{Request: x.req, Conn: x.c.nc, Status: status, Sent: x.sent, Begin: x.began, Time: s.now().Sub(x.began),
		Aborted: x.aborted || err != nil && err != io.EOF && !x.hijacked}
}
