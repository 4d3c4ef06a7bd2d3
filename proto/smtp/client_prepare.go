package smtp

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// prepare finds what the message needs, and whether the server has it, before anything is sent.
func (s *sending) prepare() error {
	if most := s.c.offered.messages; most > 0 && s.c.sent >= most {
		return ErrNoRoom
	}
	for _, f := range []func() error{s.checkAddresses, s.checkTLS, s.checkData, s.checkBody} {
		if err := f(); err != nil {
			return err
		}
	}
	if most, ok := s.c.Extension("SIZE"); ok {
		if n, err := strconv.ParseInt(strings.TrimSpace(most), 10, 64); err == nil && n > 0 && s.mail.Size > n {
			return ErrTooLarge // RFC 1870, section 6.1: it would say so
		}
	}
	if _, ok := s.c.Extension("AUTH"); !ok {
		s.mail.Auth = nil
	}
	if _, ok := s.c.Extension("DSN"); !ok {
		s.receipt.NoReports = s.mail.Return != ReturnDefault || s.mail.EnvelopeID != ""
		for i := range s.m.To {
			s.receipt.NoReports = s.receipt.NoReports || s.m.To[i].RcptOptions != RcptOptions{}
		}
		s.mail.Return, s.mail.EnvelopeID = ReturnDefault, ""
	}
	s.limitRecipients()
	return nil
}

// checkAddresses refuses what would end a line, or not be an address.
func (s *sending) checkAddresses() error {
	if len(s.m.To) == 0 {
		return errors.New("smtp: a message without recipients")
	}
	utf8 := s.mail.UTF8 || !s.m.From.IsASCII()
	if !s.m.From.valid() || s.m.From.Domain == "" && !s.m.From.IsNull() {
		return fmt.Errorf("%w: the sender %q", ErrAddress, s.m.From)
	}
	for i := range s.m.To {
		to := &s.m.To[i]
		utf8 = utf8 || !to.IsASCII()
		if !to.valid() || to.IsNull() {
			return fmt.Errorf("%w: the recipient %q", ErrAddress, to.Mailbox)
		}
		if to.Original != "" && (!isKeyword(to.OriginalType) || len(to.Original) > mostOriginal) || to.Notify > 15 ||
			to.Notify&NotifyNever != 0 && to.Notify != NotifyNever {
			return fmt.Errorf("%w: the parameters of %q", ErrAddress, to.Mailbox)
		}
	}
	if len(s.mail.EnvelopeID) > mostEnvelopeID || s.mail.Auth != nil && len(s.mail.Auth.Mailbox) > mostAuthParam {
		return fmt.Errorf("%w: the parameters of the message", ErrAddress)
	}
	if _, ok := s.c.Extension("SMTPUTF8"); utf8 && !ok {
		return fmt.Errorf("SMTPUTF8: %w", ErrNotOffered) // RFC 6531, section 3.5
	}
	s.mail.UTF8 = utf8
	return nil
}

// checkTLS refuses a message that is to go by TLS alone where that is not certain (RFC 8689, section 4.2.1).
func (s *sending) checkTLS() error {
	if !s.mail.RequireTLS {
		return nil
	}
	state, ok := s.c.TLS()
	if !ok || len(state.VerifiedChains) == 0 {
		return &Error{550, Enhanced{5, 7, 10}, "the message needs TLS with a server whose certificate was verified"}
	}
	if _, ok := s.c.Extension("REQUIRETLS"); !ok {
		return &Error{550, Enhanced{5, 7, 30}, "the server does not offer REQUIRETLS"}
	}
	return nil
}

// checkData looks into a message that can be read twice.
func (s *sending) checkData() error {
	_, eight := s.c.Extension("8BITMIME")
	seeker, ok := s.m.Data.(io.Seeker)
	if !ok || s.mail.Body == BodyBinary {
		s.ascii = !eight
		if s.mail.Body == BodyDefault && eight {
			s.mail.Body = Body8Bit // it may be
		}
		return nil
	}
	at, err := seeker.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	traits, err := Inspect(s.m.Data, s.m.ConvertLF)
	if err == nil {
		_, err = seeker.Seek(at, io.SeekStart)
	}
	switch {
	case err != nil:
		return err
	case traits.Err != nil:
		return traits.Err
	case traits.EightBit && !eight:
		return errEightBit // RFC 6152, section 3
	case s.mail.Body == BodyDefault && traits.EightBit:
		s.mail.Body = Body8Bit
	}
	s.mail.Size = traits.Size
	return nil
}

// checkBody chooses between DATA and BDAT.
func (s *sending) checkBody() error {
	_, chunking := s.c.Extension("CHUNKING")
	if s.chunks = chunking && s.c.o.Chunking; s.mail.Body == BodyBinary {
		if _, ok := s.c.Extension("BINARYMIME"); !ok || !chunking { // RFC 3030, section 3
			return fmt.Errorf("BINARYMIME: %w", ErrNotOffered)
		}
		s.chunks, s.ascii = true, false
	}
	if _, ok := s.c.Extension("8BITMIME"); !ok && s.mail.Body == Body8Bit {
		return errEightBit
	} else if !ok && s.mail.Body == Body7Bit {
		s.mail.Body = BodyDefault
	}
	return nil
}

// limitRecipients leaves out those that are beyond what the server takes (RFC 9422).
func (s *sending) limitRecipients() {
	most, domains := s.c.offered.recipients, s.c.offered.domains
	n := 0
	for i := range s.m.To {
		if most > 0 && n == most {
			s.receipt.Errors[i] = ErrRecipients
			continue
		}
		if domains > 0 {
			d := strings.ToLower(s.m.To[i].Domain)
			if _, ok := s.c.domains[d]; !ok {
				if len(s.c.domains) >= domains {
					s.receipt.Errors[i] = ErrDomains
					continue
				}
				if s.c.domains == nil {
					s.c.domains = make(map[string]struct{})
				}
				s.c.domains[d] = struct{}{}
			}
		}
		n++
	}
}
