package sock

import (
	"errors"
	"net"
	"testing"
	"time"
)

// A table of interfaces is asked for again when something is missing in it, though not without pause; an error
// that passes is not kept; and names that were given out outlive a renaming.
func TestZoneNames(t *testing.T) {
	var now []net.Interface
	var fails error
	asked := 0
	z := &zoneNames{interfaces: func() ([]net.Interface, error) { asked++; return now, fails }}
	rest := func() { z.tried = z.tried.Add(-zonesPause) } // as if that time had passed
	expect := func(what string, id uint32, name string, questions int) {
		t.Helper()
		if got := z.name(id); got != name || asked != questions {
			t.Errorf("%s: %d is %q after %d questions, want %q after %d", what, id, got, asked, name, questions)
		}
	}
	fails = errors.New("too many open files")
	expect("no descriptor", 1, "1", 1)
	fails, now = nil, []net.Interface{{Index: 1, Name: "lo"}}
	expect("within the pause", 1, "1", 1)
	rest()
	expect("after it", 1, "lo", 2)
	expect("known", 1, "lo", 2)
	now = append(now, net.Interface{Index: 7, Name: "eth7"})
	expect("a new one, within the pause", 7, "7", 2)
	rest()
	expect("a new one", 7, "eth7", 3)
	rest()
	if got := z.id("eth8"); got != 1<<31-1 || asked != 4 {
		t.Errorf("an unknown name is %d after %d questions, want a number that no interface has, after 4", got, asked)
	}
	if got := z.id("9"); got != 9 || asked != 4 {
		t.Errorf("a number is %d after %d questions, want 9 after 4", got, asked)
	}

	now[1].Name = "wan0"
	old := *z.table.Load()
	old.asked = time.Now().Add(-zonesKept)
	z.table.Store(&old)
	rest()
	expect("renamed", 7, "wan0", 5)
	if was, is := z.id("eth7"), z.id("wan0"); was != 7 || is != 7 {
		t.Errorf("the old name leads to %d and the new one to %d, want 7", was, is)
	}
	fails = errors.New("too many open files")
	old = *z.table.Load()
	old.asked = time.Now().Add(-zonesKept)
	z.table.Store(&old)
	rest()
	expect("no descriptor again", 7, "wan0", 6)
}
