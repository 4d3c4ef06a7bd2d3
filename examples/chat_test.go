package examples

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/portion"
)

// A guest of the chat: its connection, and what it hears.
type guest struct {
	*bufio.Reader
	net.Conn
	name string
	last string // line that it has awaited
}

// enter comes into the hall, and hears itself come.
func enter(t *testing.T, address, name string) *guest {
	t.Helper()
	c := dial(t, address)
	g := &guest{Reader: bufio.NewReader(c), Conn: c, name: name}
	say(t, c, name)
	g.hears(t, "your name?")
	g.last = g.awaits(t, "* "+name+" came")
	return g
}

func (g *guest) hears(t *testing.T, want string) {
	t.Helper()
	if got := hear(t, g.Reader); got != want {
		t.Fatalf("%s hears %.80q, want %q", g.name, got, want)
	}
}

// awaits reads on to a line that begins so, and returns it.
func (g *guest) awaits(t *testing.T, begin string) string {
	t.Helper()
	for {
		if line := hear(t, g.Reader); strings.HasPrefix(line, begin) {
			return line
		}
	}
}

func TestChat(t *testing.T) {
	t.Parallel()
	bin := build(t, "chat")
	t.Run("rooms", func(t *testing.T) {
		t.Parallel()
		chatRooms(t, bin)
	})
	t.Run("many", func(t *testing.T) {
		t.Parallel()
		chatOfMany(t, bin)
	})
	t.Run("too slow", func(t *testing.T) {
		t.Parallel()
		chatSlow(t, bin, false)
	})
	t.Run("skips", func(t *testing.T) {
		t.Parallel()
		chatSlow(t, bin, true)
	})
	t.Run("nodes", func(t *testing.T) {
		t.Parallel()
		chatNodes(t, bin)
	})
}

// chatRooms: names, rooms, and why somebody went.
func chatRooms(t *testing.T, bin string) {
	address := run(t, bin, "tcp://127.0.0.1:0")
	ann, ben := enter(t, address, "ann"), enter(t, address, "ben")
	ann.hears(t, "* ben came to the hall, which has 2")
	say(t, ann.Conn, "hello")
	ben.hears(t, "ann: hello")
	other := dial(t, address)
	say(t, other, "ann")
	o := &guest{Reader: bufio.NewReader(other), Conn: other, name: "another ann"}
	o.hears(t, "your name?")
	o.hears(t, "that name is taken; another?")
	say(t, other, "eve")
	o.hears(t, "* eve came to the hall, which has 3")
	ann.awaits(t, "* eve came")
	ben.awaits(t, "* eve came")
	say(t, ben.Conn, "/join garden")
	ben.hears(t, "* ben came to the garden, which has 1")
	ann.hears(t, "* ben went: to garden")
	say(t, ben.Conn, "nobody hears this")
	say(t, ben.Conn, "/quit")
	if rest, err := io.ReadAll(ben.Reader); err != nil || len(rest) > 0 {
		t.Errorf("ben hears %q, %v; want the end", rest, err)
	}
	if err := other.(*net.TCPConn).CloseWrite(); err != nil {
		t.Error(err)
	}
	ann.hears(t, "* eve went: bye")
}

// chatOfMany: 150 clients, and in CI 500, one of them nc and one that does not read: what each of some says reaches all
// others.
func chatOfMany(t *testing.T, bin string) {
	const talkers = 20
	clients := 150 // each hears of all that come behind it, so that this counts twice
	if portion.All() {
		clients = 500
	}
	address := run(t, bin, "tcp://127.0.0.1:0")
	var all []*guest
	for i := range clients - 1 {
		all = append(all, enter(t, address, fmt.Sprint("guest", i)))
	}
	_ = enter(t, address, "sloth") // which reads nothing from now on
	nc, listens := netcat(t, address)
	for i, g := range all[:talkers] {
		say(t, g.Conn, fmt.Sprint("line ", i))
	}
	heard := make(chan error)
	for _, g := range all {
		go func() { heard <- g.hearsAll(talkers) }()
	}
	for range all {
		if err := <-heard; err != nil {
			t.Error(err)
		}
	}
	if nc == nil {
		return
	}
	if err := (&guest{Reader: listens, name: "nc"}).hearsAll(talkers); err != nil {
		t.Error(err)
	}
	if _, err := io.WriteString(nc, "hello from nc\n"); err != nil {
		t.Error(err)
	}
	for _, g := range all {
		g.awaits(t, "nc: hello from nc")
	}
}

// hearsAll reads what the talkers say, but for itself.
func (g *guest) hearsAll(talkers int) error {
	left := make(map[string]bool)
	for i := range talkers {
		if name := fmt.Sprint("guest", i); name != g.name {
			left[fmt.Sprintf("%s: line %d\n", name, i)] = true
		}
	}
	for len(left) > 0 {
		line, err := g.ReadString('\n')
		if err != nil {
			return fmt.Errorf("%s: %w, and has not heard %v", g.name, err, left)
		}
		if strings.Contains(line, ": line ") && !left[line] {
			return fmt.Errorf("%s hears %q, once more or its own", g.name, line)
		}
		delete(left, line)
	}
	return nil
}

// netcat comes by the program of that name; nil: there is none.
func netcat(t *testing.T, address string) (io.Writer, *bufio.Reader) {
	t.Helper()
	path, err := exec.LookPath("nc")
	if err != nil {
		t.Log("without nc, which is not here")
		return nil, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, host, port)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		late.Stop()
		_ = cmd.Process.Kill() // the test is over
		_ = cmd.Wait()         // it was killed
	})
	if _, err := io.WriteString(in, "nc\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	(&guest{Reader: r, name: "nc"}).awaits(t, "* nc came")
	return in, r
}

// chatSlow: who does not read is closed, which the room hears, or misses lines and stays; the others get all.
func chatSlow(t *testing.T, bin string, skip bool) {
	address := run(t, bin, fmt.Sprintf("-skip=%v", skip), "tcp://127.0.0.1:0?sndbuf=16384")
	ann, ben, slow := enter(t, address, "ann"), enter(t, address, "ben"), enter(t, address, "slow")
	const limit = 64 << 20 // more than any system buffers
	const enough = 2 << 20 // several times what these two ends and the chat do
	long := strings.Repeat("x", 900)
	said, gone := 0, false
	for !gone && said < limit && !(skip && said > enough) {
		for range 50 {
			say(t, ann.Conn, long)
		}
		said += 50 * len(long)
		for left := 50; left > 0; {
			switch line := hear(t, ben.Reader); {
			case line == "ann: "+long:
				left--
			case line == "* slow went: too slow":
				gone = true
			case !strings.HasPrefix(line, "* "):
				t.Fatalf("ben hears %.80q", line)
			}
		}
	}
	if gone == skip {
		t.Fatalf("%d bytes were said; who does not listen is gone: %v", said, gone)
	}
	if !skip {
		return
	}
	say(t, ann.Conn, "the last")
	got := 0
	for line := ""; line != "ann: the last"; got += len(line) {
		line = hear(t, slow.Reader)
	}
	if got > said/2 {
		t.Errorf("who was slow heard %d bytes of %d: none were skipped", got, said)
	}
}

// chatNodes: two processes are one chat, until one of them is killed.
func chatNodes(t *testing.T, bin string) {
	one, node, kill := runNode(t, bin, "-bus", "tcp://127.0.0.1:0", "tcp://127.0.0.1:0")
	two, _, _ := runNode(t, bin, "-bus", "tcp://127.0.0.1:0,"+node, "tcp://127.0.0.1:0")
	ann := enter(t, one, "ann")
	ben := enter(t, two, "ben")
	// The two may have to find each other yet: who comes then is seen on both.
	for i := 0; ; i++ {
		g := enter(t, two, fmt.Sprint("guest", i))
		if !strings.HasSuffix(g.last, fmt.Sprint("has ", i+2)) {
			break // ann is counted
		}
	}
	say(t, ann.Conn, "hello")
	ben.awaits(t, "ann: hello")
	say(t, ben.Conn, "hello ann")
	ann.awaits(t, "ben: hello ann")
	other := dial(t, two)
	say(t, other, "ann")
	o := &guest{Reader: bufio.NewReader(other), Conn: other, name: "another ann"}
	o.hears(t, "your name?")
	o.hears(t, "that name is taken; another?")
	kill()
	for gone := false; !gone; { // within three seconds, and a moment on a busy machine
		say(t, other, "ann")
		gone = !strings.HasPrefix(o.awaits(t, ""), "that name")
	}
	ben.awaits(t, "* ann came to the hall")
}
