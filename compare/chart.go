package compare

import (
	"bytes"
	"cmp"
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
// dashes, so that the lines can be told apart without their colours. These are those of Okabe and Ito and two greys,
// made lighter or darker until those of one kind of line stay apart for whoever sees no green (TestDeuteranopia).
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
	"threads":    {"#a03a00", "#e0612a", draw.BoxGlyph{}, dashed},
	"processes":  {"#c08a00", "#ffc04d", draw.TriangleGlyph{}, dashed},
	"goroutines": {"#009e73", "#2fd0a2", draw.CircleGlyph{}, dashed},
	"select":     {"#a89b00", "#f0e442", draw.PlusGlyph{}, solid},
	"poll":       {"#b8578d", "#f2a7cf", draw.RingGlyph{}, solid},
	"epoll":      {"#3c9fdb", "#8fd3ff", draw.PyramidGlyph{}, solid},
	"io_uring":   {"#003a6b", "#2f7fd6", draw.SquareGlyph{}, solid},
	"coroutines": {"#8657c4", "#a988f0", draw.CircleGlyph{}, solid},
}

// other is the style of a model that is not listed.
var other = style{"#555556", "#bbbbbc", draw.CircleGlyph{}, solid}

func styleOf(model string) style {
	if s, ok := styles[model]; ok {
		return s
	}
	return other
}

// The size of a chart, in points, and of its parts. A telephone of 360 pixels leaves a chart some 318: its letters are
// then 11 pixels and more. Wide pages have several charts in a row, and not wider ones.
const (
	chartWidth  = 360
	chartHeight = 400
	labelWidth  = 92 // of the models' names to the right
	textSize    = 13
)

// chart draws the metric against the connections; nil means that there is nothing to draw.
func (r *Report) chart(m Metric) ([]byte, error) {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	// The vertical axis' label stands above: there it is read without turning the head, and the library would leave a
	// long one beside a logarithmic axis more room than there is.
	p.Title.Text = m.Title + "\n" + m.Unit
	p.Title.Padding = 10
	p.Title.TextStyle.Font.Size = textSize
	p.X.Label.Text = "connections"
	grid := plotter.NewGrid() // beneath the lines
	grid.Vertical.Color, grid.Horizontal.Color = gridColour, gridColour
	p.Add(grid)
	var ys []float64
	var ends []lineEnd
	for i, info := range r.Models {
		line, points, err := r.series(m, i)
		if err != nil {
			return nil, fmt.Errorf("compare: draw %s of %s: %w", m.Key, info.Name, err)
		}
		if line == nil {
			continue
		}
		p.Add(line, points)
		ends = append(ends, lineEnd{info.Name, line.XYs[len(line.XYs)-1], points.GlyphStyle, len(line.XYs) == len(r.Conns)})
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
	whole := draw.Crop(draw.New(svg), 2, -labelWidth, 4, -4)
	p.Draw(whole)
	nameEnds(p, p.DataCanvas(whole), ends)
	var b bytes.Buffer
	if _, err := svg.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("compare: draw %s: %w", m.Key, err)
	}
	return dress(b.String(), m, r), nil
}

// A lineEnd is where a model's line ends.
type lineEnd struct {
	model string
	at    plotter.XY
	glyph draw.GlyphStyle
	whole bool // it goes on to the right end of the chart
}

// The column of names, in points.
const (
	nameGap  = 16 // from name to name
	nameMark = 24 // from the plot to a name's mark
	nameText = 32 // and to the name
)

// nameEnds writes the models' names beside the ends of their lines, each with its mark, and
// moves those apart that would lie on each other. A thin line leads to the name; there is
// none from a line that ends in the midst of the chart, since it would cross the others.
func nameEnds(p *plot.Plot, c draw.Canvas, ends []lineEnd) {
	x, y := p.Transforms(&c)
	slices.SortStableFunc(ends, func(a, b lineEnd) int { return cmp.Compare(a.at.Y, b.at.Y) })
	at := make([]vg.Length, len(ends))
	for i, e := range ends {
		at[i] = y(e.at.Y)
	}
	spread(at, nameGap, c.Min.Y, c.Max.Y)
	style := p.X.Tick.Label
	style.XAlign, style.YAlign = draw.XLeft, draw.YCenter
	for i, e := range ends {
		mark := vg.Point{X: c.Max.X + nameMark, Y: at[i]}
		if e.whole {
			from, to := vg.Point{X: x(e.at.X), Y: y(e.at.Y)}, vg.Point{X: mark.X - 6, Y: at[i]}
			c.StrokeLines(draw.LineStyle{Color: e.glyph.Color, Width: 0.5}, []vg.Point{from, to})
		}
		c.DrawGlyphNoClip(e.glyph, mark)
		c.FillText(style, vg.Point{X: c.Max.X + nameText, Y: at[i]}, e.model)
	}
}

// spread moves what stands in ascending order apart, to at least gap from each other and
// between low and high if there is room for that.
func spread(at []vg.Length, gap, low, high vg.Length) {
	for i := range at {
		at[i] = max(at[i], low+vg.Length(i)*gap)
		if i > 0 {
			at[i] = max(at[i], at[i-1]+gap)
		}
	}
	for i := len(at) - 1; i >= 0; i-- {
		at[i] = min(at[i], high)
		high = at[i] - gap
	}
}

// sideStep is by how much each model's points stand to the right of the model's before
// it, as a ratio of connections: so models with the same value lie side by side, and none
// hides another. They stay near their own number, which is the middle of them.
const sideStep = 1.07

// series are the line and points of a model, which is the i-th.
func (r *Report) series(m Metric, i int) (*plotter.Line, *plotter.Scatter, error) {
	model := r.Models[i].Name
	aside := math.Pow(sideStep, float64(i)-float64(len(r.Models)-1)/2)
	var xys plotter.XYs
	for _, conns := range r.Conns {
		if c := r.Cell(model, conns); c != nil {
			if v, ok := c.Values[m.Key]; ok {
				y := v.Median
				if y <= 0 { // a logarithm can't show it
					y = m.Floor
				}
				xys = append(xys, plotter.XY{X: float64(conns) * aside, Y: y})
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
	line.Color, line.Width, line.Dashes = parseColour(s.colour), 1.5, s.dashes
	points.Color, points.Shape, points.Radius = line.Color, s.glyph, 3
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
	edge := math.Pow(sideStep, float64(len(r.Models)+1)/2)
	p.X.Min, p.X.Max = first/edge, last*edge
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
	return []byte(head + "viewBox=" + attributes + ">\n" +
		"<title>" + html.EscapeString(title) + "</title>\n<style>" + css.String() + "</style>" + body)
}
