package tap

import (
	"io"
	"sync"
	"time"

	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/wire/pcapng"
)

// A Capture writes frames as pcapng. Several lines, also of several hosts, may write into one. Its methods may be
// called from any goroutine.
type Capture struct {
	mu    sync.Mutex
	w     *pcapng.Writer
	err   error
	notes map[*link.Frame][]string // what happened to frames that are still on their way
}

// NewCapture begins a capture. The first error of w ends it: Err tells it then, and the frames go on.
func NewCapture(w io.Writer) *Capture {
	return &Capture{w: pcapng.NewWriter(w, pcapng.Section{Application: "plexor"}), notes: map[*link.Frame][]string{}}
}

// Err is why nothing is written any more; nil where all is well.
func (c *Capture) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Place says where frames are captured.
type Place struct {
	Name      string           // of the interface, as Wireshark shows it
	Direction pcapng.Direction // that they go in, as the interface sees it
	Start     time.Time        // that the line's times count from: time.Now() before NewHost; 1970 where it is zero
}

// Line is a line that writes each frame that is put into it and then puts it into l, and what a fault's Watch tells.
// Give that to the faults, and make them of this line: what is behind them sees the frames that arrive, each once, and
// those that do not arrive are written with what became of them:
//
//	line, watch, err := capture.Line(link.Wire(delay), place)
//	line = link.Loss(line, 0.01, random, watch)
func (c *Capture) Line(l link.Line, p Place) (link.Line, link.Watch, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.w.Interface(pcapng.Interface{Name: p.Name, LinkType: pcapng.Ethernet})
	if err != nil {
		return nil, nil, err
	}
	if p.Start.IsZero() {
		p.Start = time.Unix(0, 0)
	}
	x := &captured{Line: l, c: c, place: p, number: n}
	return x, x.watch, nil
}

// captured is a line whose frames are written.
type captured struct {
	link.Line
	c      *Capture
	place  Place
	number int
}

func (x *captured) Put(now time.Duration, f *link.Frame) {
	x.write(now, f, nil)
	x.Line.Put(now, f)
}

// watch notes what happened to a frame that goes on, and writes one that does not.
func (x *captured) watch(now time.Duration, f *link.Frame, what link.Fate) {
	switch what {
	case link.Lost, link.Overflowed, link.Dropped:
		x.write(now, f, []string{what.String()})
	default:
		x.c.mu.Lock()
		x.c.notes[f] = append(x.c.notes[f], what.String())
		x.c.mu.Unlock()
	}
}

func (x *captured) write(now time.Duration, f *link.Frame, comments []string) {
	c := x.c
	c.mu.Lock()
	defer c.mu.Unlock()
	comments = append(c.notes[f], comments...)
	delete(c.notes, f)
	if c.err == nil {
		c.err = c.w.Packet(&pcapng.Packet{Interface: x.number, Time: x.place.Start.Add(now), Data: f.Bytes,
			Direction: x.place.Direction, Comments: comments})
	}
}
