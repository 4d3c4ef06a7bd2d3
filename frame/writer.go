package frame

import (
	"fmt"
	"io"
)

// A Writer sends messages into a stream. It may be used by one goroutine at a time.
type Writer struct {
	w   io.Writer
	c   Codec
	err error
}

// NewWriter returns a Writer of c's frames on w, or the reason why c is no valid codec (see Codec.Check).
func NewWriter(w io.Writer, c Codec) (*Writer, error) {
	if w == nil {
		return nil, errNoStream
	}
	if err := check(c); err != nil {
		return nil, err
	}
	return &Writer{w: w, c: c}, nil
}

// Write sends msg as one message, in one Write of the stream, and returns len(msg). It keeps no view of msg, and
// holds no buffer between two calls.
//
// A message that the codec cannot carry gives the *Error of Codec.Append, and nothing is written. An error of the
// stream is wrapped; if part of the frame had gone out, the receiver waits for the rest of it, so every later
// Write fails with the same error. Otherwise Write may be called again.
func (w *Writer) Write(msg []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	overhead := w.c.MaxFrame() - w.c.MaxMessage()
	b := getBuffer(len(msg)+overhead, 2*(len(msg)+overhead))
	defer putBuffer(b)
	out, err := w.c.Append(b.b, msg)
	if err != nil {
		return 0, err
	}
	b.b = out
	n, err := w.w.Write(out)
	if err == nil && n < len(out) {
		err = io.ErrShortWrite
	}
	if err != nil {
		err = fmt.Errorf("frame: write: %d of %d bytes of a frame sent: %w", n, len(out), err)
		if n > 0 && n < len(out) {
			w.err = err
		}
		return 0, err
	}
	return len(msg), nil
}
