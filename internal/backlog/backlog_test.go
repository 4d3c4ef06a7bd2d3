package backlog

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/plexor-go/plexor/sock"
)

func TestPace(t *testing.T) {
	t.Parallel()
	var p Pace
	var got []time.Duration
	for range 9 {
		got = append(got, p.Next()/time.Millisecond)
	}
	if want := []time.Duration{1, 2, 4, 8, 16, 32, 64, 64, 64}; !slices.Equal(got, want) {
		t.Errorf("the pauses are %v ms, want %v", got, want)
	}
	if want := 255 * time.Millisecond; p.Waited != want {
		t.Errorf("it has waited for %v, want %v", p.Waited, want)
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	again := fmt.Errorf("connect: %w", sock.ErrWouldBlock)
	for _, row := range []struct {
		name   string
		scheme string
		err    error
		want   bool
	}{
		{"a full one", "unix", again, true},
		{"none", "unix", nil, false},
		{"another error", "unix", errors.New("no such file"), false},
		{"ports have run out", "tcp", again, false},
	} {
		if got := Full(sock.Addr{Scheme: row.scheme}, row.err); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}
