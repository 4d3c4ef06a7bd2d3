package wire

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pcap writes frames to a file that tcpdump and tshark read (the format of libpcap 2.4, Ethernet).
func pcap(t *testing.T, frames []sample) string {
	t.Helper()
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b2c3d4)
	b = le.AppendUint16(le.AppendUint16(b, 2), 4)
	b = le.AppendUint32(append(b, make([]byte, 8)...), 1<<16)
	b = le.AppendUint32(b, 1)
	for i, f := range frames {
		b = le.AppendUint32(le.AppendUint32(b, uint32(i)), 0)
		b = le.AppendUint32(le.AppendUint32(b, uint32(len(f.frame))), uint32(len(f.frame)))
		b = append(b, f.frame...)
	}
	name := filepath.Join(t.TempDir(), "frames.pcap")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// tcpdump is what tcpdump prints for the frames, with these flags more. It would give up root for a user of its own,
// who need not exist.
func tcpdump(t *testing.T, frames []sample, flags ...string) []string {
	flags = append(flags, "-n", "-t", "-S", "-r", pcap(t, frames))
	if os.Getuid() == 0 {
		flags = append(flags, "-Z", "root")
	}
	return lines(t, "tcpdump", flags...)
}

// lines runs a tool and returns what it printed on standard output.
func lines(t *testing.T, tool string, args ...string) []string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Skipf("no %s here to read the frames with", tool)
	}
	cmd := exec.Command(path, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", tool, err, stderr.String())
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// TestTcpdump holds the line of each packet against the one that tcpdump writes for it.
func TestTcpdump(t *testing.T) {
	all := samples(t)
	got := tcpdump(t, all)
	if len(got) != len(all) {
		t.Fatalf("tcpdump wrote %d lines for %d frames:\n%s", len(got), len(all), strings.Join(got, "\n"))
	}
	for i, s := range all {
		var p Packet
		if err := p.Parse(s.frame); err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		if line := p.String(); line != got[i] {
			t.Errorf("%s:\n ours    %s\n tcpdump %s", s.name, line, got[i])
		}
	}
}

// TestTcpdumpVerbose holds what tcpdump -e and -v say of Ethernet, tags and the IP headers.
func TestTcpdumpVerbose(t *testing.T) {
	all := samples(t)
	link := tcpdump(t, all, "-e")
	// With -v a packet takes several lines: the indented ones belong to it.
	verbose := strings.Split(strings.ReplaceAll(strings.Join(tcpdump(t, all, "-v"), "\n"), "\n    ", " "), "\n")
	verbose = slices.DeleteFunc(verbose, func(s string) bool { return strings.HasPrefix(s, "\t") })
	if len(link) != len(all) || len(verbose) != len(all) {
		t.Fatalf("tcpdump wrote %d and %d lines for %d frames", len(link), len(verbose), len(all))
	}
	for i, s := range all {
		var p Packet
		if err := p.Parse(s.frame); err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		want := []string{p.Ethernet.String()}
		if p.Layers&HasVLAN != 0 {
			want = append(want, p.VLAN.String())
		}
		for _, w := range want {
			if !strings.Contains(link[i], w) {
				t.Errorf("%s: tcpdump -e wrote\n %s, without\n %s", s.name, link[i], w)
			}
		}
		var header string
		switch {
		case p.Layers&HasIPv4 != 0:
			header, _, _ = strings.Cut(p.IPv4.String(), " > ")
		case p.Layers&HasIPv6 != 0:
			header, _, _ = strings.Cut(p.IPv6.String(), " > ")
		}
		if !strings.HasPrefix(verbose[i], header) {
			t.Errorf("%s: tcpdump -v wrote\n %s, without\n %s", s.name, verbose[i], header)
		}
	}
}

// TestTshark has Wireshark's dissectors read the frames: none is malformed, and every checksum is right.
func TestTshark(t *testing.T) {
	all := samples(t)
	var checks []string
	for _, c := range []string{"ip.check_checksum", "tcp.check_checksum", "udp.check_checksum"} {
		checks = append(checks, "-o", c+":TRUE")
	}
	args := append(checks, "-n", "-r", pcap(t, all), "-T", "fields", "-E", "separator=|",
		"-e", "frame.number", "-e", "_ws.malformed", "-e", "ip.checksum.status", "-e", "tcp.checksum.status",
		"-e", "udp.checksum.status", "-e", "icmp.checksum.status", "-e", "icmpv6.checksum.status")
	out := lines(t, "tshark", args...)
	if len(out) != len(all) {
		t.Fatalf("tshark wrote %d lines for %d frames", len(out), len(all))
	}
	right := 0
	for i, s := range all {
		fields := strings.Split(out[i], "|")
		if fields[1] != "" {
			t.Errorf("%s: tshark finds it malformed: %s", s.name, out[i])
		}
		for _, status := range fields[2:] {
			// 0 is bad; 2 unverified (a fragment's, or none); a quoted packet has a second value.
			for _, v := range strings.Split(status, ",") {
				if v == "0" {
					t.Errorf("%s: tshark finds a checksum wrong: %s", s.name, out[i])
				}
				if v == "1" {
					right++
				}
			}
		}
	}
	if right < len(all) {
		t.Errorf("tshark verified %d checksums in %d frames", right, len(all))
	}
}
