package websocket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/plexor-go/plexor/proto/http1"
)

// headPiece is how much is read at once of a head, in bytes.
const headPiece = 2 << 10

// readHead reads up to a head's end; ahead is what came behind it.
func readHead(nc net.Conn) (head, ahead []byte, err error) {
	s := http1.Scanner{Limits: http1.Limits{}.WithDefaults(), Response: true}
	b := make([]byte, 0, headPiece)
	for {
		if cap(b)-len(b) < headPiece/2 {
			b = append(make([]byte, 0, 2*cap(b)), b...)
		}
		n, err := nc.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if n > 0 {
			end, err := s.Scan(b)
			if err != nil {
				return nil, nil, err
			}
			if end > 0 {
				return b[:end], b[end:], nil
			}
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, nil, fmt.Errorf("websocket: handshake: %w", err)
		}
	}
}

// Dial does a client's handshake over a connection that is made, for an address ws://host/path or wss://host/path:
// for the second nc is a TLS connection to host. o may be nil. If it fails nc is closed; it takes
// Options.HandshakeWait at most. The deadlines of nc are gone then.
func Dial(nc net.Conn, address string, o *Options) (*Conn, error) {
	if o == nil {
		o = new(Options)
	}
	r, err := NewRequest(address, o)
	if err != nil {
		nc.Close()
		return nil, err
	}
	var a *Agreement
	var ahead []byte
	err = within(nc, o, func() error {
		if _, err := nc.Write(r.Append(nil)); err != nil {
			return fmt.Errorf("websocket: handshake: %w", err)
		}
		var head []byte
		if head, ahead, err = readHead(nc); err != nil {
			return err
		}
		var h http1.Head
		if err := h.ParseResponse(head, http.MethodGet, http1.Limits{}.WithDefaults()); err != nil {
			return err
		}
		a, err = r.Check(&h)
		return err
	})
	if err != nil {
		return nil, err
	}
	return NewConn(nc, Client, a, ahead, o), nil
}

// Accept does a server's handshake over a connection that was accepted, whose first bytes are the request. o may be
// nil. A request that is refused is answered; then, or if it fails otherwise, nc is closed. It takes
// Options.HandshakeWait at most. The Offer is there if the request was one, also if it was refused.
func Accept(nc net.Conn, o *Options) (*Conn, *Offer, error) {
	if o == nil {
		o = new(Options)
	}
	if err := checkFields(o.Header); err != nil {
		nc.Close()
		return nil, nil, err
	}
	var a *Agreement
	var f *Offer
	var ahead []byte
	err := within(nc, o, func() (err error) {
		var head []byte
		if head, ahead, err = readHead(nc); err != nil {
			return refuse(nc, err)
		}
		var h http1.Head
		if err = h.ParseRequest(head, http1.Limits{}.WithDefaults()); err != nil {
			return refuse(nc, err)
		}
		if f, err = ParseOffer(&h); err != nil {
			return refuse(nc, err)
		}
		if a, err = o.Accept(f); err != nil {
			return refuse(nc, err)
		}
		if _, err := nc.Write(o.AppendAccept(nil, f, a)); err != nil {
			return fmt.Errorf("websocket: handshake: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, f, err
	}
	return NewConn(nc, Server, a, ahead, o), f, nil
}

// refuse answers a request that is none, and returns err.
func refuse(nc net.Conn, err error) error {
	r := new(Refusal)
	if bad := new(http1.Error); errors.As(err, &bad) {
		r = &Refusal{bad.Status, bad.What}
	} else if !errors.As(err, &r) {
		return err
	}
	nc.Write(r.Append(nil)) // if that fails too, err is the cause
	return err
}

// within calls f with the time of a handshake, and closes nc if it fails.
func within(nc net.Conn, o *Options, f func() error) error {
	nc.SetDeadline(o.now().Add(orElse(o.HandshakeWait, defaultHandshakeWait)))
	err := f()
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	if err != nil {
		nc.Close()
	}
	return err
}

// Upgrade answers a request of net/http, and takes its connection over. What the server has read ahead is kept. If
// it fails the request is answered, unless its connection is broken; o may be nil. The handler may return, or go on
// with the Conn: net/http has nothing to do with it any more, and the context of the request is cancelled when the
// handler returns.
func Upgrade(w http.ResponseWriter, req *http.Request, o *Options) (*Conn, error) {
	if o == nil {
		o = new(Options)
	}
	f, a, err := o.asked(w, req)
	if err != nil {
		return nil, err
	}
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, refuseTo(w, fmt.Errorf("websocket: handshake: %w", err))
	}
	ahead, err := rw.Reader.Peek(rw.Reader.Buffered())
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("websocket: handshake: %w", err)
	}
	return o.answer(nc, f, a, ahead)
}

// answer says that a request was accepted.
func (o *Options) answer(nc net.Conn, f *Offer, a *Agreement, ahead []byte) (*Conn, error) {
	err := within(nc, o, func() error {
		if _, err := nc.Write(o.AppendAccept(nil, f, a)); err != nil {
			return fmt.Errorf("websocket: handshake: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return NewConn(nc, Server, a, ahead, o), nil
}

// asked is what a request asks for, and what is agreed on. One that is refused is answered.
func (o *Options) asked(w http.ResponseWriter, req *http.Request) (*Offer, *Agreement, error) {
	if err := checkFields(o.Header); err != nil {
		return nil, nil, refuseTo(w, err)
	}
	f, err := OfferOf(req)
	if err != nil {
		return nil, nil, refuseTo(w, err)
	}
	a, err := o.Accept(f)
	if err != nil {
		return nil, nil, refuseTo(w, err)
	}
	return f, a, nil
}

// refuseTo answers a request that is none, or that fails otherwise, and returns err.
func refuseTo(w http.ResponseWriter, err error) error {
	r := &Refusal{http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError)}
	errors.As(err, &r)
	for _, f := range r.fields() {
		w.Header().Set(f[0], f[1])
	}
	http.Error(w, r.What, r.Status)
	return err
}
