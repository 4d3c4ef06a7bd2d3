package uring

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestEcho sends random bytes through an echo of multishot receives, several connections in one small buffer ring,
// while the garbage collector is at work.
func TestEcho(t *testing.T) {
	for _, inc := range []bool{false, true} {
		t.Run(fmt.Sprint("incremental ", inc), func(t *testing.T) { testEcho(t, inc) })
	}
}

func testEcho(t *testing.T, inc bool) {
	r := newRing(t, loopOptions())
	size := map[bool]int{false: 512, true: 4096}[inc]
	bufs := newBufRing(t, r, BufRingOptions{Entries: 8, Size: size, Incremental: inc})
	const conns, total = 8, 1 << 18
	seed := rand.Uint64()
	results := make(chan error, conns)
	const recv, send = 1 << 32, 2 << 32
	arm := func(fd int) {
		s := get(t, r, recv|uint64(fd))
		s.RecvMultishot(fd, 0)
	}
	for i := range conns {
		near, far := newPair(t)
		arm(near)
		go func() { results <- client(far, rand.New(rand.NewPCG(seed, uint64(i))), total) }()
	}
	stop, stopped := make(chan bool), make(chan bool)
	go func() { // garbage, and its collection
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				sink = make([]byte, 1<<16)
				runtime.GC()
			}
		}
	}()
	defer func() {
		close(stop)
		<-stopped
	}()
	// Replies of one connection are sent one after the other.
	type reply struct {
		id   uint16
		data []byte
	}
	queue := map[int][]reply{}
	starved, ended := map[int]bool{}, map[int]bool{}
	start := func(fd int) {
		get(t, r, send|uint64(fd)).Send(fd, queue[fd][0].data, unix.MSG_WAITALL|unix.MSG_NOSIGNAL)
	}
	short := 0
	received := func(fd int, c *CQE) {
		if data := bufs.Data(c); len(data) > 0 {
			queue[fd] = append(queue[fd], reply{c.BufferID(), data})
			if len(queue[fd]) == 1 {
				start(fd)
			}
		}
		switch {
		case c.Errno() == unix.ENOBUFS:
			short++
			starved[fd] = true
		case c.Res <= 0:
			ended[fd] = true
		case !c.More():
			arm(fd)
		}
	}
	for open := conns; open > 0; {
		_, err := r.SubmitAndWait(1, 10*time.Second)
		ok(t, err)
		for cqes := r.Ready(); len(cqes) > 0; cqes = r.Ready() {
			for i := range cqes {
				c := &cqes[i]
				fd := int(uint32(c.UserData))
				switch c.UserData &^ 0xffffffff {
				case recv:
					received(fd, c)
				case send:
					if int(c.Res) != len(queue[fd][0].data) {
						t.Fatalf("sent %d of %d bytes: %v", c.Res, len(queue[fd][0].data), c.Err())
					}
					bufs.Release(queue[fd][0].id)
					if queue[fd] = queue[fd][1:]; len(queue[fd]) > 0 {
						start(fd)
					}
					for fd := range starved { // there is a buffer again
						delete(starved, fd)
						arm(fd)
					}
				}
				if ended[fd] && len(queue[fd]) == 0 {
					open--
					unix.Shutdown(fd, unix.SHUT_WR)
					delete(ended, fd)
				}
			}
			r.Advance(len(cqes))
		}
	}
	for range conns {
		if err := <-results; err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
	if bufs.Held() != 0 {
		t.Errorf("%d buffers are held at the end", bufs.Held())
	}
	t.Logf("%d times without a buffer", short)
}

// client sends random bytes in random pieces and wants them back.
func client(fd int, rnd *rand.Rand, total int) error {
	out := make([]byte, total)
	for i := range out {
		out[i] = byte(rnd.Uint32())
	}
	done := make(chan error)
	go func() {
		in, n := make([]byte, total+1), 0
		for {
			m, err := unix.Read(fd, in[n:])
			if m > 0 {
				n += m
			}
			if err == unix.EINTR {
				continue
			}
			if m <= 0 || n > total {
				if string(in[:n]) != string(out) {
					err = errors.Join(err, fmt.Errorf("%d bytes came back, or other ones; want %d", n, total))
				}
				done <- err
				return
			}
		}
	}()
	for rest := out; len(rest) > 0; {
		n, err := unix.Write(fd, rest[:min(len(rest), 1+rnd.IntN(2000))])
		if err != nil && err != unix.EINTR {
			return err
		}
		rest = rest[max(n, 0):]
	}
	unix.Shutdown(fd, unix.SHUT_WR)
	return <-done
}
