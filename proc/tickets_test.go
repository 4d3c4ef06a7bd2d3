//go:build linux || darwin || freebsd || netbsd || openbsd

package proc_test

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/proc"
)

func registerTickets() { proc.Register("tickets", tellTickets) }

// tellTickets is a worker that says who it is and, against all advice, what keys it has.
func tellTickets(w *proc.Worker) error {
	var mu sync.Mutex
	var known string
	w.OnTicketKeys(func(keys [][32]byte) {
		mu.Lock()
		defer mu.Unlock()
		known = ""
		for _, k := range keys {
			known += " " + hex.EncodeToString(k[:])
		}
	})
	return w.Serve(&plexor.Server{Loops: 1, Driver: string(w.Config),
		Handler: plexor.Messages(frame.Line{Max: 1000}, func(c *plexor.Conn, _ []byte) error {
			mu.Lock()
			defer mu.Unlock()
			return c.Send(fmt.Appendf(nil, "%d %d %d%s", os.Getppid(), w.Number, os.Getpid(), known))
		})})
}

// turnOnSignal has a master turn its keys over at SIGUSR1.
func turnOnSignal() {
	turn := proc.TurnTicketsBy()
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	go func() {
		for range c {
			fmt.Fprintf(os.Stderr, "TURN %d mine=%v\n", os.Getpid(), turn())
		}
	}()
}

// A wallet is a client's cache with one session: the first that it got.
type wallet struct {
	mu sync.Mutex
	cs *tls.ClientSessionState
}

func (w *wallet) Get(string) (*tls.ClientSessionState, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cs, w.cs != nil
}

func (w *wallet) Put(_ string, cs *tls.ClientSessionState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cs == nil {
		w.cs = cs
	}
}

// A visited is who answered a TLS client, by which keys, and whether its session was resumed.
type visited struct {
	answer
	keys    string
	resumed bool
}

func visitTLS(t *testing.T, addr string, w *wallet) (v visited) {
	t.Helper()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if err := raw.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, ServerName: "x", ClientSessionCache: w})
	if _, err := c.Write([]byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.SplitN(strings.TrimSpace(line), " ", 4)
	if _, err := fmt.Sscan(strings.Join(fields[:3], " "), &v.master, &v.worker, &v.pid); err != nil {
		t.Fatalf("got %q: %v", line, err)
	}
	v.keys, v.resumed = fields[3], c.ConnectionState().DidResume
	return v
}

// everywhere visits until every worker has answered often times by the same keys, which it returns: other ones than
// before. Each of those answers has to resume the session of w, or, if want is never, not to.
func everywhere(t *testing.T, addr string, w *wallet, workers int, before string, want resumption) (keys string,
	pids []int) {
	t.Helper()
	const often = 3
	seen := make(map[string]map[int]int) // by keys and process
	for end := time.Now().Add(patience); time.Now().Before(end); {
		v := visitTLS(t, addr, w)
		if v.keys == before {
			continue // it has not heard of the new one yet
		}
		if want != either && v.resumed != (want == always) {
			t.Fatalf("%+v: resumed=%v, want %v", v.answer, v.resumed, want == always)
		}
		by := seen[v.keys]
		if by == nil {
			by = make(map[int]int)
			seen[v.keys] = by
		}
		by[v.pid]++
		all := len(by) >= workers
		for _, times := range by {
			all = all && times >= often
		}
		if all {
			for pid := range by {
				pids = append(pids, pid)
			}
			return v.keys, pids
		}
	}
	t.Fatalf("no %d workers have the same new keys within %v: %v", workers, patience, seen)
	return "", nil
}

// A resumption is whether sessions are to be resumed.
type resumption int

const (
	always resumption = iota
	never
	either // as when the handshake may have been just before the keys changed
)

func ticketSetup(workers int) setup {
	return setup{Entry: "tickets", Workers: workers, Addrs: []string{"tls://127.0.0.1:0"}, Drain: 5 * time.Second}
}

// TestTickets: a session is resumed at every worker, after a reload, and until its key was turned over three times; the
// keys are in no environment and no argument, and not in the log.
func TestTickets(t *testing.T) {
	t.Parallel()
	m := ticketSetup(4).ready(t)
	addr := strings.TrimPrefix(m.addrs[0], "tcp://")
	w := new(wallet)
	if v := visitTLS(t, addr, w); v.resumed {
		t.Fatal("resumed without a session")
	}
	first, pids := everywhere(t, addr, w, 4, "", always)
	notShown(t, m, append(pids, m.cmd.Process.Pid), first)

	m.signal(syscall.SIGHUP)
	m.says(`reload done`)
	m.saysTimes(4, `worker ended`)
	if keys, _ := everywhere(t, addr, w, 4, "", always); keys != first {
		t.Error("the workers have other keys after the reload")
	}

	turn := func(n int) {
		t.Helper()
		m.signal(syscall.SIGUSR1)
		m.saysTimes(n, `TURN \d+ mine=true`)
	}
	turn(1)
	second, _ := everywhere(t, addr, w, 4, first, always)
	if f, s := strings.Fields(first), strings.Fields(second); len(f) != 2 || len(s) != 3 || s[0] != f[1] || s[2] != f[0] {
		t.Errorf("after %q the keys are %q: the next one is to be in use, and the one in use a former one", f, s)
	}
	turn(2)
	third, _ := everywhere(t, addr, w, 4, second, always)
	turn(3)
	fourth, pids := everywhere(t, addr, w, 4, third, either)
	everywhere(t, addr, w, 4, third, never)
	if n := len(strings.Fields(fourth)); n != 4 {
		t.Errorf("there are %d keys, want 4", n)
	}
	notShown(t, m, append(pids, m.cmd.Process.Pid), first, second, third, fourth)
	m.ends(syscall.SIGTERM)
}

// TestTicketsUpgrade: a successor has its predecessor's keys, and those that the latter makes while both serve; alone,
// it makes the next.
func TestTicketsUpgrade(t *testing.T) {
	t.Parallel()
	s := ticketSetup(2)
	s.PIDFile = filepath.Join(socketDir(t), "pid")
	m := s.ready(t)
	old := m.cmd.Process.Pid
	addr := strings.TrimPrefix(m.addrs[0], "tcp://")
	w := new(wallet)
	visitTLS(t, addr, w)
	first, _ := everywhere(t, addr, w, 2, "", always)

	m.signal(syscall.SIGUSR2)
	m.says(`the new master is ready`)
	young := pidIn(t, s.PIDFile)
	_, pids := everywhere(t, addr, w, 4, "", always) // both masters' workers
	if err := syscall.Kill(young, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	m.says(fmt.Sprintf(`TURN %d mine=false`, young))
	m.signal(syscall.SIGUSR1)
	m.says(fmt.Sprintf(`TURN %d mine=true`, old))
	shared, _ := everywhere(t, addr, w, 4, first, always)
	notShown(t, m, append(pids, old, young), shared)

	m.ends(syscall.SIGTERM)
	m.says(`this one goes on alone`)
	if err := syscall.Kill(young, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	m.says(fmt.Sprintf(`TURN %d mine=true`, young))
	everywhere(t, addr, w, 2, shared, always)
	if err := syscall.Kill(young, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.says(fmt.Sprintf(`master ended.* pid=%d\b`, young))
}

func pidIn(t *testing.T, file string) (pid int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		_, err = fmt.Sscan(string(text), &pid)
	}
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return pid
}

// notShown wants none of the keys, in any form, where others can see them.
func notShown(t *testing.T, m *running, pids []int, keys ...string) {
	t.Helper()
	shown := map[string]string{"the log": m.text()}
	for _, pid := range pids {
		for _, what := range []string{"environ", "cmdline"} {
			if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, what)); err == nil { // where there is such a file
				shown[fmt.Sprintf("/proc/%d/%s", pid, what)] = string(text)
			}
		}
	}
	for _, k := range strings.Fields(strings.Join(keys, " ")) {
		raw, err := hex.DecodeString(k)
		if err != nil || len(raw) != sha256.Size {
			t.Fatalf("%q is no key: %v", k, err)
		}
		for _, form := range []string{string(raw), k, base64.RawStdEncoding.EncodeToString(raw),
			base64.RawURLEncoding.EncodeToString(raw),
			strings.Trim(fmt.Sprint(raw), "[]"), strings.ReplaceAll(strings.Trim(fmt.Sprint(raw), "[]"), " ", ",")} {
			for where, text := range shown {
				if strings.Contains(text, form) {
					t.Errorf("%s has a key, as %q", where, form)
				}
			}
		}
	}
}
