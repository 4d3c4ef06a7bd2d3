package nats

import (
	"fmt"
	"os"
	"path/filepath"
)

// mostPath is how long the path of a socket may be (unix(7): 108 bytes with the zero at the end).
const mostPath = 107

// shortPath is a path to the socket in a folder that is short enough, until done is called: by way of an open
// descriptor of the folder if the folder's own path is too long.
func shortPath(folder string) (path string, done func(), err error) {
	if path = filepath.Join(folder, doorName); len(path) <= mostPath {
		return path, func() {}, nil
	}
	f, err := os.Open(folder)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", f.Fd(), doorName), func() { _ = f.Close() }, nil
}
