package smtp

import "sync/atomic"

// Stats count what a [Server] has done. What was refused is counted by its reason, besides RefusedTemporary and
// RefusedPermanent, which count all answers with 4xx and 5xx.
type Stats struct {
	Sessions   uint64 // that were greeted
	Messages   uint64 // that were taken
	Recipients uint64 // of those
	Bytes      uint64 // of messages, taken or not

	RefusedTemporary uint64
	RefusedPermanent uint64

	LineEnds   uint64 // a CR or LF that stands alone, or a NUL, in a command or message
	Long       uint64 // commands and lines that are too long
	Large      uint64 // messages that are too large
	Recipient  uint64 // recipients over Limits.Recipients or Limits.Domains
	Errors     uint64 // sessions that ended at Limits.Errors, .Junk or .Messages
	Auth       uint64 // authentications that failed
	Slow       uint64 // sessions that ended at a time of Limits
	Plaintext  uint64 // bytes behind STARTTLS
	Proxy      uint64 // PROXY headers that are missing or wrong
	HTTP       uint64 // requests of HTTP
	Handshakes uint64 // of TLS that failed
	Incomplete uint64 // messages that the client gave up
	Panics     uint64 // of the Backend
}

// counters are Stats while they are counted.
type counters struct {
	sessions, messages, recipients, bytes, temporary, permanent, lineEnds, long, large, recipient, errors, auth, slow,
	plaintext, proxy, http, handshakes, incomplete, panics atomic.Uint64
}

// Stats are the counts so far.
func (s *Server) Stats() Stats {
	c := &s.stats
	return Stats{
		Sessions: c.sessions.Load(), Messages: c.messages.Load(), Recipients: c.recipients.Load(), Bytes: c.bytes.Load(),
		RefusedTemporary: c.temporary.Load(), RefusedPermanent: c.permanent.Load(), LineEnds: c.lineEnds.Load(),
		Long: c.long.Load(), Large: c.large.Load(), Recipient: c.recipient.Load(), Errors: c.errors.Load(),
		Auth: c.auth.Load(), Slow: c.slow.Load(), Plaintext: c.plaintext.Load(), Proxy: c.proxy.Load(),
		HTTP: c.http.Load(), Handshakes: c.handshakes.Load(), Incomplete: c.incomplete.Load(), Panics: c.panics.Load(),
	}
}

// count counts a refusal.
func (c *counters) count(e *Error) {
	if e.Temporary() {
		c.temporary.Add(1)
	} else {
		c.permanent.Add(1)
	}
	switch e {
	case ErrBareCR, ErrBareLF, ErrNUL, ErrLineEnd:
		c.lineEnds.Add(1)
	case ErrLineTooLong, ErrTextLine:
		c.long.Add(1)
	case ErrTooLarge:
		c.large.Add(1)
	case ErrRecipients, ErrDomains:
		c.recipient.Add(1)
	case ErrTooManyErrors, ErrTooMuchJunk, ErrTooMany, ErrTooManyTries:
		c.errors.Add(1)
	case ErrTooSlow:
		c.slow.Add(1)
	case ErrPlaintext:
		c.plaintext.Add(1)
	case ErrHTTP:
		c.http.Add(1)
	}
}
