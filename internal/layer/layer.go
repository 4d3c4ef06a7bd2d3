// Package layer takes the name of an inner layer, such as loop, out of an error's text. It tells a user of an outer one
// nothing.
package layer

import (
	"errors"
	"net"
	"reflect"
	"strings"
)

var names = [...]string{"plexor: ", "coro: ", "loop: "}

// Plain is an error's text without the name of the layer that it comes from.
func Plain(text string) string {
	for _, name := range names {
		text = strings.TrimPrefix(text, name)
	}
	return text
}

// Strip is err with a text that is plain: err itself if it has one. Of the same err it is the same each time. errors.Is
// and errors.As look into it.
func Strip(err error) error {
	if err == nil {
		return nil
	}
	if text := err.Error(); Plain(text) == text {
		return err
	}
	s := stripped{err}
	if !reflect.ValueOf(err).Comparable() {
		return &s
	}
	return s
}

// A stripped is a value, so that two of one error are equal: it is told by several calls, as a Read's error and as the
// cause of a context.
type stripped struct{ error }

func (s stripped) Error() string { return Plain(s.error.Error()) }
func (s stripped) Unwrap() error { return s.error }

// Timeout is what a *net.OpError asks.
func (s stripped) Timeout() bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](s.error)
	return ok && t.Timeout()
}

// Temporary is what a *net.OpError asks.
func (s stripped) Temporary() bool {
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](s.error)
	return ok && t.Temporary()
}

// Handshake is err of a connection's StartTLS where TLS comes from the first byte, as of https: nobody has called
// StartTLS by that name there, and the error does not speak of it.
func Handshake(err error) error {
	op, ok := err.(*net.OpError)
	if !ok || op.Op != "starttls" {
		return err
	}
	said := *op
	said.Op = "handshake"
	return &said
}
