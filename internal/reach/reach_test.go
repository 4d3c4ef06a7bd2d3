package reach_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/plexor-go/plexor/internal/reach"
)

// TestAdvice: what is known to have a remedy has it in its text, with the error, and nothing else has.
func TestAdvice(t *testing.T) {
	dial := func(err error) error {
		return fmt.Errorf("the client: %w", &net.OpError{Op: "dial", Net: "tcp", Err: err})
	}
	for _, row := range []struct {
		err  error
		want string // of the advice; "": none
	}{
		{dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), "is planetd started, and are the URL's host and port"},
		{dial(os.NewSyscallError("connectex", syscall.Errno(10061))), "is planetd started"},
		{dial(&net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}), "no such host: is the URL's right?"},
		{dial(&net.DNSError{Err: "server misbehaving", Name: "x", IsTemporary: true}), ""},
		{dial(os.ErrDeadlineExceeded), "does planetd run, and does no firewall"},
		{context.DeadlineExceeded, ""},
		{errors.New("WRONGPASS"), ""},
	} {
		got := reach.Advice("planetd", row.err)
		if !errors.Is(got, row.err) || !strings.Contains(got.Error(), row.want) || row.want == "" && got != row.err {
			t.Errorf("%v: %q, want %q", row.err, got, row.want)
		}
	}
	if err := reach.Advice("planetd", nil); err != nil {
		t.Error(err)
	}
}
