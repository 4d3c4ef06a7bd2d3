//go:build !unix

package mqcmd

import "os/exec"

// terminate leaves it at the kill that package exec does.
func terminate(*exec.Cmd) {}
