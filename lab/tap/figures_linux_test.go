package tap

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/lab/tcp"
)

var (
	figures = flag.String("figures", "", "how long each figure is measured, as 4s; none is where it is empty")
	goodput = flag.String("goodput", "", "how long each transfer of TestGoodput takes, as 20s; none is where it is empty")
	pairs   = flag.String("pairs", "", "how many transfers of each stack a path has: 8")
)

// TestFigures measures, and holds nothing: go test -run TestFigures -figures 4s -v ./lab/tap. It is the throughput of
// the tap, and the processor's time for it, of this process and of the kernel on its behalf.
func TestFigures(t *testing.T) {
	d := asked(t, figures, "figures")
	if d == 0 {
		return
	}
	for _, offload := range []bool{false, true} {
		for _, w := range []way{toKernel, fromKernel} {
			bytes, cpu := measure(t, link.Options{}, 0, w, d, offload)
			t.Logf("%v, offload=%v: %.0f MB/s, %.2f ns of processor a byte", w, offload, bytes/d.Seconds()/1e6,
				float64(cpu)/bytes)
		}
	}
}

// TestGoodput measures too: go test -run TestGoodput -goodput 20s -pairs 16 -timeout 1h -v ./lab/tap. It is goodput
// over paths with losses and round trips: from this stack to the kernel's, from the kernel's (CUBIC) to another one,
// and from the kernel's to this one, all with the same losses, by -seed and those behind it. -pairs is how often. The
// ratio is of the first two, which have the same receiver. Where the round trip is a millisecond the processor is the
// limit, and one transfer runs after the other for a tenth of the time; elsewhere 24 run at once. Buffers are no larger
// than a path needs: the kernel bounds the memory of all sockets (tcp_mem), and makes windows small beyond.
func TestGoodput(t *testing.T) {
	d := asked(t, goodput, "goodput")
	if d == 0 {
		return
	}
	n, first := setting(t, "pairs", 8), setting(t, "seed", 1)
	for _, rtt := range []time.Duration{time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond} {
		for _, loss := range []float64{0.001, 0.01, 0.03} {
			faults := link.Options{Delay: rtt / 2, Loss: loss}
			long, most := d, 24
			if rtt == time.Millisecond {
				long, most = d/10, 1
			}
			var mu sync.Mutex
			var rates [ways][]float64
			t.Run(fmt.Sprintf("%v %.1f %%", rtt, 100*loss), func(t *testing.T) {
				var wg sync.WaitGroup
				places := make(chan struct{}, most)
				for i := range ways * n {
					w, seed := way(i%ways), first+i/ways
					places <- struct{}{}
					one := func() {
						defer func() { <-places }()
						t.Run(fmt.Sprint(seed, " ", w), func(t *testing.T) {
							bytes, _ := transfer(t, faults, seed, w, long, false)
							mu.Lock()
							rates[w] = append(rates[w], bytes/long.Seconds()/1e6)
							mu.Unlock()
						})
					}
					wg.Go(one) // t.Parallel would run as many as there are processors
				}
				wg.Wait()
			})
			line := fmt.Sprintf("RTT %v, loss %.1f %%:", rtt, 100*loss)
			for w, list := range rates {
				a := spread(list)
				line += fmt.Sprintf(" %v %.3f ± %.3f,", way(w), a.mean, a.error)
			}
			t.Logf("%s MB/s, ratio %.2f", line, spread(rates[toKernel]).mean/spread(rates[kernelToKernel]).mean)
		}
	}
}

// asked is how long is to be measured, in a network of the test's own; 0: not at all.
func asked(t *testing.T, length *string, name string) time.Duration {
	for name, value := range map[string]*string{name: length, "seed": firstSeed, "pairs": pairs} {
		if *value != "" {
			t.Setenv("PLEXOR_TAP_"+name, *value)
		}
	}
	text := os.Getenv("PLEXOR_TAP_" + name)
	if text == "" {
		t.Skipf("-%s was not given", name)
	}
	if !enter(t) {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err = errors.Join(err, unpaced()); err != nil {
		t.Fatal(err)
	}
	return d
}

// An average is a mean and its standard error.
type average struct{ mean, error float64 }

func spread(list []float64) (a average) {
	n := float64(len(list))
	for _, v := range list {
		a.mean += v / n
	}
	for _, v := range list {
		a.error += (v - a.mean) * (v - a.mean)
	}
	a.error = math.Sqrt(a.error / n / max(n-1, 1))
	return a
}

// A way is who sends to whom.
type way uint8

const (
	toKernel way = iota
	kernelToKernel
	fromKernel
	ways = 3
)

func (w way) String() string {
	return [...]string{"to the kernel", "the kernel to itself", "from the kernel"}[w]
}

// measure is transfer as a test of its own, after which its device is gone.
func measure(t *testing.T, faults link.Options, seed uint64, w way, d time.Duration, offload bool) (total float64,
	cpu time.Duration) {
	t.Run(w.String(), func(t *testing.T) { total, cpu = transfer(t, faults, seed, w, d, offload) })
	return total, cpu
}

// transfer sends for d, and tells how many bytes the other side has read, and the processor's time.
func transfer(t *testing.T, faults link.Options, seed uint64, w way, d time.Duration, offload bool) (total float64,
	cpu time.Duration) {
	buffer := 8 << 20
	if faults != (link.Options{}) {
		buffer = 1 << 20
	}
	o := HostOptions{TCP: tcp.Options{Limits: tcp.Limits{SendBuffer: buffer, ReceiveBuffer: buffer}}}
	var from, to net.Conn
	end := func() {}
	switch {
	case w == kernelToKernel:
		line := func(direction uint64) link.Line { return faulty(faults, seed, direction, nil) }
		from, to = kernels(t, line(1), line(0))
	case faults == (link.Options{}): // no lines at all
		ours, kernel := pair(t, newHostAt(t, o, Options{Offload: offload}), [2]netip.Prefix{kernel4, host4}, true)
		from, to, end = kernel, ours, ours.Abort
	default:
		r := newRig(t, seed, faults, 0, o, nil, w == fromKernel)
		ours, kernel := pair(t, r.host, r.four, true)
		from, to, end = kernel, ours, ours.Abort
	}
	if w == toKernel {
		from, to = to, from
	}
	for _, c := range []net.Conn{from, to} {
		if k, ok := c.(*net.TCPConn); ok {
			large(t, k, buffer)
		}
	}
	from.SetDeadline(time.Now().Add(d + patience))
	to.SetReadDeadline(time.Now().Add(d))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for b := make([]byte, 1<<18); ; {
			if _, err := from.Write(b); err != nil {
				return
			}
		}
	}()
	before := spent(t)
	for b := make([]byte, 1<<18); ; {
		n, err := to.Read(b)
		total += float64(n)
		if err != nil {
			break
		}
	}
	cpu = spent(t) - before
	end()
	from.Close()
	to.Close()
	<-ended
	return total, cpu
}

// large gives a socket of the kernel's buffers of this size.
func large(t *testing.T, c *net.TCPConn, size int) {
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic"); err != nil {
			t.Errorf("CUBIC in the kernel: %v", err)
		}
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size)
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, size)
	})
	c.SetLinger(0) // else what was not sent stays in the kernel for minutes, and in its bound of memory
}

func spent(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
