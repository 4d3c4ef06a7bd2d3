package plexor_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/internal/stage"
	"github.com/plexor-go/plexor/loop"
)

// patience is how long a test waits for what must come; nothing waits that long when all is well.
const patience = 90 * time.Second

// childEnv has the test binary play a part in a process of its own: a name of children, and an argument behind a space.
const childEnv = "PLEXOR_TEST_CHILD"

var children = map[string]func(arg string) int{}

// TestMain looks for what the tests as a whole left behind.
func TestMain(m *testing.M) {
	if part, arg, _ := strings.Cut(os.Getenv(childEnv), " "); part != "" {
		os.Exit(children[part](arg))
	}
	os.Exit(leak.Main(m))
}

// drivers are the names of those that work here. onlyDriver is for TestRandomSchedules, which takes one of them.
func drivers() (names []string) {
	for _, d := range allDrivers() {
		if d.Err == nil && (onlyDriver == "" || onlyDriver == d.Name) {
			names = append(names, d.Name)
		}
	}
	return names
}

var onlyDriver string

var allDrivers = sync.OnceValue(loop.Drivers) // which tries each

// eachDriver runs f on every driver that works here; of those that wait for readiness on one, if not everywhere.
func eachDriver(t *testing.T, f func(t *testing.T, driver string)) {
	turn := turnOf(firstPlace(t))
	for _, name := range drivers() {
		if name == "io_uring" || portion.Everywhere() || name == turn {
			t.Run(name, func(t *testing.T) { f(t, name) })
		}
	}
	if stageHere(t) {
		t.Run(stage.Driver, func(t *testing.T) { onStage(t, func() { f(t, stage.Driver) }) })
	}
}

// eachPlace runs f on every driver, with a tcp or a unix address: see placesOf. They are all of one level, so that
// tests which run beside others need not wait for one driver after the other.
func eachPlace(t *testing.T, f func(t *testing.T, p place)) {
	eachPlaceOf(t, []string{"tcp", "unix"}, f)
}

// eachMessagePlace is eachPlace with tls addresses too, where connections of Messages go other ways.
func eachMessagePlace(t *testing.T, f func(t *testing.T, p place)) {
	eachPlaceOf(t, []string{"tcp", "unix", "tls"}, f)
}

func eachPlaceOf(t *testing.T, kinds []string, f func(t *testing.T, p place)) {
	here := placesOf(t, len(kinds))
	for _, name := range drivers() {
		for i, kind := range kinds {
			if here(name, i) {
				t.Run(name+"/"+kind, func(t *testing.T) { f(t, place{name, addrOf(t, kind)}) })
			}
		}
	}
	eachStage(t, kinds, f)
}

// topOf is the name of the test that t is part of.
func topOf(t *testing.T) string {
	top, _, _ := strings.Cut(t.Name(), "/")
	return top
}

func addrOf(t *testing.T, kind string) string {
	switch {
	case kind == "tls":
		return tlsAddr
	case kind == "tcp":
		return "tcp://127.0.0.1:0"
	case runtime.GOOS == "windows":
		t.Skip("unix sockets are untested on windows")
	}
	dir, err := os.MkdirTemp("", "plexor") // shorter than t.TempDir, for a socket's path is bounded
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return "unix://" + filepath.Join(dir, "s")
}

// A place is where a test takes place.
type place struct{ driver, addr string }

// placesOf tells where a test takes place, of the kinds of addresses there are: everywhere, as portion has it, or on
// io_uring, and, since the drivers that wait for readiness differ by one system call, on one of these, with a kind
// each. What these tests are about lies above both: a fault of one of their rows depends on a driver or on a kind of
// address, and hardly ever on the two together. A test that asks again, for its next row, gets the next kind on
// io_uring, and the next one of the others, so that the rows meet them all. Which is the first depends on the test's
// name, so that the tests do.
func placesOf(t *testing.T, kinds int) (here func(driver string, kind int) bool) {
	first, round := firstPlace(t)
	turn := turnOf(first, round)
	return func(driver string, kind int) bool {
		number := slices.IndexFunc(allDrivers(), func(d loop.DriverInfo) bool { return d.Name == driver })
		switch {
		case portion.Everywhere():
			return true
		case driver != "io_uring" && driver != turn:
			return false
		}
		return (first+round+number)%kinds == kind
	}
}

// turnOf is one of the drivers that wait for readiness: each has its turn.
func turnOf(first, round int) string {
	ready := slices.DeleteFunc(drivers(), func(name string) bool { return name == "io_uring" })
	if len(ready) == 0 { // only that one is to be tested
		return ""
	}
	return ready[(first+round)%len(ready)]
}

// firstPlace gives a number by a test's name, and how often it has asked before.
func firstPlace(t *testing.T) (first, round int) {
	top := topOf(t)
	asked, _ := placesAsked.LoadOrStore(top, new(atomic.Int64))
	return portion.Turn(top), int(asked.(*atomic.Int64).Add(1)) - 1
}

var placesAsked sync.Map // how often each test has asked for its places, by its name

// beside runs a test that mostly waits at the same time as its like, with all that is part of it. What it leaves behind
// shows at the end of all tests, and not at its own.
func beside(t *testing.T) {
	t.Parallel()
	shares.Store(t.Name(), true)
}

var shares sync.Map // the tests that are beside others, by their names

// isBeside reports whether the test or one that it is part of is beside others.
func isBeside(t *testing.T) bool {
	for name := t.Name(); ; {
		if _, ok := shares.Load(name); ok {
			return true
		}
		last := strings.LastIndexByte(name, '/')
		if last < 0 {
			return false
		}
		name = name[:last]
	}
}

// A bench is a server under test, and what it logs. When the test ends, the server is closed, and nothing may be left.
type bench struct {
	t *testing.T
	*plexor.Server
	addr net.Addr
	tls  bool // at addr
	log  *logBook
}

// serve starts a server; h may be nil for one that listens otherwise.
func (p place) serve(t *testing.T, srv *plexor.Server, h plexor.Handler) *bench {
	t.Helper()
	shared := isBeside(t)
	var before leak.Inventory
	if !shared {
		before = leak.Take()
	}
	b := &bench{t: t, Server: srv, log: &logBook{more: make(chan struct{})}}
	srv.Driver = p.driver
	srv.Network = p.network(t)
	if srv.Loops == 0 {
		srv.Loops = 2
	}
	srv.Log = slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if s := srv.Stats(); s.Conns != 0 || s.Handlers != 0 {
			t.Errorf("after Close: %+v, want no Conns and no Handlers", s)
		}
		if n := plexor.Buffers(srv); n != 0 {
			t.Errorf("after Close: %d buffers are still in use", n)
		}
		if !shared {
			if left := before.Left(); left != "" {
				t.Error(left)
			}
		}
		if t.Failed() {
			t.Logf("the log:\n%s", b.log.text())
		}
	})
	if h != nil {
		var err error
		if b.addr, err = srv.Open(p.own(t, p.addr), h); err != nil {
			t.Fatal(err)
		}
		b.tls = strings.HasPrefix(p.addr, "tls:")
	}
	return b
}

// dial connects to the server; the connection is closed with the test, and has a deadline, so that none hangs.
func (b *bench) dial() net.Conn {
	b.t.Helper()
	return dial(b.t, b.addr)
}

// dialMessages is dial, with TLS where the server speaks it.
func (b *bench) dialMessages() net.Conn {
	b.t.Helper()
	c := b.dial()
	if !b.tls {
		return c
	}
	tc := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	b.t.Cleanup(func() { tc.Close() })
	return tc
}

// dialPeer is net.Dial, or that of the peers' host if a is on a stage.
func dialPeer(a net.Addr) (net.Conn, error) {
	if tcp, ok := a.(*net.TCPAddr); ok {
		if s := stage.Of(tcp.IP.String()); s != nil {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			return s.Peers.DialContext(ctx, "tcp", a.String())
		}
	}
	return net.Dial(a.Network(), a.String())
}

func dial(t *testing.T, a net.Addr) net.Conn {
	t.Helper()
	c, err := dialPeer(a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// shutdown drains, and fails the test if that takes too long.
func (b *bench) shutdown() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.Shutdown(ctx); err != nil {
		b.t.Errorf("Shutdown: %v", err)
	}
}

// await waits until the stats are as wanted.
func (b *bench) await(what string, ok func(plexor.Stats) bool) {
	b.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s := b.Stats()
		if ok(s) {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("waited for %s; the stats are %+v", what, s)
		}
	}
}

// send writes, and fails the test if it can't.
func send(t *testing.T, c io.Writer, p string) {
	t.Helper()
	if _, err := io.WriteString(c, p); err != nil {
		t.Fatalf("write of %.20q: %v", p, err)
	}
}

// want reads exactly what is wanted.
func want(t *testing.T, c io.Reader, p string) {
	t.Helper()
	got := make([]byte, len(p))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != p {
		t.Fatalf("read %.40q, %v; want %.40q", got[:n], err, p)
	}
}

// wantEnd reads the end of the stream.
func wantEnd(t *testing.T, c io.Reader) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("read %d bytes, %v; want the end of the stream", n, err)
	}
}

func closeWrite(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// reset closes a client so that the server's end breaks.
func reset(t *testing.T, c net.Conn) {
	t.Helper()
	if tc, ok := c.(interface{ SetLinger(sec int) error }); ok {
		if err := tc.SetLinger(0); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// receive waits for what a handler reports.
func receive[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		t.Fatalf("waited for %s\n%s", what, buf[:runtime.Stack(buf, true)])
		panic("not reached")
	}
}

// A logBook is what a server logs.
type logBook struct {
	mu    sync.Mutex
	lines strings.Builder
	more  chan struct{} // closed, and made anew, with each line
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines.Write(p)
	close(l.more)
	l.more = make(chan struct{})
	return len(p), nil
}

func (l *logBook) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

// says waits until the log has a line with all of these in it, and returns it.
func (l *logBook) says(t *testing.T, all ...string) string {
	t.Helper()
	limit := time.After(patience)
	for {
		l.mu.Lock()
		more, text := l.more, l.lines.String()
		l.mu.Unlock()
	lines:
		for line := range strings.Lines(text) {
			for _, s := range all {
				if !strings.Contains(line, s) {
					continue lines
				}
			}
			return line
		}
		select {
		case <-more:
		case <-limit:
			t.Fatalf("the log has no line with %q:\n%s", all, text)
		}
	}
}
