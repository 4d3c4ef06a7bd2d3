package uring

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestPoll(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		a, b := newPair(t)
		get(t, r, 1).PollAdd(a, unix.POLLIN)
		quiet(t, r)
		write(t, b, "x")
		if c := next(t, r); c.UserData != 1 || c.Res&unix.POLLIN == 0 || c.More() {
			t.Errorf("poll: %+v", c)
		}
		get(t, r, 2).PollAdd(b, unix.POLLIN)
		quiet(t, r)
		get(t, r, 3).PollRemove(2)
		got := collect(t, r, 2)
		if two, three := got[2], got[3]; two.Errno() != unix.ECANCELED || three.Res != 0 {
			t.Errorf("poll %v, remove %v; want ECANCELED and success", two.Err(), three.Err())
		}
		get(t, r, 3).PollRemove(2)
		wantRes(t, r, 3, -int(unix.ENOENT))

		get(t, r, 4).PollAdd(b, unix.POLLIN)
		quiet(t, r)
		get(t, r, 5).PollUpdate(4, unix.POLLOUT, false)
		got = collect(t, r, 2)
		if four, five := got[4], got[5]; four.Res&unix.POLLOUT == 0 || five.Res != 0 {
			t.Errorf("poll %+v, update %+v; want POLLOUT and success", four, five)
		}
		get(t, r, 6).PollAdd(b, unix.POLLIN)
		quiet(t, r)
		get(t, r, 7).PollRename(6, 66)
		wantRes(t, r, 7, 0)
		write(t, a, "y")
		if c := next(t, r); c.UserData != 66 || c.Res&unix.POLLIN == 0 {
			t.Errorf("renamed poll: %+v, want user data 66", c)
		}
	})
}

func TestPollMultishot(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		a, b := newPair(t)
		get(t, r, 1).PollMultishot(a, unix.POLLIN)
		for range 3 {
			_, err := r.Submit()
			ok(t, err)
			write(t, b, "x")
			if c := next(t, r); c.UserData != 1 || c.Res&unix.POLLIN == 0 || !c.More() {
				t.Fatalf("poll: %+v (%v)", c, c.Err())
			}
			quiet(t, r) // edge-triggered: nothing new has come
		}
		get(t, r, 2).Cancel(1, 0)
		got := collect(t, r, 2)
		if one, two := got[1], got[2]; one.Errno() != unix.ECANCELED || one.More() || two.Res != 0 {
			t.Errorf("poll %+v, cancel %+v", one, two)
		}
	})
}

func TestTimeoutOps(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		start := time.Now()
		s := get(t, r, 1)
		s.Timeout(r.Timespec(20*time.Millisecond), 0, 0)
		wantRes(t, r, 1, -int(unix.ETIME))
		if took := time.Since(start); took < 20*time.Millisecond {
			t.Errorf("20 ms took %v", took)
		}
		var now unix.Timespec
		ok(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
		s = get(t, r, 2)
		s.Timeout(r.Timespec(time.Duration(now.Nano())+time.Millisecond), 0, TimeoutAbs|TimeoutETimeOK)
		wantRes(t, r, 2, -int(unix.ETIME))
		s = get(t, r, 3) // until one other has completed
		s.Timeout(r.Timespec(time.Hour), 1, 0)
		get(t, r, 4).Nop()
		got := collect(t, r, 2)
		if three := got[3]; three.Res != 0 {
			t.Errorf("a timeout that counts completions: %v, want 0", three.Err())
		}
		s = get(t, r, 5)
		s.Timeout(r.Timespec(time.Hour), 0, 0)
		quiet(t, r)
		get(t, r, 6).TimeoutRemove(5)
		got = collect(t, r, 2)
		if five, six := got[5], got[6]; five.Errno() != unix.ECANCELED || six.Res != 0 {
			t.Errorf("timeout %v, remove %v", five.Err(), six.Err())
		}
		s = get(t, r, 7)
		s.Timeout(r.Timespec(time.Hour), 0, 0)
		quiet(t, r)
		s = get(t, r, 8)
		s.TimeoutUpdate(7, r.Timespec(time.Millisecond), 0)
		got = collect(t, r, 2)
		if seven, eight := got[7], got[8]; seven.Errno() != unix.ETIME || eight.Res != 0 {
			t.Errorf("timeout %v, update %v", seven.Err(), eight.Err())
		}
		s = get(t, r, 9)
		s.TimeoutMultishot(r.Timespec(time.Millisecond), 3, 0)
		for i := range 3 {
			c := next(t, r)
			if c.Errno() == unix.EINVAL {
				t.Skip("no multishot timeout here (Linux 6.4)")
			}
			if c.UserData != 9 || c.Errno() != unix.ETIME || c.More() != (i < 2) {
				t.Errorf("multishot timeout, number %d: %+v (%v)", i, c, c.Err())
			}
		}
	})
}

func TestLinkTimeout(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		a, b := newPair(t)
		buf := bytesOf(t, 8)
		for _, row := range []struct {
			name        string
			after       time.Duration
			before      func()
			recv, timer unix.Errno
		}{
			{"too late", time.Millisecond, func() {}, unix.ECANCELED, unix.ETIME},
			{"in time", time.Hour, func() { write(t, b, "x") }, 0, unix.ECANCELED},
			{"shortened", time.Hour, func() {
				_, err := r.Submit()
				ok(t, err)
				s := get(t, r, 3)
				s.LinkTimeoutUpdate(2, r.Timespec(time.Millisecond), 0)
				s.Flags |= SQESkipSuccess
			}, unix.ECANCELED, unix.ETIME},
		} {
			s := get(t, r, 1)
			s.Recv(a, buf, 0)
			s.Flags |= SQELink
			s = get(t, r, 2)
			s.LinkTimeout(r.Timespec(row.after), 0)
			row.before()
			got := collect(t, r, 2)
			if one, two := got[1], got[2]; one.Errno() != row.recv || two.Errno() != row.timer {
				t.Errorf("%s: receive %v, timeout %v; want %v, %v", row.name, one.Err(), two.Err(), row.recv, row.timer)
			}
		}
	})
}

func TestCancel(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		a, b := newPair(t)
		buf := bytesOf(t, 8)
		for _, row := range []struct {
			name   string
			cancel func(s *SQE)
			res    int32
			gone   []uint64
		}{
			{"user data", func(s *SQE) { s.Cancel(1, 0) }, 0, []uint64{1}},
			{"user data, all", func(s *SQE) { s.Cancel(2, CancelAll) }, 1, []uint64{2}},
			{"descriptor", func(s *SQE) { s.CancelFD(b, 0) }, 0, []uint64{3}},
			{"descriptor, all", func(s *SQE) { s.CancelFD(a, CancelAll) }, 2, []uint64{1, 2}},
			{"any", func(s *SQE) { s.CancelAny() }, 3, []uint64{1, 2, 3}},
			{"operation", func(s *SQE) { s.CancelOp(OpRecv, CancelAll) }, 3, []uint64{1, 2, 3}},
			{"another operation", func(s *SQE) { s.CancelOp(OpSend, 0) }, -int32(unix.ENOENT), nil},
			{"nobody", func(s *SQE) { s.Cancel(99, 0) }, -int32(unix.ENOENT), nil},
		} {
			get(t, r, 1).Recv(a, buf, 0)
			get(t, r, 2).Recv(a, buf, 0)
			get(t, r, 3).Recv(b, buf, 0)
			quiet(t, r)
			row.cancel(get(t, r, 4))
			got := collect(t, r, 1+len(row.gone))
			if four := got[4]; four.Res != row.res {
				if four.Errno() == unix.EINVAL {
					t.Logf("%s: not on this kernel", row.name)
				} else {
					t.Errorf("%s: %d (%v), want %d", row.name, four.Res, four.Err(), row.res)
				}
			}
			for _, i := range row.gone {
				if c := got[i]; c.Errno() != unix.ECANCELED {
					t.Errorf("%s: receive %d: %v, want ECANCELED", row.name, i, c.Err())
				}
			}
			if len(row.gone) < 3 {
				skipUnless(t, r.CancelAnyNow(time.Second))
				for range 3 - len(row.gone) {
					if c := next(t, r); c.Errno() != unix.ECANCELED {
						t.Errorf("%s: then %+v, want ECANCELED", row.name, c)
					}
				}
			}
		}
		get(t, r, 1).Recv(a, buf, 0)
		get(t, r, 2).Recv(b, buf, 0)
		quiet(t, r)
		// A kernel thread that polls may not have come to the receive yet.
		err := r.CancelNow(1, 0, time.Second)
		for end := time.Now().Add(10 * time.Second); errors.Is(err, unix.ENOENT) && time.Now().Before(end); {
			err = r.CancelNow(1, 0, time.Second)
		}
		ok(t, err)
		wantRes(t, r, 1, -int(unix.ECANCELED))
		ok(t, r.CancelFDNow(b, CancelAll, -1))
		wantRes(t, r, 2, -int(unix.ECANCELED))
		if err := r.CancelNow(1, 0, time.Second); !errors.Is(err, unix.ENOENT) {
			t.Errorf("CancelNow of nothing: %v, want ENOENT", err)
		}
	})
}

func TestMsgRing(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		needs(t, r, OpMsgRing)
		type message struct {
			res   int32
			data  uint64
			flags CQEFlags
		}
		fd, got, stop := make(chan int), make(chan message), make(chan bool)
		go func() { // another loop
			defer close(stop)
			other := newRing(t, loopOptions())
			defer other.Close()
			defer close(got)
			if err := other.RegisterFilesSparse(2); err != nil {
				t.Error(err)
			}
			fd <- other.FD()
			for {
				if _, err := other.SubmitAndWait(1, 10*time.Second); err != nil {
					t.Error(err)
					return
				}
				for c := other.Peek(); c != nil; c = other.Peek() {
					m := message{c.Res, c.UserData, c.Flags}
					other.Advance(1)
					if m.data == 0 {
						return
					}
					got <- m
				}
			}
		}()
		to := <-fd
		get(t, r, 1).MsgRing(to, 77, 1<<63|5)
		wantRes(t, r, 1, 0)
		if m := <-got; m != (message{77, 1<<63 | 5, 0}) {
			t.Errorf("the other ring got %+v", m)
		}
		get(t, r, 2).MsgRingFlags(to, -3, 6, 1<<20)
		wantRes(t, r, 2, 0)
		if m := <-got; m != (message{-3, 6, 1 << 20}) {
			t.Errorf("with flags the other ring got %+v", m)
		}
		a, b := newPair(t)
		ok(t, r.RegisterFiles([]int32{-1, int32(a)}))
		get(t, r, 3).MsgRingFile(to, 1, SlotAuto, 8, false)
		wantOK(t, r, 3)
		if m := <-got; m.data != 8 || m.res < 0 {
			t.Errorf("with a file the other ring got %+v", m)
		}
		get(t, r, 3).MsgRingFile(to, 1, 1, 8, true)
		wantRes(t, r, 3, 0)
		_ = b
		if err := SendMessage(to, 42, 9); err != nil {
			t.Logf("SendMessage: %v", err)
		} else if m := <-got; m != (message{42, 9, 0}) {
			t.Errorf("without a ring the other ring got %+v", m)
		}
		get(t, r, 4).MsgRing(to, 0, 0)
		wantRes(t, r, 4, 0)
		for m := range got {
			t.Errorf("one more message: %+v", m)
		}
		<-stop
		get(t, r, 5).MsgRing(a, 0, 0)
		wantRes(t, r, 5, -int(unix.EBADFD))
		if err := SendMessage(a, 0, 0); err == nil {
			t.Error("SendMessage to a socket succeeded")
		}
	})
}

func TestReadWrite(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		ok(t, err)
		own(t, fd)
		buf := bytesOf(t, 16)
		get(t, r, 1).Read(fd, buf[:8], ^uint64(0))
		quiet(t, r)
		binary.NativeEndian.PutUint64(buf[8:], 5)
		get(t, r, 2).Write(fd, buf[8:], ^uint64(0))
		collect(t, r, 2)
		if n := binary.NativeEndian.Uint64(buf); n != 5 {
			t.Errorf("read %d from the eventfd, want 5", n)
		}
	})
}

func TestReadMultishot(t *testing.T) {
	r := newRing(t, loopOptions())
	needs(t, r, OpReadMultishot)
	p := make([]int, 2)
	ok(t, unix.Pipe2(p, unix.O_CLOEXEC|unix.O_NONBLOCK))
	own(t, p[0])
	own(t, p[1])
	bufs, err := r.NewBufRing(BufRingOptions{Entries: 4, Size: 64})
	ok(t, err)
	get(t, r, 1).ReadMultishot(p[0], 0)
	for _, text := range []string{"one", "two", "three"} {
		_, err := r.Submit()
		ok(t, err)
		write(t, p[1], text)
		c := wantRes(t, r, 1, len(text))
		if got := string(bufs.Data(&c)); got != text || !c.More() {
			t.Errorf("read %q, more %v; want %q", got, c.More(), text)
		}
		bufs.Release(c.BufferID())
	}
}

func TestSplice(t *testing.T) {
	r := newRing(t, loopOptions())
	needs(t, r, OpSplice)
	p := make([]int, 2)
	ok(t, unix.Pipe2(p, unix.O_CLOEXEC))
	own(t, p[0])
	own(t, p[1])
	a, b := newPair(t)
	write(t, p[1], "through")
	get(t, r, 1).Splice(p[0], ^uint64(0), a, ^uint64(0), 100, 0)
	wantRes(t, r, 1, 7)
	wantRead(t, b, "through")
}

func TestNopResult(t *testing.T) {
	r := newRing(t, loopOptions())
	for _, res := range []int32{0, 7, -int32(unix.EPROTO)} {
		get(t, r, 1).NopResult(res)
		c := next(t, r)
		if c.Errno() == unix.EINVAL {
			t.Skip("this kernel's nop takes no result (Linux 6.10)")
		}
		if c.Res != res {
			t.Errorf("result %d, want %d", c.Res, res)
		}
	}
}
