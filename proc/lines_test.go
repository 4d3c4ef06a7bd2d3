//go:build linux || darwin || freebsd || netbsd || openbsd

package proc_test

import (
	"bytes"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/sample"
	"github.com/plexor-go/plexor/proc"
)

// Calls that kill their workers, between others that do not so that each replacement comes at once, set no rate of
// lines.
func TestDeathsSetNoRateOfLines(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	start := time.Now()
	p := newPool(t, proc.PoolOptions{Workers: 1, Tries: 1, Log: slog.New(slog.NewTextHandler(&log, nil))})
	const n = 3 * sample.Burst
	for range n {
		if _, err := leaves.Call(t.Context(), p, "/"); err == nil {
			t.Fatal("the call's worker lives")
		}
		if got, err := square.Call(t.Context(), p, 3); err != nil || got != 9 {
			t.Fatalf("square: %d, %v", got, err)
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	most := sample.Burst + int(time.Since(start)/sample.Every) + 2
	lines, omitted := 0, 0
	for line := range strings.Lines(log.String()) {
		if !strings.Contains(line, "a pool's worker died") {
			continue
		}
		lines++
		if m := regexp.MustCompile(sample.Omitted + `=(\d+)`).FindStringSubmatch(line); m != nil {
			k, _ := strconv.Atoi(m[1])
			omitted += k
		}
	}
	if deaths := int(p.Stats().Deaths); lines+omitted != deaths || deaths < n || lines > most {
		t.Errorf("%d lines, and %d left out, of %d deaths: want all of them together, and at most %d lines", lines, omitted,
			deaths, most)
	}
}
