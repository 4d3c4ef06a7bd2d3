package smtp

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Send sends a message. The Receipt tells what became of it for each recipient, and comes with an error, too, if it was
// not sent to the end: then no recipient has it for sure. The error is nil if the server has taken it for at least one.
// Behind an *[Error] but 421 the connection can be used for the next message.
func (c *Client) Send(ctx context.Context, m *Message) (*Receipt, error) {
	s := &sending{c: c, m: m, mail: m.MailOptions, receipt: &Receipt{Errors: make([]error, len(m.To))}}
	err := c.during(ctx, s.send)
	if err != nil {
		for i, e := range s.receipt.Errors {
			if e == nil && !s.told(i) {
				s.receipt.Errors[i] = err
			}
		}
	}
	return s.receipt, err
}

// A sending is a message under way.
type sending struct {
	c       *Client
	m       *Message
	mail    MailOptions // as they are sent
	receipt *Receipt
	chunks  bool // by BDAT
	ascii   bool // a byte over 127 must not be sent

	asked    []int // recipients that were, and have no answer yet
	taken    []int // recipients that the server takes
	mailErr  error // why it does not take the message at all
	answered int   // of LMTP's replies to the message
}

// Sizes of what is sent at once, in bytes. mostBatch of commands leave before their answers are read: it fits into what
// each TCP holds, so that neither end waits for the other (RFC 2920, section 3.1). chunkSize is that of a chunk, and
// dataSize of a piece of a message behind DATA.
const (
	mostBatch = 4 << 10
	chunkSize = 64 << 10
	dataSize  = 16 << 10
)

// told reports whether the server has answered for a recipient with LMTP.
func (s *sending) told(i int) bool {
	for _, k := range s.taken[:s.answered] {
		if k == i {
			return true
		}
	}
	return false
}

func (s *sending) send() error {
	if err := s.prepare(); err != nil {
		return err
	}
	s.c.sent++
	if s.chunks {
		return s.sendChunks()
	}
	var last []byte
	if s.pipelines() {
		last = []byte("DATA\r\n")
	}
	r, err := s.envelope(last)
	if err != nil {
		return err
	}
	if none := s.nobody(); none != nil {
		if r.Code/100 == 3 { // a message without recipients is to be ended, too: RFC 2920, section 3.1
			if err := s.c.put([]byte(".\r\n"), s.c.limits.BlockTime); err != nil {
				return err
			}
			if _, err := s.c.reply(s.c.limits.EndTime); err != nil {
				return err
			}
		}
		return s.giveUp(none)
	}
	if last == nil {
		if r, err = s.c.ask("DATA", s.c.limits.DataTime); err != nil {
			return err
		}
	}
	if r.Code/100 != 3 {
		return s.refused(r)
	}
	if err := s.data(); err != nil {
		_ = s.c.nc.Close() // the message must not end here
		return s.c.breaks(err)
	}
	return s.conclude()
}

func (s *sending) pipelines() bool {
	_, ok := s.c.Extension("PIPELINING")
	return ok && !s.c.o.NoPipelining
}

// nobody is why the message is for nobody any more; nil: it is for somebody.
func (s *sending) nobody() error {
	if s.mailErr != nil || len(s.taken) > 0 {
		return s.mailErr
	}
	for _, err := range s.receipt.Errors {
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("smtp: a message without recipients")
}

// giveUp ends a message that was begun, and returns err.
func (s *sending) giveUp(err error) error {
	r, e := s.c.ask("RSET", s.c.limits.CommandTime)
	if e != nil {
		return e
	}
	if r.Code/100 != 2 {
		return s.c.breaks(r.err())
	}
	return err
}

// refused is the end of a message that the server does not take.
func (s *sending) refused(r Reply) error {
	if r.Code < 400 {
		return s.c.breaks(r.err())
	}
	for _, i := range s.taken {
		s.receipt.Errors[i] = r.err()
	}
	s.receipt.Reply = r
	return s.giveUp(r.err())
}

// envelope sends MAIL, RCPT and last, and returns the reply to that.
func (s *sending) envelope(last []byte) (r Reply, err error) {
	c := s.c
	line, err := s.mailLine()
	if err != nil {
		return r, err
	}
	c.out = append(c.out[:0], line...)
	mail := true // its answer is to come
	for i := range s.m.To {
		if s.receipt.Errors[i] != nil {
			continue // it was not within the server's limits
		}
		if !s.pipelines() || len(c.out) > mostBatch {
			if err := s.batch(mail); err != nil {
				return r, err
			}
			if mail = false; s.mailErr != nil {
				return r, nil
			}
		}
		c.out = append(c.out, "RCPT TO:"...)
		c.out = s.m.To[i].AppendPath(c.out)
		if _, ok := c.Extension("DSN"); ok {
			c.out = s.m.To[i].append(c.out)
		}
		c.out = append(c.out, '\r', '\n')
		s.asked = append(s.asked, i)
	}
	c.out = append(c.out, last...)
	if err := s.batch(mail); err != nil || last == nil {
		return r, err
	}
	if s.chunks {
		return c.reply(c.limits.EndTime)
	}
	return c.reply(c.limits.DataTime)
}

// batch writes what is in c.out, and reads the answers but that to last.
func (s *sending) batch(mail bool) error {
	c := s.c
	if err := c.write(c.out, c.limits.CommandTime); err != nil {
		return err
	}
	c.out = c.out[:0]
	if mail {
		r, err := c.reply(c.limits.CommandTime)
		if err != nil {
			return err
		}
		if r.Code/100 != 2 {
			s.mailErr = r.err()
		}
	}
	for _, i := range s.asked {
		r, err := c.reply(c.limits.CommandTime)
		switch {
		case err != nil:
			return err
		case s.mailErr != nil:
			s.receipt.Errors[i] = s.mailErr
		case r.Code/100 == 2:
			s.taken = append(s.taken, i)
		default:
			s.receipt.Errors[i] = r.err()
		}
	}
	s.asked = s.asked[:0]
	return nil
}

func (s *sending) mailLine() ([]byte, error) {
	b := s.m.From.AppendPath([]byte("MAIL FROM:"))
	if _, ok := s.c.Extension("SIZE"); ok && s.mail.Size > 0 {
		b = strconv.AppendInt(append(b, " SIZE="...), s.mail.Size, 10)
	}
	b = append(s.mail.append(b), '\r', '\n')
	if strings.ContainsAny(string(b[:len(b)-2]), "\r\n\x00") {
		return nil, ErrAddress
	}
	return b, nil
}

// errEightBit is a message that a server can't take without changing it, which a signature would not survive.
var errEightBit = fmt.Errorf("8BITMIME, for a message with bytes over 127: %w", ErrNotOffered)

// data sends the message behind DATA.
func (s *sending) data() error {
	e := DataEncoder{ConvertLF: s.m.ConvertLF}
	in, out := make([]byte, dataSize), make([]byte, 0, 2*dataSize+8)
	for {
		n, err := s.m.Data.Read(in)
		if s.ascii && !isASCII(in[:n]) {
			return errEightBit
		}
		var bad error
		if out, bad = e.Append(out, in[:n]); bad != nil {
			return bad
		}
		if err == io.EOF {
			if out, bad = e.End(out); bad != nil {
				return bad
			}
			return s.c.put(out, s.c.limits.BlockTime)
		}
		if err != nil {
			return err
		}
		if len(out) >= dataSize {
			if err := s.c.put(out, s.c.limits.BlockTime); err != nil {
				return err
			}
			out = out[:0]
		}
	}
}

// sendChunks sends the message by BDAT (RFC 3030).
func (s *sending) sendChunks() error {
	chunks := &chunker{s: s, plain: s.mail.Body == BodyBinary}
	chunks.e = DataEncoder{ConvertLF: s.m.ConvertLF, Plain: true}
	first, err := chunks.next()
	if err != nil {
		return err
	}
	var last []byte
	if chunks.end && s.pipelines() && !s.c.o.LMTP { // LMTP has no answer to it if there are no recipients
		last = first // all of it with the envelope: one round trip
	}
	r, err := s.envelope(last)
	if err != nil {
		return err
	}
	if none := s.nobody(); none != nil {
		return s.giveUp(none)
	}
	if last != nil {
		return s.answer(r)
	}
	for b := first; ; {
		if err := s.c.put(b, s.c.limits.BlockTime); err != nil {
			return err
		}
		if chunks.end {
			return s.conclude()
		}
		var bad error
		b, bad = chunks.next() // while the server looks at the one before
		r, err := s.c.reply(s.c.limits.EndTime)
		switch {
		case err != nil:
			return err
		case bad != nil:
			return s.giveUp(bad)
		case r.Code/100 != 2:
			return s.refused(r)
		}
	}
}

// A chunker makes chunks of a message.
type chunker struct {
	s     *sending
	e     DataEncoder
	plain bool // bytes as they are
	in    []byte
	data  []byte
	out   []byte
	end   bool // the last one was made
	eof   bool
}

// next is the next chunk, with its command. It is valid until the next call.
func (k *chunker) next() ([]byte, error) {
	if k.in == nil {
		k.in = make([]byte, dataSize)
	}
	for len(k.data) < chunkSize && !k.eof {
		n, err := k.s.m.Data.Read(k.in)
		if k.s.ascii && !isASCII(k.in[:n]) {
			return nil, errEightBit
		}
		if k.plain {
			k.data = append(k.data, k.in[:n]...)
		} else {
			var bad error
			if k.data, bad = k.e.Append(k.data, k.in[:n]); bad != nil {
				return nil, bad
			}
		}
		if k.eof = err == io.EOF; err != nil && !k.eof {
			return nil, err
		}
	}
	if k.eof && !k.plain {
		var bad error
		if k.data, bad = k.e.End(k.data); bad != nil {
			return nil, bad
		}
	}
	k.out = strconv.AppendInt(append(k.out[:0], "BDAT "...), int64(len(k.data)), 10)
	if k.end = k.eof; k.end {
		k.out = append(k.out, " LAST"...)
	}
	k.out = append(append(k.out, '\r', '\n'), k.data...)
	k.data = k.data[:0]
	return k.out, nil
}

// conclude reads the answer to the message.
func (s *sending) conclude() error {
	r, err := s.c.reply(s.c.limits.EndTime)
	if err != nil {
		return err
	}
	return s.answer(r)
}

// answer takes the answer to the message, and with LMTP those that follow (RFC 2033, section 4.2).
func (s *sending) answer(r Reply) error {
	s.receipt.Reply = r
	if !s.c.o.LMTP {
		if r.Code/100 == 2 {
			return nil
		}
		for _, i := range s.taken {
			s.receipt.Errors[i] = r.err()
		}
		return r.err()
	}
	var failed error
	for n, i := range s.taken {
		if n > 0 {
			var err error
			if r, err = s.c.reply(s.c.limits.EndTime); err != nil {
				return err
			}
		}
		s.answered, s.receipt.Reply = n+1, r
		if r.Code/100 != 2 {
			s.receipt.Errors[i] = r.err()
			failed = r.err()
		}
	}
	if s.receipt.Taken() > 0 {
		return nil
	}
	return failed
}
