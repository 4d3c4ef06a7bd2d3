//go:build !linux

package uring

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

func TestUnavailable(t *testing.T) {
	_, setUp := New(Options{})
	_, probed := Probe()
	for name, err := range map[string]error{"New": setUp, "Probe": probed, "Available": Available()} {
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, errors.ErrUnsupported) ||
			!strings.Contains(err.Error(), runtime.GOOS) {
			t.Errorf("%s: %v, want ErrUnavailable and the system's name", name, err)
		}
	}
}
