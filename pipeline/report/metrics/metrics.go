// Package metrics renders the end of a run for Prometheus: as the text of metrics.txt,
// and as a push to a Pushgateway.
//
// All metrics are gauges. What a run counts begins anew with the next one, so that no
// rate can be taken of it, and gauges alone mean the same in every format that reads
// them. Every series is there after every run, zeros too, so that what compares two runs
// sees values that have changed and not series that came or went; registry_gc_run_info is
// the one whose labels change.
package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// A Run is a run that has ended.
type Run struct {
	Summary  *report.Summary
	Dead     *report.Tally
	Version  string // of the program
	ExitCode int
	Ended    time.Time
}

// gauges is what gauges are registered with.
type gauges struct{ promauto.Factory }

// set makes a gauge without labels.
func (g gauges) set(name, help string, value float64) {
	g.NewGauge(prometheus.GaugeOpts{Namespace: "registry_gc", Name: name, Help: help}).Set(value)
}

// by makes a gauge with one label.
func (g gauges) by(label, name, help string, values map[string]float64) {
	vec := g.NewGaugeVec(prometheus.GaugeOpts{Namespace: "registry_gc", Name: name, Help: help}, []string{label})
	for value, number := range values {
		vec.WithLabelValues(value).Set(number)
	}
}

// registry holds the metrics of the run. Help texts are free of quotes and backslashes,
// which formats escape in different ways.
func (r *Run) registry() *prometheus.Registry {
	registry := prometheus.NewPedanticRegistry()
	g, s := gauges{promauto.With(registry)}, r.Summary
	g.set("projects", "Projects whose repositories are known.", float64(s.Projects))
	g.set("repositories", "Repositories whose tags are known.", float64(s.Repositories))
	g.set("unreadable", "Groups, projects and repositories that could not be read.", float64(s.Unreadable))
	g.set("registry_out_of_reach", "Whether the registry should have been asked and could not be; 1 if so.", oneIf(s.OutOfReach))
	g.by("outcome", "tags", "Tags by what became of them; marked stands for deleted in a dry run.", r.outcomes())
	g.by("reason", "decisions", "Tags by the reason for what became of them.", r.reasons())
	r.measureDead(g)
	g.by("to", "requests", "HTTP requests sent to the API of the instance and to the registry, retries included.",
		map[string]float64{"api": float64(s.Requests.API), "registry": float64(s.Requests.Registry)})
	g.set("retries", "Requests that were sent again.", float64(s.Retries))
	g.set("throttled_seconds", "Time for which the server held requests back.", time.Duration(s.Throttled).Seconds())
	g.set("duration_seconds", "How long the run took.", time.Duration(s.Duration).Seconds())
	g.set("last_run_timestamp_seconds", "When the run ended.", float64(r.Ended.Unix()))
	g.set("exit_code", "Exit code of the program; 0 if all was done.", float64(r.ExitCode))
	g.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "registry_gc", Name: "run_info", Help: "How the run was made; always 1.",
	}, []string{"dry_run", "regime", "version"}).
		WithLabelValues(strconv.FormatBool(s.DryRun), s.Regime, r.Version).Set(1)
	return registry
}

func oneIf(condition bool) float64 {
	if condition {
		return 1
	}
	return 0
}

// measureDead tells of the dead tags, deleted or not.
func (r *Run) measureDead(g gauges) {
	dead := r.Dead.Total()
	g.set("dead_repositories", "Repositories with dead tags.", float64(r.Dead.Repositories()))
	g.set("dead_sized_tags", "Dead tags whose size is known.", float64(dead.Sized))
	g.set("dead_referenced_bytes", "What dead tags of known size reference, shared layers counted for each; not what will be freed.",
		float64(dead.Bytes))
}

// outcomes counts the tags. They add up to all tags of the run.
func (r *Run) outcomes() map[string]float64 {
	s := r.Summary
	counts := map[report.Outcome]int{
		report.Kept: s.Kept, report.Deleted: s.Deleted, report.Marked: 0, report.Undecided: s.Undecided, report.Failed: s.Failed,
	}
	if s.DryRun {
		counts[report.Deleted], counts[report.Marked] = 0, s.Deleted
	}
	values := make(map[string]float64)
	for outcome, n := range counts {
		values[string(outcome)] = float64(n)
	}
	return values
}

func (r *Run) reasons() map[string]float64 {
	values := make(map[string]float64)
	for _, e := range report.Explanations() {
		values[string(e.Reason)] = float64(r.Summary.Reasons[e.Reason])
	}
	return values
}
