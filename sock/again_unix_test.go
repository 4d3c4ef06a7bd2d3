//go:build linux || darwin || freebsd || netbsd || openbsd

package sock

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestAgain: a signal in the midst of a system call is no error, however often.
func TestAgain(t *testing.T) {
	for _, want := range []error{nil, unix.ENOENT} {
		answers := []error{unix.EINTR, unix.EINTR, want}
		err := again(func() error {
			err := answers[0]
			answers = answers[1:]
			return err
		})
		if err != want || len(answers) > 0 {
			t.Errorf("%v, and %d answers are left, want %v", err, len(answers), want)
		}
	}
}
