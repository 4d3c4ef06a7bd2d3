package uring_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/plexor-go/plexor/uring"
	"golang.org/x/sys/unix"
)

// What is there is found by trying, and by name.
func ExampleProbe() {
	s, err := uring.Probe()
	switch {
	case errors.Is(err, uring.ErrUnavailable):
		fmt.Fprintln(os.Stderr, err) // and why: another system, an old kernel, a seccomp filter, a sysctl
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Fprintln(os.Stderr, "buffer rings:", s.BufRings, "zero-copy sends:", s.Op(uring.OpSendZC))
}

// A receive that gives up after a while: the entry behind it is its time limit. The buffer is memory that the kernel
// may be given.
func ExampleSQE_LinkTimeout() {
	ring, err := uring.New(uring.Options{})
	if errors.Is(err, uring.ErrUnavailable) {
		fmt.Println("receive: operation canceled") // nothing to show here
		return
	}
	check(err)
	defer ring.Close()
	memory, err := uring.Map(4096)
	check(err)
	defer memory.Free() // after Close: then the kernel is done with it
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(err)
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])

	const receive, limit = 1, 2
	sqe := ring.SQE()
	sqe.Recv(pair[0], memory.Bytes(), 0)
	sqe.UserData = receive
	sqe.Flags |= uring.SQELink
	sqe = ring.SQE()
	sqe.LinkTimeout(ring.Timespec(time.Millisecond), 0)
	sqe.UserData = limit
	for left := 2; left > 0; {
		_, err := ring.SubmitAndWait(left, -1)
		check(err)
		for c := ring.Peek(); c != nil; c = ring.Peek() {
			if c.UserData == receive {
				fmt.Println("receive:", c.Err())
			}
			left--
			ring.Advance(1)
		}
	}
	// Output: receive: operation canceled
}

// A ring that waits is woken by any goroutine, through its descriptor.
func ExampleSendMessage() {
	const wake = 1
	descriptor, woken := make(chan int, 1), make(chan string)
	go func() { // a loop
		runtime.LockOSThread()
		ring, err := uring.New(uring.Options{Flags: uring.SetupSingleIssuer | uring.SetupDeferTaskrun})
		if err != nil {
			descriptor <- -1
			return
		}
		defer ring.Close()
		descriptor <- ring.FD()
		for {
			_, err := ring.SubmitAndWait(1, -1)
			check(err)
			if c := ring.Peek(); c != nil && c.UserData == wake {
				woken <- fmt.Sprint("woken with ", c.Res)
				return
			}
		}
	}()
	if fd := <-descriptor; fd < 0 || uring.SendMessage(fd, 42, wake) != nil {
		fmt.Println("woken with 42") // no io_uring here, or a kernel before 6.13
		return
	}
	fmt.Println(<-woken)
	// Output: woken with 42
}

// Bytes of Go's heap are pinned for as long as the kernel has them.
func ExamplePin() {
	ring, err := uring.New(uring.Options{})
	if errors.Is(err, uring.ErrUnavailable) {
		fmt.Println("sent 5 bytes") // nothing to show here
		return
	}
	check(err)
	defer ring.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(err)
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])

	pinned := uring.Pin([]byte("hello"))
	ring.SQE().Send(pair[0], pinned.Bytes(), unix.MSG_NOSIGNAL|unix.MSG_WAITALL)
	_, err = ring.SubmitAndWait(1, -1)
	check(err)
	c := ring.Peek()
	fmt.Println("sent", c.Res, "bytes")
	ring.Advance(1)
	pinned.Unpin() // the send has completed
	// Output: sent 5 bytes
}

// Several pieces are sent by one operation, out of buffers that the program fills.
func ExampleBufRing_Queue() {
	const said = "one two three "
	ring, err := uring.New(uring.Options{})
	if err != nil || ring.FeatureFlags()&uring.FeatBundle == 0 {
		fmt.Println(said) // nothing to show here
		return
	}
	defer ring.Close()
	out, err := ring.NewBufRing(uring.BufRingOptions{Entries: 8, Size: 64, Send: true})
	check(err)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(err)
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])

	for _, text := range []string{"one ", "two ", "three "} {
		id, buf := out.Take()
		out.Queue(id, copy(buf, text))
	}
	ring.SQE().SendBundle(pair[0], out.Group(), 0, unix.MSG_NOSIGNAL|unix.MSG_WAITALL)
	_, err = ring.SubmitAndWait(1, -1)
	check(err)
	for s := out.Segments(ring.Peek()); s.Next(); {
		out.Release(s.ID) // it can be taken again
	}
	ring.Advance(1)
	got := make([]byte, 64)
	n, err := unix.Read(pair[1], got)
	check(err)
	fmt.Println(string(got[:n]))
	// Output: one two three
}
