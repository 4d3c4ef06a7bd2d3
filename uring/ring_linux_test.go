package uring

import (
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNop(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		for i := range uint64(1000) {
			get(t, r, i).Nop()
			wantRes(t, r, i, 0)
		}
		quiet(t, r)
	})
}

// TestBatches fills the submission queue to different heights, so that both queues wrap in all ways.
func TestBatches(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		var in, out uint64
		for round := range 200 {
			n := round%r.Entries() + 1
			for range n {
				get(t, r, in).Nop()
				in++
			}
			for out < in {
				_, err := r.SubmitAndWait(1, 10*time.Second)
				ok(t, err)
				for cqes := r.Ready(); len(cqes) > 0; cqes = r.Ready() {
					for i := range cqes {
						if cqes[i].UserData != out || cqes[i].Err() != nil {
							t.Fatalf("completion %+v, want number %d", cqes[i], out)
						}
						out++
					}
					r.Advance(len(cqes))
				}
			}
		}
	})
}

// TestIndexArray is a ring as kernels before 6.6 make it.
func TestIndexArray(t *testing.T) {
	defer func(f SetupFlags) { extraSetup = f }(extraSetup)
	for _, extra := range []SetupFlags{0, 1 << 31} { // without, and with something that no kernel knows
		extraSetup = extra
		r := newRing(t, Options{Entries: 8, Flags: SetupSingleIssuer | SetupDeferTaskrun})
		for i := range uint64(100) {
			get(t, r, i).Nop()
			if i%3 == 0 {
				continue
			}
			if i%3 == 1 {
				wantRes(t, r, i-1, 0)
			}
			wantRes(t, r, i, 0)
		}
		if r.flags&setupNoSQArray != 0 {
			t.Errorf("the ring has flags %v", r.flags.Names())
		}
		wantRes(t, r, 99, 0)
		if err := r.Resize(16, 32); !errors.Is(err, ErrNotSupported) {
			t.Errorf("Resize: %v, want ErrNotSupported", err)
		}
	}
}

func TestFullSubmissionQueue(t *testing.T) {
	r := newRing(t, Options{Entries: 8, CQEntries: 64})
	for i := range uint64(8) {
		if r.Room() != int(8-i) || r.Prepared() != int(i) {
			t.Errorf("after %d: Room %d, Prepared %d", i, r.Room(), r.Prepared())
		}
		r.SQE().UserData = i
	}
	if s := r.SQE(); s != nil {
		t.Fatal("SQE of a full queue is not nil")
	}
	if r.Len() != 0 {
		t.Errorf("%d completions before anything was submitted", r.Len())
	}
	s, err := r.NextSQE()
	ok(t, err)
	s.UserData = 8
	if r.Prepared() != 1 {
		t.Errorf("NextSQE of a full queue left %d prepared, want the one", r.Prepared())
	}
	n, err := r.Submit()
	if n != 1 || err != nil {
		t.Errorf("Submit = %d, %v, want 1", n, err)
	}
	for i := range uint64(9) {
		wantRes(t, r, i, 0)
	}
	if n, err := r.Submit(); n != 0 || err != nil {
		t.Errorf("Submit of nothing = %d, %v", n, err)
	}
}

// TestOverflow makes many more completions than there is room for, and gets them all, in their order.
func TestOverflow(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		total := uint64(3*r.CQEntries() + 7)
		var sent, seen uint64
		busy := 0
		for sent < total {
			s := r.SQE()
			if s != nil {
				s.UserData = sent
				sent++
				continue
			}
			if _, err := r.Submit(); errors.Is(err, ErrBusy) {
				busy++
				break
			} else if err != nil {
				t.Fatal(err)
			}
			runtime.Gosched() // for the kernel's thread
		}
		if _, err := r.SubmitAndPoll(); err != nil && !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); !r.Overflowed() || r.Len() < r.CQEntries(); {
			if _, err := r.SubmitAndPoll(); err != nil && !errors.Is(err, ErrBusy) {
				t.Fatal(err)
			}
			if time.Now().After(deadline) {
				t.Fatalf("overflowed %v with %d completions of %d, %d can be read", r.Overflowed(), sent, r.CQEntries(), r.Len())
			}
		}
		for seen < sent {
			for cqes := r.Ready(); len(cqes) > 0; cqes = r.Ready() {
				for i := range cqes {
					if cqes[i].UserData != seen {
						t.Fatalf("completion %d comes in place of %d", cqes[i].UserData, seen)
					}
					seen++
				}
				r.Advance(len(cqes))
			}
			if seen < sent {
				_, err := r.SubmitAndWait(1, 10*time.Second)
				ok(t, err)
			}
		}
		if r.Overflowed() || r.Lost() != 0 {
			t.Errorf("after all was read: Overflowed %v, Lost %d", r.Overflowed(), r.Lost())
		}
		t.Logf("%d completions through a queue of %d, busy %d times", seen, r.CQEntries(), busy)
		get(t, r, 1).Nop()
		wantRes(t, r, 1, 0)
	})
}

// TestBadSubmission sees that one that the kernel refuses to start has a completion, and keeps none behind it back.
func TestBadSubmission(t *testing.T) {
	for name, flags := range map[string]SetupFlags{"stop": 0, "submit all": SetupSubmitAll} {
		t.Run(name, func(t *testing.T) {
			r := newRing(t, Options{Entries: 8, Flags: flags})
			for _, wait := range []struct {
				name string
				do   func() (int, error)
			}{
				{"Submit", r.Submit},
				{"SubmitAndPoll", r.SubmitAndPoll},
				{"SubmitAndWait", func() (int, error) { return r.SubmitAndWait(5, time.Second) }},
				{"Wait", func() (int, error) { return r.Wait(5, time.Second) }},
			} {
				for i := range uint64(5) {
					s := get(t, r, i)
					if i == 1 || i == 3 {
						s.Op = 250
					}
				}
				n, err := wait.do()
				if n != 5 || err != nil {
					t.Errorf("%s = %d, %v, want 5", wait.name, n, err)
				}
				for i, c := range collect(t, r, 5) {
					if want := map[bool]unix.Errno{true: unix.EINVAL}[i == 1 || i == 3]; c.Errno() != want {
						t.Errorf("%s: submission %d: %v, want %v", wait.name, i, c.Err(), want)
					}
				}
			}
		})
	}
}

func TestTimeouts(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		for _, row := range []struct {
			name string
			do   func() (int, error)
			min  time.Duration
		}{
			{"none", func() (int, error) { return r.SubmitAndWait(1, 0) }, 0},
			{"1 ns", func() (int, error) { return r.SubmitAndWait(1, 1) }, 0},
			{"20 ms", func() (int, error) { return r.SubmitAndWait(1, 20*time.Millisecond) }, 20 * time.Millisecond},
			{"Wait", func() (int, error) { return r.Wait(1, 20*time.Millisecond) }, 20 * time.Millisecond},
		} {
			start := time.Now()
			n, err := row.do()
			for n == 0 && err == nil && time.Since(start) < 5*time.Second { // a wait may end early
				n, err = row.do()
			}
			if took := time.Since(start); n != 0 || !errors.Is(err, ErrTimeout) || took < row.min || took > 5*time.Second {
				t.Errorf("%s: %d, %v after %v", row.name, n, err, took)
			}
			if !errors.Is(err, unix.ETIME) || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %v is no ETIME, or no ErrDeadlineExceeded", row.name, err)
			}
		}
		get(t, r, 1).Nop()
		n, err := r.SubmitAndWait(2, 10*time.Millisecond)
		// A wait may end early, and the kernel's thread of sqpoll may have had no processor.
		for by := time.Now().Add(5 * time.Second); n == 0 && (err == nil || errors.Is(err, ErrTimeout)) &&
			time.Now().Before(by); {
			n, err = r.SubmitAndWait(2, 10*time.Millisecond)
		}
		if n != 1 || err != nil {
			t.Errorf("waiting for two of one: %d, %v; want 1", n, err)
		}
		if n, err := r.SubmitAndWait(2, 0); n != 1 || err != nil {
			t.Errorf("looking for two of one: %d, %v; want 1", n, err)
		}
		wantRes(t, r, 1, 0)
		if n, err := r.SubmitAndWait(0, -1); n != 0 || err != nil {
			t.Errorf("waiting for none: %d, %v", n, err)
		}
	})
}

func TestMinWait(t *testing.T) {
	r := newRing(t, loopOptions())
	_, err := r.SubmitAndWaitMin(1, 0, 0)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	start := time.Now()
	get(t, r, 1).Nop()
	n, err := r.SubmitAndWaitMin(10, 30*time.Millisecond, 10*time.Second)
	if took := time.Since(start); n != 1 || err != nil || took < 25*time.Millisecond || took > 5*time.Second {
		t.Errorf("one completion: %d, %v after %v; want 1 after 30 ms", n, err, took)
	}
	wantRes(t, r, 1, 0)
	if n, err := r.SubmitAndWaitMin(10, time.Millisecond, 5*time.Millisecond); n != 0 || !errors.Is(err, ErrTimeout) {
		t.Errorf("no completion: %d, %v; want ErrTimeout", n, err)
	}
}

func TestLinks(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		needs(t, r, OpLinkTimeout)
		for _, row := range []struct {
			name  string
			flags SQEFlags
			first int32 // result of the first
			want  [3]unix.Errno
		}{
			{"link", SQELink, 0, [3]unix.Errno{}},
			{"broken link", SQELink, -int32(unix.EPROTO), [3]unix.Errno{unix.EPROTO, unix.ECANCELED, unix.ECANCELED}},
			{"hard link", SQEHardlink, -int32(unix.EPROTO), [3]unix.Errno{unix.EPROTO, 0, 0}},
			{"drain", SQEDrain, 0, [3]unix.Errno{}},
		} {
			for i := range uint64(3) {
				s := get(t, r, i)
				s.Nop()
				if i == 0 {
					s.NopResult(row.first)
				}
				if i < 2 {
					s.Flags |= row.flags
				}
			}
			got := collect(t, r, 3)
			if first := got[0]; first.Errno() == unix.EINVAL {
				t.Log("this kernel's nop takes no result (Linux 6.10)")
				continue
			}
			for i, want := range row.want {
				c := got[uint64(i)]
				if c.Errno() != want {
					t.Errorf("%s: submission %d: %v, want %v", row.name, i, c.Err(), want)
				}
			}
		}
		s := get(t, r, 1)
		s.Nop()
		s.Flags |= SQESkipSuccess
		quiet(t, r)
	})
}

func TestResize(t *testing.T) {
	r := newRing(t, loopOptions())
	for i := range uint64(10) {
		get(t, r, i).Nop()
	}
	if err := r.Resize(128, 1024); !errors.Is(err, unix.EBUSY) {
		t.Fatalf("Resize with submissions prepared: %v, want EBUSY", err)
	}
	_, err := r.SubmitAndPoll()
	ok(t, err)
	wantRes(t, r, 0, 0)
	if err := r.Resize(128, 1024); err != nil {
		skipUnless(t, err)
	}
	if r.Entries() != 128 || r.CQEntries() != 1024 {
		t.Errorf("%d and %d entries, want 128 and 1024", r.Entries(), r.CQEntries())
	}
	for i := range uint64(9) {
		wantRes(t, r, i+1, 0)
	}
	for i := range uint64(128) {
		s := r.SQE()
		s.Timeout(r.Timespec(0), 0, 0)
		s.UserData = i
	}
	if r.SQE() != nil {
		t.Error("129 entries in a queue of 128")
	}
	collect(t, r, 128)
	ok(t, r.Resize(8, 16))
	get(t, r, 7).Nop()
	wantRes(t, r, 7, 0)
	plain := newRing(t, Options{Entries: 4})
	if err := plain.Resize(8, 16); err == nil {
		t.Error("Resize without SetupDeferTaskrun succeeded")
	}
}

func TestAdvance(t *testing.T) {
	r := newRing(t, loopOptions())
	get(t, r, 1).Nop()
	_, err := r.SubmitAndPoll()
	ok(t, err)
	wantPanic(t, "too many", "Advance past", func() { r.Advance(2) })
	wantPanic(t, "negative", "Advance past", func() { r.Advance(-1) })
	wantPanic(t, "Timespec for none", "no entry was got", func() { r.Timespec(1) })
	r.Advance(1)
	if r.Peek() != nil {
		t.Error("a completion was read twice")
	}
}

// TestErrors holds the mapping of what io_uring_enter(2) answers.
func TestErrors(t *testing.T) {
	r := newRing(t, Options{Entries: 4})
	for _, row := range []struct {
		errno unix.Errno
		want  error
	}{
		{unix.ETIME, ErrTimeout}, {unix.EAGAIN, ErrAgain}, {unix.EBUSY, ErrBusy}, {unix.EBADR, ErrLost},
		{unix.EEXIST, ErrWrongThread}, {unix.EBADFD, ErrDisabled}, {unix.EPERM, ErrUnavailable},
		{unix.ENOSYS, ErrUnavailable},
		{unix.EFAULT, unix.EFAULT}, {unix.EOWNERDEAD, unix.EOWNERDEAD},
	} {
		err := r.enterError(row.errno)
		if !errors.Is(err, row.want) || !errors.Is(err, row.errno) {
			t.Errorf("%v becomes %v, want %v", row.errno, err, row.want)
		}
	}
}

// TestNoAllocations: a turn of submitting, waiting and reading allocates nothing.
func TestNoAllocations(t *testing.T) {
	r := newRing(t, loopOptions())
	a, b := newPair(t)
	buf := bytesOf(t, 64)
	bufs, err := r.NewBufRing(BufRingOptions{Entries: 8, Size: 64})
	skipUnless(t, err)
	get(t, r, 1).RecvMultishot(a, 0)
	turn := func() {
		for range 4 {
			s := r.SQE()
			s.Send(b, buf, unix.MSG_NOSIGNAL)
			s.UserData = 2
			s = r.SQE()
			s.Timeout(r.Timespec(0), 0, 0)
			s.UserData = 3
		}
		if _, err := r.SubmitAndWait(9, time.Second); err != nil && !errors.Is(err, ErrTimeout) {
			t.Error(err)
		}
		for cqes := r.Ready(); len(cqes) > 0; cqes = r.Ready() {
			for i := range cqes {
				c := &cqes[i]
				_ = c.Err()
				for s := bufs.Segments(c); s.Next(); {
					bufs.Release(s.ID)
				}
			}
			r.Advance(len(cqes))
		}
		if _, err := r.SubmitAndWait(1, 1); err != nil && !errors.Is(err, ErrTimeout) {
			t.Error(err)
		}
	}
	turn()
	if n := testing.AllocsPerRun(10, turn); n != 0 {
		t.Errorf("a turn makes %v allocations, want none", n)
	}
}
