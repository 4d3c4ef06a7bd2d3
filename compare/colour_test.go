package compare

import (
	"math"
	"testing"

	"gonum.org/v1/plot/vg"

	"github.com/plexor-go/plexor/models"
)

// A lab is a colour of CIE 1976 L*a*b*, in which equal distances look about equally far apart.
type lab struct{ l, a, b float64 }

// seenWithoutGreen is how a colour looks to whoever has no cones for green: the matrix is that of Machado, Oliveira and
// Fernandes (2009) for deuteranopia, on linear light.
func seenWithoutGreen(hex string) lab {
	r, g, b, _ := parseColour(hex).RGBA()
	var in, rgb [3]float64
	for i, v := range []uint32{r, g, b} {
		in[i] = linear(float64(v) / 0xffff)
	}
	for i, row := range [3][3]float64{
		{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881},
	} {
		rgb[i] = min(1, max(0, row[0]*in[0]+row[1]*in[1]+row[2]*in[2]))
	}
	f := func(v float64) float64 {
		if v > 0.008856 {
			return math.Cbrt(v)
		}
		return 7.787*v + 16.0/116
	}
	x := f((0.4124*rgb[0] + 0.3576*rgb[1] + 0.1805*rgb[2]) / 0.95047)
	y := f(0.2126*rgb[0] + 0.7152*rgb[1] + 0.0722*rgb[2])
	z := f((0.0193*rgb[0] + 0.1192*rgb[1] + 0.9505*rgb[2]) / 1.08883)
	return lab{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

// linear undoes the curve of sRGB.
func linear(x float64) float64 {
	if x <= 0.04045 {
		return x / 12.92
	}
	return math.Pow((x+0.055)/1.055, 2.4)
}

// TestDeuteranopia: whoever sees no green tells lines with the same dashes apart by their
// colours, and epoll from io_uring by how light they are.
func TestDeuteranopia(t *testing.T) {
	all := models.All()
	for i, m := range all {
		for _, n := range all[i+1:] {
			s, o := styles[m.Name], styles[n.Name]
			if len(s.dashes) != len(o.dashes) || len(s.dashes) > 0 && s.dashes[0] != o.dashes[0] {
				continue
			}
			for _, pair := range [][2]string{{s.colour, o.colour}, {s.dark, o.dark}} {
				a, b := seenWithoutGreen(pair[0]), seenWithoutGreen(pair[1])
				if d := math.Sqrt((a.l-b.l)*(a.l-b.l) + (a.a-b.a)*(a.a-b.a) + (a.b-b.b)*(a.b-b.b)); d < 15 {
					t.Errorf("%s and %s (%v) are %.1f apart, want 15", m.Name, n.Name, pair, d)
				}
				if m.Name == "epoll" && n.Name == "io_uring" && math.Abs(a.l-b.l) < 25 {
					t.Errorf("epoll and io_uring (%v): their lightness differs by %.1f, want 25", pair, math.Abs(a.l-b.l))
				}
			}
		}
	}
}

// TestSmallValues: a value is drawn where it is, however small; only one that is not
// above zero gets the metric's floor.
func TestSmallValues(t *testing.T) {
	for _, m := range Metrics {
		for _, row := range []struct{ value, want float64 }{
			{m.Floor / 10, m.Floor / 10}, {0, m.Floor}, {-1, m.Floor}, {5, 5},
		} {
			r := &Report{Conns: []int{1}, Models: []ModelInfo{{Name: "busy"}},
				Cells: []*Cell{{Model: "busy", Conns: 1, Values: map[string]Value{m.Key: {Median: row.value}}}}}
			line, _, err := r.series(m, 0)
			if err != nil {
				t.Fatal(err)
			}
			if got := line.XYs[0].Y; got != row.want {
				t.Errorf("%s of %v is drawn at %v, want %v", m.Key, row.value, got, row.want)
			}
		}
	}
}

// TestSideBySide: models with the same values stand beside each other, and nearer to
// their number of connections than to any other.
func TestSideBySide(t *testing.T) {
	r := made(t)
	for _, c := range r.Cells {
		c.Values = map[string]Value{keyRate: {Median: 5}}
	}
	var before float64
	for i := range r.Models {
		line, _, err := r.series(Metrics[0], i)
		if err != nil {
			t.Fatal(err)
		}
		x := line.XYs[1].X
		if i > 0 && x < before*1.05 {
			t.Errorf("%s stands at %.2f, and the model before it at %.2f", r.Models[i].Name, x, before)
		}
		if x < 10/math.Sqrt(10) || x > 10*math.Sqrt(10) {
			t.Errorf("%s stands at %.2f, want near 10", r.Models[i].Name, x)
		}
		before = x
	}
}

// TestSpread: names stand apart, in their order, and inside.
func TestSpread(t *testing.T) {
	for _, row := range []struct {
		name     string
		at, want []vg.Length
	}{
		{"none", nil, nil},
		{"far apart", []vg.Length{10, 40, 90}, []vg.Length{10, 40, 90}},
		{"the same", []vg.Length{50, 50, 50}, []vg.Length{50, 60, 70}},
		{"at the top", []vg.Length{95, 99, 100}, []vg.Length{80, 90, 100}},
		{"below", []vg.Length{-5, 0}, []vg.Length{0, 10}},
	} {
		spread(row.at, 10, 0, 100)
		for i := range row.want {
			if row.at[i] != row.want[i] {
				t.Errorf("%s: %v, want %v", row.name, row.at, row.want)
				break
			}
		}
	}
}
