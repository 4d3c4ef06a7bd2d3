package tcp_test

import (
	"flag"
	"os"
	"sync"
	"testing"

	"github.com/plexor-go/plexor/internal/ownnet"
	"github.com/plexor-go/plexor/internal/portion"
)

var minutes = flag.Bool("minutes", false, "hold the kernel's TCP against the scripts that take minutes too")

const (
	inMinutes = "PLEXOR_TCP_MINUTES" // is -minutes in the process that has a network of its own
	atOnce    = 48                   // scripts: they wait for most of the time, and more than there are processors can
	tries     = 5                    // of one that fails
)

// A param is one of the network's, below net.ipv4.
type param struct{ name, value string }

// network is that of the scripts, and late that of those which ask for another.
var (
	network = []param{
		{"tcp_invalid_ratelimit", "0"}, // challenges and duplicates are answered each: scripts take some in a row
		{"tcp_congestion_control", "reno"},
		{"tcp_mtu_probing", "1"},
		{"tcp_fin_timeout", "2"},
		{"tcp_ecn", "1"},
		{"tcp_syncookies", "0"},
		{"conf/all/accept_source_route", "1"},
		{"conf/default/accept_source_route", "1"},
	}
	late = []param{
		{"tcp_invalid_ratelimit", "500"},
		{"tcp_rto_max_ms", "1000"}, // since 6.15: what is given up behind some of the longest timeouts takes seconds so
		{"tcp_orphan_retries", "3"},
	}
)

func set(params []param) error {
	for _, p := range params {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+p.name, []byte(p.value), 0); err != nil {
			return err
		}
	}
	return nil
}

// A turn is a script over one family.
type turn struct {
	both
	six bool
}

// TestKernel holds the kernel's TCP against the scripts, each at a TAP device of its own in a network of the test's.
// go test -run TestKernel -timeout 0 ./lab/tcp -minutes has those too that take minutes.
func TestKernel(t *testing.T) {
	if *minutes {
		t.Setenv(inMinutes, "1")
	}
	if !ownnet.Enter(t) {
		return
	}
	if err := set(network); err != nil {
		t.Skipf("the network cannot be set up: %v", err)
	}
	if says, skipped := try(t, func(t testing.TB) { newKernel(t, setup{}, false) }); skipped {
		t.Skip(says)
	}
	var usual, later []turn
	for _, six := range []bool{false, true} {
		for _, b := range scripts {
			switch {
			case six && families(b) == 1, b.setup.minutes && os.Getenv(inMinutes) == "":
			case b.setup.seconds && !portion.All():
			case b.setup.late:
				later = append(later, turn{b, six})
			default:
				usual = append(usual, turn{b, six})
			}
		}
	}
	runAll(t, usual)
	if err := set(late); err != nil {
		t.Logf("%d scripts are left out: %v", len(later), err)
		return
	}
	runAll(t, later)
}

func runAll(t *testing.T, turns []turn) {
	var again []turn
	var mu sync.Mutex
	var wg sync.WaitGroup
	work := make(chan turn)
	for range atOnce {
		wg.Go(func() {
			for turn := range work {
				if says, _ := try(t, turn.run); says != "" {
					mu.Lock()
					again = append(again, turn)
					mu.Unlock()
				}
			}
		})
	}
	for _, turn := range turns {
		work <- turn
	}
	close(work)
	wg.Wait()
	for _, turn := range again {
		turn.alone(t)
	}
}

// run is one try.
func (b turn) run(t testing.TB) {
	j := newKernel(t, b.setup, b.six)
	b.both.run(&script{t: t, judge: j, local: 80, remote: 1024, matters: map[string]bool{}, setup: b.setup,
		kernel: true, six: b.six})
}

// alone runs a script while no other runs. What fails each time is no matter of the machine.
func (b turn) alone(t *testing.T) {
	t.Run(b.title(b.six), func(t *testing.T) {
		for n := 1; ; n++ {
			says, skipped := try(t, b.run)
			if says == "" {
				return
			}
			if skipped {
				t.Skip(says)
			}
			if t.Log(says); n == tries {
				t.Fatalf("it fails, also where it is alone, each of %d times", tries)
			}
		}
	})
}
