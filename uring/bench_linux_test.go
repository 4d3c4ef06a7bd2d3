package uring

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkNop submits operations that do nothing, in batches, and reads their completions: what the kernel takes for
// itself, with the system call shared by a batch.
func BenchmarkNop(b *testing.B) {
	for _, batch := range []int{1, 16, 128} {
		for _, k := range []struct {
			name string
			o    Options
		}{
			{"registered", Options{Entries: 128, Flags: SetupSingleIssuer | SetupDeferTaskrun, RegisterRing: true}},
			{"descriptor", Options{Entries: 128, Flags: SetupSingleIssuer | SetupDeferTaskrun}},
		} {
			b.Run(fmt.Sprintf("%d/%s", batch, k.name), func(b *testing.B) {
				r := newRing(b, k.o)
				b.ReportAllocs()
				for b.Loop() {
					for i := range batch {
						s := r.SQE()
						s.Nop()
						s.UserData = uint64(i)
					}
					if _, err := r.SubmitAndWait(batch, -1); err != nil {
						b.Fatal(err)
					}
					for cqes := r.Ready(); len(cqes) > 0; cqes = r.Ready() {
						r.Advance(len(cqes))
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(batch), "ns/nop")
			})
		}
	}
}

// BenchmarkPrepare is the program's own part of a submission, without the kernel: the queue is put back when full.
func BenchmarkPrepare(b *testing.B) {
	buf := bytesOf(b, 4096)
	others := make([]*Memory, 8) // as many mappings as a program with a few rings has
	for i := range others {
		others[i], _ = Map(4096)
		defer others[i].Free()
	}
	bench := func(name string, prepare func(r *Ring, n int)) {
		b.Run(name, func(b *testing.B) {
			r := newRing(b, Options{Entries: 128})
			b.ReportAllocs()
			for b.Loop() {
				prepare(r, 128)
				r.sqTail = r.sqHead
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/128, "ns/sqe")
		})
	}
	bench("nop", func(r *Ring, n int) {
		for i := range n {
			s := r.SQE()
			s.Nop()
			s.UserData = uint64(i)
		}
	})
	bench("recv_multishot", func(r *Ring, n int) {
		for i := range n {
			s := r.SQE()
			s.RecvMultishot(i, 0)
			s.UserData = uint64(i)
		}
	})
	bench("send", func(r *Ring, n int) {
		for i := range n {
			s := r.SQE()
			s.Send(i, buf, unix.MSG_NOSIGNAL)
			s.UserData = uint64(i)
		}
	})
	bench("timeout", func(r *Ring, n int) {
		for i := range n {
			s := r.SQE()
			s.Timeout(r.Timespec(time.Second), 0, 0)
			s.UserData = uint64(i)
		}
	})
}

// BenchmarkComplete is the program's own part of reading completions, without the kernel: the queue is put back.
func BenchmarkComplete(b *testing.B) {
	r := newRing(b, Options{Entries: 128})
	for i := range 128 {
		s := r.SQE()
		s.Nop()
		s.UserData = uint64(i)
	}
	if _, err := r.SubmitAndWait(128, -1); err != nil {
		b.Fatal(err)
	}
	back := func() {
		r.cqHead -= 128
		atomic.StoreUint32(r.kCQHead, r.cqHead)
	}
	var sum uint64
	b.Run("ready", func(b *testing.B) {
		for b.Loop() {
			for cqes := r.Ready(); len(cqes) > 0; cqes = r.Ready() {
				for i := range cqes {
					c := &cqes[i]
					if c.Res >= 0 {
						sum += c.UserData
					}
				}
				r.Advance(len(cqes))
			}
			back()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/128, "ns/cqe")
	})
	b.Run("peek", func(b *testing.B) {
		for b.Loop() {
			for c := r.Peek(); c != nil; c = r.Peek() {
				if c.Res >= 0 {
					sum += c.UserData
				}
				r.Advance(1)
			}
			back()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/128, "ns/cqe")
	})
}

// BenchmarkBufRing is the program's own part of taking a buffer and giving it back.
func BenchmarkBufRing(b *testing.B) {
	r := newRing(b, Options{Entries: 4})
	bufs := newBufRing(b, r, BufRingOptions{Entries: 64, Size: 64})
	c := CQE{Res: 5}
	b.Run("data", func(b *testing.B) {
		var id uint16
		for b.Loop() {
			c.Flags = CQEBuffer | CQEFlags(id)<<16
			bufs.Data(&c)
			bufs.Release(id)
			id = (id + 1) & 63
		}
	})
	b.Run("segments", func(b *testing.B) {
		var id uint16
		for b.Loop() {
			c.Flags = CQEBuffer | CQEFlags(id)<<16
			for s := bufs.Segments(&c); s.Next(); {
				bufs.Release(s.ID)
			}
			id = (id + 1) & 63
		}
	})
	b.Run("publish", func(b *testing.B) {
		for b.Loop() {
			bufs.published--
			bufs.Publish()
		}
	})
}

func BenchmarkGuard(b *testing.B) {
	for _, mappings := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(mappings), func(b *testing.B) {
			mems := make([]*Memory, mappings)
			for i := range mems {
				mems[i], _ = Map(4096)
				defer mems[i].Free()
			}
			buf := mems[mappings/2].Bytes()[10:20]
			for b.Loop() {
				guardBytes(buf)
			}
		})
	}
}

func BenchmarkPin(b *testing.B) {
	buf := make([]byte, 4096)
	sink = buf
	for b.Loop() {
		Pin(buf).Unpin()
	}
}

// BenchmarkEcho is a message there and back over a Unix socket, both ends on one ring.
func BenchmarkEcho(b *testing.B) {
	r := newRing(b, loopOptions())
	bufs := newBufRing(b, r, BufRingOptions{Entries: 64, Size: 4096})
	x, y := newPair(b)
	for _, fd := range []int{x, y} {
		s := get(b, r, uint64(fd))
		s.RecvMultishot(fd, 0)
	}
	s := get(b, r, 1<<32)
	s.Send(x, bytesOf(b, 64), 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.SubmitAndWait(1, -1); err != nil {
			b.Fatal(err)
		}
		for cqes := r.Ready(); len(cqes) > 0; cqes = r.Ready() {
			for i := range cqes {
				c := &cqes[i]
				if c.UserData>>32 != 0 {
					if c.UserData>>33 != 0 {
						bufs.Release(uint16(c.UserData))
					}
					continue
				}
				s := r.SQE()
				s.Send(int(c.UserData), bufs.Data(c), unix.MSG_NOSIGNAL)
				s.UserData = 1<<33 | uint64(c.BufferID())
			}
			r.Advance(len(cqes))
		}
	}
}
