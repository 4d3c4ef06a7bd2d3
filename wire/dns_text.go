package wire

import "strconv"

// String is tcpdump's line, as in "1+ A? example.com. (29)" or "1 1/0/0 A 93.184.216.34 (45)".
func (m *DNS) String() string { return string(m.text(nil, m.Len())) }

// text is the line of a message in n bytes of payload.
func (m *DNS) text(b []byte, n int) []byte {
	b = strconv.AppendUint(b, uint64(m.ID), 10)
	if op := m.Flags.Opcode(); op != 0 {
		names := [...]string{"", " inv_q", " stat", " op3", " notify", " update"}
		if int(op) < len(names) {
			b = append(b, names[op]...)
		} else {
			b = strconv.AppendUint(append(b, " op"...), uint64(op), 10)
		}
	}
	if m.Flags&DNSResponse != 0 {
		b = m.responseText(b)
	} else {
		b = m.queryText(b)
	}
	return append(strconv.AppendInt(append(b, " ("...), int64(n), 10), ')')
}

func (m *DNS) responseText(b []byte) []byte {
	if r := m.Flags.RCode(); r != DNSNoError {
		b = append(append(b, ' '), r.String()...)
	}
	for _, f := range [...]struct {
		on   bool
		mark byte
	}{
		{m.Flags&DNSAuthoritative != 0, '*'}, {m.Flags&DNSRecursionAvailable == 0, '-'},
		{m.Flags&DNSTruncated != 0, '|'}, {m.Flags&DNSAuthentic != 0, '$'},
	} {
		if f.on {
			b = append(b, f.mark)
		}
	}
	if n := m.Counts[DNSQuestions]; n != 1 {
		b = append(strconv.AppendUint(append(b, " ["...), uint64(n), 10), "q]"...)
	}
	for i, n := range m.Counts[DNSAnswers:] {
		sep := byte('/')
		if i == 0 {
			sep = ' '
		}
		b = strconv.AppendUint(append(b, sep), uint64(n), 10)
	}
	first := true
	for r, rest, ok := m.Records().Next(); ok && r.Section == DNSAnswers; r, rest, ok = rest.Next() {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = r.text(append(b, ' '))
	}
	return b
}

func (m *DNS) queryText(b []byte) []byte {
	if m.Flags&DNSRecursionDesired != 0 {
		b = append(b, '+')
	}
	if m.Flags&DNSCheckingDisabled != 0 {
		b = append(b, '%')
	}
	for i, mark := range [...]string{"q]", "a]", "n]", "au]"} {
		if n := m.Counts[i]; n != 0 && (i > 0 || n != 1) {
			b = append(strconv.AppendUint(append(b, " ["...), uint64(n), 10), mark...)
		}
	}
	off := DNSLen
	for range m.Counts[DNSQuestions] {
		q, end, ok := m.questionAt(off)
		if !ok {
			break
		}
		b = append(append(append(b, ' '), q.Type.String()...), "? "...)
		b = q.Name.AppendText(b)
		off = end
	}
	return b
}

// String is the record as tcpdump has it, as in "A 93.184.216.34".
func (r *DNSRecord) String() string { return string(r.text(nil)) }

func (r *DNSRecord) text(b []byte) []byte {
	b = append(b, r.Type.String()...)
	if a, ok := r.Addr(); ok {
		return a.AppendTo(append(b, ' '))
	}
	if n, ok := r.Target(); ok {
		return n.AppendText(append(b, ' '))
	}
	if preference, host, ok := r.MX(); ok {
		b = host.AppendText(append(b, ' '))
		return strconv.AppendUint(append(b, ' '), uint64(preference), 10)
	}
	switch r.Type {
	case DNSOPT:
		b = strconv.AppendUint(append(b, " UDPsize="...), uint64(r.Class), 10)
	case DNSTXT:
		for data := r.Data; len(data) > 0 && int(data[0]) < len(data); data = data[1+int(data[0]):] {
			b = append(append(append(b, ` "`...), data[1:1+int(data[0])]...), '"')
		}
	}
	return b
}
