// Package metrics renders the end of a run for Prometheus: as the text of metrics.txt,
// and as a push to a Pushgateway.
//
// All metrics are gauges. What a run counts begins anew with the next one, so that no
// rate can be taken of it, and gauges alone mean the same in every format that reads
// them. Every series is there after every run, zeros too, so that a comparison of two runs
// sees values that have changed and not series that came or went; registry_gc_run_info is
// the one whose labels change.
package metrics

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// A Run is a run that has ended.
type Run struct {
	Summary  *report.Summary
	Version  string // of the program
	ExitCode int
	Ended    time.Time
}

// A gauge is a metric with its values by [labels], "" for a value without any.
type gauge struct {
	name, help string
	values     map[string]float64
}

// gauges returns the metrics. Help texts are free of quotes and backslashes, which formats
// escape in different ways.
func (r *Run) gauges() []gauge {
	s := r.Summary
	one := func(value float64) map[string]float64 { return map[string]float64{"": value} }
	outcomes := map[report.Outcome]int{ // add up to all tags of the run
		report.Kept: s.Kept, report.Deleted: s.Deleted, report.Marked: 0, report.Undecided: s.Undecided, report.Failed: s.Failed,
	}
	if s.DryRun || s.MaxDeletions > 0 {
		outcomes[report.Deleted], outcomes[report.Marked] = 0, s.Deleted
	}
	tags, decisions := make(map[string]float64), make(map[string]float64)
	for outcome, n := range outcomes {
		tags[labels("outcome", string(outcome))] = float64(n)
	}
	for _, e := range s.Explanations() {
		decisions[labels("reason", string(e.Reason))] = float64(s.Reasons[e.Reason])
	}
	info := labels("dry_run", strconv.FormatBool(s.DryRun), "regime", s.Regime, "version", r.Version)
	return []gauge{
		{"projects", "Projects whose repositories are known.", one(float64(s.Projects))},
		{"repositories", "Repositories whose tags are known.", one(float64(s.Repositories))},
		{"unreadable", "Groups, projects and repositories that could not be read.", one(float64(s.Unreadable))},
		{"tags", "Tags by what became of them; marked stands for deleted in a dry run.", tags},
		{"decisions", "Tags by the reason for what became of them.", decisions},
		{"dead_repositories", "Repositories with tags that go.", one(float64(s.Deletions.Repositories))},
		{"dead_sized_tags", "Tags that go whose size is known.", one(float64(s.Deletions.Sized))},
		{"dead_referenced_bytes", "What tags that go and are of known size reference, each manifest once, layers that manifests share for each; not what will be freed.", one(float64(s.Deletions.Bytes))},
		{"pullable_tags", "Images that can be pulled among the deleted or marked tags: they are no dead ones.", one(float64(s.Pullable.Tags))},
		{"pullable_referenced_bytes", "What those of them reference whose size is known, each manifest once, layers that manifests share for each.", one(float64(s.Pullable.Bytes))},
		{"requests", "HTTP requests sent to the API of the instance and to the registry, retries included.",
			map[string]float64{labels("to", "api"): float64(s.Requests.API), labels("to", "registry"): float64(s.Requests.Registry)}},
		{"retries", "Requests that were sent again.", one(float64(s.Retries))},
		{"throttled_seconds", "Time for which the server held requests back.", one(time.Duration(s.Throttled).Seconds())},
		{"duration_seconds", "How long the run took.", one(time.Duration(s.Duration).Seconds())},
		{"last_run_timestamp_seconds", "When the run ended.", one(float64(r.Ended.Unix()))},
		{"exit_code", "Exit code of the program; 0 if all was done.", one(float64(r.ExitCode))},
		{"run_info", "How the run was made; always 1.", map[string]float64{info: 1}},
	}
}

// labels returns names and values of labels as the format has them.
func labels(pairs ...string) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	var all []string
	for pair := range slices.Chunk(pairs, 2) {
		all = append(all, pair[0]+`="`+escape.Replace(pair[1])+`"`)
	}
	return "{" + strings.Join(all, ",") + "}"
}

// Text returns the metrics in the text format of OpenMetrics 1.0.
//
// That is what GitLab wants of a metrics report, whose reader in truth splits lines like
// a shell and takes the first word for the name, labels and all; no label holds a blank,
// a quote or a #. node_exporter's textfile collector and a Pushgateway know Prometheus'
// own text format. Both formats are the same for gauges without units and timestamps, but
// for the last line, "# EOF", which is a comment in the older one. A counter would be
// called by another name in its TYPE line, and an info would be refused.
func (r *Run) Text() []byte {
	all := r.gauges()
	slices.SortFunc(all, func(a, b gauge) int { return cmp.Compare(a.name, b.name) })
	var text bytes.Buffer
	for _, g := range all {
		name := "registry_gc_" + g.name
		fmt.Fprintf(&text, "# HELP %s %s\n# TYPE %s gauge\n", name, g.help, name)
		for _, labels := range slices.Sorted(maps.Keys(g.values)) {
			number := strconv.FormatFloat(g.values[labels], 'g', -1, 64)
			if !strings.ContainsAny(number, ".e") {
				number += ".0" // OpenMetrics' form of a float
			}
			fmt.Fprintf(&text, "%s%s %s\n", name, labels, number)
		}
	}
	text.WriteString("# EOF\n")
	return text.Bytes()
}
