package plexor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/layer"
	"github.com/plexor-go/plexor/loop"
)

var (
	// ErrServerClosed is what ListenAndServe and its like return after Shutdown or Close, and what Read returns in a
	// server that shuts down once everything that the peer had sent is read. errors.Is finds net.ErrClosed in it.
	ErrServerClosed = fmt.Errorf("plexor: the server is closed: %w", net.ErrClosed)
	// ErrClientClosed is what a [Client] and its connections return after its Close. errors.Is finds net.ErrClosed in it.
	ErrClientClosed = fmt.Errorf("plexor: the Client is closed: %w", net.ErrClosed)
	// ErrReturned is the use of a Conn after its handler has returned. errors.Is finds net.ErrClosed in it.
	ErrReturned = fmt.Errorf("plexor: a Conn is its handler's, and that has returned "+
		"(Shared makes a net.Conn that outlives it): %w", net.ErrClosed)
	// ErrGivenAway is the use of a Conn after Shared: the connection is that of the net.Conn which Shared returned.
	ErrGivenAway = fmt.Errorf("plexor: the connection was given away by Shared: %w", net.ErrClosed)
	// ErrMessages is a Read in a handler of Messages, which gets what arrives as messages already.
	ErrMessages = errors.New("plexor: a handler of Messages can't Read: what the peer sends comes to it as messages")
	// ErrNoCodec is a Send on a connection whose handler is not one of Messages.
	ErrNoCodec = errors.New("plexor: Send needs a codec: only a handler of Messages has one")
	// ErrIdle is why a connection ended on which no byte moved within Limits.IdleTimeout. It is a timeout to
	// net.Error, and os.ErrDeadlineExceeded to errors.Is.
	ErrIdle error = &limitError{"plexor: no byte moved within the idle timeout"}
	// ErrFirstByte is why a session ended of whose connection no byte came within Limits.FirstByte. It is a timeout as
	// ErrIdle is.
	ErrFirstByte error = &limitError{"plexor: no byte came within Limits.FirstByte"}
	// ErrFrameTime is why a connection ended when one of its messages took longer than Limits.FrameTime, to a session
	// and to who is in the hands of [Messages]' ServeConn. It is a timeout as ErrIdle is.
	ErrFrameTime error = &limitError{"plexor: a message took longer to arrive than Limits.FrameTime"}
	// ErrPartialInput is why a connection ended that held more unfinished input for longer than the others of its loop,
	// when all together held more than Limits.PartialInput.
	ErrPartialInput = errors.New("plexor: the connections of the loop hold too much unfinished input " +
		"(Limits.PartialInput)")
)

// A limitError is the end of a connection by a time of Limits.
type limitError struct{ text string }

func (e *limitError) Error() string { return e.text }
func (*limitError) Timeout() bool   { return true }
func (*limitError) Temporary() bool { return true }
func (*limitError) Unwrap() error   { return os.ErrDeadlineExceeded }

// wrap says what failed, and with whom, as package net does: a *net.OpError, which is a net.Error. io.EOF stays bare,
// for everybody compares it.
func (s *stream) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if _, ok := err.(*net.OpError); ok {
		return err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if _, ours := err.(*limitError); !ours {
			err = os.ErrDeadlineExceeded
		}
	}
	return &net.OpError{Op: op, Net: s.network(), Addr: s.remoteAddr(), Err: layer.Strip(err)}
}

// errNoContext is why a method fails that was given nil for a context.
func errNoContext(method string) error {
	return fmt.Errorf("plexor: %s: the context is nil: pass context.Background()", method)
}

// whyOver is why a connection does not go on that its loop reports as over.
func (s *stream) whyOver(err error) error {
	switch {
	case err == nil:
		return net.ErrClosed
	case errors.Is(err, loop.ErrLoopClosed) && s.w.srv != nil:
		return ErrServerClosed
	case errors.Is(err, loop.ErrLoopClosed) && s.w.client != nil:
		return ErrClientClosed
	case errors.Is(err, loop.ErrLoopClosed):
		return coro.ErrLoopClosed // as what waits for something else is told
	case err != loop.ErrAborted && strings.HasPrefix(err.Error(), "loop: "):
		return layer.Strip(err) // it is the cause of Conn.Context, and what OnEnd gets
	}
	return err
}
