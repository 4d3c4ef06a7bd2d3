//go:build unix

package plexor_test

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

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
)

func init() { children["listen"] = listenChild }

// listenChild is a process that comes to an address, and prints the number of each line that it hears, until "end" or
// an error.
func listenChild(addr string) int {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Fprintln(c, "here")
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		number, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if err != nil {
			fmt.Println("broken:", errors.Is(err, syscall.ECONNRESET))
			return 0
		}
		if fmt.Println(number); number == "end" {
			return 0
		}
	}
}

// TestOutboxOfStoppedPeer: a process that is stopped does not read, and its system answers for it. Its Outbox fills
// up to its bound and then says so, or closes; who else is in the room gets all meanwhile; and when the process goes
// on it hears all that was taken, in order.
func TestOutboxOfStoppedPeer(t *testing.T) {
	beside(t)
	for name, full := range map[string]plexor.WhenFull{"refuses": plexor.RefuseNewest, "closes": plexor.CloseWhenFull} {
		t.Run(name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) { outboxOfStopped(t, driver, full) })
		})
	}
}

func outboxOfStopped(t *testing.T, driver string, full plexor.WhenFull) {
	const bound = 64 << 10
	boxes := make(chan *plexor.Outbox, 1)
	limits := plexor.OutboxLimits{Bytes: bound, WhenFull: full}
	b := place{driver, "tcp://127.0.0.1:0?sndbuf=16384"}.serve(t,
		&plexor.Server{Limits: plexor.Limits{HighWater: 16 << 10, Outbox: limits}},
		plexor.Messages(frame.Line{}, func(c *plexor.Conn, _ []byte) error { boxes <- c.Outbox(); return nil }))
	var room plexor.Audience
	enter := func(who string) *plexor.Outbox {
		box := receive(t, boxes, who)
		if err := room.Add(box); err != nil {
			t.Fatal(err)
		}
		return box
	}
	cmd, heard := listenProcess(t, b.addr)
	box := enter("the process")
	neighbour := b.dial()
	send(t, neighbour, "here\n")
	enter("the neighbour")

	stopProcess(t, cmd)
	filler := strings.Repeat("x", 1000)
	taken := 0
	var err error
	for err == nil {
		if err = box.Send(fmt.Append(nil, taken, " ", filler)); err == nil {
			taken++
		}
		if n := box.Stats().Bytes; n > bound {
			t.Fatalf("%d bytes wait, beyond the bound", n)
		}
	}
	if err != plexor.ErrOutboxFull {
		t.Errorf("after %d lines: %v, want ErrOutboxFull", taken, err)
	}
	for range 5 {
		if err := room.Send([]byte("to the room")); err != nil {
			t.Error(err)
		}
		want(t, neighbour, "to the room\n")
	}
	if full == plexor.CloseWhenFull {
		b.await("its end", func(s plexor.Stats) bool { return s.Conns == 1 })
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if full == plexor.RefuseNewest {
		if err := box.SendWait(t.Context(), []byte("end")); err != nil {
			t.Errorf("SendWait: %v", err)
		}
	}
	next, last := 0, ""
	for heard.Scan() {
		switch last = heard.Text(); last {
		case fmt.Sprint(next):
			next++
		case "to", "end", "broken: true": // to the room, by its first word
		default:
			t.Fatalf("it hears %q, want %d", last, next)
		}
	}
	if full == plexor.RefuseNewest && (next != taken || last != "end") {
		t.Errorf("it heard %d lines of %d, and %q last", next, taken, last)
	}
	if full == plexor.CloseWhenFull && last != "broken: true" {
		t.Errorf("it heard %q last, want that the connection broke", last)
	}
}

// listenProcess starts a listenChild, and returns what it prints. It ends with the test, if not by itself.
func listenProcess(t *testing.T, addr net.Addr) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=listen "+addr.String())
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd, bufio.NewScanner(stdout)
}

// stopProcess returns when it is stopped.
func stopProcess(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("the process is not stopped: %v, %v", status, err)
	}
}
