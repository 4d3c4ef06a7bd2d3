package nats

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// sharedMemory is a file system in memory (shm_overview(7)).
const sharedMemory = "/dev/shm"

// memory is a folder in memory.
func memory() (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(sharedMemory, &st); err != nil {
		return "", fmt.Errorf("statfs %s: %w", sharedMemory, err)
	}
	if st.Type != unix.TMPFS_MAGIC {
		return "", fmt.Errorf("%s is not in memory", sharedMemory)
	}
	return sharedMemory, nil
}
