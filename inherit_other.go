//go:build !unix

package plexor

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/plexor-go/plexor/sock"
)

// takeSocket is for systems whose listeners can be duplicated.
func takeSocket(*os.File) (sock.Socket, error) {
	return sock.None, fmt.Errorf("a listener of package net can't be taken over on %s: use ListenAndServe: %w",
		runtime.GOOS, errors.ErrUnsupported)
}
