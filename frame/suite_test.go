package frame_test

import (
	"errors"
	"testing"

	. "github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/frame/frametest"
)

// TestSuite is what holds for every codec.
func TestSuite(t *testing.T) {
	for _, s := range Subjects() {
		t.Run(s.Name, func(t *testing.T) {
			subject := subjectOf(s.Codec)
			subject.Message, subject.Wider = s.Message, wider(s.Codec)
			frametest.Run(t, subject)
		})
	}
}

// subjectOf is a codec of this package with what the suite can't know of it.
func subjectOf(c Codec) frametest.Subject {
	s := frametest.Subject{Codec: c, Parse: Parse}
	switch c := c.(type) {
	case Line:
		// A line that ended with more than one CR.
		s.Refuses = func(_ []byte, err error) bool { return !c.CRLF && errors.Is(err, ErrMalformed) }
	case Pair:
		s.Refuses = subjectOf(c.In).Refuses
	case Length:
		s.Rewrites = c.Keep || c.Strip > 0 // what is kept of the length field is written anew
	}
	return s
}

// wider is the same format with a larger maximum, or nil if nothing longer can be said.
func wider(c Codec) Codec {
	top := c.MaxMessage()
	switch c := c.(type) {
	case Length:
		if c.Max = 0; c.MaxMessage() <= top {
			return nil
		}
		return c
	case Multiprocessing:
		return Multiprocessing{Max: 2 * top}
	case Varint:
		return Varint{Max: 2 * top}
	case Line:
		return Line{CRLF: c.CRLF, Max: 2 * top}
	case Delimited:
		return Delimited{Delim: c.Delim, Max: 2 * top}
	case Netstring:
		return Netstring{Max: 2 * top}
	case Pair:
		return Pair{In: wider(c.In), Out: wider(c.Out)}
	}
	return nil // Fixed: all of one size
}
