package main

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// powers marks the powers of ten and labels them as people write them.
type powers struct{}

// Ticks implements [plot.Ticker].
func (powers) Ticks(low, high float64) []plot.Tick {
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
	return thousands(int(math.Round(power)))
}

// wholeDecades lets an axis begin and end at a power of ten, and leaves some room above for
// the legend.
func wholeDecades(axis *plot.Axis) {
	axis.Min = math.Pow(10, math.Floor(math.Log10(axis.Min)))
	axis.Max = math.Pow(10, math.Ceil(math.Log10(axis.Max)+0.7))
}
