// Package stage has tests take place in a lab: loops stand on one host of a live world, and peers, which block
// goroutines, on another. Each test has a world of its own, which is found by the test's name and by the addresses of
// its hosts.
package stage

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/plexor-go/plexor/lab"
	"github.com/plexor-go/plexor/lab/link"
)

// Driver is the name of the driver of loops on a lab's host, and is in the name of a test that takes place on a stage.
const Driver = "virtual"

// On reports whether a test is one that takes place on a stage, by its name.
func On(t testing.TB) bool { return strings.Contains(t.Name()+"/", "/"+Driver+"/") }

// A Stage is the world of one test: two hosts, with a cable without delay between them.
type Stage struct {
	World              *lab.World
	Loops, Peers       *lab.Host
	LoopsIP, PeersIP   string
	LoopsNet, PeersNet string // LoopsIP and PeersIP with port 0
}

var stages struct {
	sync.Mutex
	of   map[string]*Stage
	made int
}

// Cables are numbered from first on, and so the addresses are 10.240.0.0 to 10.254.255.255, which few networks have.
const (
	first = 0xf000
	most  = 0xf00
)

// Enter makes the stage of a test, until that ends.
func Enter(t testing.TB) *Stage {
	t.Helper()
	stages.Lock()
	defer stages.Unlock()
	if stages.of == nil {
		stages.of = make(map[string]*Stage)
	}
	n := first + stages.made%most
	stages.made++
	w := lab.New(lab.Options{Live: true, FirstCable: n})
	ip := func(side int) string { return fmt.Sprintf("10.%d.%d.%d", n>>8, n&255, side) }
	s := &Stage{World: w, Loops: w.Host("loops"), Peers: w.Host("peers"), LoopsIP: ip(1), PeersIP: ip(2)}
	s.LoopsNet, s.PeersNet = net.JoinHostPort(s.LoopsIP, "0"), net.JoinHostPort(s.PeersIP, "0")
	w.Connect(s.Loops, s.Peers, link.Options{})
	keys := []string{t.Name(), s.LoopsIP, s.PeersIP}
	for _, key := range keys {
		stages.of[key] = s
	}
	t.Cleanup(func() {
		stages.Lock()
		defer stages.Unlock()
		for _, key := range keys {
			delete(stages.of, key)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Of is the stage of a test by its name, or that of a test which it is part of; or of a host by its address. nil: there
// is none.
func Of(key string) *Stage {
	stages.Lock()
	defer stages.Unlock()
	for {
		if s := stages.of[key]; s != nil {
			return s
		}
		last := strings.LastIndexByte(key, '/')
		if last < 0 {
			return nil
		}
		key = key[:last]
	}
}
