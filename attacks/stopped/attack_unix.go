//go:build linux || darwin || freebsd || netbsd || openbsd

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/proc"
	"github.com/plexor-go/plexor/sock"
)

// masterOf tells a process of this program that it is a master, and of which driver.
const masterOf = "STOPPED_MASTER"

// register names what the workers do: each line is answered with the process's number.
func register() {
	proc.Register("who", func(w *proc.Worker) error {
		who := []byte(strconv.Itoa(os.Getpid()))
		return w.Serve(&plexor.Server{Driver: string(w.Config), Loops: 1,
			Handler: plexor.Messages(frame.Line{Max: 100}, func(c *plexor.Conn, _ []byte) error { return c.Send(who) })})
	})
}

// beMaster runs a master, if this process was started to be one.
func beMaster() bool {
	driver := os.Getenv(masterOf)
	if driver == "" {
		return false
	}
	m := &proc.Master{Entry: "who", Workers: 2, Addrs: []string{"tcp://127.0.0.1:0"}, Config: []byte(driver),
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		OnReady: func(addrs []sock.Addr, _ string) {
			fmt.Println(net.JoinHostPort(addrs[0].Host, strconv.Itoa(addrs[0].Port)))
		}}
	if err := m.Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// attack starts a master, stops one of its two workers and returns the longest that one of the connections then waited.
func attack(driver string, rounds int, limit time.Duration) (longest time.Duration, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	master := exec.Command(self)
	master.Env = append(os.Environ(), masterOf+"="+driver)
	master.Stderr = os.Stderr
	out, err := master.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := master.Start(); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, master.Wait()) }()
	defer func() { err = errors.Join(err, master.Process.Signal(syscall.SIGINT)) }()
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("the master did not begin: %w", err)
	}
	addr = strings.TrimSpace(addr)
	// Who answered last waits at the end of the queue, so it is the other one that is asked next: both get stopped once.
	for range 2 {
		pid, _, err := ask(addr, limit)
		if err != nil {
			return 0, err
		}
		wait, err := whileStopped(addr, pid, rounds/2, limit)
		if err != nil {
			return 0, err
		}
		longest = max(longest, wait)
	}
	return longest, nil
}

// whileStopped asks rounds times while process pid is stopped.
func whileStopped(addr string, pid, rounds int, limit time.Duration) (longest time.Duration, err error) {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, syscall.Kill(pid, syscall.SIGCONT)) }()
	if err := awaitStop(pid, limit); err != nil {
		return 0, err
	}
	for range rounds {
		_, took, err := ask(addr, limit)
		if err != nil {
			return 0, fmt.Errorf("a connection while worker %d is stopped: %w", pid, err)
		}
		longest = max(longest, took)
	}
	return longest, nil
}

// awaitStop waits until all threads of a process have stopped. One that is just accepting a connection when the signal
// is sent takes it before it stops. Where there is no /proc it waits for a moment.
func awaitStop(pid int, limit time.Duration) error {
	for end := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil || len(stats) == 0 {
			time.Sleep(100 * time.Millisecond)
			return nil
		}
		runs := false
		for _, name := range stats {
			stat, err := os.ReadFile(name)
			if err != nil {
				continue // the thread has ended
			}
			_, fields, _ := strings.Cut(string(stat), ") ")
			runs = runs || !strings.HasPrefix(fields, "T")
		}
		if !runs {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("worker %d has not stopped after %v", pid, limit)
		}
	}
}

// ask connects, and returns which process answered and after what time.
func ask(addr string, limit time.Duration) (pid int, took time.Duration, err error) {
	begun := time.Now()
	c, err := net.DialTimeout("tcp", addr, limit)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	if err := c.SetDeadline(begun.Add(limit)); err != nil {
		return 0, 0, err
	}
	if _, err := io.WriteString(c, "who?\n"); err != nil {
		return 0, 0, err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return 0, 0, err
	}
	pid, err = strconv.Atoi(strings.TrimSpace(answer))
	return pid, time.Since(begun), err
}
