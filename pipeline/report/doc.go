// Package report holds the events of a run and the handlers that count, log and record
// them.
//
// The pipeline tells a run as a stream of [Event] values, in the order in which things
// happened, to one [Handler]. Handlers need not be safe for concurrent use. Names in
// events come from the server: a handler that shows them has to make them harmless first,
// for which there is internal/printable.
//
// report.html is written by [WriteHTML]: page.go puts it together, page_markup.go fills the
// parts of page.html, the other page_*.go files have what goes into them, and page/ has the
// page itself, its style and its script.
package report
