package frametest_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/frame/frametest"
)

// blob is a codec with one mistake, or none: two bytes of length, then the message.
type blob struct {
	max     int
	mistake string
}

// far is a length, in bytes, that no valid frame here has, and that rubbish nearly always begins with: what is wrong
// from there on is found by the subtest for rubbish, by it alone, and not by chance.
const far = 1 << 8

func (c blob) Check() error    { return nil }
func (c blob) MaxMessage() int { return c.max }
func (c blob) MaxFrame() int   { return 2 + c.max }
func (c blob) String() string  { return "blob" }

func (c blob) Scan(p []byte, seen int) (frame.Span, error) {
	if c.mistake == "remembers" && seen == 1 {
		return frame.Span{Size: 3}, nil
	}
	if len(p) < 2 {
		if c.mistake == "asks for too much" {
			return frame.Span{Size: 30}, nil
		}
		return frame.Span{Size: 2}, nil
	}
	n := int(binary.BigEndian.Uint16(p))
	if n >= far {
		switch c.mistake {
		case "no kind":
			return frame.Span{}, os.ErrInvalid
		case "no two errors alike":
			return frame.Span{}, fmt.Errorf("%w: not with %d bytes there", frame.ErrMalformed, len(p))
		}
	}
	if n > c.max && c.mistake != "takes any length" {
		return frame.Span{}, fmt.Errorf("%w: %d bytes", frame.ErrTooLong, n)
	}
	switch c.mistake {
	case "looks behind":
		if len(p) > n+2 && p[n+2] == 0 {
			return frame.Span{}, frame.ErrMalformed
		}
	case "changes":
		p[0] |= p[len(p)-1] & 0x80
	case "panics":
		_ = p[n]
	}
	return frame.Span{Start: 2, End: 2 + n, Size: 2 + n}, nil
}

func (c blob) Append(dst, msg []byte) ([]byte, error) {
	if len(msg) > c.max && c.mistake != "sends any length" {
		return dst, frame.ErrTooLong
	}
	if c.mistake == "overwrites" && len(dst) > 0 {
		dst[0] = 'B'
	}
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(msg))), msg...), nil
}

// resuming is blob with a Resume that remembers that it has seen the header.
type resuming struct{ blob }

func (c resuming) Resume(p []byte, at *frame.State) (frame.Span, error) {
	if at[0] == 0 {
		s, err := c.Scan(p, 0)
		if err == nil && len(p) >= 2 {
			at[0], at[1] = 2, s.Size
			if c.mistake == "resumes too far" {
				at[1]++
			}
		}
		return s, err
	}
	return frame.Span{Start: 2, End: at[1], Size: at[1]}, nil
}

func run(t *testing.T, mistake string) {
	var c frame.Codec = blob{200, mistake}
	if strings.HasPrefix(mistake, "resumes") {
		c = resuming{blob{200, mistake}}
	}
	frametest.Run(t, frametest.Subject{
		Codec:   c,
		Wider:   blob{400, ""},
		Noise:   "\x00\x00\x00\x01\x61",
		Message: func(r *rand.Rand, n int) []byte { return bytes.Repeat([]byte{byte(r.Uint32())}, n) },
	})
}

// mistakeVariable names the mistake that a child of the test binary makes.
const mistakeVariable = "FRAMETEST_MISTAKE"

// TestGood: a codec that keeps the contract passes.
func TestGood(t *testing.T) { run(t, os.Getenv(mistakeVariable)) }

// TestGoodResumer: one that resumes too.
func TestGoodResumer(t *testing.T) { run(t, "resumes well") }

// TestMistakes: each mistake is found, by the subtest that is for it.
func TestMistakes(t *testing.T) {
	for _, row := range []struct{ mistake, subtest string }{
		{"remembers", "scan"},
		{"asks for too much", "scan"},
		{"looks behind", "scan"},
		{"changes", "scan"},
		{"takes any length", "maximum"},
		{"sends any length", "maximum"},
		{"overwrites", "append"},
		{"no kind", "garbage"},
		{"no two errors alike", "garbage"},
		{"panics", "scan"},
		{"resumes too far", "scan"},
	} {
		t.Run(row.mistake, func(t *testing.T) {
			t.Parallel()
			child := exec.Command(os.Args[0], "-test.run=^TestGood$", "-test.v")
			child.Env = append(os.Environ(), mistakeVariable+"="+row.mistake)
			out, err := child.CombinedOutput()
			// A panic ends the run in the subtest that met it first.
			found := strings.Contains(string(out), "panic:") ||
				strings.Contains(string(out), "--- FAIL: TestGood/"+row.subtest)
			if err == nil || !found {
				t.Errorf("the suite let it pass, or another subtest found it: %v\n%s", err, out)
			}
		})
	}
}
