package certs

import (
	"io/fs"
	"syscall"
	"time"
)

// changeTime is when the file's inode was last changed (st_ctim, inode(7)), or 0 if that is not known.
func changeTime(f fs.FileInfo) time.Duration {
	if st, ok := f.Sys().(*syscall.Stat_t); ok {
		return time.Duration(st.Ctim.Nano())
	}
	return 0
}
