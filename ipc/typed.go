package ipc

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
)

// A Typed pipe sends values of type S and receives values of type R, in the encoding of package gob; the peer's is a
// Typed[R, S]. A type's description is sent once. Gob's rules are those of the values: exported fields alone, and types
// behind an interface registered. The peer is trusted as far as gob is: see its documentation on security.
//
// All methods may be called by any goroutine and any coroutine, several at once. The Pipe must not be used for anything
// else while it is wrapped in this.
type Typed[S, R any] struct {
	p *Pipe

	out bytes.Buffer // inside p.s.sending
	enc *gob.Encoder // nil: the next message begins anew

	in  bytes.Buffer // inside p.s.receiving
	dec *gob.Decoder
}

// The first byte of a message tells whether it begins a new series, so that the receiver forgets the types that it
// knows.
const (
	goesOn = iota
	beginsAnew
)

// NewTyped wraps a pipe. p is the result's: closing one closes the other.
func NewTyped[S, R any](p *Pipe) *Typed[S, R] {
	given("NewTyped", "the pipe", p != nil)
	return &Typed[S, R]{p: p}
}

// Send sends a value. What gob can't encode, or is longer than Options.MaxMessage, is an error, nothing was sent then,
// and the pipe is as before. Otherwise as [Pipe.Send].
func (t *Typed[S, R]) Send(ctx context.Context, v S) error {
	op := t.p.sendOp
	if err := t.p.s.sending.enter(ctx, op); err != nil {
		return &Error{op, err}
	}
	defer t.p.s.sending.leave()
	t.out.Reset()
	if t.enc == nil {
		t.enc = gob.NewEncoder(&t.out)
		t.out.WriteByte(beginsAnew)
	} else {
		t.out.WriteByte(goesOn)
	}
	err := t.enc.Encode(&v)
	if err == nil {
		err = t.p.sendLocked(ctx, op, t.out.Bytes(), nil)
	}
	if err != nil {
		t.enc = nil // it takes the types for sent
		err = &Error{op, err}
	}
	if t.out.Cap() > recvBuffer {
		t.out = bytes.Buffer{} // one long message does not keep its memory; the encoder goes on writing here
	}
	return err
}

// Recv waits for the next value. A message that is none of type R is an error, and the next Recv goes on behind it.
// Otherwise as [Pipe.Recv].
func (t *Typed[S, R]) Recv(ctx context.Context) (v R, err error) {
	err = t.p.receive(ctx, func(view []byte, fds []int) error {
		closeFDs(fds)
		if err := t.decode(view, &v); err != nil {
			return &Error{t.p.recvOp, err}
		}
		return nil
	})
	return v, err
}

// RecvSoon is Recv for as long as an answer takes that comes at once: it looks some microseconds, and then waits in the
// system call for about a millisecond, each only as long as that was worth it the last times. came is false if nothing
// has come by then: whoever called it goes on to something else, such as a Recv on another goroutine. To a coroutine
// nothing comes.
func (t *Typed[S, R]) RecvSoon(ctx context.Context) (v R, came bool, err error) {
	givenContext(t.p.recvOp, ctx)
	came, err = t.p.receiveSoon(ctx, func(view []byte, fds []int) error {
		closeFDs(fds)
		if err := t.decode(view, &v); err != nil {
			return &Error{t.p.recvOp, err}
		}
		return nil
	})
	return v, came, err
}

func (t *Typed[S, R]) decode(view []byte, v *R) error {
	switch {
	case len(view) == 0 || view[0] > beginsAnew:
		return fmt.Errorf("%w: no typed message", ErrMalformed)
	case view[0] == beginsAnew:
		t.in.Reset()
		t.dec = gob.NewDecoder(&t.in)
	case t.dec == nil:
		return fmt.Errorf("%w: the beginning of the typed messages was missed", ErrMalformed)
	}
	t.in.Reset()
	t.in.Write(view[1:])
	err := t.dec.Decode(v)
	if err == nil && t.in.Len() > 0 {
		err = errors.New("more than one value in a message")
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if t.in.Cap() > recvBuffer {
		t.in = bytes.Buffer{} // likewise, for the decoder
	}
	return err
}

// Close closes the pipe.
func (t *Typed[S, R]) Close() error { return t.p.Close() }
