package loop_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// segments is how many TCP segments with data the peer has received: on the loopback, without Nagle's algorithm and
// below
// 64 KiB, one for each system call that sent.
func (p *peer) segments() int {
	p.t.Helper()
	raw, err := p.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		p.t.Fatal(err)
	}
	n := 0
	raw.Control(func(fd uintptr) {
		var info *unix.TCPInfo
		if info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = int(info.Data_segs_in)
		}
	})
	if err != nil {
		p.t.Fatalf("TCP_INFO: %v", err)
	}
	return n
}

// All that a turn wrote to one connection leaves in one system call, from wherever in the turn it was written, and
// whatever was written to others in between.
func TestCork(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		const conns, pieces, size = 3, 40, 300
		r := run(t, loop.Options{Driver: driver})
		var ks []*link
		for range conns {
			ks = append(ks, r.connect("tcp", sock.Options{}, &watcher{}))
		}
		off := 0
		all := func() { // 36,000 bytes in all: more than what is cut off for one connection
			for i := range pieces {
				for _, k := range ks {
					write(t, k.c, pattern(off + (i+1)*size)[off+i*size:])
				}
			}
		}
		for name, in := range map[string]func(f func()){
			"a posted function": func(f func()) { r.Post(f) },
			"a timer":           func(f func()) { r.Post(func() { r.AfterFunc(0, f) }) },
			"Soon":              func(f func()) { r.Post(func() { r.Soon(f) }) },
			"Data": func(f func()) {
				r.do(func() { ks[0].w.data = func(*loop.Conn, []byte) { f() } })
				ks[0].peer.send([]byte("now"))
			},
		} {
			var before []int
			for _, k := range ks {
				before = append(before, k.peer.segments())
			}
			in(all)
			for i, k := range ks {
				k.peer.expect(pattern(off + pieces*size)[off:])
				if n := k.peer.segments() - before[i]; n != 1 {
					t.Errorf("%s: %d pieces to connection %d came in %d segments: want 1", name, pieces, i, n)
				}
			}
			r.turns(1)
			off += pieces * size
		}
		for _, k := range ks {
			k.do(func() { k.c.Abort() })
		}
	})
}

// More than 16 KiB leave at once, with what was corked before; less waits for the end of the turn.
func TestLargeWriteLeavesAtOnce(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver})
		k := r.connect("tcp", sock.Options{}, &watcher{})
		k.do(func() {
			write(t, k.c, pattern(1000))
			k.peer.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			if n, err := k.peer.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a corked write of 1000 bytes: the peer read %d bytes within the turn, %v", n, err)
			}
			k.peer.SetReadDeadline(time.Now().Add(patience))
			write(t, k.c, pattern(21_000)[1000:])
			k.peer.expect(pattern(21_000)) // within the turn
			if n := k.c.Pending(); n != 0 {
				t.Errorf("%d bytes wait", n)
			}
			write(t, k.c, pattern(22_000)[21_000:])
		})
		k.peer.expect(pattern(22_000)[21_000:])
		k.do(func() { k.c.Abort() })
	})
}

// What WriteMore takes waits for the end of the turn up to 68 KiB, keeps its place between Writes, and then leaves in
// one system call.
func TestWriteMore(t *testing.T) {
	const record = 16<<10 + 22 // the longest of TLS 1.3
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver})
		k := r.connect("tcp", sock.Options{}, &watcher{})
		more := func(p []byte) {
			if n, err := k.c.WriteMore(p); n != len(p) || err != nil {
				t.Errorf("WriteMore of %d bytes: %d, %v", len(p), n, err)
			}
		}
		const pieces, size = 3, 10_000 // more than Write lets wait, and less than TCP cuts
		before := k.peer.segments()
		k.do(func() {
			write(t, k.c, pattern(100))
			for i := range pieces {
				more(pattern(100 + (i+1)*size)[100+i*size:])
			}
			if n := k.c.Pending(); n != 100+pieces*size {
				t.Errorf("%d bytes wait for the end of the turn: want %d", n, 100+pieces*size)
			}
		})
		k.peer.expect(pattern(100 + pieces*size))
		if n := k.peer.segments() - before; n != 1 {
			t.Errorf("a turn's pieces came in %d segments: want 1", n)
		}
		k.do(func() {
			for i := range 5 {
				more(pattern((i + 1) * record)[i*record:])
			}
			k.peer.expect(pattern(5 * record)) // within the turn
			more(pattern(record))
			write(t, k.c, pattern(record + 100)[record:]) // more than Write lets wait
			k.peer.expect(pattern(record + 100))
		})
		k.do(func() { k.c.Abort() })
	})
}
