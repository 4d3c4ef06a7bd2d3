package http1

import (
	"testing"

	"github.com/plexor-go/plexor/internal/stage"
)

// TestInLab has servers and clients converse on the lab's own TCP.
func TestInLab(t *testing.T) {
	stage.Play{Calls: []string{"serve", "ask", "clientPeer"}, Tests: []func(*testing.T){TestServerFirst, TestClientRefuses,
		TestClientEnds, TestClientClose, TestClientTimes, TestClientLast, TestClientAbsolute, TestClientRequests,
		TestClientSmuggles, TestClientBodyLength, TestClientEarlyAnswer, TestClientLateBody, TestClientCancel,
		TestClientUpgrade, TestClientTrace}}.Run(t)
}
