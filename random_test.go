package plexor_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/portion"
)

// TestRandomSchedules: what is right must be right in whatever order coroutines run, and also when none is resumed
// inside the callback that wakes it. Each run takes one driver, as coroutines know of none, and if not everywhere a
// third of the tests. A failure names the seed, by which these are chosen too; PLEXOR_TEST_SEED in the environment
// takes that one again.
func TestRandomSchedules(t *testing.T) {
	t.Cleanup(func() { plexor.Schedule(0) })
	seed := rand.Uint64() | 1
	if s := os.Getenv("PLEXOR_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	all := drivers()
	onlyDriver = all[seed/2%uint64(len(all))]
	t.Cleanup(func() { onlyDriver = "" })
	tests := map[string]func(*testing.T){
		"Halves": TestHalves, "EndFirst": TestEndFirst, "Greeter": TestGreeter, "Deadlines": TestDeadlines,
		"CloseDelivers": TestCloseDelivers, "CloseWakes": TestCloseWakes, "WritesDoNotMix": TestWritesDoNotMix,
		"ReadersShare": TestReadersShare, "BothDirections": TestBothDirections, "Reset": TestReset, "Panics": TestPanics,
		"MessagesAnyPieces": TestMessagesAnyPieces, "MessagesOneAtATime": TestMessagesOneAtATime,
		"MessagesEnds": TestMessagesEnds, "MessagesServeConn": TestMessagesServeConn, "Shutdown": TestShutdown,
		"Close":   TestClose,
		"Packets": TestPackets, "GivenAway": TestGivenAway, "IdleTimeout": TestIdleTimeout,
		"Cancel": TestCancel, "StartTLSCancelled": TestStartTLSCancelled, "TLSMessagesDribble": TestTLSMessagesDribble,
		"TLSMessagesTogether": TestTLSMessagesTogether, "TLSMessagesEnds": TestTLSMessagesEnds,
		"TLSMessagesShutdown": TestTLSMessagesShutdown, "MessagesShared": TestMessagesShared,
	}
	const part = 3
	for i, name := range slices.Sorted(maps.Keys(tests)) {
		if !portion.Everywhere() && uint64(i)%part != seed/4%part {
			continue
		}
		t.Run(fmt.Sprintf("%s/seed %d", name, seed), func(t *testing.T) {
			plexor.Schedule(seed)
			tests[name](t)
		})
	}
}
