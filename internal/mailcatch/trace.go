package mailcatch

import (
	"bytes"
	"net/netip"
	"strings"
	"time"

	"github.com/plexor-go/plexor/internal/letter"
)

// An Envelope is what SMTP says of a mail, apart from what is in it.
type Envelope struct {
	From     string   // of MAIL, without brackets; "": the null sender
	To       []string // of RCPT
	Helo     string   // how the client called itself
	Peer     netip.Addr
	Protocol string // as in Received: SMTP, ESMTP, ESMTPS, ESMTPA, LMTP, … (RFC 3848)
}

// mostTrace is how much of a file is looked at for the trace, in bytes: that of 1000 long recipients.
const mostTrace = 512 << 10

// ourReceived is how the field Received begins that ends the trace.
const ourReceived = "Received: from "

// byUs stands in it.
const byUs = " by plexor with "

// appendTrace writes the fields of the trace (RFC 5321, section 4.4).
func (e *Envelope) appendTrace(b []byte, id string, now time.Time) []byte {
	b = append(b, "Return-Path: <"...)
	b = append(b, inField(e.From)...)
	b = append(b, ">\r\n"...)
	for _, to := range e.To {
		b = append(b, "Delivered-To: "...)
		b = append(b, inField(to)...)
		b = append(b, "\r\n"...)
	}
	b = append(b, ourReceived...)
	b = append(b, inReceived(e.Helo)...)
	b = append(b, " ("...)
	if e.Peer.IsValid() {
		b = append(b, '[')
		b = e.Peer.Unmap().WithZone("").AppendTo(b)
		b = append(b, ']')
	}
	b = append(b, ")\r\n\t"...)
	b = append(b, byUs[1:]...)
	b = append(b, inReceived(e.Protocol)...)
	b = append(b, " id "...)
	b = append(b, id...)
	b = append(b, ";\r\n\t"...)
	b = now.AppendFormat(b, time.RFC1123Z)
	return append(b, "\r\n"...)
}

// inField makes a value of a field of what a client has said: one line, whatever it is.
func inField(s string) string {
	bad := func(c rune) bool { return c < ' ' || c == 0x7f }
	if strings.IndexFunc(s, bad) < 0 {
		return s
	}
	return strings.Map(func(c rune) rune {
		if bad(c) {
			return '?'
		}
		return c
	}, s)
}

// mostHelo is how long a name of a client is kept, in bytes: as long as a name of DNS.
const mostHelo = 255

// inReceived is inField for what stands between the words of Received; "" is "unknown".
func inReceived(s string) string {
	if s == "" {
		return "unknown"
	}
	return strings.Map(func(c rune) rune {
		if c <= ' ' || c == 0x7f || strings.ContainsRune("()<>;,\\\"", c) {
			return '?'
		}
		return c
	}, s[:min(len(s), mostHelo)])
}

// readTrace reads the trace off the begin of a file, and returns its length. ok is false where there is none of ours;
// whole is false where it may go on behind b.
func readTrace(b []byte) (e Envelope, length int, ok, whole bool) {
	at := 0
	line := func() (string, bool) {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return "", false
		}
		return string(bytes.TrimSuffix(b[at:at+i], []byte("\r"))), true
	}
	next := func() { at += bytes.IndexByte(b[at:], '\n') + 1 }
	l, there := line()
	from, is := strings.CutPrefix(l, "Return-Path: <")
	if !there || !is {
		return e, 0, false, there
	}
	e.From = strings.TrimSuffix(from, ">")
	for next(); ; next() {
		if l, there = line(); !there {
			return e, 0, false, false
		}
		to, is := strings.CutPrefix(l, "Delivered-To: ")
		if !is {
			break
		}
		e.To = append(e.To, to)
	}
	helo, is := strings.CutPrefix(l, ourReceived)
	if !is {
		return e, 0, false, true
	}
	var peer string
	e.Helo, peer, _ = strings.Cut(helo, " ")
	e.Peer, _ = netip.ParseAddr(strings.Trim(peer, "[]()")) // not valid: it had none
	next()
	if l, there = line(); !there {
		return e, 0, false, false
	}
	by, is := strings.CutPrefix(l, "\t"+byUs[1:])
	if !is {
		return e, 0, false, true
	}
	e.Protocol, _, _ = strings.Cut(by, " ")
	next()
	if _, there = line(); !there {
		return e, 0, false, false
	}
	next()
	return e, at, true, true
}

// envelopeOf guesses the envelope of a mail that another program has delivered.
func envelopeOf(h letter.Header) (e Envelope) {
	e.From = strings.Trim(h.Get("Return-Path"), "<> ")
	if e.From == "" {
		for _, a := range letter.Addresses(h.Get("From")) {
			e.From = a.Address
			break
		}
	}
	for _, f := range h {
		if strings.EqualFold(f.Name, "Delivered-To") && len(e.To) < mostRecipients {
			e.To = append(e.To, strings.TrimSpace(f.Value))
		}
	}
	if len(e.To) > 0 {
		return e
	}
	for _, name := range []string{"To", "Cc"} {
		for _, a := range letter.Addresses(h.Get(name)) {
			e.To = append(e.To, a.Address)
		}
	}
	return e
}

// mostRecipients is how many recipients are read of a file that another program has made.
const mostRecipients = 100
