//go:build unix

package mailcatch

import "os"

func syncDir(dir *os.File) error { return dir.Sync() }
