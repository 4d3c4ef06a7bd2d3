package main

import (
	"testing"

	"github.com/plexor-go/plexor/loop"
)

// TestPartial: unfinished messages of many clients take no more than Limits.PartialInput, and keep no honest one from
// being served.
func TestPartial(t *testing.T) {
	for _, d := range loop.Drivers() {
		if d.Err != nil {
			continue
		}
		for name, p := range protocols {
			t.Run(name+"/"+d.Name, func(t *testing.T) { tryPartial(t, d.Name, p) })
		}
	}
}

func tryPartial(t *testing.T, driver string, p protocol) {
	a := attack{protocol: p, loops: 1, bound: 8 << 20, clients: 100, size: 512 << 10, honest: 20}
	r, err := a.run(driver)
	// What is open beside it, the last pieces and the honest message, takes some 1 MiB.
	if err != nil || r.answered < a.honest || r.evicted == 0 || r.grew > a.bound+8<<20 {
		t.Errorf("%+v, %v; want all %d answered, some evicted, and at most %d MiB of heap", r, err, a.honest, a.bound>>20+8)
	}
}
