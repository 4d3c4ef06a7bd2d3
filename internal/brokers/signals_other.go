//go:build !unix

package brokers

// Pause does nothing: no process can be stopped here.
func (b *Broker) Pause() {}

// Resume ends Pause.
func (b *Broker) Resume() {}
