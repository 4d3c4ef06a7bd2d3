package sock

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
)

func TestErrorText(t *testing.T) {
	cause := errors.New("cause")
	for _, row := range []struct {
		name string
		e    Error
		want string
	}{
		{"all", Error{Op: "listen", Addr: "tcp://:1", Call: "bind", Err: cause, Hint: "do this"},
			"listen tcp://:1: bind: cause (do this)"},
		{"call of the same name", Error{Op: "connect", Addr: "tcp://:1", Call: "connect", Err: cause},
			"connect tcp://:1: cause"},
		{"no address", Error{Op: "set nodelay", Call: "setsockopt", Err: cause}, "set nodelay: setsockopt: cause"},
		{"the least", Error{Op: "resolve", Err: cause}, "resolve: cause"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := row.e.Error(); got != row.want {
				t.Errorf("%#v: got %q, want %q", row.e, got, row.want)
			}
			wantIs(t, &row.e, cause)
		})
	}
}

func wantIs(t *testing.T, err, cause error) {
	t.Helper()
	if !errors.Is(err, cause) {
		t.Errorf("errors.Is(%v, %v): got false", err, cause)
	}
}

func TestExhaustedAndAborted(t *testing.T) {
	for _, list := range []struct {
		name  string
		errs  []syscall.Errno
		is    func(error) bool
		isNot func(error) bool
	}{
		{"exhausted", exhausted, Exhausted, Aborted},
		{"aborted", aborted, Aborted, Exhausted},
	} {
		for _, e := range list.errs {
			for _, err := range []error{e, &Error{Op: "accept", Err: e}, fmt.Errorf("accept: %w", e)} {
				if !list.is(err) || list.isNot(err) {
					t.Errorf("%v (%d): got %v and %v, want it to be %s alone", err, e, list.is(err), list.isNot(err), list.name)
				}
			}
		}
	}
	for _, err := range []error{nil, io.EOF, ErrWouldBlock, syscall.Errno(0)} {
		if Exhausted(err) || Aborted(err) {
			t.Errorf("%v: got %v, %v, want neither", err, Exhausted(err), Aborted(err))
		}
	}
	if n := testing.AllocsPerRun(100, func() { Exhausted(ErrWouldBlock); Aborted(ErrWouldBlock) }); n > 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
