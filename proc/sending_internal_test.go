//go:build linux || darwin || freebsd || netbsd || openbsd

package proc

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestBubbleCancelsSending: a call is cancelled in a testing/synctest bubble while it is sent to a worker. What the
// pool made outside is still its own then, to wait for and to end.
func TestBubbleCancelsSending(t *testing.T) {
	p := &Pool{opt: PoolOptions{Grace: time.Hour}}
	p.life, p.end = context.WithCancel(t.Context())
	defer p.end()
	cancellable, cancel := context.WithCancel(t.Context())
	defer cancel()
	call := newTask(cancellable, "f", nil)
	sending, stop := p.sending(call)
	cancelled, sent := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(sent)
		<-cancelled
		stop()
		<-sending.Done()
	}()
	synctest.Test(t, func(*testing.T) {
		call.finish(nil, context.Canceled)
		close(cancelled)
	})
	<-sent
}
