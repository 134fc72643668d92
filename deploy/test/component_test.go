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
}

// pipelineJob is a job of the component, without what only GitLab looks at.
type pipelineJob struct {
	Extends       string         `json:"extends"`
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
	Rules []struct {
		If string `json:"if"`
	} `json:"rules"`
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

// componentJobs returns the jobs with the inputs' defaults filled in.
func componentJobs(t *testing.T) map[string]pipelineJob {
	t.Helper()
	inputs, body := readComponent(t)
	for name, input := range inputs {
		value := fmt.Sprint(input.Default)
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
	_, table, ok := strings.Cut(readText(t, moduleRoot+"/README.md"), "\n| input |")
	if !ok {
		t.Fatal("README.md has no table whose first column is headed \"input\"")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (?:`([^`]*)`)?([^|`]*)")
	for _, match := range row.FindAllStringSubmatch(table, -1) {
		if got[match[1]] = match[2]; match[2] == "" {
			got[match[1]] = strings.TrimSpace(match[3])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("README.md and %s differ (-component +README):\n%s", componentFile, diff)
	}
}

// TestComponentVariables: what the jobs set are variables of the program, and together a
// configuration that it accepts; the program ends before the job is ended.
func TestComponentVariables(t *testing.T) {
	base := componentJobs(t)[".registry-gc"]
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
	jobs := componentJobs(t)
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
	for _, name := range []string{"registry-gc", "registry-gc-dry-run"} {
		if job := jobs[name]; job.BeforeScript != nil || job.Dependencies != nil || job.Inherit.Default != nil || job.Artifacts.Access != "" {
			t.Errorf("%s replaces what both jobs have in common: %+v", name, job)
		}
	}
}

// TestComponentJobs: one job deletes, on schedules of the default branch alone; the other
// cannot, whatever variables say. No input but the token's variable gets into their scripts.
func TestComponentJobs(t *testing.T) {
	jobs := componentJobs(t)
	if got := slices.Sorted(maps.Keys(jobs)); !slices.Equal(got, []string{".registry-gc", "registry-gc", "registry-gc-dry-run"}) {
		t.Fatalf("jobs are %v", got)
	}
	token := `export GITLAB_TOKEN="${GITLAB_TOKEN}"`
	for name, want := range map[string]struct{ command, rule string }{
		"registry-gc":         {"registry-gc", `$CI_PIPELINE_SOURCE == "schedule" && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH`},
		"registry-gc-dry-run": {"registry-gc --dry-run", `$CI_PIPELINE_SOURCE == "merge_request_event" && $GITLAB_TOKEN && "true" == "true"`},
	} {
		job := jobs[name]
		if script := []string{"registry-gc --version", token, want.command}; !slices.Equal(job.Script, script) {
			t.Errorf("%s runs %q, want %q", name, job.Script, script)
		}
		if len(job.Rules) != 1 || job.Rules[0].If != want.rule {
			t.Errorf("%s runs by %+v, want %s", name, job.Rules, want.rule)
		}
		if job.Extends != ".registry-gc" || job.ResourceGroup != name || len(job.Variables) > 0 {
			t.Errorf("%s: %+v", name, job)
		}
	}
	// An input that is empty by default does not show in what was compared above.
	_, body := readComponent(t)
	if n := len(regexp.MustCompile(`(?m)^    - (?:registry-gc|export).*\$\[\[`).FindAllString(body, -1)); n != 2 {
		t.Errorf("%d commands have inputs, want the two that export the token", n)
	}
}
