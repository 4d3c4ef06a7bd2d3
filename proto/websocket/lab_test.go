package websocket

import (
	"testing"

	"github.com/plexor-go/plexor/internal/stage"
)

// TestInLab has both sides converse on the lab's own TCP.
func TestInLab(t *testing.T) {
	stage.Play{Calls: []string{"tcp", "pair"}, Tests: []func(*testing.T){TestEcho, TestMessages, TestPreparedOnce,
		TestSkipped, TestReadDeadline, TestWriters, TestHandshakeEnds}}.Run(t)
}
