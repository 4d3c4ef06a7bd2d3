package smtp

import (
	"bytes"
	"io"
)

// A Message is what a [Client] sends, and whom to.
type Message struct {
	From Mailbox // the zero one: <>, for reports, so that nobody answers them
	To   []Recipient
	// MailOptions are what the server is told. Size and Body are found out if they are not set and Data is an io.Seeker.
	// What the server does not offer fails, but for Return, EnvelopeID, Notify and Original: see Receipt.NoReports.
	MailOptions
	// Data is the message: a header, an empty line, a body. It is read to its end, once; an io.Seeker, from where it
	// stands, is read before to find what can't be sent, so that nothing has to be broken off.
	//
	// Lines end in CR LF. A CR or LF that stands alone is refused, since servers disagree about what it means, and so is
	// a NUL: with ErrBareCR, ErrBareLF or ErrNUL. ConvertLF makes a CR LF of each LF alone in place of that. With
	// BodyBinary any byte may be there, and none is changed.
	Data      io.Reader
	ConvertLF bool
}

// A Recipient is one of a Message.
type Recipient struct {
	Mailbox
	RcptOptions
}

// A Receipt is what became of a Message.
type Receipt struct {
	// Reply is the answer to the message; with LMTP, that for the last recipient.
	Reply Reply
	// Errors has one for each recipient, in the order of Message.To: nil if the server has taken the message for that
	// one; an *Error is what it said, or what was found before it was asked (its limits).
	Errors []error
	// NoReports says that reports were asked for, and the server does not offer them (DSN): it was not told of it.
	NoReports bool
}

// Taken is how many recipients the server has taken the message for.
func (r *Receipt) Taken() (n int) {
	for _, err := range r.Errors {
		if err == nil {
			n++
		}
	}
	return n
}

// Traits are what a server has to be able to do for a message.
type Traits struct {
	Size     int64 // in bytes, with each LF alone as CR LF if that was asked for
	EightBit bool  // there are bytes over 127
	LongLine bool  // there is a line of more than 1000 bytes, with its end
	Err      error // ErrBareCR, ErrBareLF or ErrNUL; nil: there is none
}

// Inspect reads a message to its end. The error is r's.
func Inspect(r io.Reader, convertLF bool) (t Traits, err error) {
	b := make([]byte, 32<<10)
	e := DataEncoder{ConvertLF: convertLF, Plain: true}
	out := make([]byte, 0, 2*len(b)+2)
	line := 0
	for {
		n, err := r.Read(b)
		if t.Err == nil {
			out, t.Err = e.Append(out[:0], b[:n])
			t.Size += int64(len(out))
			t.EightBit = t.EightBit || !isASCII(out)
			for rest := out; len(rest) > 0; {
				i := bytes.IndexByte(rest, '\n') + 1
				if i == 0 {
					line, rest = line+len(rest), nil
				} else {
					line, rest = line+i, rest[i:]
				}
				t.LongLine = t.LongLine || line > defaultTextLine
				if i > 0 {
					line = 0
				}
			}
		}
		if err == io.EOF {
			if t.Err == nil {
				_, t.Err = e.End(nil)
			}
			return t, nil
		}
		if err != nil {
			return t, err
		}
	}
}
