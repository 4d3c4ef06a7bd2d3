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

// An echo server: one multishot accept, one multishot receive a connection, all of them into one buffer ring. The user
// data is the kind of operation, the descriptor and, for a send, the buffer.
func Example() {
	if err := uring.Available(); err != nil {
		fmt.Println("hello, ring") // nothing to show here
		return
	}
	listener, address := listen()
	go serve(listener)
	c, err := net.Dial("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "hello, ring")
	b := make([]byte, 11)
	io.ReadFull(c, b)
	fmt.Println(string(b))
	// Output: hello, ring
}

const (
	accept = iota
	receive
	send
)

func mark(kind, fd int, buffer uint16) uint64 {
	return uint64(kind)<<48 | uint64(buffer)<<32 | uint64(uint32(fd))
}

func serve(listener int) {
	runtime.LockOSThread()
	ring, err := uring.New(uring.Options{Flags: uring.SetupSingleIssuer | uring.SetupDeferTaskrun})
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Close()
	bufs, err := ring.NewBufRing(uring.BufRingOptions{Entries: 64, Size: 4096})
	if err != nil {
		log.Fatal(err)
	}
	submit := func(mark uint64) *uring.SQE {
		sqe, err := ring.NextSQE()
		if err != nil {
			log.Fatal(err)
		}
		sqe.UserData = mark
		return sqe
	}
	submit(mark(accept, listener, 0)).AcceptMultishot(listener, unix.SOCK_CLOEXEC)
	for connections := 1; connections > 0; {
		if _, err := ring.SubmitAndWait(1, -1); err != nil {
			log.Fatal(err)
		}
		for c := ring.Peek(); c != nil; c = ring.Peek() {
			kind, fd := int(c.UserData>>48), int(uint32(c.UserData))
			switch {
			case kind == accept && c.Res >= 0:
				submit(mark(receive, int(c.Res), 0)).RecvMultishot(int(c.Res), bufs.Group())
			case kind == receive && c.HasBuffer():
				submit(mark(send, fd, c.BufferID())).Send(fd, bufs.Data(c), unix.MSG_WAITALL|unix.MSG_NOSIGNAL)
			case kind == send:
				bufs.Release(uint16(c.UserData >> 32))
			case kind == receive && c.Errno() != unix.ENOBUFS:
				submit(mark(kind, fd, 0)).Close(fd) // completes as a receive of nothing; end after the first
				connections--
			}
			if kind == receive && !c.More() && connections > 0 {
				submit(mark(receive, fd, 0)).RecvMultishot(fd, bufs.Group())
			}
			ring.Advance(1)
		}
	}
}
