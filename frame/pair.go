package frame

import (
	"errors"
	"fmt"
)

// Pair is a codec for protocols whose requests and replies differ: In says where a message begins and ends that is
// received, Out frames what is sent. The other side has the same two the other way round.
//
// MaxMessage and MaxFrame are In's, what is received; what Append takes is bounded by Out.
type Pair struct {
	In, Out Codec
}

// Incoming is the codec of what is received under c: In of a Pair, else c itself.
func Incoming(c Codec) Codec {
	if p, ok := c.(Pair); ok {
		return Incoming(p.In)
	}
	return c
}

// Outgoing is the codec of what is sent under c: Out of a Pair, else c itself. Its MaxMessage is the longest message
// that c's Append takes.
func Outgoing(c Codec) Codec {
	if p, ok := c.(Pair); ok {
		return Outgoing(p.Out)
	}
	return c
}

// Check implements Codec.
func (c Pair) Check() error {
	if c.In == nil || c.Out == nil {
		return errors.New("frame: Pair: In or Out is nil")
	}
	if err := c.In.Check(); err != nil {
		return fmt.Errorf("%w (In of a Pair)", err)
	}
	if err := c.Out.Check(); err != nil {
		return fmt.Errorf("%w (Out of a Pair)", err)
	}
	return nil
}

// MaxMessage implements Codec.
func (c Pair) MaxMessage() int { return c.In.MaxMessage() }

// MaxFrame implements Codec.
func (c Pair) MaxFrame() int { return c.In.MaxFrame() }

// Scan implements Codec.
func (c Pair) Scan(p []byte, seen int) (Span, error) { return c.In.Scan(p, seen) }

// Resume implements Resumer, for an In that does.
func (c Pair) Resume(p []byte, at *State) (Span, error) {
	if r, ok := c.In.(Resumer); ok {
		return r.Resume(p, at)
	}
	s, err := c.In.Scan(p, at[0])
	if err == nil && s.Size > len(p) {
		at[0] = len(p)
	}
	return s, err
}

// Append implements Codec.
func (c Pair) Append(dst, msg []byte) ([]byte, error) { return c.Out.Append(dst, msg) }

// String implements Codec: In's spec, a tilde, Out's.
func (c Pair) String() string { return c.In.String() + "~" + c.Out.String() }
