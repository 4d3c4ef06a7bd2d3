package natsnode

import (
	"fmt"
	"log/slog"
	"strings"
)

// A serverLog is what the server logs to. What it tells of its start and its clients' comings is left out.
type serverLog struct {
	log   *slog.Logger
	fatal chan error // the first
}

// Warnf leaves out the advice to keep passwords in files as hashes: these come from the program.
func (l *serverLog) Warnf(format string, v ...any) {
	if !strings.HasPrefix(format, "Plaintext passwords") {
		l.log.Warn("nats", "text", fmt.Sprintf(format, v...))
	}
}

func (l *serverLog) Errorf(format string, v ...any) {
	l.log.Error("nats", "text", fmt.Sprintf(format, v...))
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
