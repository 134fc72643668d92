package deploy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

const componentFile = moduleRoot + "/templates/registry-gc.yml"

// input is one of the component's.
type input struct {
	Type        string `json:"type"`
	Description string `json:"description"`
	Default     any    `json:"default"`
	Regex       string `json:"regex"`
	Options     []any  `json:"options"`
}

// pipelineJob is a job of the component, without what only GitLab looks at.
type pipelineJob struct {
	Extends       any            `json:"extends"` // a name or several
	When          string         `json:"when"`
	Needs         []any          `json:"needs"` // names, or needs in full
	Parallel      int            `json:"parallel"`
	Tags          *[]string      `json:"tags"`
	Timeout       string         `json:"timeout"`
	Interruptible bool           `json:"interruptible"`
	ResourceGroup string         `json:"resource_group"`
	Variables     map[string]any `json:"variables"`
	BeforeScript  []string       `json:"before_script"`
	Script        []string       `json:"script"`
	Image         struct {
		Entrypoint []string `json:"entrypoint"`
	} `json:"image"`
	Inherit struct {
		Default *bool `json:"default"`
	} `json:"inherit"`
	Rules        []any `json:"rules"` // or lists of them
	AllowFailure struct {
		ExitCodes []int `json:"exit_codes"`
	} `json:"allow_failure"`
	Artifacts struct {
		When     string            `json:"when"`
		Access   string            `json:"access"`
		ExposeAs string            `json:"expose_as"`
		ExpireIn string            `json:"expire_in"`
		Paths    []string          `json:"paths"`
		Reports  map[string]string `json:"reports"`
	} `json:"artifacts"`
}

// readComponent returns the component's inputs and its body as it is written.
func readComponent(t *testing.T) (inputs map[string]input, body string) {
	t.Helper()
	header, body, ok := strings.Cut(readText(t, componentFile), "\n---\n")
	if !ok {
		t.Fatalf("%s is not a header and a body", componentFile)
	}
	var spec struct {
		Spec struct {
			Inputs map[string]input `json:"inputs"`
		} `json:"spec"`
	}
	if err := yaml.UnmarshalStrict([]byte(header), &spec); err != nil {
		t.Fatalf("%s: %v", componentFile, err)
	}
	return spec.Spec.Inputs, body
}

// componentJobs returns the jobs with the inputs' defaults filled in, where none is given.
func componentJobs(t *testing.T, given map[string]string) map[string]pipelineJob {
	t.Helper()
	inputs, body := readComponent(t)
	for name, input := range inputs {
		value, ok := given[name]
		if !ok {
			value = fmt.Sprint(input.Default)
		}
		if input.Type == "array" && !ok {
			text, err := json.Marshal(input.Default)
			if err != nil {
				t.Fatal(err)
			}
			value = string(text)
		}
		body = strings.ReplaceAll(body, "$[[ inputs."+name+" ]]", value)
	}
	if strings.Contains(body, "$[[") {
		t.Fatalf("%s uses an input that it does not declare:\n%s", componentFile, body)
	}
	jobs := make(map[string]pipelineJob)
	if err := yaml.Unmarshal([]byte(body), &jobs); err != nil {
		t.Fatalf("%s: %v", componentFile, err)
	}
	return jobs
}

// unsets is what in a before_script unsets what was not given.
const unsets = `[ "$GITLAB_GROUPS" != - ] || unset GITLAB_GROUPS
[ "$GITLAB_PROJECTS" != - ] || unset GITLAB_PROJECTS
[ "$EXCLUDE" != - ] || unset EXCLUDE
[ "$PROTECTED_TAGS" != - ] || unset PROTECTED_TAGS
[ "$MIN_AGE" != - ] || unset MIN_AGE
[ "$IMAGE_AGE" != - ] || unset IMAGE_AGE
[ "$MAX_DELETIONS" != - ] || unset MAX_DELETIONS
`

// notGiven is what the inputs are by default whose variables are then not set.
const notGiven = "-"

// TestComponentInputs: the document's table and the component name the same inputs with the
// same defaults, and each is described, used and, where it goes into a job as text, bounded.
func TestComponentInputs(t *testing.T) {
	inputs, body := readComponent(t)
	want, got := make(map[string]string), make(map[string]string)
	for name, input := range inputs {
		switch value := input.Default.(type) {
		case nil:
			want[name] = "required"
		case []any:
			want[name] = strings.Trim(fmt.Sprint(value), "[]")
			if want[name] == "" {
				want[name] = "none"
			}
		default:
			want[name] = fmt.Sprint(value)
		}
		if input.Description == "" || input.Type == "" || !strings.Contains(body, "$[[ inputs."+name+" ]]") {
			t.Errorf("input %s lacks a description, a type or a use", name)
		}
		if input.Type != "string" {
			continue
		}
		if input.Regex == "" && len(input.Options) == 0 {
			t.Errorf("input %s may be any text", name)
		}
		if input.allows("") {
			t.Errorf("input %s may be empty", name)
		}
		if text, ok := input.Default.(string); ok && !input.allows(text) {
			t.Errorf("the default of input %s, %q, is none that it allows", name, text)
		}
	}
	want["schedule_rules"] = "schedules of the default branch" // too long for the table
	_, table, ok := strings.Cut(readText(t, moduleRoot+"/docs/gitlab-pipelines.md"), "\n| input |")
	if !ok {
		t.Fatal("docs/gitlab-pipelines.md has no table whose first column is headed \"input\"")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (?:`([^`]*)`)?([^|`]*)")
	for _, match := range row.FindAllStringSubmatch(table, -1) {
		if got[match[1]] = match[2]; match[2] == "" {
			got[match[1]] = strings.TrimSpace(match[3])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/gitlab-pipelines.md and %s differ (-component +document):\n%s", componentFile, diff)
	}
}

// allows reports whether a text is one that the input may be. GitLab's patterns are RE2's, as Go's are.
func (i input) allows(text string) bool {
	if i.Regex != "" && !regexp.MustCompile(i.Regex).MatchString(text) {
		return false
	}
	return len(i.Options) == 0 || slices.Contains(i.Options, any(text))
}

// TestComponentRefuses: no input gets out of the place that it is put into, by way of YAML, of a shell or
// of GitLab's variables.
func TestComponentRefuses(t *testing.T) {
	inputs, _ := readComponent(t)
	allowed := map[string][]string{
		"image":          {"registry.example.com:5000/tools/registry-gc:1@sha256:00", "$CI_REGISTRY_IMAGE:$CI_DEFAULT_BRANCH-job"},
		"stage":          {"deploy", ".post", "clean up: registry"},
		"groups":         {"acme", "acme/shop, 42,$CI_PROJECT_NAMESPACE", "_a/b.c-d"},
		"projects":       {"$CI_PROJECT_PATH"},
		"exclude":        {"acme/**, */legacy/web.cache", "$CI_PROJECT_PATH, acme/keep-*"},
		"protected_tags": {"stable", "stable, v1.2_x,a"},
		"rules":          {"default", "original", "rules.yaml", ".gitlab/registry-gc.rules.yml", "a/b-c/d.e"},
		"min_age":        {"0", "24h", "2d", "1d12h"},
		"image_age":      {"90m"},
		"max_deletions":  {"1", "500"},
		"max_runtime":    {"1m", "90m", "699m", "2h", "11h49m"},
		"rate_limit":     {"0", "0.5"},
	}
	for name, values := range allowed {
		for _, value := range values {
			if !inputs[name].allows(value) {
				t.Errorf("%s: %q is refused", name, value)
			}
		}
	}
	anywhere := []string{"", " ", "a b", "a;id", "a\nb: c", "a\n    - id", "$(id)", "`id`", "${HOME}", "$HOME", "$NOT_SET", `a"b`, `a\b`, "a'b", ",", ",a", "a,", "a,,b", "- a", "--", "a #b", "$[[ inputs.job ]]"}
	fits := map[string][]string{ // what of these a text may well be
		"image": {"a;id", "$(id)", "`id`", "${HOME}", "$HOME", "$NOT_SET", ",", ",a", "a,", "a,,b", "--"},
		"stage": {" ", "a b", "a;id", "$(id)", "`id`", "${HOME}", "$HOME", "$NOT_SET", "a'b", ",", ",a", "a,", "a,,b", "- a", "--", "a #b", "$[[ inputs.job ]]"},
		// A name that a runner, GitLab and find take as it is.
		"report_dir": {"--"}, "resource_group": {"--"},
	}
	refused := map[string][]string{
		"mode":           {"apply", "delete", "RUN"},
		"verify":         {"none", "API"},
		"job":            {"Cleanup", ".hidden", "a:b"},
		"groups":         {"$CI_PROJECT_NAMESPACES", `["acme"]`, "-, acme", "acme, -", "*"},
		"exclude":        {"acme/$(id)", "-, acme", "acme:latest"},
		"protected_tags": {"release-*", "a/b", "-, stable", "stable, -"},
		"rules":          {"/etc/rules.yaml", "../rules.yaml", "a/../b", "a/.", "-", "a//b"},
		"min_age":        {"yes", "1", "-1d", "1 d", "d"},
		"image_age":      {"1w"},
		"max_deletions":  {"0", "-1", "all", "none", "1e3", "$LIMIT", "9999999999"},
		"max_runtime":    {"0", "-", "12h", "11h50m", "700m", "1d", "0h", "60"},
		"rate_limit":     {"fast", "-1", "1."},
		"report_dir":     {"/tmp", "..", "../..", "a/../b", "a/", "."},
		"token_variable": {`}"; id; "`, "A-B", "1A"},
	}
	for name, input := range inputs {
		if input.Type != "string" {
			continue
		}
		for _, value := range slices.Concat(anywhere, refused[name]) {
			if input.allows(value) && !slices.Contains(fits[name], value) {
				t.Errorf("%s may be %q", name, value)
			}
		}
	}
}

// TestComponentVariables: what the jobs set are variables of the program, and together a
// configuration that it accepts, also where all of them are given; the program ends before the job is ended.
func TestComponentVariables(t *testing.T) {
	jobs := componentJobs(t, nil)
	base := jobs[".registry-gc"]
	variables := setVariables(base)
	for _, name := range []string{"GITLAB_GROUPS", "GITLAB_PROJECTS", "EXCLUDE", "PROTECTED_TAGS", "MIN_AGE", "IMAGE_AGE", "MAX_DELETIONS"} {
		if value, ok := variables[name]; ok || base.Variables[name] != notGiven {
			t.Errorf("%s is %q where no input is given", name, value)
		}
	}
	given := setVariables(componentJobs(t, map[string]string{
		"groups": "acme", "projects": "acme/web", "exclude": "acme/old/**", "protected_tags": "stable, edge", "min_age": "1d12h",
		"image_age": "0", "max_deletions": "500",
	})[".registry-gc"])
	if given["PROTECTED_TAGS"] != "stable, edge" || given["MAX_DELETIONS"] != "500" || given["EXCLUDE"] != "acme/old/**" {
		t.Errorf("inputs do not arrive: %v", given)
	}
	checkVariables(t, given)
	limit, err := time.ParseDuration(base.Timeout)
	if err != nil || limit != 12*time.Hour {
		t.Errorf("the job's time limit is %s (%v)", base.Timeout, err)
	}
	if runtime, err := time.ParseDuration(variables["MAX_RUNTIME"]); err != nil || runtime <= 0 || runtime > limit-10*time.Minute {
		t.Errorf("MAX_RUNTIME is %q, the job's time limit %s", variables["MAX_RUNTIME"], base.Timeout)
	}
	reports := variables["REPORT_DIR"]
	if got := base.Artifacts; got.When != "always" || got.ExpireIn != "30 days" || !slices.Equal(got.Paths, []string{reports + "/"}) ||
		!strings.HasPrefix(got.Reports["metrics"], reports+"/") {
		t.Errorf("artifacts are %+v, reports are in %s", got, reports)
	}
	const incomplete = 3 // the program's exit code for a run that leaves something undecided
	if !base.Interruptible || !slices.Equal(base.AllowFailure.ExitCodes, []int{incomplete}) {
		t.Errorf("interruptible: %t, exit codes that are allowed: %v", base.Interruptible, base.AllowFailure.ExitCodes)
	}
}

// setVariables returns the variables of registry-gc that a job leaves set.
func setVariables(job pipelineJob) map[string]string {
	variables := map[string]string{"GITLAB_TOKEN": "glpat-x"}
	for name, value := range job.Variables {
		if !strings.HasPrefix(name, "GIT_") && !(value == notGiven && strings.Contains(unsets, "unset "+name+"\n")) {
			variables[name] = fmt.Sprint(value)
		}
	}
	return variables
}

// TestComponentUnsets: what was not given is not set when the program starts, what was given is, and
// what somebody has set to nothing still is, so that the program refuses it.
func TestComponentUnsets(t *testing.T) {
	var script strings.Builder
	for _, line := range componentJobs(t, nil)[".registry-gc"].BeforeScript[1:] {
		script.WriteString(line + "\n")
	}
	for value, want := range map[string]string{notGiven: "", "a": "a\na\n", "": "\n\n", "-a": "-a\n-a\n"} {
		sh := exec.CommandContext(t.Context(), "sh", "-e", "-c", script.String()+"printenv EXCLUDE MAX_DELETIONS || true")
		sh.Env = []string{"PATH=/usr/bin:/bin", "GITLAB_GROUPS=" + value, "GITLAB_PROJECTS=" + value, "EXCLUDE=" + value, "PROTECTED_TAGS=" + value,
			"MIN_AGE=" + value, "IMAGE_AGE=" + value, "MAX_DELETIONS=" + value}
		if got, err := sh.CombinedOutput(); err != nil || string(got) != want {
			t.Errorf("of %q there is %q (%v)", value, got, err)
		}
	}
}

// TestComponentStandsAlone: nothing of the project that includes the component gets beside
// the token, but for its files, nobody without a right to it reads the reports, no earlier job's reports
// are uploaded as this one's, and no job waits for stages that are none of its business.
func TestComponentStandsAlone(t *testing.T) {
	jobs := componentJobs(t, nil)
	base := jobs[".registry-gc"]
	nothing := false
	for what, pair := range map[string][2]any{
		"entrypoint":    {base.Image.Entrypoint, []string{""}},
		"inherit":       {base.Inherit.Default, &nothing},
		"tags":          {base.Tags, &[]string{}},
		"needs":         {base.Needs, []any{}},
		"GIT_STRATEGY":  {base.Variables["GIT_STRATEGY"], "fetch"},
		"access":        {base.Artifacts.Access, "developer"},
		"before_script": {base.BeforeScript, []string{"rm -rf -- ./reports", unsets}},
		"expose_as":     {jobs["registry-gc-dry-run"].Artifacts.ExposeAs, "Dead tags of the container registry"},
		"report needs":  {jobs["registry-gc-report"].Needs, []any{"registry-gc-shard"}},
	} {
		if diff := cmp.Diff(pair[1], pair[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	for name, job := range jobs {
		if name == ".registry-gc" {
			continue
		}
		if name == "registry-gc-apply" || name == "registry-gc-report" {
			job.BeforeScript, job.Needs = nil, nil // TestComponentPlan and TestComponentParallel have these
		}
		if job.BeforeScript != nil || job.Needs != nil || job.Tags != nil || job.Inherit.Default != nil || job.Artifacts.Access != "" {
			t.Errorf("%s replaces what all jobs have in common: %+v", name, job)
		}
	}
}

// TestComponentJobs: one job deletes, on schedules of the default branch alone; the dry run
// cannot, whatever variables say, and a job that applies is not there. No input but the token's
// variable, the folder of reports and a number gets into their scripts.
func TestComponentJobs(t *testing.T) {
	jobs := componentJobs(t, nil)
	if got := slices.Sorted(maps.Keys(jobs)); !slices.Equal(got, []string{
		".registry-gc", ".registry-gc-plan-false", ".registry-gc-plan-true", ".registry-gc-run-false", ".registry-gc-run-true",
		"registry-gc", "registry-gc-apply", "registry-gc-dry-run", "registry-gc-report", "registry-gc-shard",
	}) {
		t.Fatalf("jobs are %v", got)
	}
	checkJob(t, jobs, "registry-gc", []any{".registry-gc", ".registry-gc-run-false"}, []any{neverIf(`"1" != "1"`), []any{rule(onSchedule)}})
	const onMergeRequest = `$CI_PIPELINE_SOURCE == "merge_request_event" && $GITLAB_TOKEN && "true" == "true"`
	checkJob(t, jobs, "registry-gc-dry-run", ".registry-gc", []any{
		map[string]any{"if": onMergeRequest, "changes": []any{".gitlab-ci.yml"}}, map[string]any{"if": onMergeRequest, "changes": []any{"default"}},
	})
	checkJob(t, jobs, "registry-gc-apply", ".registry-gc", []any{neverIf(`"run" != "plan" || "false" == "true"`), []any{rule(onSchedule)}})
	for name, want := range map[string]struct{ command, token, group string }{
		".registry-gc-run-false": {"registry-gc", "GITLAB_TOKEN", "registry-gc"},
		"registry-gc-dry-run":    {"registry-gc --dry-run", "GITLAB_TOKEN", "registry-gc-dry-run"},
	} {
		checkScript(t, jobs[name], name, want.command, want.token, want.group)
	}
	inputs, body := readComponent(t)
	var used []string
	for _, match := range regexp.MustCompile(`(?m)^    - (?:registry-gc|export|if \[|rm|find|unset).*`).FindAllString(body, -1) {
		for _, name := range regexp.MustCompile(`inputs\.(\w+)`).FindAllStringSubmatch(match, -1) {
			used = append(used, name[1])
		}
	}
	slices.Sort(used)
	if used = slices.Compact(used); !slices.Equal(used, []string{"dry_run_token_variable", "parallel", "report_dir", "token_variable"}) || inputs["parallel"].Type != "number" {
		t.Errorf("commands have the inputs %v", used)
	}
	if quoted := regexp.MustCompile(`(?m)^    [A-Z_]+: \$\[\[ inputs\.(\w+) \]\]$`).FindAllStringSubmatch(body, -1); len(quoted) != 3 {
		t.Errorf("of the variables that are inputs %v are not in quotes, want verify, max_runtime and report_dir", quoted)
	}
}

// TestComponentDryRun: with dry_run no job deletes in either mode, none has the token that can, and
// none applies.
func TestComponentDryRun(t *testing.T) {
	for _, mode := range []string{"run", "plan"} {
		jobs := componentJobs(t, map[string]string{"mode": mode, "dry_run": "true", "token_variable": "DELETING", "dry_run_token_variable": "READING"})
		chosen := ".registry-gc-" + mode + "-true"
		for _, name := range []string{"registry-gc", "registry-gc-shard"} {
			if got := jobs[name].Extends; !cmp.Equal(got, any([]any{".registry-gc", chosen})) || jobs[name].Script != nil {
				t.Errorf("mode %s: %s extends %v and runs %q", mode, name, got, jobs[name].Script)
			}
		}
		checkScript(t, jobs[chosen], chosen, "registry-gc plan", "READING", "registry-gc-dry-run")
		if got := jobs["registry-gc-apply"].Rules[0]; !cmp.Equal(got, any(neverIf(`"`+mode+`" != "plan" || "true" == "true"`))) {
			t.Errorf("mode %s: it applies unless %v", mode, got)
		}
	}
}

// TestComponentNote: a merge request's dry run is asked for a note, and nothing else is.
func TestComponentNote(t *testing.T) {
	for _, want := range []string{"false", "true"} {
		for name, job := range componentJobs(t, map[string]string{"merge_request_note": want}) {
			if got, ok := job.Variables["MERGE_REQUEST_NOTE"]; ok != (name == "registry-gc-dry-run") || ok && got != want {
				t.Errorf("%s: MERGE_REQUEST_NOTE is %v, want %s", name, got, want)
			}
		}
	}
}

// TestComponentParallel: a run is shared out among as many jobs as wanted, each in a resource group of
// its own, in which no other job of the pipeline is; or one job does it all. One report is made of theirs
// whatever came of them, and nothing removes them before.
func TestComponentParallel(t *testing.T) {
	jobs := componentJobs(t, map[string]string{"parallel": "4"})
	checkJob(t, jobs, "registry-gc", []any{".registry-gc", ".registry-gc-run-false"}, []any{neverIf(`"4" != "1"`), []any{rule(onSchedule)}})
	checkJob(t, jobs, "registry-gc-shard", []any{".registry-gc", ".registry-gc-run-false"}, []any{neverIf(`"4" == "1"`), []any{rule(onSchedule)}})
	checkJob(t, jobs, "registry-gc-report", ".registry-gc", []any{neverIf(`"4" == "1"`), []any{rule(onSchedule)}})
	if shard := jobs["registry-gc-shard"]; shard.Parallel != 4 || shard.ResourceGroup != "registry-gc-shard-$CI_NODE_INDEX" {
		t.Errorf("there are %d shards, in the resource group %s", shard.Parallel, shard.ResourceGroup)
	}
	report := jobs["registry-gc-report"]
	if report.When != "always" || report.ResourceGroup != "" || report.BeforeScript == nil || len(report.BeforeScript) != 0 ||
		!slices.Equal(report.Script, []string{`registry-gc merge "$REPORT_DIR"`}) {
		t.Errorf("the report is made by %+v", report)
	}
}

// TestComponentPlan: in mode plan the job of schedules has the token of dry runs and makes a plan, and the
// one behind it, with the token that deletes, gets this plan, or those of parallel jobs, applies it and nothing
// else, and does neither before somebody has started it. The pipeline waits for that, as the job has no allow_failure of
// its own, and the one that all have names exit codes.
func TestComponentPlan(t *testing.T) {
	inputs, _ := readComponent(t)
	if got := inputs["mode"]; !slices.Equal(got.Options, []any{"run", "plan"}) || got.Default != "run" {
		t.Errorf("mode is one of %v, %v by default", got.Options, got.Default)
	}
	jobs := componentJobs(t, map[string]string{"mode": "plan", "token_variable": "DELETING", "dry_run_token_variable": "READING"})
	checkJob(t, jobs, "registry-gc", []any{".registry-gc", ".registry-gc-plan-false"}, []any{neverIf(`"1" != "1"`), []any{rule(onSchedule)}})
	checkScript(t, jobs[".registry-gc-plan-false"], ".registry-gc-plan-false", "registry-gc plan", "READING", "registry-gc-dry-run")

	checkJob(t, jobs, "registry-gc-apply", ".registry-gc", []any{neverIf(`"plan" != "plan" || "false" == "true"`), []any{rule(onSchedule)}})
	apply := jobs["registry-gc-apply"]
	if apply.When != "manual" || apply.AllowFailure.ExitCodes != nil {
		t.Errorf("it starts %s, and may fail with %v", apply.When, apply.AllowFailure.ExitCodes)
	}
	whichever := []any{map[string]any{"job": "registry-gc", "optional": true}, map[string]any{"job": "registry-gc-shard", "optional": true}}
	if diff := cmp.Diff(whichever, apply.Needs); diff != "" {
		t.Errorf("it needs (-want +got):\n%s", diff)
	}
	if want := []string{
		"find ./reports -type f ! -path ./reports/plan.jsonl ! -path './reports/shard-*-of-1/plan.jsonl' -delete",
		"if [ 1 != 1 ]; then rm -f ./reports/plan.jsonl; fi", "unset GITLAB_GROUPS GITLAB_PROJECTS", unsets,
	}; !slices.Equal(apply.BeforeScript, want) {
		t.Errorf("before its script it runs %q, want %q", apply.BeforeScript, want)
	}
	if len(apply.Script) == 0 || !strings.HasPrefix(apply.Script[0], `if [ "$CI_JOB_MANUAL" != true ]; then echo `) || !strings.HasSuffix(apply.Script[0], "; exit 1; fi") {
		t.Fatalf("nothing keeps it from running by itself: %q", apply.Script)
	}
	apply.Script = apply.Script[1:]
	checkScript(t, apply, "registry-gc-apply", `registry-gc apply $(find ./reports -name plan.jsonl)`, "DELETING", "registry-gc")
}

// takesToken are the lines of a script by which it has the token of a variable, and no other.
func takesToken(variable string) []string {
	return []string{
		`export GITLAB_TOKEN="${` + variable + `}"`,
		`if [ -z "$GITLAB_TOKEN" ]; then echo "The variable ` + variable + `, which is to hold the access token, is empty in this job. ` +
			`It is not set, or this branch does not get it."; exit 2; fi`,
		"unset API_TOKEN GITLAB_TOKEN_FILE REGISTRY_GC_GITLAB_TOKEN REGISTRY_GC_GITLAB_TOKEN_FILE",
	}
}

// TestComponentToken: a job has the token of the variable that an input names, whatever other variables hold one;
// and where that is empty it ends, says so, and does not begin with another.
func TestComponentToken(t *testing.T) {
	others := []string{"GITLAB_TOKEN", "API_TOKEN", "GITLAB_TOKEN_FILE", "REGISTRY_GC_GITLAB_TOKEN", "REGISTRY_GC_GITLAB_TOKEN_FILE"}
	for _, named := range append([]string{"READING"}, others...) {
		jobs := componentJobs(t, map[string]string{"token_variable": named, "dry_run_token_variable": named})
		for _, job := range []string{".registry-gc-run-false", ".registry-gc-plan-false", "registry-gc-apply", "registry-gc-dry-run"} {
			for value, want := range map[string]string{"glpat-named": "GITLAB_TOKEN=glpat-named\n", "": "The variable " + named + ", which"} {
				environment := []string{"CI_JOB_MANUAL=true"}
				for _, other := range others {
					if other != named {
						environment = append(environment, other+"=glpat-deletes")
					}
				}
				if value != "" {
					environment = append(environment, named+"="+value)
				}
				got, err := runScript(t, jobs[job], environment)
				if (err == nil) != (value != "") || !strings.HasPrefix(got, want) || strings.Contains(got, "glpat-deletes") {
					t.Errorf("%s with %s=%q has the tokens %q (%v)", job, named, value, got, err)
				}
			}
		}
	}
}

// runScript runs a job's script with a shell, as a runner does, and returns what it printed: in place of the program
// are the variables that hold a token.
func runScript(t *testing.T, job pipelineJob, environment []string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "registry-gc"), []byte("#!/bin/sh\n[ \"$1\" = --version ] || env | grep TOKEN | sort\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "reports"), 0o700); err != nil {
		t.Fatal(err)
	}
	sh := exec.CommandContext(t.Context(), "sh", "-e", "-c", strings.Join(job.Script, "\n"))
	sh.Env = append(environment, "PATH="+dir+":/usr/bin:/bin")
	sh.Dir = dir
	out, err := sh.Output()
	return string(out), err
}

const onSchedule = `$CI_PIPELINE_SOURCE == "schedule" && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH`

func rule(condition string) map[string]any { return map[string]any{"if": condition} }

func neverIf(condition string) map[string]any {
	return map[string]any{"if": condition, "when": "never"}
}

func checkJob(t *testing.T, jobs map[string]pipelineJob, name string, extends any, rules []any) {
	t.Helper()
	job := jobs[name]
	delete(job.Variables, "MERGE_REQUEST_NOTE") // TestComponentNote has it
	if diff := cmp.Diff(extends, job.Extends); diff != "" || len(job.Variables) > 0 {
		t.Errorf("%s extends (-want +got):\n%s\nits variables are %v", name, diff, job.Variables)
	}
	if diff := cmp.Diff(rules, job.Rules); diff != "" {
		t.Errorf("%s runs by (-want +got):\n%s", name, diff)
	}
}

func checkScript(t *testing.T, job pipelineJob, name, command, token, group string) {
	t.Helper()
	if script := slices.Concat([]string{"registry-gc --version"}, takesToken(token), []string{command}); !slices.Equal(job.Script, script) {
		t.Errorf("%s runs %q, want %q", name, job.Script, script)
	}
	if job.ResourceGroup != group {
		t.Errorf("%s is in the resource group %s, want %s", name, job.ResourceGroup, group)
	}
}
