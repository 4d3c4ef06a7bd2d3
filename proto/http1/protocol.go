package http1

import "net"

// A Protocol is what a connection speaks in place of HTTP, once a handler has called Switch. Its methods are called one
// at a time, by whoever serves the connection.
type Protocol interface {
	// Turn is called whenever bytes have come. It reads at least one, and as many as it likes, and returns nil to be
	// called again. io.EOF closes the connection behind what was written, and any other error does so too.
	Turn() error
	// Closed is told of the end, once, with the reason; io.EOF is that of Turn, or of the stream.
	Closed(reason error)
}

// A Switcher is a [net/http.ResponseWriter] whose handler may hand the connection to another protocol and return: where
// Hijack costs a goroutine for as long as the connection lasts, this costs none while nothing comes.
type Switcher interface {
	// Switch is called in place of WriteHeader and Write. When the handler has returned, begin is called, where Turn will
	// be: it may write, which begins with the answer to the request ("HTTP/1.1 101 …"), and read. ahead is what has been
	// read behind the request; it is begin's. An error of begin closes the connection; a Protocol that comes with it is
	// told.
	Switch(begin func(nc net.Conn, ahead []byte) (Protocol, error)) error
}
