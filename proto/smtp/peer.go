package smtp

import (
	"crypto/tls"
	"net"
)

// A Peer is what is known of a server's client. It may be kept for as long as the Session, and used where the Session's
// methods are called.
type Peer struct{ c *ServerConn }

// Hello is the name that the client has given itself; empty: it has not yet.
func (p Peer) Hello() string { return p.c.hello }

// RemoteAddr is the client's address, and LocalAddr that which it has connected to: those of the PROXY header if there
// was one.
func (p Peer) RemoteAddr() net.Addr { return p.c.remoteAddr() }

// LocalAddr is that of RemoteAddr's other end.
func (p Peer) LocalAddr() net.Addr { return p.c.localAddr() }

// TLS is the state of the connection's TLS; ok is whether it has it.
func (p Peer) TLS() (state tls.ConnectionState, ok bool) { return p.c.tlsState() }

// Authenticated reports whether the client has logged in.
func (p Peer) Authenticated() bool { return p.c.is(authenticated) }

// Protocol is what a Received field has as the message's protocol: SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA, with UTF8 in
// front where SMTPUTF8 is used; LMTP likewise (RFC 3848, RFC 6531).
func (p Peer) Protocol() string { return p.c.protocol() }

// Conn is the connection below. A Session must not read or write it.
func (p Peer) Conn() net.Conn { return p.c.nc }
