package bus

type entries struct{ version uint64 }

func (m *machine) tookOps(from NodeID, f *frame)  {}
func (m *machine) askedOps(from NodeID, f *frame) {}
func (m *machine) askOps(p *peer)                 {}
func (m *machine) dropEntries(p *peer)            {}
func (m *machine) sweepEntries()                  {}

type calls struct{}

func (c *calls) do(m *machine, from NodeID, f *frame) {}
func (c *calls) tick(m *machine)                      {}
func (c *calls) busy() bool                           { return false }
func (c *calls) lost(m *machine, id NodeID)           {}
