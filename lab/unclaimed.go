package lab

// Unclaimed is packets that have come to a host and that nobody there has taken.
type Unclaimed struct {
	Host    string
	Why     string
	Packets int
}

// Unclaimed is what has come to hosts and was taken by nobody, host by host: malformed or with a wrong checksum, for a
// port or a protocol that nobody has, for a connection that is not there (resets left out, which end what may have
// ended by itself), with addresses that cannot be, about what was never sent. It is nil where all that came was taken,
// and so a test can hold that nothing goes astray. What cables have lost has not come.
func (w *World) Unclaimed() []Unclaimed {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Unclaimed
	for _, h := range w.hosts {
		d, r := &h.ip.Dropped, &h.ip.TCP().Refused
		cards := 0
		for _, p := range w.plugs {
			if p.host == h {
				cards += p.card.Strange
			}
		}
		for _, row := range []Unclaimed{
			{h.name, "malformed, or with a wrong checksum", d.Malformed + r.Malformed + r.Checksum},
			{h.name, "with addresses that cannot be", d.Martian},
			{h.name, "to another card", cards},
			{h.name, "to another host, or for a port or a protocol that nobody has", d.Strange},
			{h.name, "with a source route", d.SourceRoutes},
			{h.name, "for a connection that is not there", r.Nobody},
			{h.name, "about what was not sent", d.Advice + r.Advice},
		} {
			if row.Packets > 0 {
				list = append(list, row)
			}
		}
	}
	return list
}
