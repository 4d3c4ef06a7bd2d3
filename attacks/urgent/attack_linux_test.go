package main

import (
	"testing"
	"time"
)

// TestUrgent: nobody loses a byte to a signal that comes together with urgent data, on any driver.
func TestUrgent(t *testing.T) {
	for _, driver := range drivers("") {
		t.Run(driver, func(t *testing.T) {
			a := attack{clients: 8, rounds: 60, signals: true, wait: 10 * time.Second}
			if lost, err := a.serveAndRun(driver); lost > 0 || err != nil {
				t.Errorf("%d of %d clients did not get their bytes; %v", lost, a.clients*a.rounds, err)
			}
		})
	}
}
