package ipc

import (
	"io"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/internal/sample"
)

var omittedAttr = regexp.MustCompile(sample.Omitted + `=(\d+)`)

// Strangers set no rate of lines: each of theirs is written, or counted in one that is.
func TestStrangersSetNoRateOfLines(t *testing.T) {
	const n = 200
	for _, row := range []struct {
		name, says string
		serve      func(t *testing.T, log *slog.Logger) (network, addr string, end func() error)
	}{
		{"a manager", "ipc: a client of the manager is refused",
			func(t *testing.T, log *slog.Logger) (string, string, func() error) {
				m, err := ServeManager(socketPath(t), ManagerOptions{Log: log})
				if err != nil {
					t.Fatal(err)
				}
				return "unix", m.Path(), m.Close
			}},
		{"a listener for Python", "ipc: a connection is refused",
			func(t *testing.T, log *slog.Logger) (string, string, func() error) {
				l, err := ListenPython("tcp://127.0.0.1:0", PythonOptions{AuthKey: []byte("secret"), Log: log})
				if err != nil {
					t.Fatal(err)
				}
				return "tcp", strings.TrimPrefix(l.Addr(), "tcp://"), l.Close
			}},
	} {
		t.Run(row.name, func(t *testing.T) {
			leak.Check(t)
			var log logBook
			start := time.Now()
			network, addr, end := row.serve(t, slog.New(slog.NewTextHandler(&log, nil)))
			for range n {
				nc, err := net.Dial(network, addr)
				if err != nil {
					t.Fatal(err)
				}
				nc.SetDeadline(time.Now().Add(patience))
				io.WriteString(nc, strings.Repeat("\xff", 100))
				io.Copy(io.Discard, nc)
				nc.Close()
			}
			if err := end(); err != nil {
				t.Error(err)
			}
			most := sample.Burst + int(time.Since(start)/sample.Every) + 2
			const late = 5
			lines, omitted := 0, 0
			for line := range strings.Lines(log.text()) {
				if !strings.Contains(line, row.says) {
					continue
				}
				lines++
				if m := omittedAttr.FindStringSubmatch(line); m != nil {
					k, _ := strconv.Atoi(m[1])
					omitted += k
				}
			}
			// A line may come after its connection's end, and so after the listener's: then there is none for the last few.
			if sum := lines + omitted; sum > n || sum < n-late || lines > most {
				t.Errorf("%d lines, and %d left out: want %d together, and at most %d lines", lines, omitted, n, most)
			}
		})
	}
}
