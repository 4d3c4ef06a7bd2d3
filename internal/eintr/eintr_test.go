package eintr_test

import (
	"syscall"
	"testing"

	"github.com/plexor-go/plexor/internal/eintr"
)

// TestAgain: a signal in the midst of a system call is no error.
func TestAgain(t *testing.T) {
	for _, want := range []error{nil, syscall.EWOULDBLOCK} {
		answers := []error{syscall.EINTR, syscall.EINTR, want}
		err := eintr.Again(func() error {
			err := answers[0]
			answers = answers[1:]
			return err
		})
		if err != want || len(answers) > 0 {
			t.Errorf("%v, and %d answers are left, want %v", err, len(answers), want)
		}
	}
}
