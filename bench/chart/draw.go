package main

import (
	"bytes"
	"image/color"
	"math"
	"strconv"

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

// A line is what one algorithm needs for instances of several sizes.
type line struct {
	name   string
	colour color.Color
	points plotter.XYs
	// measured is how many of the points were measured. The others were computed, and
	// what leads to them is dashed.
	measured int
	mark     draw.GlyphDrawer // of measured points, so that colour is not all that tells lines apart
	floor    bool             // drawn thin and without marks
}

var (
	orange = color.RGBA{R: 0xc4, G: 0x54, B: 0x00, A: 0xff}
	blue   = color.RGBA{R: 0x1f, G: 0x5f, B: 0xa8, A: 0xff}
	green  = color.RGBA{R: 0x2a, G: 0x7d, B: 0x4f, A: 0xff}
	grey   = color.RGBA{R: 0x70, G: 0x70, B: 0x70, A: 0xff}
	faint  = color.RGBA{R: 0xe2, G: 0xe2, B: 0xe2, A: 0xff}
)

// svg draws the chart.
func (c chart) svg() ([]byte, error) {
	p := plot.New()
	p.Title.Text = c.title
	p.X.Label.Text, p.Y.Label.Text = "tags", c.unit
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Scale = plot.LogScale{}
		axis.Tick.Marker = decades{}
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
	roundToDecades(&p.Y)
	canvas := vgsvg.New(18*vg.Centimeter, 12*vg.Centimeter)
	// The last label of the axis stands half outside the plot, which begins with its title
	// at the very edge.
	p.Draw(draw.Crop(draw.New(canvas), vg.Points(6), -vg.Points(30), vg.Points(6), -vg.Points(8)))
	var text bytes.Buffer
	_, err := canvas.WriteTo(&text)
	return bytes.ReplaceAll(text.Bytes(), []byte("font-family:Liberation Sans;"), []byte(fonts)), err
}

// fonts names, for browsers without Liberation Sans, those that it was made as wide as.
const fonts = "font-family:Liberation Sans,Arial,Helvetica,sans-serif;"

func sans(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

// addTo draws the measured part and the computed one.
func (l line) addTo(p *plot.Plot) error {
	if len(l.points) == 0 {
		return nil
	}
	measured, marks, err := plotter.NewLinePoints(l.points[:l.measured])
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
	if l.measured == len(l.points) {
		return nil
	}
	computed, rings, err := plotter.NewLinePoints(l.points[max(l.measured-1, 0):])
	if err != nil {
		return err
	}
	computed.Color, computed.Width = l.colour, vg.Points(2)
	computed.Dashes = []vg.Length{vg.Points(7), vg.Points(4)}
	rings.Color, rings.Shape, rings.Radius = l.colour, draw.RingGlyph{}, vg.Points(3.5)
	p.Add(computed, rings)
	return nil
}

// decades marks the powers of ten on an axis and labels them as people write them.
type decades struct{}

// Ticks implements [plot.Ticker].
func (decades) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		power := math.Pow(10, e)
		if power >= low*0.999 && power <= high*1.001 {
			ticks = append(ticks, plot.Tick{Value: power, Label: powerLabel(power)})
		}
		for n := 2.0; n < 10; n++ {
			if minor := n * power; minor > low && minor < high {
				ticks = append(ticks, plot.Tick{Value: minor})
			}
		}
	}
	return ticks
}

func powerLabel(power float64) string {
	if power < 1 {
		return strconv.FormatFloat(power, 'f', -1, 64)
	}
	return withCommas(int(math.Round(power)))
}

// roundToDecades lets an axis begin and end at a power of ten, and leaves some room above
// for the legend.
func roundToDecades(axis *plot.Axis) {
	axis.Min = math.Pow(10, math.Floor(math.Log10(axis.Min)))
	axis.Max = math.Pow(10, math.Ceil(math.Log10(axis.Max)+0.7))
}

func withCommas(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
