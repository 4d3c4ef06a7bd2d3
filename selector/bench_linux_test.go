package selector

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a Select costs by how many descriptors are registered and how many of them are ready. The
// descriptors are UDP sockets that are connected to themselves; a datagram in it makes one readable.
//
//	go test -run '^$' -bench Select ./selector

func BenchmarkSelect(b *testing.B) {
	for _, m := range makers {
		for _, registered := range []int{10, 100, 1000, 10000} {
			for _, ready := range []int{0, 1, registered} {
				b.Run(fmt.Sprintf("%s/registered=%d/ready=%d", m.name, registered, ready), func(b *testing.B) {
					s := benchSelector(b, m.name, registered, ready)
					into := make([]Ready, 0, registered)
					var err error
					b.ReportAllocs()
					for b.Loop() {
						if into, err = s.Select(0, into); err != nil || len(into) != ready {
							b.Fatalf("%d results, %v; want %d", len(into), err, ready)
						}
					}
				})
			}
		}
	}
}

// benchSelector has the ready ones spread evenly among the others.
func benchSelector(b *testing.B, name string, registered, ready int) *Selector {
	s, err := Open(name)
	ok(b, err)
	b.Cleanup(func() { s.Close() })
	for i := range registered {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			b.Skipf("%d sockets: %v", i, err)
		}
		b.Cleanup(func() { unix.Close(fd) })
		if err := s.Register(fd, Read, nil); err != nil {
			b.Skipf("after %d: %v", i, err)
		}
		if ready > 0 && (i+1)*ready/registered > i*ready/registered {
			ok(b, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
			self, err := unix.Getsockname(fd)
			ok(b, err)
			ok(b, unix.Connect(fd, self))
			write(b, fd, "x")
		}
	}
	return s
}

// The system call alone, as a bare loop would make it: what is above this is the Selector's.
func BenchmarkBareEpoll(b *testing.B) {
	for _, ready := range []int{0, 1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("registered=1000/ready=%d", ready), func(b *testing.B) {
			s := benchSelector(b, "epoll", 1000, ready)
			events := make([]unix.EpollEvent, 1000)
			for b.Loop() {
				n, _, _ := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(s.backend.(*epoll).fd),
					uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
				if int(n) != ready {
					b.Fatal(n)
				}
			}
		})
	}
}

// A message's way through a loop that has nothing else to do: blocked in Select until it comes.
func BenchmarkPingPong(b *testing.B) {
	for _, m := range makers {
		b.Run(m.name, func(b *testing.B) {
			a, z := newPair(b)
			s := benchSelector(b, m.name, 10, 0)
			ok(b, s.Register(a.fd, Read, nil))
			done := make(chan struct{})
			go func() {
				defer close(done)
				peer, err := Open("poll")
				if err != nil {
					return
				}
				defer peer.Close()
				if err := peer.Register(z.fd, Read, nil); err != nil {
					return
				}
				into := make([]Ready, 0, 1)
				for buf := make([]byte, 1); ; {
					if into, err = peer.Select(-1, into); err != nil {
						return
					}
					if n, _ := unix.Read(z.fd, buf); n != 1 {
						return
					}
					unix.Write(z.fd, buf)
				}
			}()
			into, buf := make([]Ready, 0, 1), make([]byte, 1)
			for b.Loop() {
				write(b, a.fd, "x")
				var err error
				if into, err = s.Select(-1, into); err != nil || len(into) != 1 {
					b.Fatal(into, err)
				}
				unix.Read(a.fd, buf)
			}
			a.close()
			<-done
		})
	}
}

func BenchmarkModify(b *testing.B) {
	for _, m := range makers {
		b.Run(m.name, func(b *testing.B) {
			s := benchSelector(b, m.name, 10, 0)
			a, _ := newPair(b)
			ok(b, s.Register(a.fd, Read, nil))
			events := Read
			for b.Loop() {
				events ^= both
				if err := s.Modify(a.fd, events, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRegisterUnregister(b *testing.B) {
	for _, m := range makers {
		b.Run(m.name, func(b *testing.B) {
			s := benchSelector(b, m.name, 10, 0)
			a, _ := newPair(b)
			for b.Loop() {
				if err := s.Register(a.fd, Read, nil); err != nil {
					b.Fatal(err)
				}
				if err := s.Unregister(a.fd); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A Wake of a Select that waits, and its end; the other goroutine's part is not in it.
func BenchmarkWake(b *testing.B) {
	for _, m := range makers {
		b.Run(m.name, func(b *testing.B) {
			s := benchSelector(b, m.name, 10, 0)
			into := make([]Ready, 0, 1)
			for b.Loop() {
				s.waiting.Store(true) // as if it waited: so that Wake makes its system call
				if err := s.Wake(); err != nil {
					b.Fatal(err)
				}
				var err error
				if into, err = s.Select(time.Second, into); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
