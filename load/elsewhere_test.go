package load

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/ownnet"
	"github.com/plexor-go/plexor/loop"
)

// Answers that come from another address than the one that was asked are no answers; each is counted, and the result
// says so.
func TestUnexpectedDatagrams(t *testing.T) {
	t.Parallel()
	other, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, d := range loop.Drivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			s := servePacketsBy(t, other, func(_ int, p []byte, send func([]byte)) { send(p) })
			o := Options{Address: s.address, Driver: d.Name, Conns: 2, Requests: 10, Timeout: 150 * time.Millisecond}
			r := mustRun(t, o)
			for ; r.Unexpected < 10 && o.Timeout < 10*time.Second; r = mustRun(t, o) {
				o.Timeout *= 4 // a busy machine answers late
			}
			if r.Messages != 0 || r.LostMessages != 10 || r.Unexpected != 10 {
				t.Errorf("%d answered, %d lost, %d unexpected; want none, 10 and 10", r.Messages, r.LostMessages, r.Unexpected)
			}
			want := "10 datagrams came from elsewhere: a datagram came from 127.0.0.1, which is not where the messages went"
			if err := r.Err(); !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
		})
	}
}

// A server at a link-local address is answered from where it was asked, whether the zone was given by name or by
// number. With io_uring every answer was dropped, and none counted.
func TestLinkLocalDatagrams(t *testing.T) {
	if !ownnet.Enter(t) {
		return
	}
	pc, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.ParseIP(ownnet.LinkLocal), Zone: "lo"})
	if err != nil {
		t.Fatal(err)
	}
	s := servePacketsOn(t, pc, pc, func(_ int, p []byte, send func([]byte)) { send(p) })
	for _, d := range loop.Drivers() {
		if d.Err != nil {
			continue
		}
		for _, zone := range []string{"%25lo", "%251"} {
			address := strings.Replace(s.address, "%lo", zone, 1)
			r := mustRun(t, Options{Address: address, Driver: d.Name, Conns: 2, Requests: 100})
			if r.Messages != 100 || r.Unexpected != 0 || r.Err() != nil {
				t.Errorf("%s, zone %s: %d answered, %d unexpected, %v; want 100 answers",
					d.Name, zone, r.Messages, r.Unexpected, r.Err())
			}
		}
	}
}
