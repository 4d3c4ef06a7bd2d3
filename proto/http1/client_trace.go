package http1

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
)

// A clientTrace is the hooks of a request; nil: there are none.
type clientTrace httptrace.ClientTrace

func clientTraceOf(ctx context.Context) *clientTrace {
	return (*clientTrace)(httptrace.ContextClientTrace(ctx))
}

func (t *clientTrace) wroteField(name string, values ...string) {
	if t != nil && t.WroteHeaderField != nil {
		t.WroteHeaderField(name, values)
	}
}

func (t *clientTrace) wroteHead() {
	if t != nil && t.WroteHeaders != nil {
		t.WroteHeaders()
	}
}

func (t *clientTrace) wroteRequest(err error) {
	if t != nil && t.WroteRequest != nil {
		t.WroteRequest(httptrace.WroteRequestInfo{Err: err})
	}
}

func (t *clientTrace) waits() {
	if t != nil && t.Wait100Continue != nil {
		t.Wait100Continue()
	}
}

func (t *clientTrace) firstByte() {
	if t != nil && t.GotFirstResponseByte != nil {
		t.GotFirstResponseByte()
	}
}

func (t *clientTrace) interim(status int, header http.Header) error {
	if t == nil {
		return nil
	}
	if status == http.StatusContinue && t.Got100Continue != nil {
		t.Got100Continue()
	}
	if t.Got1xxResponse != nil {
		return t.Got1xxResponse(status, textproto.MIMEHeader(header))
	}
	return nil
}
