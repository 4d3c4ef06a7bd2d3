package smtp

import (
	"errors"
	"strconv"
)

// An Enhanced is an enhanced status code (RFC 3463), as 5.1.1: class, subject and detail. The zero one is none.
type Enhanced [3]uint16

func (e Enhanced) String() string { return string(e.append(nil)) }

func (e Enhanced) append(b []byte) []byte {
	for i, n := range e {
		if i > 0 {
			b = append(b, '.')
		}
		b = strconv.AppendUint(b, uint64(n), 10)
	}
	return b
}

// An Error is a reply that refuses. A [Session] returns one to choose what the client is told, and a [Client] returns
// what the server has told it.
type Error struct {
	Code     int      // 400 to 599; 421 closes the connection behind it
	Enhanced Enhanced // the zero one: none, or X.0.0 where one is sent
	Text     string   // for people; line ends in it are sent as the ends of the reply's lines
}

func (e *Error) Error() string {
	b := strconv.AppendInt([]byte("smtp: "), int64(e.Code), 10)
	if e.Enhanced != (Enhanced{}) {
		b = e.Enhanced.append(append(b, ' '))
	}
	return string(append(append(b, ' '), e.Text...))
}

// Temporary reports whether it may be worth to try again (4xx).
func (e *Error) Temporary() bool { return e.Code/100 == 4 }

// The refusals of this package. Each is one value, so that errors.Is finds it and refusing costs nothing.
var (
	ErrBareLF       = &Error{550, Enhanced{5, 6, 0}, "a line feed without a carriage return before it"}
	ErrBareCR       = &Error{550, Enhanced{5, 6, 0}, "a carriage return without a line feed behind it"}
	ErrNUL          = &Error{550, Enhanced{5, 6, 0}, "a NUL in a message that is not BODY=BINARYMIME"}
	ErrTextLine     = &Error{554, Enhanced{5, 6, 0}, "a line of the message is too long"}
	ErrTooLarge     = &Error{552, Enhanced{5, 3, 4}, "the message is larger than it may be"}
	ErrLineEnd      = &Error{500, Enhanced{5, 5, 2}, "a command ends in CR LF, and has no other CR or LF"}
	ErrLineTooLong  = &Error{500, Enhanced{5, 5, 6}, "the line is too long"}
	ErrUnknown      = &Error{500, Enhanced{5, 5, 1}, "there is no such command"}
	ErrSyntax       = &Error{501, Enhanced{5, 5, 4}, "the command's parameters are wrong"}
	ErrPath         = &Error{501, Enhanced{5, 1, 3}, "that is not an address in angle brackets"}
	ErrSender       = &Error{501, Enhanced{5, 1, 7}, "that is not the address of a sender in angle brackets"}
	ErrParameter    = &Error{555, Enhanced{5, 5, 4}, "a parameter is not known here"}
	ErrValue        = &Error{501, Enhanced{5, 5, 4}, "a parameter's value is wrong, or it is there twice"}
	ErrNeedUTF8     = &Error{553, Enhanced{5, 6, 7}, "an address with other characters than ASCII needs SMTPUTF8"}
	ErrSequence     = &Error{503, Enhanced{5, 5, 1}, "that command does not come now"}
	ErrRecipients   = &Error{452, Enhanced{4, 5, 3}, "there are too many recipients"}
	ErrDomains      = &Error{452, Enhanced{4, 5, 3}, "there are recipients of too many domains"}
	ErrNoRecipients = &Error{554, Enhanced{5, 5, 1}, "there are no valid recipients"}
	ErrHTTP         = &Error{554, Enhanced{5, 5, 1}, "this is a mail server, and that was HTTP"}

	ErrTooManyErrors = &Error{421, Enhanced{4, 7, 0}, "too many errors"}
	ErrTooMuchJunk   = &Error{421, Enhanced{4, 7, 0}, "too many commands that move no mail"}
	ErrTooMany       = &Error{421, Enhanced{4, 7, 0}, "too many messages on one connection: open another"}
	ErrTooManyTries  = &Error{421, Enhanced{4, 7, 0}, "too many failed authentications"}
	ErrTooSlow       = &Error{421, Enhanced{4, 4, 2}, "that took too long"}
	ErrLeaving       = &Error{421, Enhanced{4, 3, 2}, "the server is shutting down: come back later"}
	ErrPlaintext     = &Error{554, Enhanced{5, 7, 0}, "there were bytes behind STARTTLS, in plain text"}
	ErrNeedTLS       = &Error{530, Enhanced{5, 7, 0}, "issue STARTTLS first"}
	ErrNeedAuth      = &Error{530, Enhanced{5, 7, 0}, "authenticate first"}
	ErrMechanism     = &Error{504, Enhanced{5, 5, 4}, "that mechanism is not offered here"}
	ErrCredentials   = &Error{535, Enhanced{5, 7, 8}, "the credentials are wrong"}
	ErrBase64        = &Error{501, Enhanced{5, 5, 2}, "that is not base64"}
	ErrCancelled     = &Error{501, Enhanced{5, 7, 0}, "the authentication was cancelled"}
	ErrInternal      = &Error{451, Enhanced{4, 3, 0}, "an error here; try again later"}
)

// Errors that are no reply.
var (
	// ErrHangUp, of a method of a Session, closes the connection without an answer.
	ErrHangUp = errors.New("smtp: the connection was hung up on")
	// ErrStartTLS is why a Session has ended whose client has begun TLS: there is a new one behind it.
	ErrStartTLS = errors.New("smtp: the client begins TLS, and all it said before is forgotten")
	// ErrIncomplete is what a message's reader returns when the client gave the message up: it hung up, or broke off.
	ErrIncomplete = errors.New("smtp: the client gave up in the midst of the message")
	// ErrProxyHeader is a connection that does not begin with the PROXY header that it was to have.
	ErrProxyHeader = errors.New("smtp: the connection does not begin with a PROXY header, or with one that is wrong")
)
