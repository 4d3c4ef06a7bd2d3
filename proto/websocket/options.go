package websocket

import "net/http"

// Options are those of a connection, of either side. The zero value will do. They may be used for many connections,
// and are not to be changed meanwhile.
type Options struct {
	// Protocols are the subprotocols that a server speaks, or a client asks for, the favourite first. A server takes
	// the first of its own that the client has; where there is none they go on without.
	Protocols []string

	// Origin reports whether a page of Offer.Origin may connect to a server; nil: SameHost.
	Origin func(*Offer) bool

	// Deflate lets messages be compressed if the other side will; nil: they are not.
	Deflate *Deflate

	// Header are further fields of a client's request (Origin, Cookie, Authorization) or of a server's answer.
	Header http.Header

	Limits Limits
}
