package main

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/loop"
)

// framed serves one connection message by message: each gets one reply.
type framed struct {
	loop.Base
	offer   offer
	log     *slog.Logger
	decoder frame.Decoder
}

func newFramed(o offer, log *slog.Logger) *framed {
	f := &framed{offer: o, log: log}
	if err := f.decoder.Reset(o.codec); err != nil {
		panic(err) // frame.Parse had checked it
	}
	return f
}

// A reply is put together in here, and then copied by Write.
type scratch struct{ message, frame []byte }

// Scratch beyond this size is not kept for the next one.
const keepScratch = 64 << 10

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// Data answers every message that is complete with p.
func (f *framed) Data(c *loop.Conn, p []byte) { f.serve(c, p) }

// Writable goes on with the messages that had come, but whose replies had no room.
func (f *framed) Writable(c *loop.Conn) { f.serve(c, nil) }

func (f *framed) serve(c *loop.Conn, p []byte) {
	s := scratches.Get().(*scratch)
	defer func() {
		if cap(s.message)+cap(s.frame) <= keepScratch {
			scratches.Put(s)
		}
	}()
	for msg, err := range f.decoder.Feed(p) {
		if err == nil {
			err = f.reply(c, msg, s)
		}
		if err != nil {
			f.refuse(c, err)
			return
		}
		if c.Full() {
			return // the decoder keeps the rest until Writable
		}
	}
}

func (f *framed) reply(c *loop.Conn, msg []byte, s *scratch) (err error) {
	s.message = f.offer.service(append(s.message[:0], msg...))
	if s.frame, err = f.offer.codec.Append(s.frame[:0], s.message); err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	_, err = c.Write(s.frame)
	return err
}

// EOF is a good end between two messages.
func (f *framed) EOF(c *loop.Conn) {
	if err := f.decoder.End(); err != nil {
		f.refuse(c, err)
		return
	}
	f.Base.EOF(c)
}

// refuse closes the connection behind the replies that were good, with one line in the log. The error says what
// was wrong, and where in the stream.
func (f *framed) refuse(c *loop.Conn, err error) {
	peer := "unknown"
	if a, addrErr := c.RemoteAddr(); addrErr == nil {
		peer = a.String()
	}
	f.log.Warn("bad frame", "service", f.offer.name, "peer", peer, "err", err)
	_ = c.Close() // it was open
}
