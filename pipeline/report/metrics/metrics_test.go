package metrics

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

var update = flag.Bool("update", false, "write the golden files")

// run returns a run in which something happened.
func run(t *testing.T, dryRun bool) *Run {
	t.Helper()
	outcome := report.Deleted
	if dryRun {
		outcome = report.Marked
	}
	summary := report.NewSummary(dryRun)
	summary.Rules = byDefault(t)
	for _, event := range []report.Event{
		report.RegimeFound{Regime: registry.Legacy},
		report.ProjectScanned{Project: "g/p"},
		report.RepositoryScanned{Project: "g/p", Repository: "g/p/app", Tags: 5},
		report.Unreadable{Name: "g/q"},
		report.Decision{Repository: "g/p/app", Action: policy.Keep, Outcome: report.Kept, Reason: policy.NoRule},
		report.Decision{Repository: "g/p/app", Action: policy.Delete, Outcome: outcome, Reason: "undatable", Kind: "attested-image", Bytes: 5 << 30},
		report.Decision{Repository: "g/p/app", Action: policy.Delete, Outcome: outcome, Reason: "undatable"},
		report.Decision{Repository: "g/p/app", Action: policy.Undecided, Outcome: report.Undecided, Reason: policy.DetailsUnknown},
		report.Decision{Repository: "g/p/app", Action: policy.Delete, Outcome: report.Failed, Reason: report.DeleteForbidden},
	} {
		if err := summary.Handle(event); err != nil {
			t.Fatal(err)
		}
	}
	summary.Requests, summary.Retries = report.Requests{API: 3400, Registry: 1200}, 3
	summary.Throttled, summary.Duration = report.Seconds(1500*time.Millisecond), report.Seconds(93_250*time.Millisecond)
	return &Run{Summary: summary, Version: "1.2.3", ExitCode: 3, Ended: time.Unix(1_800_000_000, 5)}
}

// byDefault are the rules by default.
func byDefault(t *testing.T) *report.Rules {
	t.Helper()
	rules, err := policy.Compile(policy.Default(), policy.Settings{Orphans: policy.OrphansAuto})
	if err != nil {
		t.Fatal(err)
	}
	return report.NewRules(rules)
}

// TestText pins the file, which is part of the contract with users.
func TestText(t *testing.T) {
	got := string(run(t, false).Text())
	const golden = "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestLint holds names, types and help texts against Prometheus' own conventions.
func TestLint(t *testing.T) {
	problems, err := promlint.New(bytes.NewReader(run(t, false).Text())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}

// TestTextfileCollector reads the text as node_exporter and a Pushgateway do: in
// Prometheus' own format, without timestamps. Written by Prometheus' own library as
// OpenMetrics, what was read is the same text.
func TestTextfileCollector(t *testing.T) {
	r := run(t, false)
	r.Version = `1 "2" \3` + "\n"
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(r.Text()))
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(families)) {
		family := families[name]
		if family.GetType() != dto.MetricType_GAUGE {
			t.Errorf("%s is not read as a gauge", name)
		}
		for _, m := range family.GetMetric() {
			if m.TimestampMs != nil {
				t.Errorf("%s has a timestamp, for which the whole file is refused", name)
			}
		}
		if _, err := expfmt.MetricFamilyToOpenMetrics(&again, family); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = expfmt.FinalizeOpenMetrics(&again)
	if diff := cmp.Diff(again.String(), string(r.Text())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestGitLabsReader: GitLab drops what follows a #, splits the rest of a line as a shell
// would, and takes the first word for the name. What is left of each line has to be two
// words without quotes or escapes but those around labels.
func TestGitLabsReader(t *testing.T) {
	names := make(map[string]bool)
	for line := range strings.Lines(string(run(t, false).Text())) {
		line, _, comment := strings.Cut(strings.TrimSpace(line), "#")
		if comment && line == "" {
			continue
		}
		words := strings.Fields(line)
		if len(words) != 2 || comment || strings.ContainsAny(line, `'\`) || strings.Count(line, `"`)%2 != 0 || names[words[0]] {
			t.Errorf("GitLab cannot read %q", line)
			continue
		}
		names[words[0]] = true
	}
	if len(names) < 30 {
		t.Errorf("only %d values", len(names))
	}
}

// TestSeriesStay: a run in which nothing happened has the series of one in which much did.
func TestSeriesStay(t *testing.T) {
	series := func(r *Run) (names []string) {
		for line := range strings.Lines(string(r.Text())) {
			if name, _, _ := strings.Cut(line, " "); name != "#" && !strings.HasPrefix(name, "registry_gc_run_info") {
				names = append(names, name)
			}
		}
		return names
	}
	nothing := &Run{Summary: report.NewSummary(true)}
	nothing.Summary.Rules = byDefault(t)
	if diff := cmp.Diff(series(run(t, false)), series(nothing)); diff != "" {
		t.Errorf("(-much +nothing):\n%s", diff)
	}
}

// TestDryRun: what was marked does not count as deleted.
func TestDryRun(t *testing.T) {
	text := string(run(t, true).Text())
	for _, want := range []string{
		`registry_gc_tags{outcome="deleted"} 0.0`, `registry_gc_tags{outcome="marked"} 2.0`,
		`registry_gc_run_info{dry_run="true",regime="legacy",version="1.2.3"} 1.0`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
