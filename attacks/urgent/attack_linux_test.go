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
			o, err := a.serveAndRun(driver)
			if o.lost > 0 || err != nil {
				t.Errorf("%d of %d clients did not get their bytes; %v", o.lost, a.clients*a.rounds, err)
			}
			t.Logf("%d were served late, the slowest after %v", o.late, o.slowest)
		})
	}
}
