package natsnode

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLateErrors has routes fail: of a node that goes on it is told, of one that ends with its peer it is not.
func TestLateErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(lines, 100)
		l := &serverLog{log: slog.New(slog.NewTextHandler(told, nil))}
		l.Errorf("a client's fault")
		if len(told) != 1 {
			t.Error("an error waits that is not a route's")
		}
		<-told
		for range mostLate + 1 {
			l.Errorf("127.0.0.1:1 - rid:%d - Error flushing: reset", 8)
		}
		if len(told) > 0 {
			t.Errorf("told at once: %s", <-told)
		}
		time.Sleep(lateTime)
		synctest.Wait()
		if len(told) != mostLate {
			t.Errorf("%d of %d lines came", len(told), mostLate)
		}
		for range len(told) {
			if line := <-told; !strings.Contains(line, "rid:8") {
				t.Errorf("told %s", line)
			}
		}
		l.Errorf("Error trying to connect to route (attempt %d): reset", 1)
		l.end()
		l.Errorf("Error trying to connect to route (attempt %d): reset", 2)
		time.Sleep(2 * lateTime)
		synctest.Wait()
		if len(told) > 0 {
			t.Errorf("told after the end: %s", <-told)
		}
	})
}

// lines takes what a log writes.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}
