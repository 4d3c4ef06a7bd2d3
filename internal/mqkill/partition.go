package mqkill

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/brokers"
)

// endless is how long a publish whose context has no end may take, and some more for a machine that is busy.
const endless = 40 * time.Second

// Partition parts producers and workers from the broker, by a network that is silent and by one that resets: url leads
// through p. While they are parted each publish that may not wait must end, with what is known of its job; when it is
// over they go on, and nothing is lost. With -mqkill.time a silence lasts until those publishes have ended, too, that
// may wait for as long as they like.
func Partition(t *testing.T, url string, p *brokers.Proxy, log func() string) {
	l := newLedger()
	producer, worker := l.start(t, "producer", url), l.start(t, "worker", url)
	defer worker.kill()
	defer producer.kill()
	begin, parted := time.Now(), 0
	longest := time.Duration(0)
	for parted == 0 || time.Since(begin) < *Long {
		for _, part := range []func(){p.Hold, p.Cut} {
			l.advance(t, log, progress)
			part()
			from := time.Now()
			l.fail(t, producer, *Long == 0)
			if longest = max(longest, time.Since(from)); longest > endless {
				t.Errorf("some publish had no answer for %v, of %v", longest, endless)
			}
			p.Heal()
			parted++
		}
	}
	l.advance(t, log, progress)
	producer.kill()
	l.settle(t, fmt.Sprintf("%d partitions, in which all publishes of a kind had an answer after %v at most", parted,
		longest.Round(time.Millisecond)))
}

// fail waits until each lane, or each that may not wait, has had a publish that failed.
func (l *ledger) fail(t *testing.T, producer *child, hasty bool) {
	t.Helper()
	before := l.failures()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		now := l.failures()
		var late []string
		for lane := range lanes {
			name := fmt.Sprintf("%d-%d", producer.cmd.Process.Pid, lane)
			if now[name] == before[name] && (lane%2 == 1 || !hasty) {
				late = append(late, name)
			}
		}
		if len(late) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("publishes hang: parted from the broker, those of %s have no answer after %v", strings.Join(late, ", "),
				patience)
		}
	}
}

// failures are how many publishes failed, by lane.
func (l *ledger) failures() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]int, len(l.failed))
	for k, n := range l.failed {
		all[k] = n
	}
	return all
}
