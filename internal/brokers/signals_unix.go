//go:build unix

package brokers

import (
	"os"
	"syscall"
)

// Pause stops the broker as SIGSTOP does: its connections stay, and nothing is answered.
func (b *Broker) Pause() { _ = b.cmd.Process.Signal(syscall.SIGSTOP) } // it may have ended

func (b *Broker) terminate() { _ = b.cmd.Process.Signal(syscall.SIGTERM) } // it may have ended

// Resume ends Pause.
func (b *Broker) Resume() { _ = b.cmd.Process.Signal(syscall.SIGCONT) } // it may have ended

// Freeze stops a process as SIGSTOP does: its connections stay, and it does nothing.
func Freeze(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func Thaw(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
