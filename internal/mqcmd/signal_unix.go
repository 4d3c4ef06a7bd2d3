//go:build unix

package mqcmd

import (
	"os/exec"
	"syscall"
)

// terminate has the command's end ordered with SIGTERM, and of all that it started: its processes are a group.
func terminate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}
