package plexor_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/plexor-go/plexor"
)

// TestRandomSchedules: what is right must be right in whatever order coroutines run, and also when none is resumed
// inside the callback that wakes it. Each run takes one driver, as coroutines know of none. A failure names the seed,
// by which that is chosen too; PLEXOR_TEST_SEED in the environment takes that one again.
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
	for name, test := range map[string]func(*testing.T){
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
	} {
		t.Run(fmt.Sprintf("%s/seed %d", name, seed), func(t *testing.T) {
			plexor.Schedule(seed)
			test(t)
		})
	}
}
