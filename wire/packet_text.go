package wire

import (
	"net/netip"
	"strconv"
)

// String is the line that tcpdump -n -t -S writes for the packet, as in "IP 10.0.0.1.1024 > 10.0.0.2.80: Flags [S], seq
// 7, win 64240, length 0". Where the packet could not be read to its end, the line ends after what could.
func (p *Packet) String() string { return string(p.AppendText(nil)) }

// AppendText writes what String returns behind b.
func (p *Packet) AppendText(b []byte) []byte {
	switch {
	case p.Layers&HasARP != 0:
		return p.ARP.text(b, ARPLen+len(p.Payload))
	case p.Layers&HasIPv4 != 0:
		return p.ipv4Text(b)
	case p.Layers&HasIPv6 != 0:
		return p.ipv6Text(b)
	case p.Layers&HasBPDU != 0:
		return p.BPDU.text(b)
	case p.Layers&HasLLC != 0:
		return p.LLC.text(b)
	case p.Layers&HasEthernet != 0:
		return p.Ethernet.text(b)
	}
	return strconv.AppendInt(append(b, "no frame, length "...), int64(len(p.Payload)), 10)
}

// ports are those of the packet, where it has some.
func (p *Packet) ports() (src, dst uint16, ok bool) {
	switch {
	case p.Layers&HasTCP != 0:
		return p.TCP.SrcPort, p.TCP.DstPort, true
	case p.Layers&HasUDP != 0:
		return p.UDP.SrcPort, p.UDP.DstPort, true
	}
	return 0, 0, false
}

// endpoints writes "a.port > b.port: ", or without ports.
func endpoints(b []byte, src, dst netip.Addr, from, to uint16, ports bool) []byte {
	b = src.AppendTo(b)
	if ports {
		b = strconv.AppendUint(append(b, '.'), uint64(from), 10)
	}
	b = dst.AppendTo(append(b, " > "...))
	if ports {
		b = strconv.AppendUint(append(b, '.'), uint64(to), 10)
	}
	return append(b, ": "...)
}

func (p *Packet) ipv4Text(b []byte) []byte {
	h := &p.IPv4
	from, to, ok := p.ports()
	if h.IsFragment() && h.Offset == 0 {
		from, to, ok = fragmentPorts(h.Protocol, h.Payload)
	}
	b = endpoints(append(b, "IP "...), h.Src, h.Dst, from, to, ok)
	switch {
	case !h.IsFragment():
		return p.transportText(b, h.Protocol, len(h.Payload))
	case h.Offset == 0:
		return firstText(b, h.Protocol, h.Payload)
	}
	return strconv.AppendUint(append(b, "ip-proto-"...), uint64(h.Protocol), 10)
}

func (p *Packet) ipv6Text(b []byte) []byte {
	h := &p.IPv6
	from, to, ok := p.ports()
	if h.IsFragment() && h.Fragment.Offset == 0 {
		from, to, ok = fragmentPorts(h.Protocol, h.Payload)
	}
	b = endpoints(append(b, "IP6 "...), h.Src, h.Dst, from, to, ok && len(h.Extensions) == 0)
	for e, end, more := h.Extension(h.Next, 0); more; e, end, more = h.Extension(e.Next, end) {
		switch e.Type {
		case ProtoHopByHop:
			b = append(b, "HBH "...)
		case ProtoDestOpts:
			b = append(b, "DSTOPT "...)
		case ProtoRouting:
			b = append(b, "srcrt "...)
		case ProtoAuth:
			b = append(b, "AH "...)
		case ProtoFragment:
			n := len(h.Extensions) - end + len(h.Payload)
			b = strconv.AppendUint(append(b, "frag ("...), uint64(h.Fragment.Offset), 10)
			b = append(strconv.AppendInt(append(b, '|'), int64(n), 10), ") "...)
		}
	}
	if h.Fragment.Offset != 0 {
		return b[:len(b)-1]
	}
	if ok && len(h.Extensions) > 0 {
		b = strconv.AppendUint(b, uint64(from), 10)
		b = strconv.AppendUint(append(b, " > "...), uint64(to), 10)
		b = append(b, ": "...)
	}
	if h.IsFragment() {
		return firstText(b, h.Protocol, h.Payload)
	}
	return p.transportText(b, h.Protocol, len(h.Payload))
}

// fragmentPorts are the ports in the first fragment of a datagram or segment.
func fragmentPorts(proto Protocol, payload []byte) (src, dst uint16, ok bool) {
	if (proto != ProtoTCP && proto != ProtoUDP) || len(payload) < 4 {
		return 0, 0, false
	}
	return be.Uint16(payload), be.Uint16(payload[2:]), true
}

// firstText writes what can be told from a first fragment.
func firstText(b []byte, proto Protocol, payload []byte) []byte {
	var tcp TCP
	var echo ICMPv4
	switch {
	case proto == ProtoUDP && len(payload) >= UDPLen:
		return strconv.AppendInt(append(b, "UDP, length "...), int64(be.Uint16(payload[4:]))-UDPLen, 10)
	case proto == ProtoTCP && tcp.Parse(payload) == nil:
		return tcp.text(b)
	case proto == ProtoICMPv4 && echo.Parse(payload) == nil:
		return echo.text(b)
	}
	return protocolText(b, proto, len(payload))
}

// transportText writes what is in an IP packet, whose payload has n bytes.
func (p *Packet) transportText(b []byte, proto Protocol, n int) []byte {
	switch {
	case p.Layers&HasTCP != 0:
		return p.TCP.text(b)
	case p.Layers&HasDNS != 0:
		return p.DNS.text(b, len(p.UDP.Payload))
	case p.Layers&HasDHCPv4 != 0:
		return p.DHCPv4.text(b, len(p.UDP.Payload))
	case p.Layers&HasUDP != 0:
		return p.UDP.text(b)
	case p.Layers&HasICMPv4 != 0:
		return p.ICMPv4.text(b)
	case p.Layers&HasICMPv6 != 0:
		return p.ICMPv6.text(b)
	}
	return protocolText(b, proto, n)
}

// protocolText names a protocol that is not read.
func protocolText(b []byte, proto Protocol, n int) []byte {
	b = strconv.AppendUint(append(b, " ip-proto-"...), uint64(proto), 10)
	return strconv.AppendInt(append(b, ' '), int64(n), 10)
}
