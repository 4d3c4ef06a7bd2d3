//go:build unix

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/loop"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestBroadcast: each of the three ways reaches all, on each driver.
func TestBroadcast(t *testing.T) {
	for _, d := range loop.Drivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			var out strings.Builder
			if err := run(&out, d.Name, 50, 128, 2); err != nil || strings.Count(out.String(), "µs a connection") != 3 {
				t.Errorf("%v; it printed\n%s", err, &out)
			}
		})
	}
}
