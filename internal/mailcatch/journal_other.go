//go:build !linux

package mailcatch

import "os"

// canJournal is that there is no syncfs: each mail is synced on its own.
const canJournal = false

func lockFile(*os.File) bool { return false }

func syncAll(dir *os.File) error { return dir.Sync() }

func datasync(f *os.File) error { return f.Sync() }
