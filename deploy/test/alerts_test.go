package deploy_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// withAlerts turns the alerts on.
const withAlerts = `
pushgateway: {url: "http://push.example.com:9091"}
prometheusRule: {enabled: true, labels: {release: prometheus}, alertLabels: {severity: page}}
`

// goldenMetrics are the metrics of a run as a test of the program pins them: it ended with code 3, with a tag
// that was undecided and one that failed.
const goldenMetrics = moduleRoot + "/pipeline/report/metrics/testdata/metrics.txt"

// samples are the values of series by their names with labels.
type samples map[string]float64

// readMetrics reads metrics as a run pushes them, with the labels that the Pushgateway adds.
func readMetrics(t *testing.T, text string, pushed map[string]string) samples {
	t.Helper()
	all := make(samples)
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || name == "#" {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all[with(t, name, pushed)] = number
	}
	return all
}

// with adds labels to a series.
func with(t *testing.T, series string, more map[string]string) string {
	t.Helper()
	lbls, err := parser.NewParser(parser.Options{}).ParseMetric(series)
	if err != nil {
		t.Fatalf("%s: %v", series, err)
	}
	builder := labels.NewBuilder(lbls)
	for name, value := range more {
		builder.Set(name, value)
	}
	return builder.Labels().String()
}

// changed are the samples with some values that are others.
func (s samples) changed(t *testing.T, pushed map[string]string, values samples) samples {
	t.Helper()
	all := maps.Clone(s)
	for name, value := range values {
		series := with(t, name, pushed)
		if _, ok := all[series]; !ok {
			t.Fatalf("runs do not push %s", series)
		}
		all[series] = value
	}
	return all
}

// now is when alerts are looked at.
var now = time.Unix(1_900_000_000, 0)

// prometheus has scraped some samples until a time, and others from there on.
type prometheus struct {
	before, after samples
	at            time.Time
}

func (p prometheus) Querier(int64, int64) (storage.Querier, error) {
	read := parser.NewParser(parser.Options{})
	return &storage.MockQuerier{SelectMockFunction: func(_ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		set, scraped := &seriesSet{}, p.after
		if hints.End < p.at.UnixMilli() {
			scraped = p.before
		}
		for series, value := range scraped {
			lbls, err := read.ParseMetric(series)
			if err != nil || slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(lbls.Get(m.Name)) }) {
				continue
			}
			set.series = append(set.series, storage.NewListSeries(lbls, []chunks.Sample{sample{at: hints.End, value: value}}))
		}
		return set
	}}, nil
}

// sample is the value of a series at one time.
type sample struct {
	chunks.Sample
	at    int64
	value float64
}

func (s sample) T() int64                 { return s.at }
func (s sample) F() float64               { return s.value }
func (s sample) ST() int64                { return 0 }
func (s sample) Type() chunkenc.ValueType { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample      { return s }

type seriesSet struct {
	series []storage.Series
	next   int
}

func (s *seriesSet) Next() bool                      { s.next++; return s.next <= len(s.series) }
func (s *seriesSet) At() storage.Series              { return s.series[s.next-1] }
func (*seriesSet) Err() error                        { return nil }
func (*seriesSet) Warnings() annotations.Annotations { return nil }

// firing returns the names of the alerts whose expressions hold.
func firing(t *testing.T, r *resources, p prometheus) (names []string) {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 100_000, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{})})
	for _, rule := range r.alerts.Spec.Groups[0].Rules {
		query, err := engine.NewInstantQuery(t.Context(), p, nil, rule.Expr.String(), now)
		if err != nil {
			t.Fatalf("%s: %v", rule.Alert, err)
		}
		vector, err := query.Exec(t.Context()).Vector()
		if err != nil {
			t.Fatalf("%s: %v", rule.Alert, err)
		}
		if len(vector) > 0 {
			names = append(names, rule.Alert)
		}
	}
	return names
}

// TestAlerts: each alert fires when it should, and only then. Series are those that runs push.
func TestAlerts(t *testing.T) {
	pushed := map[string]string{"job": "registry_gc", "instance": "gitlab.example.com"}
	r := mustRender(t, withAlerts+"config: {DRY_RUN: false}")
	good := readMetrics(t, readText(t, goldenMetrics), pushed).changed(t, pushed, samples{
		"registry_gc_exit_code": 0, "registry_gc_last_run_timestamp_seconds": float64(now.Add(-20 * time.Hour).Unix()),
	})
	exit := func(code float64) samples { return good.changed(t, pushed, samples{"registry_gc_exit_code": code}) }
	left := func(undecided, failed float64) samples {
		return good.changed(t, pushed, samples{`registry_gc_tags{outcome="undecided"}`: undecided, `registry_gc_tags{outcome="failed"}`: failed})
	}
	for what, test := range map[string]struct {
		p    prometheus
		want []string
	}{
		"a good run":           {prometheus{good, good, now}, nil},
		"no run at all":        {prometheus{}, []string{"RegistryGCNeverRan"}},
		"code 1":               {prometheus{good, exit(1), now}, []string{"RegistryGCFailed"}},
		"code 4":               {prometheus{good, exit(4), now}, []string{"RegistryGCFailed"}},
		"interrupted":          {prometheus{good, exit(143), now}, []string{"RegistryGCFailed"}},
		"code 3":               {prometheus{good, exit(3), now}, []string{"RegistryGCIncomplete"}},
		"many left":            {prometheus{left(5, 5), left(10, 11), now.Add(-24 * time.Hour)}, []string{"RegistryGCLeavesMore"}},
		"some more left":       {prometheus{left(5, 5), left(10, 10), now.Add(-24 * time.Hour)}, nil},
		"many left for long":   {prometheus{left(5, 5), left(50, 50), now.Add(-8 * 24 * time.Hour)}, nil},
		"less left":            {prometheus{left(50, 50), left(0, 0), now.Add(-24 * time.Hour)}, nil},
		"50 hours without one": {prometheus{good, good.changed(t, pushed, samples{"registry_gc_last_run_timestamp_seconds": float64(now.Add(-51 * time.Hour).Unix())}), now}, []string{"RegistryGCDidNotRun"}},
		"49 hours without one": {prometheus{good, good.changed(t, pushed, samples{"registry_gc_last_run_timestamp_seconds": float64(now.Add(-49 * time.Hour).Unix())}), now}, nil},
	} {
		if got := firing(t, r, test.p); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v fire; want %v", what, got, test.want)
		}
	}
}

// TestAlertsOfShards: all shards count, and what they leave together.
func TestAlertsOfShards(t *testing.T) {
	r := mustRender(t, withAlerts+"config: {DRY_RUN: false}\nshards: 2")
	all := make(samples)
	text := readText(t, goldenMetrics)
	for _, shard := range []string{"0", "1"} {
		pushed := map[string]string{"instance": "gitlab.example.com", "shard": shard}
		ended := float64(now.Add(-20 * time.Hour).Unix())
		if shard == "1" {
			ended = float64(now.Add(-60 * time.Hour).Unix())
		}
		maps.Copy(all, readMetrics(t, text, pushed).changed(t, pushed, samples{"registry_gc_last_run_timestamp_seconds": ended}))
	}
	if got := firing(t, r, prometheus{all, all, now}); !slices.Equal(got, []string{"RegistryGCDidNotRun", "RegistryGCIncomplete"}) {
		t.Errorf("%v fire", got)
	}
	before := make(samples)
	for series := range all {
		before[series] = 0
	}
	more := maps.Clone(all)
	for series := range more {
		if strings.HasPrefix(series, `{__name__="registry_gc_tags", instance="gitlab.example.com", outcome="failed"`) {
			more[series] = 6
		}
	}
	if got := firing(t, r, prometheus{before, more, now.Add(-time.Hour)}); !slices.Contains(got, "RegistryGCLeavesMore") {
		t.Errorf("two shards that leave 7 more each: %v fire", got)
	}
}

// TestAlertsAreOfTheRelease: the program's own labels are those that the alerts look for, and nobody else's are.
// The program runs with the variables that the chart gives it, against the stand-in and a Pushgateway.
func TestAlertsAreOfTheRelease(t *testing.T) {
	dir := t.TempDir()
	programs := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "./cmd/registry-gc", "./cmd/gitlab-standin")
	programs.Dir = moduleRoot
	if out, err := programs.CombinedOutput(); err != nil {
		t.Fatalf("building the programs: %v\n%s", err, out)
	}
	address := startStandin(t, dir)
	other := map[string]string{"instance": "other.example.com"}
	for _, values := range []string{
		"config: {DRY_RUN: true}",
		"config: {DRY_RUN: true}\nshards: 2",
		"config: {DRY_RUN: true, GITLAB_GROUPS: [shop, acme/labs, shop], GITLAB_PROJECTS: 'platform/ci , 7'}",
		"config: {DRY_RUN: false, MIN_AGE: 10000d, IMAGE_AGE: 10000d}",
	} {
		r := mustRender(t, withAlerts+strings.Replace(values, "config: {", fmt.Sprintf("config: {GITLAB_URL: '%s/', ", address), 1))
		shards, _ := strconv.Atoi(r.env()["SHARD_COUNT"])
		for shard := range max(1, shards) {
			pushed := pushedBy(t, dir, r, shard)
			for series := range pushed {
				if strings.Contains(series, "last_run_timestamp") {
					pushed[series] = float64(now.Unix())
				}
			}
			if got := firing(t, r, prometheus{pushed, pushed, now}); slices.Contains(got, "RegistryGCNeverRan") {
				t.Errorf("with %s the alerts do not see the run that pushed %v", values, slices.Sorted(maps.Keys(pushed))[0])
			}
			foreign := make(samples)
			for series, value := range pushed {
				foreign[with(t, series, other)] = value
			}
			if got := firing(t, r, prometheus{foreign, foreign, now}); !slices.Equal(got, []string{"RegistryGCNeverRan"}) {
				t.Errorf("with %s runs of another instance: %v fire", values, got)
			}
		}
	}
}

const standinToken = "glpat-of-the-stand-in"

// startStandin starts a GitLab without a network.
func startStandin(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(dir, "address")
	ctx, stop := context.WithCancel(context.Background())
	standin := exec.CommandContext(ctx, filepath.Join(dir, "gitlab-standin"), "--listen", "127.0.0.1:0", "--addr-file", file, "--token", standinToken)
	if err := standin.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = standin.Wait() })
	for range 1000 {
		if address, err := os.ReadFile(file); err == nil {
			return strings.TrimSpace(string(address))
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the stand-in does not listen")
	return ""
}

// pushedBy runs the program with the variables of a pod and returns what it pushes, with the labels in the address.
func pushedBy(t *testing.T, dir string, r *resources, shard int) (pushed samples) {
	t.Helper()
	gateway := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		group := make(map[string]string)
		names := strings.Split(strings.TrimPrefix(request.URL.Path, "/metrics/"), "/")
		for pair := range slices.Chunk(names, 2) {
			group[pair[0]] = pair[1]
			if name, encoded := strings.CutSuffix(pair[0], "@base64"); encoded {
				delete(group, pair[0])
				text, err := base64.RawURLEncoding.DecodeString(pair[1])
				if err != nil {
					t.Errorf("%s: %v", request.URL.Path, err)
				}
				group[name] = string(text)
			}
		}
		pushed = readMetrics(t, string(body), group)
	}))
	defer gateway.Close()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte(standinToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	program := exec.CommandContext(t.Context(), filepath.Join(dir, "registry-gc"))
	env := r.env()
	env["GITLAB_TOKEN_FILE"], env["PUSHGATEWAY_URL"], env["RATE_LIMIT"] = token, gateway.URL, "0"
	if env["SHARD_COUNT"] != "" {
		env["JOB_COMPLETION_INDEX"] = strconv.Itoa(shard)
	}
	program.Env = []string{}
	for name, value := range env {
		program.Env = append(program.Env, name+"="+value)
	}
	out, err := program.CombinedOutput()
	if pushed == nil {
		t.Fatalf("the program pushed nothing: %v\n%s", err, out)
	}
	return pushed
}

// TestAlertsAreTaken: a Prometheus chooses the rule by its labels, Alertmanager routes by those of the alerts,
// and what people read says which release it is about.
func TestAlertsAreTaken(t *testing.T) {
	r := mustRender(t, withAlerts)
	if r.alerts.Labels["release"] != "prometheus" || r.alerts.Namespace != "tools" || r.alerts.Name != r.job.Name {
		t.Errorf("the rule is %v", r.alerts.ObjectMeta)
	}
	duration := regexp.MustCompile(`^[1-9][0-9]*s$`)
	for _, rule := range r.alerts.Spec.Groups[0].Rules {
		if rule.Labels["severity"] != "page" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%s has labels %v and annotations %v", rule.Alert, rule.Labels, rule.Annotations)
		}
		if rule.For != nil && !duration.MatchString(string(*rule.For)) && *rule.For != "5m" {
			t.Errorf("%s fires after %s", rule.Alert, *rule.For)
		}
		for _, text := range rule.Annotations {
			if strings.Count(text, "{{") != strings.Count(text, "}}") || strings.Contains(text, "<no value>") {
				t.Errorf("%s says %q", rule.Alert, text)
			}
		}
	}
	if mustRender(t, "").alerts != nil {
		t.Error("there is a rule that nobody wants")
	}
	for _, values := range []string{
		"{prometheusRule: {enabled: true}, pushgateway: {existingSecret: push}}",
		"{prometheusRule: {enabled: true}, extraEnv: [{name: REGISTRY_GC_PUSHGATEWAY_URL, valueFrom: {secretKeyRef: {name: push, key: url}}}]}",
	} {
		if mustRender(t, values).alerts == nil {
			t.Errorf("with %s there is no rule", values)
		}
	}
}

// TestAlertTimes: times of the values are those of the expressions.
func TestAlertTimes(t *testing.T) {
	r := mustRender(t, `
pushgateway: {url: "http://push.example.com:9091"}
prometheusRule: {enabled: true, maxAge: 8d12h, incompleteFor: 90m, growth: {tags: 1000, over: 30d}}`)
	for alert, want := range map[string]string{
		"RegistryGCDidNotRun": "> 734400", "RegistryGCLeavesMore": "offset 2592000s) > 1000", "RegistryGCNeverRan": "734400s", "RegistryGCIncomplete": "5400s",
	} {
		for _, rule := range r.alerts.Spec.Groups[0].Rules {
			text := rule.Expr.String()
			if rule.For != nil {
				text += " for " + string(*rule.For)
			}
			if rule.Alert == alert && !strings.Contains(text, want) {
				t.Errorf("%s is %s; want %s", alert, text, want)
			}
		}
	}
}
