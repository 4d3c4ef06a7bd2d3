package layer

import (
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
)

func TestStrip(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, text, want string
	}{
		{"no layer", "connect: refused", "connect: refused"},
		{"one", "loop: send: broken pipe", "send: broken pipe"},
		{"two", "plexor: loop: send: broken pipe", "send: broken pipe"},
		{"in the midst", "dial: loop: send", "dial: loop: send"},
	} {
		why := errors.New(row.text)
		got := Strip(why)
		if got.Error() != row.want || !errors.Is(got, why) {
			t.Errorf("%s: %v, want %s, and the error in it", row.name, got, row.want)
		}
		if got != Strip(why) || got != Strip(got) {
			t.Errorf("%s: it is another error each time", row.name)
		}
		if row.text == row.want && got != why {
			t.Errorf("%s: another error, with the same text", row.name)
		}
	}
	if Strip(nil) != nil {
		t.Error("of nil it is an error")
	}
	var e net.Error
	if err := Strip(fmt.Errorf("loop: read: %w", os.ErrDeadlineExceeded)); !errors.As(err, &e) || !e.Timeout() {
		t.Errorf("%v is no timeout", err)
	}
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	why := errors.New("refused")
	if err := Handshake(&net.OpError{Op: "starttls", Net: "tcp", Err: why}); err.Error() != "handshake tcp: refused" ||
		!errors.Is(err, why) {
		t.Errorf("it says %v", err)
	}
	for _, other := range []error{nil, why, &net.OpError{Op: "read", Net: "tcp", Err: why}} {
		if err := Handshake(other); err != other {
			t.Errorf("of %v it makes %v", other, err)
		}
	}
}
