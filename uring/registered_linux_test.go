package uring

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestDirect(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		if err := r.RegisterFilesSparse(8); err != nil {
			skipUnless(t, err)
		}
		l, addr := newListener(t)
		ok(t, r.SetFileRange(4, 4))
		dial(t, addr)
		get(t, r, 1).AcceptDirect(l, nil, 0, 2)
		wantRes(t, r, 1, 0)
		client := dial(t, addr)
		get(t, r, 2).AcceptDirect(l, nil, 0, SlotAuto)
		c := wantOK(t, r, 2)
		if c.Res < 4 || c.Res > 7 {
			t.Fatalf("slot %d, want one of 4 to 7", c.Res)
		}
		at := uint32(c.Res)
		buf := bytesOf(t, 16)
		write(t, client, "direct")
		s := get(t, r, 3)
		s.Recv(int(at), buf, 0)
		s.Flags |= SQEFixedFile
		wantRes(t, r, 3, 6)
		if r.Supports(OpFixedFDInstall) {
			get(t, r, 4).InstallFD(at, false)
			fd := own(t, int(wantOK(t, r, 4).Res))
			write(t, fd, "installed")
			wantRead(t, client, "installed")
		}
		get(t, r, 5).CloseDirect(at)
		wantRes(t, r, 5, 0)
		get(t, r, 5).CloseDirect(at)
		wantRes(t, r, 5, -int(unix.EBADF))
		// Four slots, so the fifth connection finds none.
		get(t, r, 6).AcceptMultishotDirect(l, 0)
		for range 4 {
			_, err := r.Submit()
			ok(t, err)
			dial(t, addr)
			if c := wantOK(t, r, 6); !c.More() {
				t.Fatal("the accept has ended")
			}
		}
		dial(t, addr)
		if c := next(t, r); c.UserData != 6 || c.Errno() != unix.ENFILE || c.More() {
			t.Errorf("without a slot: %+v (%v), want ENFILE and no more", c, c.Err())
		}
		get(t, r, 7).SocketDirect(unix.AF_INET, unix.SOCK_STREAM, 0, 0)
		wantRes(t, r, 7, 0)
		// A receive in a slot, cancelled.
		s = get(t, r, 8)
		s.Recv(4, buf, 0)
		s.Flags |= SQEFixedFile
		quiet(t, r)
		get(t, r, 9).CancelSlot(4, CancelAll)
		got := collect(t, r, 2)
		if eight, nine := got[8], got[9]; eight.Errno() != unix.ECANCELED || nine.Res != 1 {
			t.Errorf("receive %v, cancel %d; want ECANCELED and 1", eight.Err(), nine.Res)
		}
		ok(t, r.UnregisterFiles())
		if err := r.UnregisterFiles(); !errors.Is(err, unix.ENXIO) {
			t.Errorf("unregister twice: %v, want ENXIO", err)
		}
	})
}

func TestRegisteredFiles(t *testing.T) {
	r := newRing(t, loopOptions())
	a, b := newPair(t)
	ok(t, r.RegisterFiles([]int32{-1, int32(a)}))
	if err := r.RegisterFiles([]int32{-1}); !errors.Is(err, unix.EBUSY) {
		t.Errorf("register twice: %v, want EBUSY", err)
	}
	n, err := r.UpdateFiles(0, []int32{int32(b)})
	if n != 1 || err != nil {
		t.Errorf("UpdateFiles = %d, %v", n, err)
	}
	buf := bytesOf(t, 4096)
	copy(buf, "slots")
	s := get(t, r, 1)
	s.Send(0, buf[:5], 0)
	s.Flags |= SQEFixedFile
	wantRes(t, r, 1, 5)
	wantRead(t, a, "slots")
	fds := Alloc[[1]int32](newArena(t))
	fds[0] = -1
	get(t, r, 2).FilesUpdate(fds[:], 0)
	wantRes(t, r, 2, 1)
	s = get(t, r, 3)
	s.Send(0, buf[:5], 0)
	s.Flags |= SQEFixedFile
	wantRes(t, r, 3, -int(unix.EBADF))
}

func TestRegisteredBuffers(t *testing.T) {
	r := newRing(t, loopOptions())
	p := make([]int, 2)
	ok(t, unix.Pipe2(p, unix.O_CLOEXEC))
	own(t, p[0])
	own(t, p[1])
	buf := bytesOf(t, 8192)
	if err := r.RegisterBuffersSparse(4); err != nil {
		skipUnless(t, err)
	}
	n, err := r.UpdateBuffers(1, buf[:4096], buf[4096:])
	if n != 2 || err != nil {
		t.Fatalf("UpdateBuffers = %d, %v", n, err)
	}
	copy(buf, "fixed")
	get(t, r, 1).WriteFixed(p[1], buf[:5], ^uint64(0), 1)
	wantRes(t, r, 1, 5)
	get(t, r, 2).ReadFixed(p[0], buf[4096:4106], ^uint64(0), 2)
	wantRes(t, r, 2, 5)
	if string(buf[4096:4101]) != "fixed" {
		t.Errorf("read %q", buf[4096:4101])
	}
	get(t, r, 3).WriteFixed(p[1], buf[4090:4100], ^uint64(0), 1) // beyond its buffer
	wantRes(t, r, 3, -int(unix.EFAULT))
	if n, err := r.UpdateBuffers(1, nil); n != 1 || err != nil {
		t.Errorf("emptying a place: %d, %v", n, err)
	}
	ok(t, r.UnregisterBuffers())
}

func TestEventfdAndWorkers(t *testing.T) {
	r := newRing(t, Options{Entries: 4})
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	ok(t, err)
	own(t, fd)
	ok(t, r.RegisterEventfd(fd))
	get(t, r, 1).Nop()
	wantRes(t, r, 1, 0)
	b := make([]byte, 8)
	if n, err := unix.Read(fd, b); n != 8 || err != nil {
		t.Errorf("the eventfd was not written to: %d, %v", n, err)
	}
	ok(t, r.UnregisterEventfd())
	bounded, unbounded, err := r.SetMaxWorkers(2, 3)
	skipUnless(t, err)
	if bounded == 0 || unbounded == 0 {
		t.Errorf("bounds before: %d, %d", bounded, unbounded)
	}
	if bounded, unbounded, err = r.SetMaxWorkers(0, 0); bounded != 2 || unbounded != 3 || err != nil {
		t.Errorf("bounds set to 2 and 3 are %d and %d, %v", bounded, unbounded, err)
	}
	var set unix.CPUSet
	ok(t, unix.SchedGetaffinity(0, &set))
	ok(t, r.SetWorkerCPUs(&set))
	ok(t, r.SetWorkerCPUs(nil))
	if err := r.BusyPoll(50*time.Microsecond, true); err != nil {
		t.Logf("busy polling: %v", err)
	} else {
		ok(t, r.BusyPoll(0, false))
	}
}
