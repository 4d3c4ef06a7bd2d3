package wire

// Layers says which formats a Packet has.
type Layers uint32

// One bit for each format of a Packet.
const (
	HasEthernet Layers = 1 << iota
	HasVLAN
	HasVLAN2
	HasLLC
	HasBPDU
	HasARP
	HasIPv4
	HasIPv6
	HasICMPv4
	HasICMPv6
	HasUDP
	HasTCP
	HasDNS
	HasDHCPv4
)

// A Packet is a frame with all that is in it. Layers says which of its formats are there; the others hold what an
// earlier packet left. It is some 1.3 KiB large: use one for many frames.
//
// What is in a datagram is known by its ports: DNS from or to DNSPort, DHCP from and to its two. Fragments are not put
// together, and nothing in them is read.
type Packet struct {
	Layers   Layers
	Ethernet Ethernet
	VLAN     VLAN // the outer tag
	VLAN2    VLAN
	LLC      LLC
	BPDU     BPDU
	ARP      ARP
	IPv4     IPv4
	IPv6     IPv6
	ICMPv4   ICMPv4
	ICMPv6   ICMPv6
	UDP      UDP
	TCP      TCP
	DNS      DNS
	DHCPv4   DHCPv4
	Payload  []byte // of the innermost format that is there
	Offset   int    // of Payload in the frame
}

// Parse takes an Ethernet frame apart. An error is that of the first format that is not well formed, with the offset in
// the frame; Layers has those outside it then, and Payload is the bytes that could not be read.
func (p *Packet) Parse(frame []byte) error {
	p.Layers, p.Payload, p.Offset = 0, frame, 0
	if err := p.Ethernet.Parse(frame); err != nil {
		return err
	}
	p.enter(HasEthernet, p.Ethernet.Payload, EthernetLen)
	return p.parseType(p.Ethernet.Type)
}

// ParseIP takes an IP packet apart, of either version, as it comes from a TUN device.
func (p *Packet) ParseIP(packet []byte) error {
	p.Layers, p.Payload, p.Offset = 0, packet, 0
	if len(packet) > 0 && packet[0]>>4 == 6 {
		return p.parseIPv6()
	}
	return p.parseIPv4()
}

// enter notes a format that was read, with a header of n bytes.
func (p *Packet) enter(l Layers, payload []byte, n int) {
	p.Layers |= l
	p.Payload = payload
	p.Offset += n
}

// parseType reads what an ether type announces.
func (p *Packet) parseType(t EtherType) error {
	switch {
	case t.IsLength():
		return p.parseLLC()
	case t == EtherTypeIPv4:
		return p.parseIPv4()
	case t == EtherTypeIPv6:
		return p.parseIPv6()
	case t == EtherTypeARP || t == EtherTypeRARP:
		if err := p.ARP.Parse(p.Payload); err != nil {
			return at(err, p.Offset)
		}
		p.enter(HasARP, p.Payload[ARPLen:], ARPLen)
	case (t == EtherTypeVLAN || t == EtherTypeQinQ) && p.Layers&HasVLAN2 == 0:
		tag, bit := &p.VLAN, HasVLAN
		if p.Layers&HasVLAN != 0 {
			tag, bit = &p.VLAN2, HasVLAN2
		}
		if err := tag.Parse(p.Payload); err != nil {
			return at(err, p.Offset)
		}
		p.enter(bit, tag.Payload, VLANLen)
		return p.parseType(tag.Type) // at most twice
	}
	return nil
}

func (p *Packet) parseLLC() error {
	if err := p.LLC.Parse(p.Payload); err != nil {
		return at(err, p.Offset)
	}
	p.enter(HasLLC, p.LLC.Payload, LLCLen)
	if p.LLC.DSAP != SAPSpanningTree || p.LLC.SSAP != SAPSpanningTree {
		return nil
	}
	if err := p.BPDU.Parse(p.Payload); err != nil {
		return at(err, p.Offset)
	}
	n := len(p.Payload) - len(p.BPDU.Extra)
	p.enter(HasBPDU, p.BPDU.Extra, n)
	return nil
}

func (p *Packet) parseIPv4() error {
	if err := p.IPv4.Parse(p.Payload); err != nil {
		return at(err, p.Offset)
	}
	p.enter(HasIPv4, p.IPv4.Payload, IPv4MinLen+len(p.IPv4.Options))
	if p.IPv4.IsFragment() {
		return nil
	}
	return p.parseTransport(p.IPv4.Protocol)
}

func (p *Packet) parseIPv6() error {
	if err := p.IPv6.Parse(p.Payload); err != nil {
		return at(err, p.Offset)
	}
	p.enter(HasIPv6, p.IPv6.Payload, IPv6Len+len(p.IPv6.Extensions))
	if p.IPv6.IsFragment() {
		return nil
	}
	return p.parseTransport(p.IPv6.Protocol)
}

func (p *Packet) parseTransport(proto Protocol) error {
	var err error
	switch {
	case proto == ProtoTCP:
		if err = p.TCP.Parse(p.Payload); err == nil {
			p.enter(HasTCP, p.TCP.Payload, TCPMinLen+len(p.TCP.Options))
		}
	case proto == ProtoUDP:
		if err = p.UDP.Parse(p.Payload); err == nil {
			p.enter(HasUDP, p.UDP.Payload, UDPLen)
			return p.parseDatagram()
		}
	case proto == ProtoICMPv4 && p.Layers&HasIPv4 != 0:
		if err = p.ICMPv4.Parse(p.Payload); err == nil {
			p.enter(HasICMPv4, p.ICMPv4.Payload, ICMPLen)
		}
	case proto == ProtoICMPv6 && p.Layers&HasIPv6 != 0:
		if err = p.ICMPv6.Parse(p.Payload); err == nil {
			p.enter(HasICMPv6, p.ICMPv6.Payload, ICMPLen)
		}
	}
	if err != nil {
		return at(err, p.Offset)
	}
	return nil
}

func (p *Packet) parseDatagram() error {
	src, dst := p.UDP.SrcPort, p.UDP.DstPort
	isDHCP := func(port uint16) bool { return port == DHCPServerPort || port == DHCPClientPort }
	switch {
	case src == DNSPort || dst == DNSPort:
		if err := p.DNS.Parse(p.Payload); err != nil {
			return at(err, p.Offset)
		}
		p.enter(HasDNS, p.Payload[p.DNS.Len():], p.DNS.Len())
	case isDHCP(src) && isDHCP(dst) && p.Layers&HasIPv4 != 0:
		if err := p.DHCPv4.Parse(p.Payload); err != nil {
			return at(err, p.Offset)
		}
		p.enter(HasDHCPv4, nil, len(p.Payload))
	}
	return nil
}
