package smtp

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// ClientOptions are the choices of a [Client]. The zero value of each field means its default.
type ClientOptions struct {
	// Name is what the client calls itself: a domain, or an address in brackets (default "localhost", which servers on
	// the internet refuse).
	Name string
	// LMTP has the client speak that (RFC 2033).
	LMTP   bool
	Limits ClientLimits
	// Chunking sends by BDAT where the server offers it (RFC 3030): a message of up to 64 KiB then needs one round trip
	// less. It is used without being asked for where it must be: for BodyBinary.
	Chunking bool
	// NoPipelining waits for each answer (RFC 2920).
	NoPipelining bool
	// Now is the clock of the deadlines (default time.Now).
	Now func() time.Time
}

// A Client is the client's side of a connection. Its methods are for one goroutine, or coroutine, at a time; Close is
// for any, and ends what is under way. When the context of a method is done, that fails with the context's cause, and
// the connection is of no use any more; likewise after an error that is no *[Error], or one with the code 421.
type Client struct {
	o      ClientOptions
	limits ClientLimits
	nc     net.Conn
	in     []byte // in[r:w] is unread
	r, w   int
	out    []byte
	parser ReplyParser
	broken error // why there is nothing more

	extensions map[string]string // nil: the server has none
	offered    serverLimits
	sent       int                 // messages
	domains    map[string]struct{} // of recipients, lower case
}

// serverLimits are what LIMITS tells (RFC 9422); 0: nothing.
type serverLimits struct{ messages, recipients, domains int }

// clientInput is how much is read at once, in bytes. It holds a line of a reply.
const clientInput = 4 << 10

// The errors of a Client that are no *Error.
var (
	// ErrUnasked is a reply that nobody has asked for.
	ErrUnasked = errors.New("smtp: the server sent a reply that nobody has asked for")
	// ErrPlaintextReply are bytes that came in plain text behind the answer to STARTTLS: somebody on the way may have
	// put them there, to have them taken for what the server said in safety.
	ErrPlaintextReply = errors.New("smtp: bytes in plain text came behind the answer to STARTTLS")
	// ErrNotOffered is something that a message or method needs, and the server does not offer.
	ErrNotOffered = errors.New("smtp: the server does not offer it")
	// ErrNoRoom is Send on a connection that has had as many messages as the server takes on one (RFC 9422).
	ErrNoRoom = errors.New("smtp: the server takes no more messages on this connection")
	// ErrAddress is an address, parameter or name that can't be sent: it would end its line, or is not valid.
	ErrAddress = errors.New("smtp: that is no valid address, parameter or name")
)

// NewClient takes a connection on which nothing was said, reads the greeting, and says EHLO, or HELO if the server does
// not know that. nc is the Client's from then on; on an error it is closed.
func NewClient(ctx context.Context, nc net.Conn, o ClientOptions) (*Client, error) {
	if o.Name == "" {
		o.Name = "localhost"
	}
	c := &Client{o: o, limits: o.Limits.WithDefaults(), nc: nc, in: make([]byte, clientInput)}
	c.parser = ReplyParser{Line: min(c.limits.ReplyLine, clientInput), Lines: c.limits.ReplyLines}
	err := c.during(ctx, func() error {
		if !isDomain(o.Name, true) || !isASCII(o.Name) {
			return fmt.Errorf("%w: the name %q", ErrAddress, o.Name)
		}
		r, err := c.reply(c.limits.GreetTime)
		if err != nil {
			return err
		}
		if r.Code/100 != 2 { // the first digit is what counts: RFC 5321, section 4.2
			return r.err()
		}
		return c.greet()
	})
	if err != nil {
		_ = nc.Close() // err is the one to tell
		return nil, err
	}
	return c, nil
}

// greet is EHLO, HELO or LHLO.
func (c *Client) greet() error {
	c.extensions, c.offered = nil, serverLimits{}
	verb := "EHLO "
	if c.o.LMTP {
		verb = "LHLO "
	}
	r, err := c.ask(verb+c.o.Name, c.limits.CommandTime)
	if err != nil {
		return err
	}
	if r.Code/100 == 2 {
		c.learn(r.Lines[1:])
		return nil
	}
	if c.o.LMTP || r.Code/100 != 5 {
		return r.err()
	}
	if r, err = c.ask("HELO "+c.o.Name, c.limits.CommandTime); err != nil { // RFC 5321, section 3.2
		return err
	}
	if r.Code/100 != 2 {
		return r.err()
	}
	return nil
}

// learn notes what the server offers.
func (c *Client) learn(lines []string) {
	c.extensions = make(map[string]string, len(lines))
	for _, l := range lines {
		name, params, _ := strings.Cut(l, " ")
		name = strings.ToUpper(name)
		if name, rest, ok := strings.Cut(name, "="); ok && name == "AUTH" { // as servers of old have it
			name, params = "AUTH", strings.ToUpper(rest)+" "+params
			c.extensions[name] = params
			continue
		}
		c.extensions[name] = params
	}
	for word := range strings.FieldsSeq(c.extensions["LIMITS"]) {
		name, value, _ := strings.Cut(strings.ToUpper(word), "=")
		n, err := strconv.Atoi(value)
		if err != nil || len(value) > 6 || value[0] < '1' { // RFC 9422, section 4; a sign or a zero is none
			continue
		}
		switch name {
		case "MAILMAX":
			c.offered.messages = n
		case "RCPTMAX":
			c.offered.recipients = n
		case "RCPTDOMAINMAX":
			c.offered.domains = n
		}
	}
}

// Extension returns what the server said of an extension, by its name in capitals, and whether it offers it.
func (c *Client) Extension(name string) (params string, ok bool) {
	params, ok = c.extensions[name]
	return params, ok
}

// TLS is the state of the connection's TLS; ok is whether it has it.
func (c *Client) TLS() (state tls.ConnectionState, ok bool) {
	t, ok := c.nc.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return state, false
	}
	state = t.ConnectionState()
	return state, state.HandshakeComplete
}

// StartTLS goes on in TLS (RFC 3207), and says EHLO anew: what the server said before is forgotten. cfg has the
// ServerName that the server's certificate is for. It fails with [ErrNotOffered] if the server does not offer it, and
// with an *[Error] if it refuses; in both cases the connection goes on in plain text.
func (c *Client) StartTLS(ctx context.Context, cfg *tls.Config) error {
	return c.during(ctx, func() error {
		if _, ok := c.Extension("STARTTLS"); !ok {
			return fmt.Errorf("STARTTLS: %w", ErrNotOffered)
		}
		r, err := c.ask("STARTTLS", c.limits.CommandTime)
		if err != nil {
			return err
		}
		if r.Code/100 != 2 {
			return r.err()
		}
		if c.r != c.w {
			return c.breaks(ErrPlaintextReply)
		}
		by := c.now().Add(c.limits.HandshakeTime)
		if t, ok := c.nc.(startTLSer); ok {
			_ = c.nc.SetDeadline(by)
			err = t.StartTLS(cfg)
		} else {
			t := tls.Client(c.nc, cfg)
			_ = t.SetDeadline(by) // if it fails, so does the handshake
			err = t.HandshakeContext(ctx)
			c.nc = t
		}
		if err != nil {
			return c.breaks(err)
		}
		_ = c.nc.SetDeadline(time.Time{})
		return c.greet()
	})
}

// Auth logs in (RFC 4954). An *[Error] is the server's refusal, behind which another may be tried.
func (c *Client) Auth(ctx context.Context, who Credential) error {
	return c.during(ctx, func() error {
		_, secure := c.TLS()
		name, initial, err := who.Start(!secure)
		if err != nil {
			return err
		}
		offered, _ := c.Extension("AUTH")
		if !hasWord(offered, name) {
			return fmt.Errorf("AUTH %s: %w", name, ErrNotOffered)
		}
		line := "AUTH " + name
		switch {
		case initial == nil:
		case len(initial) == 0:
			line, initial = line+" =", nil
		case len(line)+base64.StdEncoding.EncodedLen(len(initial)) < 500: // RFC 4954, section 4
			line, initial = line+" "+base64.StdEncoding.EncodeToString(initial), nil
		}
		return c.login(who, line, initial)
	})
}

// login goes through the challenges. initial is for the first one; nil: it was sent.
func (c *Client) login(who Credential, line string, initial []byte) error {
	const mostRounds = 16 // for a server that asks for ever
	var failed error
	for range mostRounds {
		r, err := c.ask(line, c.limits.CommandTime)
		switch {
		case err != nil:
			return err
		case r.Code/100 == 2 && failed == nil:
			if failed = who.Done(); failed != nil {
				return c.breaks(failed)
			}
			return nil
		case failed != nil:
			return failed
		case r.Code/100 != 3:
			return r.err()
		}
		challenge, err := base64.StdEncoding.Strict().DecodeString(r.Text())
		response := initial
		if err == nil && initial == nil {
			response, err = who.Next(challenge)
		}
		initial = nil
		if failed = err; failed != nil {
			line = "*"
			continue
		}
		line = base64.StdEncoding.EncodeToString(response)
	}
	return c.breaks(errChallenge)
}

func hasWord(list, word string) bool {
	for w := range strings.FieldsSeq(list) {
		if strings.EqualFold(w, word) {
			return true
		}
	}
	return false
}

// Noop asks whether the server is there.
func (c *Client) Noop(ctx context.Context) error {
	return c.during(ctx, func() error {
		r, err := c.ask("NOOP", c.limits.CommandTime)
		if err == nil && r.Code/100 != 2 {
			return r.err()
		}
		return err
	})
}

// Quit says QUIT, waits for the answer for Limits.QuitTime, and closes the connection. The error is that of the Close.
func (c *Client) Quit(ctx context.Context) error {
	_ = c.during(ctx, func() error { // it is closed in any case
		_, err := c.ask("QUIT", c.limits.QuitTime)
		return err
	})
	return c.Close()
}

// Close closes the connection, without a word.
func (c *Client) Close() error { return c.nc.Close() }
