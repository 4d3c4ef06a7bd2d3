//go:build unix

package compare

import (
	"os/exec"
	"syscall"
)

// apart puts the process into a group of its own.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
