package main

import (
	"bytes"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A chart is some lines over the number of tags, both axes logarithmic.
type chart struct {
	title, unit string
	lines       []line
}

// A line is what one algorithm needs.
type line struct {
	name   string
	colour color.Color
	points plotter.XYs
	// dashed says from which point on it is computed: what leads there is dashed.
	dashed int
	mark   draw.GlyphDrawer // of what is measured, so that colour is not all that tells lines apart
	floor  bool             // drawn thin and without marks
}

var (
	orange = color.RGBA{R: 0xc4, G: 0x54, B: 0x00, A: 0xff}
	blue   = color.RGBA{R: 0x1f, G: 0x5f, B: 0xa8, A: 0xff}
	green  = color.RGBA{R: 0x2a, G: 0x7d, B: 0x4f, A: 0xff}
	grey   = color.RGBA{R: 0x70, G: 0x70, B: 0x70, A: 0xff}
	faint  = color.RGBA{R: 0xe2, G: 0xe2, B: 0xe2, A: 0xff}
)

func requestsChart(points []point) chart {
	return chart{"Requests against tags", "requests", lines(points,
		func(m measurement) float64 { return float64(m.requests()) },
		func(p point) float64 { return float64(p.Fewest) })}
}

func timeChart(points []point) chart {
	return chart{"Time against tags, at 5 ms a request", "seconds", lines(points,
		func(m measurement) float64 { return m.Seconds },
		func(p point) float64 { return float64(p.Fewest) * usual.Seconds() / inFlight })}
}

// lines turns the points of both regimes into lines. The sequential algorithm and the floor
// are shown on DATABASE; on LEGACY the former needs as much.
func lines(points []point, of func(measurement) float64, floor func(point) float64) []line {
	sequential := line{name: "sequential (dashed: computed)", colour: orange, mark: draw.CircleGlyph{}}
	legacy := line{name: "registry-gc, LEGACY", colour: green, mark: draw.BoxGlyph{}}
	database := line{name: "registry-gc, DATABASE", colour: blue, mark: draw.PyramidGlyph{}}
	fewest := line{name: "floor on DATABASE: pages, deletions ÷ 20", colour: grey, floor: true}
	for _, p := range points {
		x := float64(p.Tags)
		if p.Regime == "legacy" {
			legacy.points = append(legacy.points, plotter.XY{X: x, Y: of(p.Program)})
			continue
		}
		if !p.Computed {
			sequential.dashed = len(sequential.points) + 1
		}
		sequential.points = append(sequential.points, plotter.XY{X: x, Y: of(p.Sequential)})
		database.points = append(database.points, plotter.XY{X: x, Y: of(p.Program)})
		fewest.points = append(fewest.points, plotter.XY{X: x, Y: floor(p)})
	}
	for _, l := range []*line{&legacy, &database, &fewest} {
		l.dashed = len(l.points)
	}
	return []line{sequential, legacy, database, fewest}
}

// svg draws the chart.
func (c chart) svg() ([]byte, error) {
	p := plot.New()
	p.Title.Text = c.title
	p.X.Label.Text, p.Y.Label.Text = "tags", c.unit
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Scale = plot.LogScale{}
		axis.Tick.Marker = powers{}
		axis.Label.TextStyle.Font = sans(13)
		axis.Tick.Label.Font = sans(12)
		axis.Padding = vg.Points(4)
	}
	p.Title.TextStyle.Font = sans(15)
	p.Title.Padding = vg.Points(8)
	p.Legend.TextStyle.Font = sans(12)
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.XOffs, p.Legend.YOffs = vg.Points(10), -vg.Points(6)
	p.Legend.Padding = vg.Points(3)
	p.Legend.ThumbnailWidth = vg.Points(28)
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = faint, faint
	p.Add(grid)
	for _, l := range c.lines {
		if err := l.addTo(p); err != nil {
			return nil, err
		}
	}
	wholeDecades(&p.Y)
	canvas := vgsvg.New(18*vg.Centimeter, 12*vg.Centimeter)
	// The last label of the axis stands half outside the plot, which begins with its title
	// at the very edge.
	p.Draw(draw.Crop(draw.New(canvas), vg.Points(6), -vg.Points(30), vg.Points(6), -vg.Points(8)))
	var text bytes.Buffer
	_, err := canvas.WriteTo(&text)
	return bytes.ReplaceAll(text.Bytes(), []byte("font-family:Liberation Sans;"), []byte(fonts)), err
}

// fonts are what a page should be set in that has no Liberation Sans: those it was made to
// be as wide as.
const fonts = "font-family:Liberation Sans,Arial,Helvetica,sans-serif;"

func sans(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

// addTo draws the measured part and the computed one.
func (l line) addTo(p *plot.Plot) error {
	if len(l.points) == 0 {
		return nil
	}
	measured, marks, err := plotter.NewLinePoints(l.points[:l.dashed])
	if err != nil {
		return err
	}
	measured.Color, measured.Width = l.colour, vg.Points(2)
	marks.Color, marks.Shape, marks.Radius = l.colour, l.mark, vg.Points(4)
	if l.floor {
		measured.Width = vg.Points(1)
		measured.Dashes = []vg.Length{vg.Points(2), vg.Points(3)}
		p.Add(measured)
		p.Legend.Add(l.name, measured)
		return nil
	}
	p.Add(measured, marks)
	p.Legend.Add(l.name, measured, marks)
	if l.dashed == len(l.points) {
		return nil
	}
	computed, rings, err := plotter.NewLinePoints(l.points[max(l.dashed-1, 0):])
	if err != nil {
		return err
	}
	computed.Color, computed.Width = l.colour, vg.Points(2)
	computed.Dashes = []vg.Length{vg.Points(7), vg.Points(4)}
	rings.Color, rings.Shape, rings.Radius = l.colour, draw.RingGlyph{}, vg.Points(3.5)
	p.Add(computed, rings)
	return nil
}
