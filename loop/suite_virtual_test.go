//go:build linux || darwin || freebsd

package loop_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/lab"
	labs "github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// The suite on the virtual driver: loops stand on one host of a lab's world, and the peers, which block goroutines, on
// another. Each world is live, for the suite is: what virtual time makes of it is package lab's to try.

// virtualName is the driver's, in the names of the tests.
const virtualName = "virtual"

// onNetwork reports whether a test is one on the virtual driver.
func onNetwork(t testing.TB) bool { return strings.Contains(t.Name()+"/", "/"+virtualName+"/") }

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

// A stage is the world of one test. Addresses tell of which: a stage's cable is 10.N.N.0/24, with a number of its own.
type stage struct {
	loops, others         *lab.Host
	loopsHost, othersHost string
}

var stages struct {
	sync.Mutex
	of   map[string]*stage // by the name of the test, and by the addresses of its hosts
	made int
}

// firstStage keeps away from the addresses that networks have.
const firstStage = 0xf000

// enterStage has a test run on the virtual driver.
func enterStage(t *testing.T) {
	root, _, _ := strings.Cut(t.Name(), "/")
	if why := kernels[root]; why != "" {
		t.Skip(why)
	}
	stages.Lock()
	defer stages.Unlock()
	if stages.of == nil {
		stages.of = make(map[string]*stage)
	}
	n := firstStage + stages.made%0xf00
	stages.made++
	w := lab.New(lab.Options{Live: true, FirstCable: n})
	s := &stage{loops: w.Host("loops"), others: w.Host("others"), loopsHost: fmt.Sprintf("10.%d.%d.1", n>>8, n&255),
		othersHost: fmt.Sprintf("10.%d.%d.2", n>>8, n&255)}
	w.Connect(s.loops, s.others, labs.Options{})
	keys := []string{t.Name(), s.loopsHost, s.othersHost}
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
}

// stageOf is the stage of a test, or of an address's host; nil: there is none.
func stageOf(key string) *stage {
	stages.Lock()
	defer stages.Unlock()
	for ; ; key = key[:strings.LastIndexByte(key, '/')] {
		if s := stages.of[key]; s != nil || !strings.Contains(key, "/") {
			return s
		}
	}
}

// placed has a loop stand on the network, if its driver says so.
func placed(t testing.TB, o loop.Options) loop.Options {
	if o.Driver == virtualName {
		o.Network = stageOf(t.Name()).loops
	}
	return o
}

// dialVirtual connects from the others' host to one of the loops'.
func (d dialer) dialVirtual(s *stage, a sock.Addr) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ap, _ := a.AddrPort()
	c, err := s.others.DialWith(ctx, ap, sock.Options{RecvBuffer: d.window})
	if err == nil {
		err = c.SetDeadline(time.Now().Add(patience))
	}
	return c, err
}

// listenVirtual listens on the others' host.
func listenVirtual(t testing.TB) *rawListen {
	t.Helper()
	s := stageOf(t.Name())
	ln, err := s.others.Listener("tcp", s.othersHost+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return &rawListen{ln, t, sock.Addr{Scheme: "tcp", Host: s.othersHost, Port: ln.Addr().(*net.TCPAddr).Port}}
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
	c, err := stageOf(t.Name()).loops.ListenPacket("udp", net.JoinHostPort(host, fmt.Sprint(0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
