package nats

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/eintr"
)

// sharedMemory is a file system in memory (shm_overview(7)).
const sharedMemory = "/dev/shm"

// memory is a folder in memory.
func memory() (string, error) {
	var st unix.Statfs_t
	if err := eintr.Again(func() error { return unix.Statfs(sharedMemory, &st) }); err != nil {
		return "", fmt.Errorf("statfs %s: %w", sharedMemory, err)
	}
	if st.Type != unix.TMPFS_MAGIC {
		return "", fmt.Errorf("%s is not in memory", sharedMemory)
	}
	return sharedMemory, nil
}

// freeMemory is how many bytes are free where a file lies.
func freeMemory(path string) (int64, error) {
	var st unix.Statfs_t
	if err := eintr.Again(func() error { return unix.Statfs(path, &st) }); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", path, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// lockStage locks a file that is there until it is closed, if nobody else has it (flock(2)).
func lockStage(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := eintr.Again(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("flock %s: %w", path, err)
	}
	return f, nil
}
