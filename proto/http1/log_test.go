package http1

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/sample"
)

// A logFile is where lines of several goroutines go.
type logFile struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (f *logFile) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.b.Write(p)
}

func (f *logFile) lines(with string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Count(f.b.String(), with)
}

// TestClientsSetNoRateOfLines: a handler that panics, or makes a mistake, with each request writes a few lines, and not
// as many as a client likes.
func TestClientsSetNoRateOfLines(t *testing.T) {
	file := new(logFile)
	s := &Server{
		Log: slog.New(slog.NewTextHandler(file, nil)),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.WriteHeader(200) // superfluous
			if r.URL.Path == "/panic" {
				panic("on purpose")
			}
		}),
	}
	const requests = 200
	start := time.Now()
	for range requests {
		asked := "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /panic HTTP/1.1\r\nHost: x\r\n\r\n"
		nc := &script{pieces: [][]byte{[]byte(asked)}}
		if err := s.ServeConn(nc); err != nil {
			t.Fatal(err)
		}
	}
	most := sample.Burst + int(time.Since(start)/sample.Every) + 2
	for _, line := range []string{"a handler panicked", "superfluous WriteHeader"} {
		if n := file.lines(line); n == 0 || n > most {
			t.Errorf("%q: %d lines of %d; want some, and at most %d", line, n, requests, most)
		}
	}
}
