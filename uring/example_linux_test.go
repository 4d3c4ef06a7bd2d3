package uring_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"runtime"

	"github.com/plexor-go/plexor/uring"
	"golang.org/x/sys/unix"
)

// An echo server: one multishot accept, one multishot receive a connection, all into one buffer ring; what one turn
// brought is sent by the call that waits for the next. User data is the kind, the buffer and the descriptor.
func Example() {
	if uring.Available() != nil {
		fmt.Println("hello, ring") // nothing to show here
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	file, err := l.(*net.TCPListener).File()
	check(err)
	done := make(chan bool)
	go func() {
		serve(int(file.Fd()))
		close(done)
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	check(err)
	io.WriteString(c, "hello, ring")
	b := make([]byte, 11)
	io.ReadFull(c, b)
	fmt.Println(string(b))
	c.Close()
	<-done
	file.Close()
	l.Close()
	// Output: hello, ring
}

const (
	accept = iota
	receive
	send
	closing
)

func serve(listener int) {
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	ring, err := uring.New(uring.Options{Flags: uring.SetupSingleIssuer | uring.SetupDeferTaskrun, RegisterRing: true})
	check(err)
	defer ring.Close()
	bufs, err := ring.NewBufRing(uring.BufRingOptions{Entries: 64, Size: 4096})
	check(err)
	sqe := func(kind, fd int, buffer uint16) *uring.SQE {
		s, err := ring.NextSQE()
		check(err)
		s.UserData = uint64(kind)<<48 | uint64(buffer)<<32 | uint64(uint32(fd))
		return s
	}
	sqe(accept, listener, 0).AcceptMultishot(listener, unix.SOCK_CLOEXEC)
	for open := true; open; { // until the first client leaves
		_, err := ring.SubmitAndWait(1, -1)
		check(err)
		for c := ring.Peek(); c != nil; c = ring.Peek() {
			switch kind, buffer, fd := int(c.UserData>>48), uint16(c.UserData>>32), int(uint32(c.UserData)); kind {
			case accept:
				if c.Res >= 0 {
					sqe(receive, int(c.Res), 0).RecvMultishot(int(c.Res), bufs.Group())
				}
				if !c.More() {
					sqe(accept, fd, 0).AcceptMultishot(fd, unix.SOCK_CLOEXEC)
				}
			case receive:
				if data := bufs.Data(c); data != nil {
					sqe(send, fd, c.BufferID()).Send(fd, data, unix.MSG_WAITALL|unix.MSG_NOSIGNAL)
				}
				if c.Res == 0 || c.Res < 0 && c.Errno() != unix.ENOBUFS {
					sqe(closing, fd, 0).Close(fd)
				} else if !c.More() { // no buffer was free
					sqe(receive, fd, 0).RecvMultishot(fd, bufs.Group())
				}
			case send:
				bufs.Release(buffer)
			case closing:
				open = false
			}
			ring.Advance(1)
		}
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
