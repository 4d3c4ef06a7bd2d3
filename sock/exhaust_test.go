//go:build linux || darwin || freebsd || netbsd || openbsd

package sock

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func init() { children["exhaust"] = exhaust }

// exhaust is a server with 64 descriptors. It listens, prints where, waits for a line on its standard input,
// accepts until that fails, and tells what it saw.
func exhaust() {
	check := func(err error) {
		if err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
	}
	check(unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}))
	l, err := Listen(Addr{Scheme: "tcp", Host: "127.0.0.1"}, Options{})
	check(err)
	at, err := l.LocalAddrPort()
	check(err)
	fmt.Println(at)
	fmt.Scanln()
	var held []Socket
	for {
		s, err := l.Accept()
		if err != nil {
			fmt.Println("held", len(held), "exhausted", Exhausted(err), "aborted", Aborted(err), "errno", err == syscall.EMFILE)
			break
		}
		held = append(held, s)
	}
	// Other calls say the same, and what to do.
	_, err = Listen(Addr{Scheme: "tcp", Host: "127.0.0.1"}, Options{})
	fmt.Println("listen", Exhausted(err), err)
	_, _, err = Connect(FromAddrPort("tcp", at), Options{})
	fmt.Println("connect", Exhausted(err), err)
	_, err = Pair()
	fmt.Println("pair", Exhausted(err), err)
	// The connection that could not be accepted still waits.
	for _, s := range held {
		check(s.Close())
	}
	again := 0
	for ; ; again++ {
		s, err := l.Accept()
		if err == ErrWouldBlock {
			break
		}
		check(err)
		check(s.Close())
	}
	fmt.Println("again", again)
	// A received descriptor that cannot be opened is an error and not a silent loss.
	p, err := Pair()
	check(err)
	_, err = p[0].SendFD([]int{p[0].FD(), p[0].FD()}, []byte("x"))
	check(err)
	for {
		if _, err := newSocket(unix.AF_UNIX, unix.SOCK_STREAM); err != nil {
			break
		}
	}
	fds, n, err := p[1].RecvFD(make([]byte, 1), 2)
	fmt.Println("descriptors", len(fds), n, errors.Is(err, ErrTooManyFDs))
}

func TestExhausted(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childKey+"=exhaust")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	const clients = 100
	for i := range clients {
		c, err := net.Dial("tcp", lines.Text())
		if err != nil {
			t.Fatalf("client %d of %q: %v", i, lines.Text(), err)
		}
		defer c.Close()
	}
	fmt.Fprintln(in)
	var got []string
	for lines.Scan() {
		got = append(got, lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	var held, again int
	text := strings.Join(got, "\n")
	if _, err := fmt.Sscanf(got[0], "held %d exhausted true aborted false errno true", &held); err != nil || held < 30 ||
		held > 60 {
		t.Errorf("Accept at the limit of 64: got %q, want 30 to 60 held and then EMFILE, which is Exhausted", got[0])
	}
	for _, want := range []string{
		"listen true listen tcp://127.0.0.1:0: socket: too many open files (raise the limit of open files (ulimit -n), or " +
			"close some)",
		"connect true connect tcp://", "pair true make a pair of sockets: socketpair: too many open files",
		"descriptors 0 1 true",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got\n%s\nwant %q in it", text, want)
		}
	}
	for _, line := range got {
		fmt.Sscanf(line, "again %d", &again)
	}
	if held+again != clients {
		t.Errorf("%d accepted before and %d after descriptors came free, want %d together", held, again, clients)
	}
}
