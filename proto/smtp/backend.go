package smtp

import (
	"context"
	"io"
)

// A Backend takes the mail of a [Server]. NewSession is called for each connection before it is greeted, and again when
// TLS has begun on it. An error refuses the connection: an *[Error] is what the client is told (554 if it has no code
// of its own; 421 closes at once), [ErrHangUp] closes without a word, any other is logged and told as 421.
//
// Its methods, and those of different Sessions, are called by whoever serves the connections, at the same time if those
// do. On an event loop they run on its coroutines, and must not block it; with [Server].Block they may.
type Backend interface {
	NewSession(ctx context.Context, p Peer) (Session, error)
}

// A BackendFunc is a [Backend] of one function.
type BackendFunc func(ctx context.Context, p Peer) (Session, error)

// NewSession calls f.
func (f BackendFunc) NewSession(ctx context.Context, p Peer) (Session, error) { return f(ctx, p) }

// A Session is what a [Backend] has of one connection. Its methods are called one at a time.
//
//	NewSession ─▶ ( Mail ─▶ Rcpt … ─▶ Data ─▶ Reset )… ─▶ Close
//
// An error refuses what was asked. If it is an *[Error], or wraps one, that is the answer; [ErrHangUp] closes the
// connection without one; any other is logged, and the answer is 451. A panic is logged, and closes with 421.
//
// What a method may do beyond is in [Authenticator], [EachRecipient], [Greeter] and [Verifier]: a Session that has such
// a method is asked.
type Session interface {
	// Mail begins a message. o is the Session's to keep.
	Mail(ctx context.Context, from Mailbox, o *MailOptions) error
	// Rcpt adds a recipient to it, behind a Mail that returned nil. o is the Session's to keep.
	Rcpt(ctx context.Context, to Mailbox, o *RcptOptions) error
	// Data takes the message, behind a Rcpt that returned nil. r is the message as it is: lines end in CR LF, the dots
	// that the protocol adds are gone. Its Read waits for the client; it must not be called any more when Data has
	// returned.
	//
	// The message is whole when Read has returned io.EOF; any other error means that there is no message ([ErrTooLarge],
	// [ErrBareLF], [ErrIncomplete], …), and is what Data is to return. When Data returns nil the message is the
	// Session's to deliver: on the disk, say. id, if there is one, stands in the answer, for who looks for the message
	// later. If Data returns before the end, the rest is read and thrown away; and if the rest turns out to be wrong,
	// the client is told so, whatever Data has returned.
	Data(ctx context.Context, r io.Reader) (id string, err error)
	// Reset is called once for each Mail that returned nil, when its message is over in any way.
	Reset()
	// Close is called once, at the end. reason is io.EOF when the client said QUIT or hung up, ErrStartTLS when a new
	// Session follows, an *Error that closed the connection, or what went wrong with it.
	Close(reason error)
}

// A Greeter is a [Session] that wants to know, and may refuse, the name that a client gives with EHLO, HELO or LHLO.
type Greeter interface {
	Hello(ctx context.Context, name string) error
}

// An Authenticator is a [Session] whose clients may log in (RFC 4954).
type Authenticator interface {
	// Mechanisms are the names of those that are offered, now: it is asked at each EHLO and AUTH.
	Mechanisms() []string
	// Auth begins an authentication by one of them. See [PlainServer], [LoginServer], [XOAuth2Server], [ScramServer].
	Auth(ctx context.Context, mechanism string) (Exchange, error)
}

// An Exchange is the server's side of one authentication.
type Exchange interface {
	// Next takes what the client sent, which is valid during the call, and returns what to send. The first response is
	// nil if the client has sent none with the command. done, without an error, is that the client has proved who it is;
	// the challenge is not sent then. An error refuses: 535, unless it is an *Error.
	Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error)
}

// An EachRecipient is a [Session] that answers for each recipient on its own, which LMTP can (RFC 2033). It is called
// in place of Data. each has an error or nil for each recipient, in the order of the Rcpts that returned nil; an err is
// for all of them.
type EachRecipient interface {
	DataEach(ctx context.Context, r io.Reader) (each []error, err error)
}

// A Verifier is a [Session] that answers VRFY (RFC 5321, section 3.5). Without it the answer is 252 for all.
type Verifier interface {
	// Verify looks for what the client has written. The full name may be empty.
	Verify(ctx context.Context, who string) (fullName string, m Mailbox, err error)
}

// MailOptions are the parameters of MAIL.
type MailOptions struct {
	Size       int64      // as the client tells it, in bytes (RFC 1870); 0: it does not
	Body       Body       // RFC 6152 and RFC 3030
	UTF8       bool       // addresses and headers may be in UTF-8 (RFC 6531)
	RequireTLS bool       // no relay without TLS on the way (RFC 8689)
	Return     Return     // what a report has of the message (RFC 3461)
	EnvelopeID string     // for reports, decoded; empty: none (RFC 3461)
	Auth       *AuthParam // who sent it at first (RFC 4954, section 5); nil: it is not told
}

// An AuthParam is the AUTH parameter of MAIL: a mailbox as text, or empty for <>, that nobody has vouched for.
type AuthParam struct{ Mailbox string }

// RcptOptions are the parameters of RCPT (RFC 3461).
type RcptOptions struct {
	Notify Notify // when to report
	// The address that the message was sent to at first, as "rfc822" and "a@example.org"; empty: it is not told.
	OriginalType, Original string
}

// A Body is what a message is made of.
type Body uint8

// The kinds of Body.
const (
	BodyDefault Body = iota // the client does not say
	Body7Bit                // lines of ASCII
	Body8Bit                // lines of any bytes (8BITMIME)
	BodyBinary              // bytes (BINARYMIME)
)

// A Return says what a report of failure has of the message.
type Return uint8

// The kinds of Return.
const (
	ReturnDefault Return = iota // the client does not say
	ReturnFull
	ReturnHeaders
)

// Notify says when the sender wants a report. 0: the client does not say, which is like NotifyFailure.
type Notify uint8

// The occasions. NotifyNever stands alone.
const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)
