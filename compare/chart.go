package compare

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A style is how a model is drawn, in every chart and every report. No two models share both their glyph and their
// dashes, so that the lines can be told apart without their colours, which are those of Okabe and Ito (they stay
// different for all common kinds of colour blindness) and two greys.
type style struct {
	colour, dark string // on a light and on a dark background
	glyph        draw.GlyphDrawer
	dashes       []vg.Length
}

// The dashes.
var (
	solid  []vg.Length
	dashed = []vg.Length{6, 3}
	dotted = []vg.Length{1.5, 2.5}
)

var styles = map[string]style{
	"blocking":   {"#000001", "#f2f2f2", draw.SquareGlyph{}, dotted},
	"busy":       {"#767676", "#a6a6a6", draw.CrossGlyph{}, dotted},
	"threads":    {"#d55e00", "#ff8a3d", draw.BoxGlyph{}, dashed},
	"processes":  {"#b07d00", "#e69f00", draw.TriangleGlyph{}, dashed},
	"goroutines": {"#009e73", "#2fd0a2", draw.CircleGlyph{}, dashed},
	"select":     {"#a89b00", "#f0e442", draw.PlusGlyph{}, solid},
	"poll":       {"#b8578d", "#e79cc4", draw.RingGlyph{}, solid},
	"epoll":      {"#2f97cf", "#7cc8f2", draw.PyramidGlyph{}, solid},
	"io_uring":   {"#0072b2", "#3fa2e0", draw.SquareGlyph{}, solid},
	"coroutines": {"#6a3d9a", "#b794f4", draw.CircleGlyph{}, solid},
}

// other is the style of a model that is not listed.
var other = style{"#555556", "#bbbbbc", draw.CircleGlyph{}, solid}

func styleOf(model string) style {
	if s, ok := styles[model]; ok {
		return s
	}
	return other
}

// The size of a chart, in points, and of its parts.
const (
	chartWidth  = 560
	chartHeight = 350
	legendWidth = 112
	textSize    = 12
)

// chart draws the metric against the connections; nil means that there is nothing to draw.
func (r *Report) chart(m Metric) ([]byte, error) {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	// The vertical axis' label stands above: there it is read without turning the head, and the library would leave a
	// long one beside a logarithmic axis more room than there is.
	p.Title.Text = m.Title + ", " + m.Unit
	p.Title.Padding = 10
	p.Title.TextStyle.Font.Size = textSize
	p.X.Label.Text = "connections"
	legend := plot.NewLegend()
	legend.Top, legend.Left = true, true
	legend.Padding = 6
	legend.ThumbnailWidth = 30
	legend.TextStyle.Font.Size = textSize
	grid := plotter.NewGrid() // beneath the lines
	grid.Vertical.Color, grid.Horizontal.Color = gridColour, gridColour
	p.Add(grid)
	var ys []float64
	for _, info := range r.Models {
		line, points, err := r.series(m, info.Name)
		if err != nil {
			return nil, fmt.Errorf("compare: draw %s of %s: %w", m.Key, info.Name, err)
		}
		if line == nil {
			continue
		}
		p.Add(line, points)
		legend.Add(info.Name, line, points)
		for _, xy := range points.XYs {
			ys = append(ys, xy.Y)
		}
	}
	if len(ys) == 0 {
		return nil, nil
	}
	r.xAxis(p)
	yAxis(p, m, ys)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font.Size = textSize
		axis.Tick.Label.Font.Size = textSize
		axis.Padding = 6
	}

	svg := vgsvg.NewWith(vgsvg.UseWH(chartWidth, chartHeight))
	whole := draw.New(svg)
	p.Draw(draw.Crop(whole, 2, -legendWidth-14, 4, -4))
	legend.Draw(draw.Crop(whole, chartWidth-legendWidth, 0, 0, -30))
	var b bytes.Buffer
	if _, err := svg.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("compare: draw %s: %w", m.Key, err)
	}
	return dress(b.String(), m, r), nil
}

// series are one model's line and points.
func (r *Report) series(m Metric, model string) (*plotter.Line, *plotter.Scatter, error) {
	var xys plotter.XYs
	for _, conns := range r.Conns {
		if c := r.Cell(model, conns); c != nil {
			if v, ok := c.Values[m.Key]; ok {
				xys = append(xys, plotter.XY{X: float64(conns), Y: max(v.Median, m.Floor)})
			}
		}
	}
	if len(xys) == 0 {
		return nil, nil, nil
	}
	line, points, err := plotter.NewLinePoints(xys)
	if err != nil {
		return nil, nil, err
	}
	s := styleOf(model)
	line.Color, line.Width, line.Dashes = parseColour(s.colour), 1.75, s.dashes
	points.Color, points.Shape, points.Radius = line.Color, s.glyph, 3.5
	return line, points, nil
}

// xAxis has a tick at each number of connections that was measured.
func (r *Report) xAxis(p *plot.Plot) {
	first, last := float64(r.Conns[0]), float64(r.Conns[len(r.Conns)-1])
	var ticks plot.ConstantTicks
	for _, n := range r.Conns {
		ticks = append(ticks, plot.Tick{Value: float64(n), Label: strconv.Itoa(n)})
	}
	p.X.Tick.Marker = ticks
	p.X.Scale = plot.LogScale{}
	if first == last { // a scale needs a length
		first, last = first/2, last*2
	}
	p.X.Min, p.X.Max = first, last
}

// logFrom is how many times the least value the greatest must be for a scale on which equal ratios are equal lengths.
const logFrom = 8

// yAxis is linear from 0, or logarithmic where the values are too far apart for that.
func yAxis(p *plot.Plot, m Metric, ys []float64) {
	least, most := slices.Min(ys), slices.Max(ys)
	if most < logFrom*least {
		p.Y.Min, p.Y.Max = 0, most*1.08
		p.Y.Tick.Marker = linearTicks{}
		return
	}
	p.Title.Text += ", logarithmic"
	p.Y.Scale = plot.LogScale{}
	p.Y.Tick.Marker = logTicks{}
	p.Y.Min, p.Y.Max = least/1.3, most*1.3
}

// linearTicks are the library's own, with short labels.
type linearTicks struct{}

func (linearTicks) Ticks(least, most float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(least, most)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = short(ticks[i].Value)
		}
	}
	return ticks
}

// logTicks are 1, 2 and 5 of each decade, or the decades alone if these are many.
type logTicks struct{}

func (logTicks) Ticks(least, most float64) (ticks []plot.Tick) {
	steps := []float64{1, 2, 5}
	if most/least > 2e3 {
		steps = steps[:1]
	}
	for e := math.Floor(math.Log10(least)); math.Pow(10, e) <= most; e++ {
		for step := 1.0; step < 10; step++ {
			v := step * math.Pow(10, e)
			if v < least || v > most {
				continue
			}
			t := plot.Tick{Value: v}
			if slices.Contains(steps, step) {
				t.Label = short(v)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}

// short is a number for an axis: 250k, 1.5M, 0.02.
func short(v float64) string {
	s := func(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
	switch {
	case v >= 1e6:
		return s(v/1e6) + "M"
	case v >= 1e4:
		return s(v/1e3) + "k"
	case v >= 1e3:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v != 0 && v < 1e-3:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return s(v)
}

const gridGrey = "#d9d9d9"

var gridColour = parseColour(gridGrey)

// parseColour reads #rrggbb; the colours are constants of this file.
func parseColour(s string) color.Color {
	n, err := strconv.ParseUint(s[1:], 16, 32)
	if err != nil {
		panic(err)
	}
	return color.NRGBA{R: uint8(n >> 16), G: uint8(n >> 8), B: uint8(n), A: 255}
}

// dress makes the library's drawing one that tells what it is to whoever can't see it, that has the size of its place,
// and that changes with the colours of the page. The library writes colours into each element; a rule with !important
// comes before these, and a viewer that knows no rules draws the light one.
func dress(svg string, m Metric, r *Report) []byte {
	if i := strings.Index(svg, "<svg"); i > 0 {
		svg = svg[i:]
	}
	var css strings.Builder
	css.WriteString(`text{font-family:"Liberation Sans",Arial,Helvetica,sans-serif!important}` +
		"@media (prefers-color-scheme:dark){text{fill:#e6e6e6}")
	swap := func(from, to string) {
		from = strings.ToUpper(from)
		fmt.Fprintf(&css, `[style*="stroke:%s"]{stroke:%s!important}[style*="fill:%s"]{fill:%s!important}`, from, to, from, to)
	}
	swap("#000000", "#9a9a9a") // the axes
	swap(gridGrey, "#3a3a3a")
	for _, info := range r.Models {
		s := styleOf(info.Name)
		swap(s.colour, s.dark)
	}
	css.WriteString("}")
	title := m.Title + " against the number of connections"
	head := fmt.Sprintf(`<svg class="chart" role="img" aria-label="%s" width="%d" height="%d" `, html.EscapeString(title), chartWidth, chartHeight)
	_, rest, _ := strings.Cut(svg, "viewBox=")
	attributes, body, _ := strings.Cut(rest, ">")
	return []byte(head + "viewBox=" + attributes + ">\n<title>" + html.EscapeString(title) + "</title>\n<style>" + css.String() + "</style>" + body)
}
