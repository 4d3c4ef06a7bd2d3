package websocket

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/plexor-go/plexor/internal/sample"
	"github.com/plexor-go/plexor/proto/http1"
)

// A Message is one that has come.
type Message struct {
	Op   Opcode // Text or Binary
	Data []byte // valid until the handler returns, and its to change until then
}

// Handler answers the requests of clients that want a WebSocket, and calls f for each message that comes:
//
//	mux.Handle("/ws", websocket.Handler(func(s *websocket.Socket, m websocket.Message) error { return s.Send(m) }))
//
// It is a [Sockets] with nothing else set, and tells more.
func Handler(f func(s *Socket, m Message) error) http.Handler {
	return &Sockets[struct{}]{Message: func(s *Socket, _ struct{}, m Message) error { return f(s, m) }}
}

// Sockets is an [http.Handler] for WebSocket connections with a state of the user's, S, for each. Use it by its
// address, and do not change its fields once it is in use.
//
// On an engine (package web, where the ResponseWriter is an [http1.Switcher]) a connection that waits for its next
// message holds neither stack nor buffer, compressed or not, unless a window is kept (see [Deflate]): the functions
// are called on a coroutine of the connection's loop, and must not block it in ways that the engine does not know:
// use coro.Await, or a goroutine and [Socket.Post]. Under net/http, and other servers that can Hijack, each
// connection has a goroutine. Either way the functions of one connection are called one at a time, and those of
// different ones at once.
//
// A request is refused with the status that RFC 6455 wants, and one of a page of another host with 403, unless
// Options.Origin allows it. Who wants to know who comes in (cookies, tokens) looks before this handler.
//
// Pings are sent as Options.PingEvery says, up to an eighth later, by one timer for all connections. When the server
// shuts down, clients are told by 1001; under net/http by http.Server.Shutdown, which does not wait for them.
type Sockets[S any] struct {
	Options Options

	// Open, if set, makes the state when the client has been answered. r is the request; its body is none. It may send.
	// An error ends the connection as one of Message does, but Closed is not called.
	Open func(s *Socket, r *http.Request) (S, error)
	// Message, which must be set, is called for each message. An error closes the connection: a *CloseError with its
	// code and reason, an *Error with its code, any other one with 1011, and it is logged. A panic is logged, with 1011
	// too.
	Message func(s *Socket, state S, m Message) error
	// Closed, if set, is told of the end, once where Open succeeded. The reason is a *CloseError if the client has sent
	// a close frame, also as the answer to one; an *Error for what broke the protocol; the error of Message; ErrNoPong;
	// ErrEnded if the connection ended without a word; else that of the connection.
	Closed func(s *Socket, state S, reason error)

	// Log gets panics and errors (default slog.Default()). A peer does not set the rate of its lines: of those alike ten
	// are written at once and then one a second, which says how many were not.
	Log *slog.Logger

	once sync.Once
	e    endpoint
}

// An endpoint is what the sockets of a handler have in common.
type endpoint struct {
	o     *Options
	log   *slog.Logger
	wheel wheel // of those on an engine

	mu      sync.Mutex
	waiting map[*http.Server]map[*Socket]struct{} // those with a goroutine, by their server
}

// hooks are the functions of a Sockets, for one connection.
type hooks interface {
	message(m Message) error
	closed(reason error)
}

// A held is a socket with its state, which is not the last field: there one of no size would cost a word.
type held[S any] struct {
	Socket
	state S
	h     *Sockets[S]
}

func (k *held[S]) message(m Message) error { return k.h.Message(&k.Socket, k.state, m) }

func (k *held[S]) closed(reason error) {
	if k.h.Closed != nil {
		k.h.Closed(&k.Socket, k.state, reason)
	}
}

// Turn is of http1.Protocol, as Closed; Leave is of http1.Leaver.
func (k *held[S]) Turn() error         { return k.turn() }
func (k *held[S]) Closed(reason error) { k.ended(reason) }
func (k *held[S]) Leave()              { k.leave() }

func (h *Sockets[S]) fill() {
	log := h.Log
	if log == nil {
		log = slog.Default()
	}
	h.e.o = &h.Options
	h.e.log, _ = sample.New(log, nil) // there is no end of it: what is left out is told two seconds later
	h.e.wheel.init(&h.Options)
}

// ServeHTTP is of [http.Handler].
func (h *Sockets[S]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.once.Do(h.fill)
	sw := http1.SwitcherOf(w)
	if sw == nil {
		c, err := Upgrade(w, r, &h.Options)
		if err == nil {
			srv, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
			k := h.socket(&c.agreed)
			k.wait(c, srv, func() error { return h.open(k, r) })
		}
		return
	}
	f, a, err := h.Options.asked(w, r)
	if err != nil {
		return // it was answered
	}
	err = sw.Switch(func(nc net.Conn, ahead []byte) (http1.Protocol, error) {
		k := h.socket(a)
		open := func() error { return h.open(k, r) }
		if l, ok := nc.(http1.Looped); ok {
			return k, k.begin(l, h.Options.AppendAccept(nil, f, a), ahead, open)
		}
		c, err := h.Options.answer(nc, f, a, ahead)
		if err != nil {
			return nil, err
		}
		return &waiting{k: &k.Socket, c: c, open: open}, nil
	})
	if err != nil {
		refuseTo(w, err)
	}
}

func (h *Sockets[S]) socket(a *Agreement) *held[S] {
	k := &held[S]{h: h}
	k.e, k.up, k.compression = &h.e, k, h.e.share(a.Compression)
	k.protocol = uint16(slices.Index(h.Options.Protocols, a.Protocol) + 1) // nobody speaks 65,536
	return k
}

func (h *Sockets[S]) open(k *held[S], r *http.Request) (err error) {
	if h.Open != nil {
		k.state, err = h.Open(&k.Socket, r)
	}
	return err
}

// usual is what most connections agree on, which they share.
var usual = &Compression{SendBits: mostBits, ReceiveBits: mostBits}

func (e *endpoint) share(c *Compression) *Compression {
	if c != nil && *c == *usual {
		return usual
	}
	return c
}

// call calls a function of the user's. A panic is logged, and is an error.
func (s *Socket) call(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{v}
			s.e.log.Error("websocket: a handler panicked", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	return f()
}

type panicked struct{ v any }

func (p *panicked) Error() string { return fmt.Sprintf("websocket: the handler panicked: %v", p.v) }

// codeOf is what the client is told of an error of the user's, which is logged unless it was meant for the client.
func (s *Socket) codeOf(err error) (Code, string) {
	switch e := err.(type) {
	case *CloseError:
		return e.Code, e.Reason
	case *Error:
		return e.Code, e.What
	case *panicked:
	default:
		if !s.closing() {
			s.e.log.Warn("websocket: a handler failed: the connection is closed", "err", err)
		}
	}
	return InternalError, ""
}
