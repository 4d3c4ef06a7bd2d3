package examples

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/plexor-go/plexor/wire"
	"github.com/plexor-go/plexor/wire/pcapng"
)

// TestLayersCapture: given a capture, it prints a line a packet.
func TestLayersCapture(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capture.pcapng")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	src, dst := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	udp, err := (&wire.UDP{SrcPort: 1024, DstPort: 7, Payload: []byte("hello")}).Append(nil, src, dst)
	if err != nil {
		t.Fatal(err)
	}
	packet, err := (&wire.IPv4{TTL: 64, Protocol: wire.ProtoUDP, Src: src, Dst: dst, Payload: udp}).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	frame, err := (&wire.Ethernet{Dst: wire.Broadcast, Type: wire.EtherTypeIPv4, Payload: packet}).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := pcapng.NewWriter(f, pcapng.Section{})
	eth, err := w.Interface(pcapng.Interface{LinkType: pcapng.Ethernet})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Packet(&pcapng.Packet{Interface: eth, Time: time.Unix(0, 0), Data: frame}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(build(t, "layers"), path).CombinedOutput()
	const line = "IP 10.0.0.1.1024 > 10.0.0.2.7: UDP, length 5\n"
	if err != nil || string(out) != line+line {
		t.Errorf("printed %q, %v, want two lines of %q", out, err, line)
	}
}
