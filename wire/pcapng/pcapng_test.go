package pcapng

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// arp is a frame that every tool reads: an ARP request.
var arp = []byte("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01" +
	"\x02\x00\x00\x00\x00\x01\x0a\x00\x00\x01\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x02")

var (
	section    = Section{Hardware: "none", System: "lab", Application: "plexor", Comments: []string{"seed 7"}}
	interfaces = []Interface{{Name: "client-eth0", Description: "the client's", LinkType: Ethernet}, {Name: "srv",
		LinkType: Ethernet}}
	packets = []Packet{
		{Interface: 0, Time: Epoch(1234567891), Data: arp, Length: len(arp), Direction: Outbound},
		{Interface: 1, Time: Epoch(1234567892), Data: arp, Length: len(arp), Direction: Inbound,
			Comments: []string{"fault: duplicated", "the second time"}},
		{Interface: 1, Time: time.Date(2026, 11, 28, 1, 2, 3, 999999999, time.UTC), Data: arp[:21], Length: 42,
			Comments: []string{"dropped here"}},
		{Interface: 0, Time: Epoch(0), Data: arp, Length: len(arp)},
	}
)

// capture is a file with the samples.
func capture(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, section)
	for n, i := range interfaces {
		if id, err := w.Interface(i); id != n || err != nil {
			t.Fatalf("interface %d: %d, %v", n, id, err)
		}
	}
	for i := range packets {
		if err := w.Packet(&packets[i]); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// same holds two packets against each other.
func same(a, b *Packet) bool {
	return a.Interface == b.Interface && a.Time.Equal(b.Time) && bytes.Equal(a.Data, b.Data) && a.Length == b.Length &&
		a.Direction == b.Direction && slices.Equal(a.Comments, b.Comments)
}

// readAll reads a capture and holds it against the samples.
func readAll(t *testing.T, b []byte) *Reader {
	t.Helper()
	r := NewReader(bytes.NewReader(b))
	for i := range packets {
		p, err := r.Next()
		if err != nil || !same(p, &packets[i]) {
			t.Fatalf("packet %d: %+v, %v, want %+v", i, p, err, packets[i])
		}
	}
	if p, err := r.Next(); err != io.EOF {
		t.Fatalf("behind the last: %v, %v", p, err)
	}
	for i, want := range interfaces {
		if got := r.Interfaces()[i]; got.Name != want.Name || got.Description != want.Description ||
			got.LinkType != Ethernet {
			t.Errorf("interface %d: %+v", i, got)
		}
	}
	return r
}

func TestRoundTrip(t *testing.T) {
	r := readAll(t, capture(t))
	if got := fmt.Sprint(r.Section()); got != fmt.Sprint(section) {
		t.Errorf("the section is %v", got)
	}
}

// TestTshark has Wireshark read what was written, and reads what Wireshark writes.
func TestTshark(t *testing.T) {
	path, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("no tshark here to read the capture with")
	}
	dir := t.TempDir()
	ours, theirs := filepath.Join(dir, "ours.pcapng"), filepath.Join(dir, "theirs.pcapng")
	if err := os.WriteFile(ours, capture(t), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		var stderr strings.Builder
		cmd := exec.Command(path, args...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("tshark: %v\n%s", err, stderr.String())
		}
		return string(out)
	}
	got := run("-n", "-r", ours, "-T", "fields", "-E", "separator=|", "-e", "frame.interface_name", "-e",
		"frame.time_epoch",
		"-e", "frame.len", "-e", "frame.cap_len", "-e", "frame.packet_flags_direction", "-e", "frame.comment")
	want := "client-eth0|1.234567891|42|42|0x00000002|\n" +
		"srv|1.234567892|42|42|0x00000001|fault: duplicated,the second time\n" +
		"srv|1795827723.999999999|42|21||dropped here\n" +
		"client-eth0|0.000000000|42|42||\n"
	if got != want {
		t.Errorf("tshark reads\n%s want\n%s", got, want)
	}
	run("-r", ours, "-w", theirs)
	b, err := os.ReadFile(theirs)
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, b)
}

// block makes a block in either order.
func block(o binary.AppendByteOrder, kind uint32, body []byte) []byte {
	n := uint32(len(body) + 12)
	return o.AppendUint32(append(o.AppendUint32(o.AppendUint32(nil, kind), n), body...), n)
}

// TestBigEndian reads a capture of another machine, of a resolution of microseconds, with a simple packet, a block that
// nobody knows, and a second section.
func TestBigEndian(t *testing.T) {
	be := binary.BigEndian
	head := func() []byte {
		b := be.AppendUint32(nil, byteOrder)
		return block(be, blockSection, be.AppendUint64(be.AppendUint32(b, 1<<16), 1<<64-1))
	}
	file := head()
	file = append(file, block(be, blockInterface, []byte{0, 1, 0, 0, 0, 0, 0, 20})...)
	file = append(file, block(be, 0xbad, []byte("what"))...)
	body := be.AppendUint32(nil, 0)
	body = be.AppendUint64(body, 1500000)
	body = be.AppendUint32(be.AppendUint32(body, 4), 9)
	file = append(file, block(be, blockPacket, append(body, "data"...))...)
	file = append(file, block(be, blockSimple, append(be.AppendUint32(nil, 30), make([]byte, 20)...))...)
	file = append(file, head()...)
	r := NewReader(bytes.NewReader(file))
	p, err := r.Next()
	if err != nil || string(p.Data) != "data" || p.Length != 9 || !p.Time.Equal(Epoch(1500*time.Millisecond)) {
		t.Fatalf("%+v, %v", p, err)
	}
	if p, err = r.Next(); err != nil || len(p.Data) != 20 || p.Length != 30 {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err = r.Next(); err != io.EOF || len(r.Interfaces()) != 0 {
		t.Fatalf("%v with %d interfaces", err, len(r.Interfaces()))
	}
}

// TestResolution reads times of each resolution.
func TestResolution(t *testing.T) {
	for _, row := range []struct {
		v     byte
		ticks uint64
		want  time.Time
	}{
		{6, 1500000, Epoch(1500 * time.Millisecond)},
		{9, 1<<64 - 1, time.Unix(18446744073, 709551615)},
		{0, 7, Epoch(7 * time.Second)},
		{19, 1e19 + 5e18, Epoch(1500 * time.Millisecond)},
		{0x80 | 1, 3, Epoch(1500 * time.Millisecond)},
		{0x80 | 63, 3 << 62, Epoch(1500 * time.Millisecond)},
	} {
		i := Interface{resolution: resolution(row.v)}
		if got := i.time(row.ticks); !got.Equal(row.want) {
			t.Errorf("%d ticks of %#x are %v, want %v", row.ticks, row.v, got, row.want)
		}
	}
	if resolution(20) != 0 || resolution(0x80|64) != 0 {
		t.Error("too fine a resolution is taken")
	}
}

// TestTruncated cuts a capture after each byte: it is found, but between two blocks.
func TestTruncated(t *testing.T) {
	whole := capture(t)
	ends := map[int]bool{}
	for at := 0; at < len(whole); ends[at] = true {
		at += int(binary.LittleEndian.Uint32(whole[at+4:]))
	}
	for n := range len(whole) {
		r := NewReader(bytes.NewReader(whole[:n]))
		var err error
		for err == nil {
			_, err = r.Next()
		}
		if want := io.ErrUnexpectedEOF; ends[n] && err != io.EOF || !ends[n] && !errors.Is(err, want) {
			t.Errorf("cut after %d bytes of %d: %v", n, len(whole), err)
		}
		if _, again := r.Next(); again != err {
			t.Errorf("the error was %v and is %v", err, again)
		}
	}
}

// TestRefuse has lies in a capture.
func TestRefuse(t *testing.T) {
	whole := capture(t)
	first := int(binary.LittleEndian.Uint32(whole[4:]))                // where the first interface is
	second := first + int(binary.LittleEndian.Uint32(whole[first+4:])) // and the second
	packet := second + int(binary.LittleEndian.Uint32(whole[second+4:]))
	for _, row := range []struct {
		name string
		at   int
		set  []byte
		kind error
	}{
		{"no section", 0, []byte{1, 0, 0, 0}, ErrFormat},
		{"byte order", 8, []byte{1}, ErrFormat},
		{"version", 12, []byte{2}, ErrUnsupported},
		{"length that is odd", 4, []byte{29}, ErrFormat},
		{"length below the block", 4, []byte{12, 0, 0, 0}, ErrFormat},
		{"length over the bound", 4, []byte{0, 0, 0, 2}, ErrTooLong},
		{"length behind that differs", first - 4, []byte{0}, ErrFormat},
		{"option", first + 18, []byte{200}, ErrFormat},
		{"interface that is not there", packet + 8, []byte{2}, ErrFormat},
		{"data behind the block", packet + 20, []byte{255, 255}, ErrFormat},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := bytes.Clone(whole)
			copy(b[row.at:], row.set)
			r := NewReader(bytes.NewReader(b))
			var err error
			for err == nil {
				_, err = r.Next()
			}
			if !errors.Is(err, row.kind) || !strings.Contains(err.Error(), "at byte") {
				t.Errorf("got %v, want %v", err, row.kind)
			}
		})
	}
}

// failing is a writer that fails.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestRefuseWrite has packets that cannot be written. The capture stays whole.
func TestRefuseWrite(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b, Section{})
	if _, err := w.Interface(Interface{LinkType: Ethernet}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []Packet{
		{Interface: 1}, {Interface: -1}, {Data: arp, Length: 1}, {Time: time.Unix(-1, 0)}, {Time: time.Unix(1<<62, 0)},
		{Data: make([]byte, MaxBlock/2+1)}, {Comments: []string{strings.Repeat("x", maxOption+1)}},
	} {
		if err := w.Packet(&p); err == nil {
			t.Errorf("%v was written", p)
		}
	}
	r := NewReader(&b)
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("what was written: %v", err)
	}
	broken := NewWriter(failing{io.ErrClosedPipe}, Section{})
	for range 2 {
		if _, err := broken.Interface(Interface{}); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("a writer that fails: %v", err)
		}
	}
}

// TestAllocations writes and reads packets without comments and without an allocation.
func TestAllocations(t *testing.T) {
	w := NewWriter(io.Discard, Section{})
	if _, err := w.Interface(Interface{}); err != nil {
		t.Fatal(err)
	}
	p := Packet{Data: make([]byte, 1500)}
	p.Time = Epoch(1)
	if n := testing.AllocsPerRun(100, func() {
		if w.Packet(&p) != nil {
			t.Fatal("not written")
		}
	}); n != 0 {
		t.Errorf("%v allocations to write one", n)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(capture(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(bytes.NewReader(b))
		var out bytes.Buffer
		w := NewWriter(&out, Section{})
		if _, err := w.Interface(Interface{}); err != nil {
			t.Fatal(err)
		}
		var all []Packet
		for {
			p, err := r.Next()
			if err != nil {
				break
			}
			again := *p
			again.Interface, again.Data = 0, bytes.Clone(p.Data)
			if len(again.Data) == 0 && again.Length == 0 {
				continue
			}
			if w.Packet(&again) == nil {
				all = append(all, again)
			}
		}
		back := NewReader(&out)
		for i := range all {
			if p, err := back.Next(); err != nil || !same(p, &all[i]) {
				t.Fatalf("%+v is %+v, %v", all[i], p, err)
			}
		}
	})
}

func Example() {
	var file bytes.Buffer
	w := NewWriter(&file, Section{Application: "plexor"})
	eth, err := w.Interface(Interface{Name: "client-eth0", LinkType: Ethernet})
	if err == nil {
		err = w.Packet(&Packet{Interface: eth, Time: Epoch(5 * time.Microsecond), Data: arp,
			Comments: []string{"dropped here"}})
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	r := NewReader(&file)
	for {
		p, err := r.Next()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(r.Interfaces()[p.Interface].Name, p.Time.UnixNano(), len(p.Data), p.Comments)
	}
	// Output:
	// client-eth0 5000 42 [dropped here]
	// EOF
}
