//go:build unix

package brokers

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Pause stops the broker as SIGSTOP does: its connections stay, and nothing is answered.
func (b *Broker) Pause() { _ = Freeze(b.cmd.Process) } // it may have ended

func (b *Broker) terminate() { _ = b.cmd.Process.Signal(syscall.SIGTERM) } // it may have ended

// Resume ends Pause.
func (b *Broker) Resume() { _ = b.cmd.Process.Signal(syscall.SIGCONT) } // it may have ended

// Freeze stops a process as SIGSTOP does: its connections stay, and it does nothing. The signal may take its time;
// where the system tells (/proc), Freeze returns when the process stands still.
func Freeze(p *os.Process) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for ; ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
		_, state, ok := bytes.Cut(stat, []byte(") "))
		if err != nil || !ok || len(state) == 0 || bytes.IndexByte([]byte("TtZX"), state[0]) >= 0 {
			return nil
		}
	}
}

// Thaw ends Freeze.
func Thaw(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
