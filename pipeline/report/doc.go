// Package report holds the events of a run and the handlers that count, log and record
// them.
//
// The pipeline tells a run as a stream of [Event] values, in the order in which things
// happened, to one [Handler]. Handlers need not be safe for concurrent use. Names in
// events come from the server: a handler that shows them has to make them harmless first,
// for which there is internal/printable.
//
// A summary is shown in three forms: text.go prints it for a terminal, markdown.go as Markdown, and the page
// draws it. What they have in common is made once: deletions.go measures what is deleted, notes.go says what
// people should know, next.go what they may do, words.go in which words.
//
// report.html is written by [Files.Close]: page.go puts it together, page_data.go says what is known of
// the run, page_rows.go and page_plan.go have what there is of each tag, and page/ has the page itself, its
// style, and its script, which draws all that.
package report
