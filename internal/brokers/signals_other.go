//go:build !unix

package brokers

import (
	"errors"
	"os"
)

// Pause does nothing: no process can be stopped here.
func (b *Broker) Pause() {}

func (b *Broker) terminate() { _ = b.cmd.Process.Kill() } // it may have ended

// Resume ends Pause.
func (b *Broker) Resume() {}

// Freeze is an error here.
func Freeze(*os.Process) error { return errors.ErrUnsupported }

// Thaw ends Freeze.
func Thaw(*os.Process) error { return errors.ErrUnsupported }
