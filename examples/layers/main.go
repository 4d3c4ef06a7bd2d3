// Command layers takes one frame apart, as it goes over an Ethernet: a web browser's request, in TCP, in IP, in
// Ethernet. Given a file, it prints a line a packet of that capture (pcapng, as Wireshark and dumpcap write it).
//
//	go run ./examples/layers
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/netip"
	"os"

	"github.com/plexor-go/plexor/wire"
	"github.com/plexor-go/plexor/wire/pcapng"
)

const request = "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"

// wrap puts the request into its envelopes, the innermost first.
func wrap() ([]byte, error) {
	browser, server := netip.MustParseAddr("192.168.1.7"), netip.MustParseAddr("93.184.215.14")
	segment, err := (&wire.TCP{SrcPort: 50000, DstPort: 80, Seq: 1, Ack: 1, Flags: wire.PSH | wire.ACK, Window: 502,
		Payload: []byte(request)}).Append(nil, browser, server)
	if err != nil {
		return nil, err
	}
	packet, err := (&wire.IPv4{TTL: 64, Protocol: wire.ProtoTCP, Src: browser, Dst: server, Payload: segment}).Append(nil)
	if err != nil {
		return nil, err
	}
	laptop, router := wire.MAC{2, 0, 0, 0, 0, 7}, wire.MAC{2, 0, 0, 0, 0, 1}
	return (&wire.Ethernet{Src: laptop, Dst: router, Type: wire.EtherTypeIPv4, Payload: packet}).Append(nil)
}

// show takes the envelopes off, the outermost first.
func show(frame []byte) error {
	var p wire.Packet
	if err := p.Parse(frame); err != nil {
		return err
	}
	ip, tcp := len(p.Ethernet.Payload), len(p.IPv4.Payload)
	fmt.Printf("%d bytes on the wire: %s\n", len(frame), &p)
	fmt.Printf("Ethernet  %3d bytes  % x …\n", len(frame)-ip, frame[:8])
	fmt.Printf("                     from %s to %s: the next station on this wire; inside is %v\n",
		p.Ethernet.Src, p.Ethernet.Dst, p.Ethernet.Type)
	fmt.Printf("IPv4      %3d bytes  % x …\n", ip-tcp, p.Ethernet.Payload[:8])
	fmt.Printf("                     from %v to %v: the two machines; at most %d routers between; inside is %v\n",
		p.IPv4.Src, p.IPv4.Dst, p.IPv4.TTL, p.IPv4.Protocol)
	fmt.Printf("TCP       %3d bytes  % x …\n", tcp-len(p.TCP.Payload), p.IPv4.Payload[:8])
	fmt.Printf("                     from port %d to port %d: the two programs; byte %d of the stream\n",
		p.TCP.SrcPort, p.TCP.DstPort, p.TCP.Seq)
	fmt.Printf("HTTP      %3d bytes  %q\n", len(p.TCP.Payload), p.TCP.Payload)
	return nil
}

// flip turns one bit of the request over, and looks whether somebody notices.
func flip(frame []byte) error {
	frame[len(frame)-4] ^= 1
	var p wire.Packet
	if err := p.Parse(frame); err != nil {
		return err
	}
	fmt.Println("One bit of the request turned over on its way:")
	fmt.Println("   IPv4 sums up its header alone, and says", p.IPv4.Verify(p.Ethernet.Payload))
	fmt.Println("   TCP sums up all of it, and says", p.TCP.Verify(p.IPv4.Payload, p.IPv4.Src, p.IPv4.Dst))
	return nil
}

// list prints the packets of a capture.
func list(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for r := pcapng.NewReader(f); ; {
		captured, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var p wire.Packet
		if err := p.Parse(captured.Data); err != nil {
			fmt.Println(&p, err)
			continue
		}
		fmt.Println(&p)
	}
}

func main() {
	err := func() error {
		if len(os.Args) > 1 {
			return list(os.Args[1])
		}
		frame, err := wrap()
		if err != nil {
			return err
		}
		if err := show(frame); err != nil {
			return err
		}
		return flip(frame)
	}()
	if err != nil {
		log.Fatal(err)
	}
}
