package ownnet

import (
	"os"
	"strconv"
	"testing"
)

// TestEnter holds what the process in the network of its own takes over from the first: -short, and that it must end.
func TestEnter(t *testing.T) {
	const first = "PLEXOR_OWN_NETWORK_FIRST"
	_, bounded := t.Deadline()
	mine := strconv.FormatBool(testing.Short()) + " " + strconv.FormatBool(bounded)
	if os.Getenv(variable) == "" {
		t.Setenv(first, mine)
	}
	if !Enter(t) {
		return
	}
	if want := os.Getenv(first); mine != want {
		t.Errorf("-short and whether it is bounded: %s, and in the first process %s", mine, want)
	}
}
