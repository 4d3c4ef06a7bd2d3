package tap

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/wire/pcapng"
)

// TestCapture sends frames over a line with faults, and holds that the capture has each frame once, and what the fault
// did to it.
func TestCapture(t *testing.T) {
	var file bytes.Buffer
	c := NewCapture(&file)
	start := time.Unix(1_000_000, 7)
	line, watch, err := c.Line(link.Wire(time.Millisecond), Place{"eth0", pcapng.Outbound, start})
	if err != nil {
		t.Fatal(err)
	}
	random := func() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }
	line = link.Duplicate(line, 0.3, random(), watch)
	line = link.Loss(line, 0.3, rand.New(rand.NewPCG(1, 2)), watch)
	const frames = 100
	for n := range frames {
		line.Put(time.Duration(n), &link.Frame{Bytes: bytes.Repeat([]byte{byte(n)}, 60)})
	}
	arrived := 0
	for line.Take(time.Hour) != nil {
		arrived++
	}
	var doubled, lost, plain int
	for r := pcapng.NewReader(&file); ; {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if want := start.Add(time.Duration(p.Data[0])); !p.Time.Equal(want) || p.Direction != pcapng.Outbound {
			t.Errorf("frame %d: %v %v, want %v", p.Data[0], p.Time, p.Direction, want)
		}
		switch {
		case slices.Equal(p.Comments, []string{"fault: lost"}):
			lost++
		case slices.Equal(p.Comments, []string{"fault: duplicated"}):
			doubled++
		case len(p.Comments) == 0:
			plain++
		default:
			t.Errorf("comments %q", p.Comments)
		}
	}
	if lost == 0 || doubled == 0 || plain+lost != frames || plain+doubled != arrived || len(c.notes) != 0 {
		t.Errorf("%d plain, %d lost, %d doubled, %d arrived of %d, %d notes left", plain, lost, doubled, arrived, frames,
			len(c.notes))
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// TestCaptureFails has a disk that is full end the capture and nothing else.
func TestCaptureFails(t *testing.T) {
	c := NewCapture(full{})
	if _, _, err := c.Line(link.Wire(0), Place{Name: "eth0"}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Line: %v", err)
	}
	x := &captured{Line: link.Wire(0), c: c}
	x.Put(0, &link.Frame{Bytes: make([]byte, 60)})
	if x.Take(0) == nil || c.Err() == nil {
		t.Errorf("the frame went nowhere, or no error is told: %v", c.Err())
	}
}
