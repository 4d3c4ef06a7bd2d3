//go:build linux || darwin || freebsd

package loop_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/stage"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// The suite on the virtual driver: loops stand on one host of a lab's world, and the peers, which block goroutines, on
// another. Each world is live, for the suite is: what virtual time makes of it is package lab's to try.

// kernels are tests that are about the kernel's sockets, with the reason; they do not run on the virtual driver.
var kernels = map[string]string{
	"TestLentBroken":                       noDescriptor,
	"TestLentBrokenLater":                  noDescriptor,
	"TestLend":                             noDescriptor,
	"TestLendBehindOutput":                 noDescriptor,
	"TestLendRevoked":                      noDescriptor,
	"TestListenLent":                       noDescriptor,
	"TestLendDrain":                        noDescriptor,
	"TestWatchReads":                       noDescriptor,
	"TestWatchWrites":                      noDescriptor,
	"TestWatchHangUp":                      noDescriptor,
	"TestWatchClose":                       noDescriptor,
	"TestWatchClosedByAnother":             noDescriptor,
	"TestWatchLoopEnds":                    noDescriptor,
	"TestWatchBeforeRun":                   noDescriptor,
	"TestWatchRefused":                     noDescriptor,
	"TestSendFile":                         noDescriptor,
	"TestSendFileToNobody":                 noDescriptor,
	"TestOutOfDescriptors":                 noDescriptor,
	"TestLateEventOfAReusedDescriptor":     noDescriptor,
	"TestMoreClientsThanSelectHolds":       noDescriptor,
	"TestAnyFreedDescriptorFeedsAListener": noDescriptor,
	"TestAcceptFailuresInTheLog":           noDescriptor,
	"TestOptionsAreInherited":              "the options are read off the descriptor",
	"TestCork":                             "how many segments a turn makes is read off the kernel's TCP_INFO",
	"TestReusePort":                        "a Network has no SO_REUSEPORT: see GroupOptions.Spread",
	"TestUnixPeerClosesAtOnce":             "a Network has no unix sockets",
	"TestWriteMore":                        "how many segments a turn makes is read off the kernel's TCP_INFO",
	"TestDialTimeout":                      "it fills a backlog of the kernel's; package lab has TestDialTimeout",
	"TestIdleConnectionIsSmall":            "the heap has both ends' TCP too",
	"TestAnswersFromAsked":                 "it asks on interfaces of a network namespace",
	"TestPeerZones":                        "a host of the lab has no zones",
	"TestSpin":                             "Options.Spin takes the system's time, and is refused",
	"TestNegativeSpin":                     "Options.Spin takes the system's time, and is refused",
}

const noDescriptor = "it is about descriptors, and a Network has none"

// TestKernels holds that each of them is there.
func TestKernels(t *testing.T) { stage.Known(t, kernels) }

// enterStage has a test run on the virtual driver.
func enterStage(t *testing.T) {
	root, _, _ := strings.Cut(t.Name(), "/")
	if why := kernels[root]; why != "" {
		t.Skip(why)
	}
	stage.Enter(t)
}

// placed has a loop stand on the network, if its driver says so.
func placed(t testing.TB, o loop.Options) loop.Options {
	if o.Driver == stage.Driver {
		o.Network = stage.Of(t.Name()).Loops
	}
	return o
}

// dialVirtual connects from the peers' host to one of the loops'.
func (d dialer) dialVirtual(s *stage.Stage, a sock.Addr) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ap, _ := a.AddrPort()
	c, err := s.Peers.DialWith(ctx, ap, sock.Options{RecvBuffer: d.window})
	if err == nil {
		err = c.SetDeadline(time.Now().Add(patience))
	}
	return c, err
}

// listenVirtual listens on the peers' host.
func listenVirtual(t testing.TB) *rawListen {
	t.Helper()
	s := stage.Of(t.Name())
	ln, err := s.Peers.Listener("tcp", s.PeersNet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return &rawListen{ln, t, sock.Addr{Scheme: "tcp", Host: s.PeersIP, Port: ln.Addr().(*net.TCPAddr).Port}}
}

// A datagramPeer is a socket for datagrams, of Go's own or of a lab's host.
type datagramPeer interface {
	net.PacketConn
	ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error)
}

// bindVirtual binds a socket on the loops' own host.
func bindVirtual(t testing.TB, host string) datagramPeer {
	t.Helper()
	c, err := stage.Of(t.Name()).Loops.ListenPacket("udp", net.JoinHostPort(host, fmt.Sprint(0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
