package load

import (
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/plexor-go/plexor/internal/stack"
)

// ErrNothingToPlot is WriteSVG of a result without latencies.
var ErrNothingToPlot = errors.New("load: there is nothing to plot: no message was answered")

// The picture's size.
const (
	plotWidth  = 18 * vg.Centimeter
	plotHeight = 20 * vg.Centimeter
)

// blue is told from the grey of the grid by every kind of eye.
var blue = color.NRGBA{R: 0x1f, G: 0x5f, B: 0xa8, A: 0xff}

// WriteSVG draws the latencies: how many messages took how long, and below it the latency by percentile, with the
// percentiles' axis stretched towards 100 %, where the trouble is.
func (r *Result) WriteSVG(w io.Writer) error {
	stack.Given("load: Result.WriteSVG", "the writer", w != nil)
	if len(r.Histogram) == 0 || len(r.Percentiles) == 0 {
		return ErrNothingToPlot
	}
	upper, lower := r.plotHistogram(), r.plotPercentiles()
	c := vgsvg.New(plotWidth, plotHeight)
	page := draw.New(c)
	page.SetColor(color.White)
	page.Fill(page.Rectangle.Path())
	tiles := draw.Tiles{Rows: 2, Cols: 1, PadTop: vg.Centimeter / 2, PadBottom: vg.Centimeter / 2,
		PadLeft:  vg.Centimeter / 2,
		PadRight: vg.Centimeter, PadY: vg.Centimeter / 2}
	plots := [][]*plot.Plot{{upper}, {lower}}
	for i, row := range plot.Align(plots, tiles, page) {
		plots[i][0].Draw(row[0])
	}
	_, err := c.WriteTo(w)
	return err
}

func (r *Result) plotHistogram() *plot.Plot {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%s: %d connections × %d × %d bytes, %.0f messages/s", r.host(), r.Conns, r.Depth, r.Size,
		r.Rate)
	p.X.Label.Text, p.Y.Label.Text = "latency", "share of the messages (%)"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, timeTicks{}
	bars := &plotter.Histogram{FillColor: blue, LineStyle: draw.LineStyle{Color: color.White, Width: vg.Points(0.5)}}
	from := max(r.Latency.Min, 1e-3)
	top := 0.0
	for _, b := range r.Histogram {
		share := float64(b.Count) / float64(r.Messages) * 100
		from = min(from, b.UpTo*0.99)
		bars.Bins = append(bars.Bins, plotter.HistogramBin{Min: from, Max: b.UpTo, Weight: share})
		from, top = b.UpTo, max(top, share)
	}
	p.Add(plotter.NewGrid(), bars)
	p.X.Min, p.X.Max = decade(bars.Bins[0].Min, math.Floor), decade(from, math.Ceil)
	p.Y.Min, p.Y.Max = 0, top*1.1
	return p
}

func (r *Result) plotPercentiles() *plot.Plot {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "percentile of the messages", "latency"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.Y.Tick.Marker = timeTicks{}
	var line plotter.XYs
	most := 1.0 / (1 - 0.9)
	for _, q := range r.Percentiles {
		x := 100 / max(100-q.Percent, 100/float64(r.Messages)/2)
		line = append(line, plotter.XY{X: x, Y: max(q.Latency, 1e-3)})
		most = max(most, x)
	}
	var ticks plot.ConstantTicks
	for _, share := range []float64{0, 50, 90, 99, 99.9, 99.99, 99.999, 99.9999} {
		if x := 100 / (100 - share); x <= most {
			ticks = append(ticks, plot.Tick{Value: x, Label: fmt.Sprint(share)})
		}
	}
	p.X.Tick.Marker = ticks
	curve := &plotter.Line{XYs: line, StepStyle: plotter.PreStep,
		LineStyle: draw.LineStyle{Color: blue, Width: vg.Points(2)}}
	p.Add(plotter.NewGrid(), curve)
	p.X.Min, p.X.Max = 1, most
	p.Y.Min, p.Y.Max = decade(line[0].Y, math.Floor), decade(line[len(line)-1].Y, math.Ceil)
	if p.Y.Min == p.Y.Max {
		p.Y.Max *= 10
	}
	return p
}

// host is the address without its options, which may be long.
func (r *Result) host() string {
	a, _, _ := strings.Cut(r.Address, "?")
	return a
}

// decade is the power of ten next to v.
func decade(v float64, round func(float64) float64) float64 {
	return math.Pow(10, round(math.Log10(v)))
}

// timeTicks marks decades of microseconds, with the unit that reads best.
type timeTicks struct{}

// Ticks is of plot.Ticker.
func (timeTicks) Ticks(low, high float64) (ticks []plot.Tick) {
	for v := decade(low, math.Floor); v <= high*1.001; v *= 10 {
		label := time.Duration(math.Round(v * 1e3)).String()
		ticks = append(ticks, plot.Tick{Value: v, Label: label})
		for i := 2.0; i < 10 && v*i <= high; i++ {
			ticks = append(ticks, plot.Tick{Value: v * i})
		}
	}
	return ticks
}
