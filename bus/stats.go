package bus

import (
	"fmt"
	"io"
	"strings"
)

// Stats are a node's counts since it began, and what there is now.
type Stats struct {
	Nodes int // that it is connected with, itself among them
	Rooms int // that it is in
	Owned int // that it orders

	Lost     int64 // nodes that are no more connected: they died, left, or were cut off
	Epochs   int64 // that it has begun
	Ordered  int64 // messages that it has given a number
	Received int64 // messages of rooms that it is in, each once for all of its subscribers
	Gaps     int64 // gaps and new epochs that its rooms had
	Resent   int64 // times that something was sent again, since the network or a node lost it
	Refused  int64 // frames that no rule allows, and nodes beyond Limits.Nodes
	Foreign  int64 // packets of nodes with another version of the protocol, which are not read
	Dropped  int64 // packets that did not fit into Limits.Out, or that the transport did not take
	Memory   int64 // bytes of messages that are kept
}

// WriteTo writes the counts as Prometheus reads them (its text format, version 0.0.4), for a handler of /metrics:
//
//	plexor_bus_nodes, plexor_bus_rooms, plexor_bus_rooms_owned, plexor_bus_kept_bytes           now
//	plexor_bus_nodes_lost_total, plexor_bus_epochs_total, plexor_bus_gaps_total
//	plexor_bus_ordered_total, plexor_bus_received_total                                         messages
//	plexor_bus_resent_total, plexor_bus_refused_total, plexor_bus_foreign_total, plexor_bus_dropped_total
//
// They are one node's. Stats tells what each counts.
func (s Stats) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	for _, m := range []struct {
		name, kind, help string
		n                int64
	}{
		{"nodes", "gauge", "Nodes that it is connected with, itself among them.", int64(s.Nodes)},
		{"rooms", "gauge", "Rooms that it is in.", int64(s.Rooms)},
		{"rooms_owned", "gauge", "Rooms that it orders.", int64(s.Owned)},
		{"kept_bytes", "gauge", "Bytes of messages that are kept.", s.Memory},
		{"nodes_lost_total", "counter", "Nodes that died, left, or were cut off.", s.Lost},
		{"epochs_total", "counter", "Epochs that it has begun.", s.Epochs},
		{"ordered_total", "counter", "Messages that it has given a number.", s.Ordered},
		{"received_total", "counter", "Messages of rooms that it is in.", s.Received},
		{"gaps_total", "counter", "Gaps and new epochs that its rooms had.", s.Gaps},
		{"resent_total", "counter", "Times that something was sent again.", s.Resent},
		{"refused_total", "counter", "Frames that no rule allows, and nodes beyond the limit.", s.Refused},
		{"foreign_total", "counter", "Packets of nodes with another version of the protocol.", s.Foreign},
		{"dropped_total", "counter", "Packets that found no room, or that the transport did not take.", s.Dropped},
	} {
		fmt.Fprintf(&b, "# HELP plexor_bus_%s %s\n# TYPE plexor_bus_%s %s\nplexor_bus_%s %d\n", m.name, m.help, m.name,
			m.kind, m.name, m.n)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}
