package mailcatch

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"
)

// TestSlowReaders: as many mails are in memory as may be, and who has gone gives his place up.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Limits: Limits{Readers: 1}}, PageOptions{})
	id := numbered(t, s.store, 1)[0]
	hold, held := make(chan struct{}), make(chan struct{})
	go func() {
		_ = s.store.Read(context.Background(), id, func(Mail, []byte) error { close(held); <-hold; return nil })
	}()
	<-held
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.store.Read(ctx, id, func(Mail, []byte) error { return nil }); err != context.DeadlineExceeded {
		t.Errorf("a second one: %v", err)
	}
	close(hold)
	taking, takes := make(chan struct{}), make(chan struct{})
	done := make(chan struct{})
	go func() { // a client that takes nothing of a mail's HTML
		defer close(done)
		r := httptest.NewRequest("GET", "/api/v1/messages/"+id+"/html", nil)
		r.Host = "localhost"
		s.page.ServeHTTP(&slowWriter{httptest.NewRecorder(), taking, takes}, r)
	}()
	<-taking
	get[full](s, 200, "GET", "/api/v1/messages/"+id, "")
	close(takes)
	<-done
	get[full](s, 200, "GET", "/api/v1/messages/"+id, "")
}

// A slowWriter waits with what is written at first.
type slowWriter struct {
	*httptest.ResponseRecorder
	taking, takes chan struct{}
}

func (w *slowWriter) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

func (w *slowWriter) Write(b []byte) (int, error) {
	if w.Body.Len() == 0 {
		close(w.taking)
		<-w.takes
	}
	return w.ResponseRecorder.Write(b)
}
