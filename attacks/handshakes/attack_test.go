package main

import (
	"testing"
	"time"
)

// TestHandshakes: whoever is silent within the handshake keeps nobody else from making one, from its own address
// neither.
func TestHandshakes(t *testing.T) {
	for _, target := range targets("") {
		t.Run(target, func(t *testing.T) {
			a := attack{loops: 1, timeout: time.Hour, silent: 600, honest: 20, wait: 30 * time.Second}.fitting(target)
			if served, err := a.serveAndRun(target); served < a.honest || err != nil {
				t.Errorf("%d of %d honest handshakes were done, want all; %v", served, a.honest, err)
			}
		})
	}
}
