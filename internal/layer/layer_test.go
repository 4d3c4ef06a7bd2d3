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
		if row.text == row.want && got != why {
			t.Errorf("%s: another error, with the same text", row.name)
		}
	}
	if Strip(nil) != nil {
		t.Error("of nil it is an error")
	}
	var e net.Error
	if err := Strip(fmt.Errorf("loop: read: %w", os.ErrDeadlineExceeded)); !errors.As(err, &e) || !e.Timeout() ||
		!e.Temporary() {
		t.Errorf("%v is no timeout", err)
	}
}
