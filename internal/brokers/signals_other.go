//go:build !unix

package brokers

// Pause does nothing: no process can be stopped here.
func (b *Broker) Pause() {}

func (b *Broker) terminate() { _ = b.cmd.Process.Kill() } // it may have ended

// Resume ends Pause.
func (b *Broker) Resume() {}
