package standstill

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// processorTime is how much the process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // it does not fail
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// reportKernel tells of each ring and selector what /proc/self/fdinfo has of it (proc_pid_fdinfo(5)): the heads and
// tails of a ring's queues and what is armed, what a selector watches; and of each TCP socket its line of
// /proc/net/tcp: state, queues and timers.
func reportKernel(w io.Writer) {
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	sockets := make(map[string]string) // descriptor by inode
	for _, fd := range fds {
		to, err := os.Readlink(fd)
		if err != nil {
			continue // it was the directory's own
		}
		number := filepath.Base(fd)
		switch {
		case strings.Contains(to, "io_uring"), strings.Contains(to, "eventpoll"):
			info, err := os.ReadFile("/proc/self/fdinfo/" + number)
			fmt.Fprintf(w, "descriptor %s: %s, %v\n%s\n", number, to, err, info)
		case strings.HasPrefix(to, "socket:["):
			sockets[strings.Trim(to, "socket:[]")] = number
		}
	}
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue // there is no such protocol
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			const inode = 9 // st is 3, tx_queue:rx_queue 4, tr:tm->when 5, retrnsmt 6
			if part := strings.Fields(lines.Text()); len(part) > inode && sockets[part[inode]] != "" {
				fmt.Fprintf(w, "descriptor %s: tcp %s\n", sockets[part[inode]], lines.Text())
			}
		}
		_ = f.Close() // it was open for reading
	}
}
