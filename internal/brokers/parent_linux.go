package brokers

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel end the process with the thread that started it, so that a test which is killed leaves
// no broker behind. The runtime ends no thread that no goroutine is locked to.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
