package wire

import (
	"net/netip"
	"strconv"
)

// DNSLen is the length of a message's header in bytes (RFC 1035, section 4.1.1).
const DNSLen = 12

// DNSPort is where servers listen.
const DNSPort = 53

// DNSFlags are the header's second word: one bit each, but for the opcode (4 bits) and the response code (4 bits).
type DNSFlags uint16

// The flags of RFC 1035, section 4.1.1, and RFC 4035, section 3.
const (
	DNSResponse           DNSFlags = 1 << 15
	DNSAuthoritative      DNSFlags = 1 << 10
	DNSTruncated          DNSFlags = 1 << 9 // ask again by TCP
	DNSRecursionDesired   DNSFlags = 1 << 8
	DNSRecursionAvailable DNSFlags = 1 << 7
	DNSAuthentic          DNSFlags = 1 << 5
	DNSCheckingDisabled   DNSFlags = 1 << 4
)

// Opcode is what kind of query the message is: 0 for a standard one.
func (f DNSFlags) Opcode() uint8 { return uint8(f >> 11 & 15) }

// RCode is how the query went.
func (f DNSFlags) RCode() DNSRCode { return DNSRCode(f & 15) }

// A DNSRCode is a response code.
type DNSRCode uint8

// The response codes of RFC 1035.
const (
	DNSNoError DNSRCode = iota
	DNSFormErr
	DNSServFail
	DNSNXDomain // there is no such name
	DNSNotImp
	DNSRefused
)

// String is the code as tcpdump has it, as in "NXDomain".
func (r DNSRCode) String() string {
	names := [...]string{"NoError", "FormErr", "ServFail", "NXDomain", "NotImp", "Refused", "YXDomain", "YXRRSet",
		"NXRRSet", "NotAuth", "NotZone"}
	if int(r) < len(names) {
		return names[r]
	}
	return "Resp" + strconv.Itoa(int(r))
}

// A DNSType is the kind of a record, or what is asked for.
type DNSType uint16

// The types whose data this package reads, and a few that a trace should name.
const (
	DNSA     DNSType = 1
	DNSNS    DNSType = 2
	DNSCNAME DNSType = 5
	DNSSOA   DNSType = 6
	DNSPTR   DNSType = 12
	DNSMX    DNSType = 15
	DNSTXT   DNSType = 16
	DNSAAAA  DNSType = 28
	DNSSRV   DNSType = 33
	DNSOPT   DNSType = 41 // EDNS (RFC 6891): Class is the sender's buffer, TTL holds flags
	DNSHTTPS DNSType = 65
	DNSANY   DNSType = 255
)

// String is the name, as in "AAAA", or "Type65280".
func (t DNSType) String() string {
	switch t {
	case DNSA:
		return "A"
	case DNSNS:
		return "NS"
	case DNSCNAME:
		return "CNAME"
	case DNSSOA:
		return "SOA"
	case DNSPTR:
		return "PTR"
	case DNSMX:
		return "MX"
	case DNSTXT:
		return "TXT"
	case DNSAAAA:
		return "AAAA"
	case DNSSRV:
		return "SRV"
	case DNSOPT:
		return "OPT"
	case DNSHTTPS:
		return "HTTPS"
	case DNSANY:
		return "ANY"
	}
	return "Type" + strconv.Itoa(int(t))
}

// DNSInternet is the class of all records but an OPT's.
const DNSInternet = 1

// A DNSSection is a part of a message.
type DNSSection uint8

// The sections in their order.
const (
	DNSQuestions DNSSection = iota
	DNSAnswers
	DNSAuthorities
	DNSAdditionals
	dnsSections
)

// DNS is a message (RFC 1035, section 4). Over TCP a length of two bytes goes before each, which is no part of it.
//
//	0    2       4           6         8             10            12
//	| ID | flags | questions | answers | authorities | additionals | …
type DNS struct {
	ID     uint16
	Flags  DNSFlags
	Counts [dnsSections]uint16 // of the records in each section
	msg    []byte
	body   int // where the records begin
}

// Parse reads a message. It walks all of it: that every name ends, by pointers that lead backwards only; that every
// record lies within the message; and that the data of the types A, AAAA, NS, CNAME, PTR, MX and SOA is what it should
// be. Bytes behind the last record are not looked at.
func (m *DNS) Parse(b []byte) error {
	if len(b) < DNSLen {
		return truncated("DNS", "header", 0, len(b), DNSLen)
	}
	if len(b) > maxIP {
		return overLimit("DNS", "message", 0, len(b), maxIP)
	}
	m.ID, m.Flags = be.Uint16(b), DNSFlags(be.Uint16(b[2:]))
	for i := range m.Counts {
		m.Counts[i] = be.Uint16(b[4+2*i:])
	}
	m.msg, m.body = nil, 0
	off := DNSLen
	var err error
	for range m.Counts[DNSQuestions] {
		if off, err = skipQuestion(b, off); err != nil {
			return err
		}
	}
	body := off
	for _, n := range m.Counts[DNSAnswers:] {
		for range n {
			if off, err = skipRecord(b, off); err != nil {
				return err
			}
		}
	}
	m.msg, m.body = cut(b, 0, off), body
	return nil
}

// Len is how many bytes the message takes.
func (m *DNS) Len() int { return len(m.msg) }

// skipQuestion checks the question at off and returns where it ends.
func skipQuestion(b []byte, off int) (int, error) {
	n, err := skipName(b, off)
	if err != nil {
		return 0, err
	}
	if len(b)-n < 4 {
		return 0, truncated("DNS", "question", off, len(b)-off, n+4-off)
	}
	return n + 4, nil
}

// skipRecord checks the record at off and returns where it ends.
func skipRecord(b []byte, off int) (int, error) {
	n, err := skipName(b, off)
	if err != nil {
		return 0, err
	}
	if len(b)-n < 10 {
		return 0, truncated("DNS", "record", off, len(b)-off, n+10-off)
	}
	size := int(be.Uint16(b[n+8:]))
	data := n + 10
	if size > len(b)-data {
		return 0, badLength("DNS", "record data", n+8, size, len(b)-data)
	}
	return data + size, checkData(b, DNSType(be.Uint16(b[n:])), data, size)
}

// checkData holds a record's data against its type.
func checkData(b []byte, t DNSType, off, size int) error {
	want := size
	switch t {
	case DNSA:
		want = 4
	case DNSAAAA:
		want = 16
	case DNSNS, DNSCNAME, DNSPTR:
		end, err := skipName(b[:off+size], off)
		if err != nil {
			return err
		}
		want = end - off
	case DNSMX:
		if size < 3 {
			return badLength("DNS", "record data", off, size, 3)
		}
		end, err := skipName(b[:off+size], off+2)
		if err != nil {
			return err
		}
		want = end - off
	case DNSSOA:
		end, err := skipName(b[:off+size], off)
		if err == nil {
			end, err = skipName(b[:off+size], end)
		}
		if err != nil {
			return err
		}
		want = end + dnsSOALen - off
	}
	if size != want {
		return badLength("DNS", "record data", off, size, want)
	}
	return nil
}

// dnsSOALen is the length of an SOA's five numbers in bytes.
const dnsSOALen = 20

// A DNSQuestion is what is asked.
type DNSQuestion struct {
	Name  DNSName
	Type  DNSType
	Class uint16
}

// Question is the first question. Messages with another number of them than one are legal, and nobody sends them.
func (m *DNS) Question() (q DNSQuestion, ok bool) {
	if m.Counts[DNSQuestions] == 0 || m.msg == nil {
		return q, false
	}
	q, _, ok = m.questionAt(DNSLen)
	return q, ok
}

func (m *DNS) questionAt(off int) (q DNSQuestion, end int, ok bool) {
	end, err := skipName(m.msg, off)
	if err != nil || len(m.msg)-end < 4 {
		return q, off, false
	}
	return DNSQuestion{DNSName{msg: m.msg, off: off}, DNSType(be.Uint16(m.msg[end:])), be.Uint16(m.msg[end+2:])}, end +
		4, true
}

// DNSRecords are the records of a message that are still to come. Next takes them one by one.
type DNSRecords struct {
	m       *DNS
	off     int
	section DNSSection
	left    uint16 // of the section
}

// Records are all records behind the questions.
func (m *DNS) Records() DNSRecords {
	return DNSRecords{m: m, off: m.body, section: DNSAnswers, left: m.Counts[DNSAnswers]}
}

// A DNSRecord is a resource record (RFC 1035, section 4.1.3).
type DNSRecord struct {
	Section DNSSection
	Type    DNSType
	Class   uint16
	TTL     uint32 // seconds
	Name    DNSName
	Data    []byte // a view; names in it may be compressed: Target, MX and SOA read those
	off     int    // of Data in the message
}

// Next returns the first record and the rest. It is not ok at the end:
//
//	for r, rest, ok := m.Records().Next(); ok; r, rest, ok = rest.Next() { … }
func (rs DNSRecords) Next() (r DNSRecord, rest DNSRecords, ok bool) {
	for rs.left == 0 {
		rs.section++
		if rs.section >= dnsSections || rs.m == nil {
			return r, rs, false
		}
		rs.left = rs.m.Counts[rs.section]
	}
	b := rs.m.msg
	n, err := skipName(b, rs.off)
	if err != nil || len(b)-n < 10 || int(be.Uint16(b[n+8:])) > len(b)-n-10 {
		return r, rs, false // only where nobody has parsed it
	}
	data := n + 10
	end := data + int(be.Uint16(b[n+8:]))
	r = DNSRecord{
		Section: rs.section, Name: DNSName{msg: b, off: rs.off}, Type: DNSType(be.Uint16(b[n:])), Class: be.Uint16(b[n+2:]),
		TTL: be.Uint32(b[n+4:]), Data: cut(b, data, end), off: data,
	}
	rs.off, rs.left = end, rs.left-1
	return r, rs, true
}

// Addr is the address of an A or AAAA record.
func (r *DNSRecord) Addr() (netip.Addr, bool) {
	switch {
	case r.Type == DNSA && len(r.Data) == 4:
		return addr4(r.Data), true
	case r.Type == DNSAAAA && len(r.Data) == 16:
		return addr16(r.Data), true
	}
	return netip.Addr{}, false
}

// name is a name in the data, from its byte at.
func (r *DNSRecord) name(at int) DNSName { return DNSName{msg: r.Name.msg, off: r.off + at} }

// Target is the name in an NS, CNAME or PTR record.
func (r *DNSRecord) Target() (DNSName, bool) {
	switch r.Type {
	case DNSNS, DNSCNAME, DNSPTR:
		return r.name(0), true
	}
	return DNSName{}, false
}

// MX is the name of a mail server, and its preference: the lower one comes first.
func (r *DNSRecord) MX() (preference uint16, host DNSName, ok bool) {
	if r.Type != DNSMX || len(r.Data) < 3 {
		return 0, DNSName{}, false
	}
	return be.Uint16(r.Data), r.name(2), true
}

// A DNSStart is the data of an SOA record (RFC 1035, section 3.3.13). Minimum and the record's TTL, the lower of the
// two, say how long it may be remembered that a name is not there (RFC 2308, section 5).
type DNSStart struct {
	Server, Mailbox                         DNSName
	Serial, Refresh, Retry, Expire, Minimum uint32 // seconds, but for Serial
}

// SOA is the data of an SOA record.
func (r *DNSRecord) SOA() (s DNSStart, ok bool) {
	if r.Type != DNSSOA || len(r.Data) < dnsSOALen {
		return s, false
	}
	mailbox, err := skipName(r.Name.msg, r.off)
	if err != nil {
		return s, false
	}
	n := r.Data[len(r.Data)-dnsSOALen:]
	return DNSStart{
		Server: r.name(0), Mailbox: r.name(mailbox - r.off),
		Serial: be.Uint32(n), Refresh: be.Uint32(n[4:]), Retry: be.Uint32(n[8:]), Expire: be.Uint32(n[12:]),
		Minimum: be.Uint32(n[16:]),
	}, true
}
