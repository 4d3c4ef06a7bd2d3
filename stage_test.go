package plexor_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/internal/stage"
	"github.com/plexor-go/plexor/loop"
)

// stageHere tells whether a test, or a row of one, takes place in a lab too: every second one does, if not everywhere,
// which does not go with the kind of address that eachStage takes.
func stageHere(t *testing.T) bool {
	return onlyDriver == stage.Driver || onlyDriver == "" && (portion.Everywhere() || portion.Turn(t.Name())>>7%2 == 0)
}

// eachStage runs f on a lab's hosts, too, with one kind of address, if not everywhere.
func eachStage(t *testing.T, kinds []string, f func(t *testing.T, p place)) {
	if !stageHere(t) {
		return
	}
	first := portion.Turn(t.Name())
	kinds = slices.DeleteFunc(slices.Clone(kinds), func(kind string) bool { return kind == "unix" })
	for i, kind := range kinds {
		if portion.Everywhere() || first%len(kinds) == i {
			t.Run(stage.Driver+"/"+kind, func(t *testing.T) {
				onStage(t, func() { f(t, place{stage.Driver, kind + "://" + stage.Of(t.Name()).LoopsNet}) })
			})
		}
	}
}

// kernels are tests that are about the kernel's sockets, with the reason; they do not take place in a lab.
var kernels = map[string]string{
	"TestServe":               "Serve takes a listener of the kernel's",
	"TestServeInherited":      "listeners are inherited as descriptors",
	"TestClient":              "the servers are package net's",
	"TestClientErrors":        "the servers are package net's",
	"TestClientTimeout":       "the servers are package net's",
	"TestTLSListen":           "net/http's client is on the kernel's sockets",
	"TestCurl":                "curl is on the kernel's sockets",
	"TestErrorsNameNoLayers":  "it is about an address of the loopback",
	"TestHTTPClient":          "the servers are package net's",
	"TestClientHTTP":          "the servers are package net's",
	"TestClientCloseHeld":     "the servers are package net's",
	"TestOpenSSL":             "openssl is on the kernel's sockets",
	"TestOutboxOfStoppedPeer": "the peer is a process, on the kernel's sockets",
	"TestShutdownHalf":        "it serves connections of the kernel's too",
	"TestClientClose":         "the servers are package net's",
	"TestIdleCost":            "memory is measured, and the network's is the process's there",
	"TestPackets":             "datagrams of package net's ask",
	"TestPacketLimit":         "datagrams of package net's ask",
	"TestPacketErrors":        "datagrams of package net's ask",
	"TestPacketDrain":         "datagrams of package net's ask",
	"TestServerFromHandler":   "a listener of the kernel's is handed over",
	"TestStepBacks":           "descriptors run out",
	"TestSharedOptionsTLS":    "the options are read off the descriptor",
	"TestPacketLocal":         "the addresses are the kernel's loopback's",
	"TestBubbleClient":        "the time of a bubble is not that of a live world",
	"TestConnOptions":         "the options are read off the descriptor",
	"TestSharedOptions":       "the options are read off the descriptor",
	"TestBubbleListener":      "the time of a bubble is not that of a live world",
	"TestBubbleHeld":          "the time of a bubble is not that of a live world",
	"TestBubbleRest":          "the time of a bubble is not that of a live world",
}

// TestKernels holds that each of them is there.
func TestKernels(t *testing.T) { stage.Known(t, kernels) }

// onStage runs f on a stage, unless the test is about the kernel's sockets.
func onStage(t *testing.T, f func()) {
	if why := kernels[topOf(t)]; why != "" {
		t.Skip(why)
	}
	stage.Enter(t)
	f()
}

// network is the lab's host of a place on a stage, and nil elsewhere.
func (p place) network(t *testing.T) loop.Network {
	if p.driver != stage.Driver {
		return nil
	}
	return stage.Of(t.Name()).Loops
}

// plain is a tcp address at the place.
func (p place) plain(t *testing.T) string {
	if p.driver != stage.Driver {
		return "tcp://127.0.0.1:0"
	}
	return "tcp://" + stage.Of(t.Name()).LoopsNet
}

// own is an address of the kernel's loopback as it is at the place.
func (p place) own(t *testing.T, addr string) string {
	if p.driver != stage.Driver {
		return addr
	}
	return strings.Replace(addr, "127.0.0.1:0", stage.Of(t.Name()).LoopsNet, 1)
}
