package websocket

import (
	"net/http"
	"sync"
	"time"
)

// Options are those of a connection, of either side. The zero value will do. They may be used for many connections,
// and are not to be changed meanwhile.
type Options struct {
	// Protocols are the subprotocols that a server speaks, or a client asks for, the favourite first. A server takes the
	// first of its own that the client has; where there is none they go on without.
	Protocols []string

	// Origin reports whether a page of Offer.Origin may connect to a server; nil: SameHost.
	Origin func(*Offer) bool

	// Deflate lets messages be compressed if the other side will; nil: they are not.
	Deflate *Deflate

	// Header are further fields of a client's request (Origin, Cookie, Authorization) or of a server's answer.
	Header http.Header

	Limits Limits

	// PingEvery is for how long a Conn that is being read waits for bytes before it sends a ping; 0: it sends none.
	// Where still nothing has come PongWait later (0: 10 s) the connection is given up with ErrNoPong. All that comes
	// counts.
	PingEvery, PongWait time.Duration

	// CloseWait bounds what a close may wait for: writing the frame, the peer's answer, the end of its bytes. 0: 5 s.
	CloseWait time.Duration

	// HandshakeWait bounds the opening handshake of Dial and Accept. 0: 10 s.
	HandshakeWait time.Duration

	// MessageWait bounds how long a message of Sockets may take to arrive on an engine, from its first byte to its last.
	// 0: 1 minute. A Conn has SetReadDeadline. What all of a loop's have of messages in part, Limits.PartialInput of the
	// server bounds.
	MessageWait time.Duration

	// NewLock makes what keeps the writers of a Conn apart; nil: a sync.Mutex. Where several coroutines of a loop
	// write to one Conn it must be a lock that parks them (coro.Mutex): one that blocks would block the loop of who
	// holds it.
	NewLock func() Lock

	// Now is the clock of PingEvery and of the waits; nil: time.Now. It is the one that the deadlines of the connection
	// go by.
	Now func() time.Time

	// OnPong is told of the payload of each pong, by who reads; it must not keep it.
	OnPong func(payload []byte)
}

// The defaults.
const (
	defaultPongWait      = 10 * time.Second
	defaultCloseWait     = 5 * time.Second
	defaultHandshakeWait = 10 * time.Second
	defaultMessageWait   = time.Minute // 1 MiB at 17 KiB/s
)

// A Lock is a lock that can fail: if whoever waits for it is cancelled.
type Lock interface {
	Lock() error
	TryLock() bool
	Unlock()
}

type mutex struct{ sync.Mutex }

func (m *mutex) Lock() error {
	m.Mutex.Lock()
	return nil
}

func (o *Options) lock() Lock {
	if o.NewLock != nil {
		return o.NewLock()
	}
	return new(mutex)
}

func (o *Options) now() time.Time {
	if o.Now != nil {
		return o.Now()
	}
	return time.Now()
}

// orElse is d, or the default where it is 0.
func orElse(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}
