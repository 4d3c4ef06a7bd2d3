package tap

import (
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/lab/tcp"
)

var figures = flag.String("figures", "", "how long each figure is measured, as 4s; none is where it is empty")

// TestFigures measures, and holds nothing: go test -run TestFigures -figures 4s -v ./lab/tap. First the throughput of
// the tap and the processor's time for it, of this process and of the kernel on its behalf; then goodput over paths
// with losses and round trips, of this stack as the sender and of the kernel's (CUBIC). The losses come from -seed.
func TestFigures(t *testing.T) {
	for name, value := range map[string]*string{"figures": figures, "seed": firstSeed} {
		if *value != "" {
			t.Setenv("PLEXOR_TAP_"+name, *value)
		}
	}
	if os.Getenv("PLEXOR_TAP_figures") == "" {
		t.Skip("-figures was not given")
	}
	if !enter(t) {
		return
	}
	d, err := time.ParseDuration(os.Getenv("PLEXOR_TAP_figures"))
	if err != nil {
		t.Fatal(err)
	}
	for _, offload := range []bool{false, true} {
		for _, ours := range []bool{true, false} {
			bytes, cpu := measure(t, link.Options{}, ours, d, offload)
			t.Logf("%s, offload=%v: %.0f MB/s, %.2f ns of processor a byte", sender(ours), offload,
				bytes/d.Seconds()/1e6, float64(cpu)/bytes)
		}
	}
	for _, rtt := range []time.Duration{time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond} {
		for _, loss := range []float64{0.001, 0.01, 0.03} {
			line := fmt.Sprintf("RTT %v, loss %.1f %%:", rtt, 100*loss)
			for _, ours := range []bool{true, false} {
				bytes, _ := measure(t, link.Options{Delay: rtt / 2, Loss: loss}, ours, d, false)
				line += fmt.Sprintf("  %s %.3f MB/s", sender(ours), bytes/d.Seconds()/1e6)
			}
			t.Log(line)
		}
	}
}

func sender(ours bool) string {
	if ours {
		return "to the kernel"
	}
	return "from the kernel"
}

// measure is transfer as a test of its own, after which its device is gone.
func measure(t *testing.T, faults link.Options, ours bool, d time.Duration, offload bool) (total float64,
	cpu time.Duration) {
	t.Run(sender(ours), func(t *testing.T) { total, cpu = transfer(t, faults, ours, d, offload) })
	return total, cpu
}

// transfer sends for d, and tells how many bytes the other side has read, and the processor's time.
func transfer(t *testing.T, faults link.Options, ours bool, d time.Duration, offload bool) (total float64,
	cpu time.Duration) {
	const buffer = 8 << 20
	o := HostOptions{TCP: tcp.Options{Limits: tcp.Limits{SendBuffer: buffer, ReceiveBuffer: buffer}}}
	var r *rig
	if faults == (link.Options{}) { // no lines at all
		r = &rig{host: newHostAt(t, o, Options{Offload: offload}), four: [2]netip.Prefix{kernel4, host4}}
	} else {
		r = newRig(t, setting(t, "seed", 7), faults, 0, o, nil, ours)
	}
	host, kernel := pair(t, r.host, r.four, true)
	raw, err := kernel.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic"); err != nil {
			t.Log(err)
		}
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer)
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, buffer)
	})
	var from, to net.Conn = kernel, host
	if ours {
		from, to = host, kernel
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
	host.Abort()
	kernel.Close()
	<-ended
	return total, cpu
}

func spent(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
