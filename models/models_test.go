package models

import (
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/sock"
)

func countThreads() int {
	tasks, _ := os.ReadDir("/proc/self/task") // elsewhere nobody tells
	return len(tasks)
}

// goroutinesOf are the stacks of goroutines in that package's code, without those of tests and of who watches them.
func goroutinesOf(name string) (stacks []string) {
	buf := make([]byte, 1<<20)
	for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")[1:] {
		if strings.Contains(g, name) && !strings.Contains(g, "testing.(*T).Run") && !strings.Contains(g, "standstill.") {
			stacks = append(stacks, g)
		}
	}
	return stacks
}

// TestBlockingTakesOne: with the model blocking a second client waits, without an answer, until the first has gone.
func TestBlockingTakesOne(t *testing.T) {
	testWaits(t, blocking, 1)
}

// TestProcessesTakeAsManyAsThereAre: and with processes the client after that of the last worker.
func TestProcessesTakeAsManyAsThereAre(t *testing.T) {
	testWaits(t, processes, 2)
}

func testWaits(t *testing.T, m Model, n int) {
	if err := m.Check(); err != nil {
		t.Skip(err)
	}
	b := serve(t, m, Job{Service: Echo, Clients: n})
	var first []net.Conn
	for range n {
		c := b.dial()
		if err := exchange(c, "hello", "hello"); err != nil {
			t.Fatal(err)
		}
		first = append(first, c)
	}
	next := b.dial()
	if _, err := next.Write([]byte("me too")); err != nil {
		t.Fatal(err)
	}
	// What must not come is waited for a little.
	if err := next.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 6)
	if k, err := next.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("client %d, while %d are served, got %q, %v; want nothing", n+1, n, got[:k], err)
	}
	first[0].Close()
	if err := next.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if k, err := next.Read(got); err != nil || string(got[:k]) != "me too" {
		t.Errorf("client %d, after one has gone, got %q, %v", n+1, got[:k], err)
	}
}

func TestRefusals(t *testing.T) {
	for _, row := range []struct {
		name  string
		model Model
		job   Job
		want  string
	}{
		{"no service", busy, Job{Addr: loopback}, "Job.Service is not set"},
		{"no address", busy, Job{Service: Echo}, "want a tcp address"},
		{"udp", busy, Job{Service: Echo, Addr: sock.Addr{Scheme: "udp", Host: "127.0.0.1"}}, "want a tcp address"},
		{"negative clients", busy, Job{Service: Echo, Addr: loopback, Clients: -1}, "Job.Clients is -1"},
		{"too many for one at a time", blocking, Job{Service: Echo, Addr: loopback, Clients: 2},
			"at most 1: it serves one client at a time"},
		{"too many for select", onLoop("select"), Job{Service: Echo, Addr: loopback, Clients: 1025}, "FD_SETSIZE"},
		{"no such driver", onLoop("devpoll"), Job{Service: Echo, Addr: loopback}, "unknown driver"},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := row.model.Serve(t.Context(), row.job)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("Serve = %v, want an error with %q", err, row.want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	for _, m := range All() {
		if got, err := Find(m.Name); err != nil || got.Name != m.Name {
			t.Errorf("Find(%q) = %q, %v", m.Name, got.Name, err)
		}
		if len(m.Doc) < 200 {
			t.Errorf("%s: the doc is no paragraph: %q", m.Name, m.Doc)
		}
		if m.Short == "" || len(m.Short) > 60 {
			t.Errorf("%s: Short is %q, want one line of a list", m.Name, m.Short)
		}
		if (m.Limit.Conns == 0) != (m.Limit.Reason == "") {
			t.Errorf("%s: a limit needs a reason: %+v", m.Name, m.Limit)
		}
	}
	_, err := Find("fork")
	if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "there are blocking, busy, ") {
		t.Errorf("Find of a model that there is not: %v", err)
	}
	for _, s := range Services() {
		if got, err := FindService(s.Name); err != nil || got.Name != s.Name {
			t.Errorf("FindService(%q) = %q, %v", s.Name, got.Name, err)
		}
	}
	if _, err := FindService("lower"); !errors.Is(err, ErrUnknownService) {
		t.Errorf("FindService of a service that there is not: %v", err)
	}
}

func TestQuadrant(t *testing.T) {
	for _, row := range []struct {
		model Model
		want  string
	}{
		{blocking, "synchronous, blocking; one at a time, not parallel"},
		{busy, "synchronous, non-blocking; concurrent, not parallel"},
		{threads, "asynchronous, blocking; concurrent, parallel"},
		{onLoop("epoll"), "asynchronous, non-blocking; concurrent, not parallel"},
	} {
		if got := row.model.Quadrant.String(); got != row.want {
			t.Errorf("%s: %q, want %q", row.model.Name, got, row.want)
		}
	}
}
