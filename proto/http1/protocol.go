package http1

import (
	"net"
	"net/http"
)

// A Protocol is what a connection speaks in place of HTTP, once a handler has called Switch. Its methods are called
// one at a time, by whoever serves the connection. One that has answered with another status than 101 tells the
// server's [Record] by a method Status() int.
type Protocol interface {
	// Turn is called whenever bytes have come. It reads at least one, and as many as it likes, and returns nil to be
	// called again. io.EOF closes the connection behind what was written, and any other error does so too.
	Turn() error
	// Closed is told of the end, once, with the reason; io.EOF is that of Turn, or of the stream.
	Closed(reason error)
}

// A Switcher is a [net/http.ResponseWriter] whose handler may hand the connection to another protocol and return:
// where Hijack costs a goroutine for as long as the connection lasts, this costs none while nothing comes.
type Switcher interface {
	// Switch is called in place of WriteHeader and Write. When the handler has returned, begin is called, where Turn
	// will be: it may write, which begins with the answer to the request ("HTTP/1.1 101 …"), and read. ahead is what has
	// been read behind the request; it is begin's. An error of begin closes the connection; a Protocol that comes with
	// it is told.
	Switch(begin func(nc net.Conn, ahead []byte) (Protocol, error)) error
}

// Looped is the net.Conn that begin gets where connections belong to an event loop. Its Read, Write and Close are for
// begin, Turn and what Go runs; the methods here are for any goroutine, but for Box.
type Looped interface {
	net.Conn
	// OnLoop reports whether the caller is on the connection's loop.
	OnLoop() bool
	// Go has f run there soon, by a coroutine of its own, in which it may wait. It fails when the loop has ended.
	Go(what string, f func()) error
	// Box is where any goroutine puts what the connection is to send; begin, Turn and what Go runs may ask for it. It
	// costs a connection a quarter of a KiB.
	Box() Box
	// CloseWrite ends what is sent. It is for those that may Write.
	CloseWrite() error
	// Abort ends the connection at once. It is for those that may Write.
	Abort() error
	Holder
}

// A Holder bounds what all connections together keep of input that is not complete.
type Holder interface {
	// HoldsInput tells how many bytes of memory the caller keeps of it from now on. It is for begin, Turn and what Go
	// runs, and may abort the connection.
	HoldsInput(n int)
}

// A Box is a bounded queue that is sent between what is written to the connection. Its methods are for any goroutine,
// and never wait.
type Box interface {
	// Write puts p, whole or not at all.
	Write(p []byte) (int, error)
	// WriteLast puts some bytes, which say farewell, behind all that is there, also where that is as much as may be. It
	// is for who may ask for the Box.
	WriteLast(p []byte) error
	// Err is why it takes no more, or nil.
	Err() error
}

// A Leaver is a [Protocol] that has something to say when its server shuts down. Leave is called on the connection's
// loop, maybe often, also while Turn runs; it must not wait. The end of the connection is the Protocol's from then
// on.
type Leaver interface {
	Leave()
}

// SwitcherOf is the Switcher that w is, or that one is below what wraps it (Unwrap, as for http.ResponseController);
// nil: there is none.
func SwitcherOf(w http.ResponseWriter) Switcher {
	for w != nil {
		if s, ok := w.(Switcher); ok {
			return s
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = u.Unwrap()
	}
	return nil
}
