// Package layer takes the name of an inner layer, such as loop, out of an error's text. It tells a user of an outer one
// nothing.
package layer

import (
	"errors"
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

// Strip is err with a text that is plain: err itself if it has one. errors.Is and errors.As look into it.
func Strip(err error) error {
	if err == nil {
		return nil
	}
	if text := err.Error(); Plain(text) == text {
		return err
	}
	return &stripped{err}
}

type stripped struct{ error }

func (s *stripped) Error() string { return Plain(s.error.Error()) }
func (s *stripped) Unwrap() error { return s.error }

// Timeout is what a *net.OpError asks.
func (s *stripped) Timeout() bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](s.error)
	return ok && t.Timeout()
}

// Temporary is what a *net.OpError asks.
func (s *stripped) Temporary() bool {
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](s.error)
	return ok && t.Temporary()
}
