package proc

import (
	"crypto/rand"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/sock"
)

// reloading is what a service manager is told when a reload begins: systemd wants the time with it (sd_notify(3),
// Type=notify-reload), so as to know which READY=1 is the answer.
func reloading() []string {
	states := []string{"RELOADING=1"}
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) == nil {
		states = append(states, fmt.Sprintf("MONOTONIC_USEC=%d", t.Nano()/1000))
	}
	return states
}

// A listener for notifications of our children: a master is to them what a service manager is to it. The name is an
// abstract one, so that there is no file to be left behind, and anybody on the machine could send to it; so the
// kernel is asked who it was (SCM_CREDENTIALS, unix(7)).
type notifications struct {
	name string
	conn *net.UnixConn
	done sync.WaitGroup
}

// listenNotify calls told, on a goroutine of its own, with the process that sent READY=1.
func listenNotify(told func(pid int)) (*notifications, error) {
	name := "@plexor-" + rand.Text()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		ctlErr := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
		})
		err = firstOf(ctlErr, err)
	}
	if err != nil {
		_ = conn.Close() // err is the one to tell
		return nil, fmt.Errorf("proc: the workers' NOTIFY_SOCKET: %w", err)
	}
	n := &notifications{name: name, conn: conn}
	n.done.Go(func() { n.read(told) })
	return n, nil
}

func (n *notifications) read(told func(pid int)) {
	buf, control := make([]byte, 4096), make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(4*64))
	for {
		k, nc, _, _, err := n.conn.ReadMsgUnix(buf, control)
		if err != nil {
			return // it was closed
		}
		fds, err := sock.ControlFDs(control[:nc]) // sd_notify can send some; we keep none
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
		if err != nil {
			continue
		}
		pid := sender(control[:nc])
		if pid != 0 && slices.Contains(strings.Split(string(buf[:k]), "\n"), "READY=1") {
			told(pid)
		}
	}
}

// sender is the process that the kernel says has sent the message (SCM_CREDENTIALS); 0: it does not say.
func sender(control []byte) int {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		if cred, err := unix.ParseUnixCredentials(&m); err == nil {
			return int(cred.Pid)
		}
	}
	return 0
}

func (n *notifications) close() {
	_ = n.conn.Close() // read ends, whatever it says
	n.done.Wait()
}
