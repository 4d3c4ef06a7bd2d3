package wire

import (
	"testing"
)

// full is a frame of 1514 bytes: Ethernet, IPv4, TCP with timestamps, and 1448 bytes.
func full(t testing.TB) []byte { return frameOf(t, "tcp full") }

// emitFull writes such a frame behind b, from the outside to the inside.
func emitFull(b []byte, e *Ethernet, ip *IPv4, tcp *TCP) ([]byte, error) {
	n := TCPMinLen + len(tcp.Options) + len(tcp.Payload)
	b, err := e.AppendHeader(b, IPv4MinLen+n)
	if err != nil {
		return b, err
	}
	if b, err = ip.AppendHeader(b, n); err != nil {
		return b, err
	}
	return tcp.Append(b, ip.Src, ip.Dst)
}

// parseFull reads such a frame and checks its checksums.
func parseFull(frame []byte, e *Ethernet, ip *IPv4, tcp *TCP, o *TCPOptions) error {
	if err := e.Parse(frame); err != nil {
		return err
	}
	if err := ip.Parse(e.Payload); err != nil {
		return err
	}
	if err := ip.Verify(e.Payload); err != nil {
		return err
	}
	if err := tcp.Parse(ip.Payload); err != nil {
		return err
	}
	o.Parse(tcp.Options)
	return tcp.Verify(ip.Payload, ip.Src, ip.Dst)
}

func BenchmarkParseFull(b *testing.B) {
	frame := full(b)
	var e Ethernet
	var ip IPv4
	var tcp TCP
	var o TCPOptions
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if err := parseFull(frame, &e, &ip, &tcp, &o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEmitFull(b *testing.B) {
	frame := full(b)
	var e Ethernet
	var ip IPv4
	var tcp TCP
	var o TCPOptions
	if err := parseFull(frame, &e, &ip, &tcp, &o); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 2048)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := emitFull(buf, &e, &ip, &tcp); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPacketParse(b *testing.B) {
	for _, name := range []string{"tcp full", "tcp ack", "udp", "arp request", "v6 options", "dns addresses",
		"dhcp offer"} {
		b.Run(name, func(b *testing.B) {
			frame := frameOf(b, name)
			var p Packet
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Parse(frame); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkChecksum(b *testing.B) {
	for _, n := range []int{20, 64, 1460} {
		b.Run(itoa(n), func(b *testing.B) {
			buf := make([]byte, n)
			b.SetBytes(int64(n))
			for b.Loop() {
				Checksum(buf)
			}
		})
	}
}

func BenchmarkForward(b *testing.B) {
	frame := full(b)
	b.ReportAllocs()
	for b.Loop() {
		frame[EthernetLen+8] = 64
		if !DecrementTTL(frame[EthernetLen:]) {
			b.Fatal("it may go on")
		}
	}
}

func BenchmarkString(b *testing.B) {
	var p Packet
	if err := p.Parse(full(b)); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		p.AppendText(buf)
	}
}

func BenchmarkDNSBuild(b *testing.B) {
	buf := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		d := NewDNSBuilder(buf, 1, DNSResponse)
		d.Question("www.example.com", DNSA, DNSInternet)
		d.Target(DNSAnswers, "www.example.com", DNSCNAME, 60, "example.com")
		d.Addr(DNSAnswers, "example.com", 60, ip4A)
		if _, err := d.Finish(); err != nil {
			b.Fatal(err)
		}
	}
}
