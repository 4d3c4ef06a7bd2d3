package plexor

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"time"
)

// SetSessionTicketKeys sets the keys of TLS session tickets (RFC 8446 section 4.6.1) at all tls addresses of the
// server, those that are opened later too, as the method of tls.Config does: the first key is for new tickets, and
// tickets of all of them are taken. With it several servers, on several machines too, take each other's tickets, and it
// turns the keys over. Without it each address has keys of its own, which crypto/tls makes and changes daily. Package
// proc's workers call it by themselves. Any goroutine may call it, at any time; what runs by then is not touched. It
// panics if there is no key.
//
// A ticket is good at the address where it was given alone, as that address was named to the server: for addresses may
// ask different things of their clients. So a key is not used as it is, but one made of it and the address (HKDF, RFC
// 5869).
//
// Keys that were given to TLS.Config, and its SessionTicketsDisabled, stay in force. So does what its
// GetConfigForClient returns, if that has keys, or none of it wanted.
//
// Who has a key can read what was said in TLS 1.2 sessions that were resumed by it: never write them anywhere.
func (s *Server) SetSessionTicketKeys(keys [][32]byte) {
	if len(keys) == 0 {
		panic("plexor: Server.SetSessionTicketKeys without a key")
	}
	own := make([][32]byte, len(keys))
	copy(own, keys)
	s.tickets.Store(&own)
}

// ticketKeys has the endpoint use the server's keys, if there are any. It is called before each handshake: so nobody
// has to know which endpoints there are, and it costs a load of two words.
func (ep *endpoint) ticketKeys() {
	keys := ep.srv.tickets.Load()
	if keys == ep.tickets.Load() || ep.ownTickets {
		return
	}
	derived := make([][32]byte, len(*keys))
	for i, k := range *keys {
		b, err := hkdf.Key(sha256.New, k[:], nil, ticketLabel+ep.text, len(k))
		if err != nil {
			panic(err) // the length is one that HKDF has
		}
		copy(derived[i][:], b)
	}
	ep.tls.SetSessionTicketKeys(derived)
	ep.tickets.Store(keys) // behind it: whoever sees this finds them set
}

const ticketLabel = "plexor session tickets at "

// hasTicketKeys reports whether cfg was given keys for its tickets, or wants no tickets: no field tells. Keys that it
// has to make itself it makes of Rand: so with the same Rand it makes the same ticket as any other that was given none.
// A hundred years on, keys that it has made already, elsewhere, are of no use any more.
func hasTicketKeys(cfg *tls.Config) bool {
	if cfg.SessionTicketsDisabled {
		return true
	}
	then := time.Now().AddDate(100, 0, 0)
	ticket := func(cfg *tls.Config) ([]byte, error) {
		cfg.Rand, cfg.Time = zeros{}, func() time.Time { return then }
		return cfg.EncryptTicket(tls.ConnectionState{}, new(tls.SessionState))
	}
	of, err := ticket(cfg.Clone())
	none, _ := ticket(new(tls.Config)) // it fails as the other does
	return err != nil || !bytes.Equal(of, none)
}

// zeros is a reader of zeros, without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
