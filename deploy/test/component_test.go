package deploy_test

import (
	"encoding/json"
	"fmt"
	"maps"
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
	Needs         []string       `json:"needs"`
	Timeout       string         `json:"timeout"`
	Interruptible bool           `json:"interruptible"`
	ResourceGroup string         `json:"resource_group"`
	Variables     map[string]any `json:"variables"`
	BeforeScript  []string       `json:"before_script"`
	Dependencies  *[]string      `json:"dependencies"`
	Script        []string       `json:"script"`
	Image         struct {
		Entrypoint []string `json:"entrypoint"`
	} `json:"image"`
	Inherit struct {
		Default []string `json:"default"`
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
		if input.Type == "array" {
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

// TestComponentInputs: the README's table and the component name the same inputs with the
// same defaults, and each is described, used and, where it goes into a job as text, bounded.
func TestComponentInputs(t *testing.T) {
	inputs, body := readComponent(t)
	want, got := make(map[string]string), make(map[string]string)
	for name, input := range inputs {
		switch value := input.Default.(type) {
		case nil:
			want[name] = "none"
		case []any:
			want[name] = "schedules of the default branch"
		default:
			want[name] = strings.TrimSpace(fmt.Sprint(value))
			if want[name] == "" {
				want[name] = "none"
			}
		}
		if input.Description == "" || input.Type == "" || !strings.Contains(body, "$[[ inputs."+name+" ]]") {
			t.Errorf("input %s lacks a description, a type or a use", name)
		}
		if text, ok := input.Default.(string); input.Regex != "" && ok && !regexp.MustCompile(input.Regex).MatchString(text) {
			t.Errorf("the default of input %s, %q, is none that it allows", name, text)
		}
	}
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

// TestComponentVariables: what the jobs set are variables of the program, and together a
// configuration that it accepts; the program ends before the job is ended.
func TestComponentVariables(t *testing.T) {
	base := componentJobs(t, nil)[".registry-gc"]
	variables := map[string]string{"GITLAB_TOKEN": "glpat-x"}
	for name, value := range base.Variables {
		// GIT_STRATEGY is the runner's own; what stands for an input that was not given is unset.
		unset := fmt.Sprintf(`if [ "$%[1]s" = %[2]v ]; then unset %[1]s; fi`, name, value)
		if value != nil && name != "GIT_STRATEGY" && !slices.Contains(base.BeforeScript, unset) {
			variables[name] = fmt.Sprint(value)
		}
	}
	checkVariables(t, variables)
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

// TestComponentStandsAlone: nothing of the project that includes the component gets beside
// the token, nobody without a right to it reads the reports, and no earlier job's reports
// are uploaded as this one's.
func TestComponentStandsAlone(t *testing.T) {
	jobs := componentJobs(t, nil)
	base := jobs[".registry-gc"]
	for what, pair := range map[string][2]any{
		"entrypoint":   {base.Image.Entrypoint, []string{""}},
		"inherit":      {base.Inherit.Default, []string{"tags"}},
		"dependencies": {base.Dependencies, &[]string{}},
		"GIT_STRATEGY": {base.Variables["GIT_STRATEGY"], "none"},
		"access":       {base.Artifacts.Access, "developer"},
		"before_script": {base.BeforeScript, []string{"rm -rf -- ./reports",
			`if [ "$GITLAB_GROUPS" = , ]; then unset GITLAB_GROUPS; fi`, `if [ "$GITLAB_PROJECTS" = , ]; then unset GITLAB_PROJECTS; fi`}},
		"expose_as": {jobs["registry-gc-dry-run"].Artifacts.ExposeAs, "Dead tags of the container registry"},
	} {
		if diff := cmp.Diff(pair[1], pair[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	for _, name := range []string{"registry-gc", "registry-gc-dry-run", "registry-gc-apply"} {
		job := jobs[name]
		if name == "registry-gc-apply" {
			job.BeforeScript, job.Dependencies = nil, nil // TestComponentPlan has these
		}
		if job.BeforeScript != nil || job.Dependencies != nil || job.Inherit.Default != nil || job.Artifacts.Access != "" {
			t.Errorf("%s replaces what all jobs have in common: %+v", name, job)
		}
	}
}

// TestComponentJobs: one job deletes, on schedules of the default branch alone; the dry run
// cannot, whatever variables say, and a job that applies is not there. No input but the token's
// variable gets into their scripts.
func TestComponentJobs(t *testing.T) {
	jobs := componentJobs(t, nil)
	if got := slices.Sorted(maps.Keys(jobs)); !slices.Equal(got, []string{
		".registry-gc", ".registry-gc-plan", ".registry-gc-run", "registry-gc", "registry-gc-apply", "registry-gc-dry-run",
	}) {
		t.Fatalf("jobs are %v", got)
	}
	checkJob(t, jobs, "registry-gc", []any{".registry-gc", ".registry-gc-run"}, []any{rule(onSchedule)})
	checkJob(t, jobs, "registry-gc-dry-run", ".registry-gc", []any{rule(`$CI_PIPELINE_SOURCE == "merge_request_event" && $GITLAB_TOKEN && "true" == "true"`)})
	never := map[string]any{"if": `"run" != "plan"`, "when": "never"}
	checkJob(t, jobs, "registry-gc-apply", ".registry-gc", []any{never, []any{rule(onSchedule)}})
	for name, want := range map[string]struct{ command, token, group string }{
		".registry-gc-run":    {"registry-gc", "GITLAB_TOKEN", "registry-gc"},
		"registry-gc-dry-run": {"registry-gc --dry-run", "GITLAB_TOKEN", "registry-gc-dry-run"},
	} {
		checkScript(t, jobs[name], name, want.command, want.token, want.group)
	}
	// An input that is empty by default does not show in what was compared above.
	_, body := readComponent(t)
	if n := len(regexp.MustCompile(`(?m)^    - (?:registry-gc|export|if \[).*\$\[\[`).FindAllString(body, -1)); n != 4 {
		t.Errorf("%d commands have inputs, want the four that export the token", n)
	}
}

// TestComponentPlan: in mode plan the job of schedules has the token of dry runs and makes a plan, and the
// one behind it, with the token that deletes, gets this plan, applies it and nothing else, and does
// neither before somebody has started it. The pipeline waits for that, as the job has no allow_failure of
// its own, and the one that all have names exit codes.
func TestComponentPlan(t *testing.T) {
	inputs, _ := readComponent(t)
	if got := inputs["mode"]; !slices.Equal(got.Options, []any{"run", "plan"}) || got.Default != "run" {
		t.Errorf("mode is one of %v, %v by default", got.Options, got.Default)
	}
	jobs := componentJobs(t, map[string]string{"mode": "plan", "token_variable": "DELETING", "dry_run_token_variable": "READING"})
	checkJob(t, jobs, "registry-gc", []any{".registry-gc", ".registry-gc-plan"}, []any{rule(onSchedule)})
	checkScript(t, jobs[".registry-gc-plan"], ".registry-gc-plan", "registry-gc plan", "READING", "registry-gc-dry-run")

	checkJob(t, jobs, "registry-gc-apply", ".registry-gc", []any{map[string]any{"if": `"plan" != "plan"`, "when": "never"}, []any{rule(onSchedule)}})
	apply, plan := jobs["registry-gc-apply"], []string{"registry-gc"}
	if apply.When != "manual" || apply.AllowFailure.ExitCodes != nil {
		t.Errorf("it starts %s, and may fail with %v", apply.When, apply.AllowFailure.ExitCodes)
	}
	if apply.Dependencies == nil || !slices.Equal(*apply.Dependencies, plan) || !slices.Equal(apply.Needs, plan) {
		t.Errorf("it needs %v, and gets artifacts of %v", apply.Needs, apply.Dependencies)
	}
	if want := []string{"find ./reports -mindepth 1 ! -path ./reports/plan.jsonl -delete", "unset GITLAB_GROUPS GITLAB_PROJECTS"}; !slices.Equal(apply.BeforeScript, want) {
		t.Errorf("before its script it runs %q, want %q", apply.BeforeScript, want)
	}
	if len(apply.Script) == 0 || !strings.HasPrefix(apply.Script[0], `if [ "$CI_JOB_MANUAL" != true ]; then echo `) || !strings.HasSuffix(apply.Script[0], "; exit 1; fi") {
		t.Fatalf("nothing keeps it from running by itself: %q", apply.Script)
	}
	apply.Script = apply.Script[1:]
	checkScript(t, apply, "registry-gc-apply", `registry-gc apply "$REPORT_DIR/plan.jsonl"`, "DELETING", "registry-gc")
}

const onSchedule = `$CI_PIPELINE_SOURCE == "schedule" && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH`

func rule(condition string) map[string]any { return map[string]any{"if": condition} }

func checkJob(t *testing.T, jobs map[string]pipelineJob, name string, extends any, rules []any) {
	t.Helper()
	job := jobs[name]
	if diff := cmp.Diff(extends, job.Extends); diff != "" || len(job.Variables) > 0 {
		t.Errorf("%s extends (-want +got):\n%s\nits variables are %v", name, diff, job.Variables)
	}
	if diff := cmp.Diff(rules, job.Rules); diff != "" {
		t.Errorf("%s runs by (-want +got):\n%s", name, diff)
	}
}

func checkScript(t *testing.T, job pipelineJob, name, command, token, group string) {
	t.Helper()
	if script := []string{"registry-gc --version", `export GITLAB_TOKEN="${` + token + `}"`, command}; !slices.Equal(job.Script, script) {
		t.Errorf("%s runs %q, want %q", name, job.Script, script)
	}
	if job.ResourceGroup != group {
		t.Errorf("%s is in the resource group %s, want %s", name, job.ResourceGroup, group)
	}
}
