//go:build !linux

package nats

import (
	"fmt"
	"path/filepath"
)

// mostPath is how long the path of a socket may be: 104 bytes with the zero at the end on macOS and the BSDs.
const mostPath = 103

// shortPath is the path to the socket in a folder.
func shortPath(folder string) (path string, done func(), err error) {
	path = filepath.Join(folder, doorName)
	if len(path) > mostPath {
		return "", nil, fmt.Errorf("the path of the socket %s has %d bytes, of %d: choose a shorter folder", path, len(path),
			mostPath)
	}
	return path, func() {}, nil
}
