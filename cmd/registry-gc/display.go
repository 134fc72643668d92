package main

import (
	"io"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// A display shows views on a terminal: a table with a row for every stage, and a bar. It
// is laid out by mpb for the width that the terminal has at the time.
type display struct {
	wording wording
	color   bool

	progress *mpb.Progress
	shown    atomic.Pointer[shown]
	refresh  chan any
	gone     chan any
}

// shown is what the display is to show.
type shown struct {
	labels *labels
	share  float64 // of the bar that is full; 0: there is no bar
}

// How many columns the bar takes; where there is no room for the least it is left out.
const (
	barWidth    = 30
	minBarWidth = 8
)

// newDisplay puts a display on a console. It is blank until the first view.
func newDisplay(console mpb.ConsoleWriter, wording wording, color bool) *display {
	d := &display{wording: wording, color: color, refresh: make(chan any), gone: make(chan any)}
	d.shown.Store(&shown{labels: new(labels)})
	d.progress = mpb.New(mpb.WithConsoleWriter(console), mpb.WithManualRefresh(d.refresh), mpb.WithShutdownNotifier(d.gone))
	for row := range tableRows {
		var cells []decor.Decorator
		for col := range tableCols {
			cells = append(cells, d.cell(row, col))
		}
		d.progress.New(0, mpb.NopStyle(), mpb.BarFillerTrim(), mpb.PrependDecorators(cells...))
	}
	d.progress.New(0, d.bar(), mpb.BarFillerTrim(), mpb.BarWidth(barWidth), mpb.AppendDecorators(d.time()))
	return d
}

// show shows a view. It returns when the view is on its way to the console.
func (d *display) show(v view) {
	d.shown.Store(&shown{labels: d.wording.labels(v), share: v.Share})
	select {
	case d.refresh <- nil:
	case <-d.gone: // the console has failed
	}
}

// close ends the display. Nothing is written to the console any more.
func (d *display) close() { d.progress.Shutdown() }

// cell returns what shows a cell of the table, as wide as the widest of its column.
func (d *display) cell(row, col int) decor.Decorator {
	layout := decor.WC{C: decor.DSyncWidthR}
	if col == 1 || col == 3 {
		layout.C = decor.DSyncWidth // numbers end in one line, and words begin so
	}
	cell := decor.Any(func(at decor.Statistics) string {
		return d.shown.Load().labels.cell(row, col, at.AvailableWidth)
	}, layout)
	switch {
	case col == 0:
		return decor.Meta(cell, d.paint(faint))
	case row == tableRows-1 && col == tableCols-1: // what holds the run up
		return decor.Meta(cell, d.paint(yellow))
	default:
		return cell
	}
}

func (d *display) time() decor.Decorator {
	return decor.Any(func(decor.Statistics) string { return d.shown.Load().labels.time })
}

// A barBuilder makes the bar, for the library insists on a builder.
type barBuilder struct{ mpb.BarFillerFunc }

// Build implements [mpb.BarFillerBuilder].
func (b barBuilder) Build() mpb.BarFiller { return b.BarFillerFunc }

// bar returns what draws the bar, and a space after it. Until the share is known it draws
// nothing.
func (d *display) bar() mpb.BarFillerBuilder {
	style := mpb.BarStyle().FillerMeta(d.paint(green)).TipMeta(d.paint(green)).PaddingMeta(d.paint(faint)).Build()
	return barBuilder{func(w io.Writer, at decor.Statistics) error {
		share := d.shown.Load().share
		if at.AvailableWidth--; share == 0 || at.AvailableWidth < minBarWidth {
			return nil
		}
		const whole = 1000
		at.Total, at.Current = whole, int64(share*whole)
		if err := style.Fill(w, at); err != nil {
			return err
		}
		_, err := io.WriteString(w, " ")
		return err
	}}
}

// What colours are called on a terminal.
const (
	faint  = "2"
	green  = "32"
	yellow = "33"
)

// paint returns what colours a text, where colours are wanted.
func (d *display) paint(color string) func(string) string {
	return func(text string) string {
		if !d.color || text == "" {
			return text
		}
		return "\x1b[" + color + "m" + text + "\x1b[0m"
	}
}
