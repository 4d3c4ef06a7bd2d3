//go:build linux || darwin || freebsd

package loop_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
)

// stopped is a process with a loop whose handler takes a second, in the midst of which the parent stops the process.
// The monitor's first look is half a second after the handler began.
func stopped(driver string) int {
	l, err := loop.New(loop.Options{Driver: driver, Stall: 2 * time.Second, OnStall: func(loop.Stall) {}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go l.Run()
	defer l.Close()
	l.Do(func() {
		fmt.Println("begun")
		for range 10 {
			time.Sleep(100 * time.Millisecond) // of which one alone ends with the stop
		}
	})
	fmt.Printf("stalls=%d\n", l.Stats().Stalls)
	return 0
}

// A process that was stopped for longer than the limit has no stall to report.
func TestStoppedProcessIsNoStall(t *testing.T) {
	t.Parallel()
	type child struct {
		*exec.Cmd
		driver string
		out    *bufio.Scanner
	}
	var all []child
	for _, d := range loop.Drivers() {
		if d.Err != nil {
			continue
		}
		c := child{Cmd: exec.Command(os.Args[0]), driver: d.Name}
		c.Env = append(os.Environ(), "PLEXOR_LOOP_CHILD=stopped "+d.Name)
		c.Stderr = os.Stderr
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer c.Wait()
		c.out = bufio.NewScanner(out)
		all = append(all, c)
	}
	next := func(c child, want string) {
		if !c.out.Scan() || c.out.Text() != want {
			t.Errorf("%s: the process says %q, %v: want %q", c.driver, c.out.Text(), c.out.Err(), want)
		}
	}
	for _, c := range all {
		next(c, "begun")
	}
	time.Sleep(700 * time.Millisecond) // if that is too long or too short, nothing is shown, and nothing fails
	for _, c := range all {
		c.Process.Signal(syscall.SIGSTOP)
	}
	time.Sleep(2500 * time.Millisecond)
	for _, c := range all {
		c.Process.Signal(syscall.SIGCONT)
	}
	for _, c := range all {
		next(c, "stalls=0")
	}
}
