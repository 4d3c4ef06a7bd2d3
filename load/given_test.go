package load

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestNil: an argument that is nil is named, and so is the line of the call.
func TestNil(t *testing.T) {
	var none context.Context
	for name, f := range map[string]func(){
		"the context": func() { Run(none, Options{Address: "tcp://127.0.0.1:1"}) },
		"the writer":  func() { new(Result).WriteSVG(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				got := fmt.Sprint(recover())
				if !strings.HasPrefix(got, "load: ") || !strings.Contains(got, name+" is nil, at ") ||
					!strings.Contains(got, "given_test.go:") {
					t.Errorf("it panicked with %q, want load: …: %s is nil, and the line", got, name)
				}
			}()
			f()
		})
	}
}
