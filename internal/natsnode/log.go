package natsnode

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	lateTime = time.Second // what goes wrong on the way to another node is told so much later
	mostLate = 16          // lines which wait to be told; more are lost
)

// A serverLog is what the server logs to. What it tells of its start and its clients' comings is left out. Errors of
// routes wait: nodes that end together see each other's end first, and have nothing to tell of it.
type serverLog struct {
	log    *slog.Logger
	fatal  chan error // the first
	once   sync.Once
	fault  error         // before broken is closed
	broken chan struct{} // closed when the server writes something no more

	mu    sync.Mutex
	late  []string
	timer *time.Timer // runs where late has any
	ended bool
}

// Warnf leaves out the advice to keep passwords in files as hashes: these come from the program.
func (l *serverLog) Warnf(format string, v ...any) {
	if !strings.HasPrefix(format, "Plaintext passwords") {
		l.log.Warn("nats", "text", fmt.Sprintf(format, v...))
	}
}

// writeError is in the format of each line by which the server says that it writes something no more, with the error
// last: "Critical write error" of the files of a stream and of a group of nodes that agree, "critical write error" of a
// stream, of a consumer, and of the group that leads the cluster (nats-server 2.15). TestServeFull of internal/mqcmd
// holds it to what the server says.
const writeError = "ritical write error"

// Errorf sees, too, that something could not be written. The server tells nobody else: it answers nothing that is
// published to that stream from then on, and takes no more for it until it is started anew.
func (l *serverLog) Errorf(format string, v ...any) {
	if err, ok := last(v).(error); ok && strings.Contains(format, writeError) {
		l.once.Do(func() {
			l.fault = err
			close(l.broken)
		})
	}
	text := fmt.Sprintf(format, v...)
	if strings.Contains(text, " rid:") || strings.Contains(text, "to route") {
		l.errorLater(text)
		return
	}
	l.log.Error("nats", "text", text)
}

func (l *serverLog) errorLater(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || len(l.late) == mostLate {
		return
	}
	if l.late = append(l.late, text); len(l.late) == 1 {
		l.timer = time.AfterFunc(lateTime, l.tellLate)
	}
}

func (l *serverLog) tellLate() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range l.late {
		l.log.Error("nats", "text", text)
	}
	l.late = nil
}

// end drops what still waits.
func (l *serverLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended, l.late = true, nil
	if l.timer != nil {
		l.timer.Stop()
	}
}

func last(v []any) any {
	if len(v) == 0 {
		return nil
	}
	return v[len(v)-1]
}

// Fatalf is where nats-server's own program would exit. A server that has started calls it no more.
func (l *serverLog) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- fmt.Errorf(format, v...):
	default:
	}
}

func (l *serverLog) Noticef(string, ...any) {}
func (l *serverLog) Debugf(string, ...any)  {}
func (l *serverLog) Tracef(string, ...any)  {}
