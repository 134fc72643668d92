// Package report holds the events of a run and who renders them.
//
// The pipeline tells a run as a stream of [Event] values, in the order in which things
// happened, to one [Handler]. Handlers need not be safe for concurrent use. Names in
// events come from the server: whoever shows them has to render them harmless.
//
// report.html is written by [WriteHTML]: page.go puts it together, the other page_*.go
// files make its parts, and page/ has its template, style and script.
package report
