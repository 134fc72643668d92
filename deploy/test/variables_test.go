package deploy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// A setting is how a variable of the program gets a value in the chart, and what the
// program then sees.
type setting struct{ values, want string }

// settings has every variable of the program. One that is missing here is missing in the
// chart's values, its schema and its templates, too.
var settings = map[string]setting{
	"GITLAB_URL":           {`config: {GITLAB_URL: "https://git.example.com/sub"}`, "https://git.example.com/sub"},
	"GITLAB_TOKEN_FILE":    {`token: {existingSecret: mine, key: api}`, "/run/registry-gc/token"},
	"DRY_RUN":              {`config: {DRY_RUN: false}`, "false"},
	"GITLAB_GROUPS":        {`config: {GITLAB_GROUPS: [acme/shop, 123456789]}`, "acme/shop,123456789"},
	"GITLAB_PROJECTS":      {`config: {GITLAB_PROJECTS: "acme/web, 7"}`, "acme/web, 7"},
	"EXCLUDE":              {`config: {EXCLUDE: [acme/labs, "acme/**/tmp"]}`, "acme/labs,acme/**/tmp"},
	"GITLAB_MEMBERSHIP":    {`config: {GITLAB_MEMBERSHIP: true}`, "true"},
	"PROTECTED_TAGS":       {`config: {PROTECTED_TAGS: [latest, prod]}`, "latest,prod"},
	"PROTECTED_TAGS_REGEX": {`config: {PROTECTED_TAGS_REGEX: '^v\d+$'}`, `^v\d+$`},
	"PROTECT_DEFAULTS":     {`config: {PROTECT_DEFAULTS: false}`, "false"},
	"RULES":                {`config: {RULES: original}`, "original"},
	"IN_USE":               {`config: {IN_USE: [environments, /etc/in-use]}`, "environments,/etc/in-use"},
	"CACHE_SUFFIX":         {`config: {CACHE_SUFFIX: /cache}`, "/cache"},
	"ORPHANS":              {`config: {ORPHANS: "off"}`, "off"},
	"DELETE_KINDS":         {`config: {DELETE_KINDS: [cache-index, multi-arch]}`, "cache-index,multi-arch"},
	"MIN_AGE":              {`config: {MIN_AGE: 0}`, "0"},
	"IMAGE_AGE":            {`config: {IMAGE_AGE: 30d}`, "30d"},
	"VERIFY":               {`config: {VERIFY: registry}`, "registry"},
	"REGISTRY_URL":         {`config: {REGISTRY_URL: "https://registry.example.com:5050"}`, "https://registry.example.com:5050"},
	"MAX_DELETIONS":        {`config: {MAX_DELETIONS: 500}`, "500"},
	"CONCURRENCY":          {`config: {CONCURRENCY: 64}`, "64"},
	"RATE_LIMIT":           {`config: {RATE_LIMIT: 0.5}`, "0.5"},
	"RATE_BURST":           {`config: {RATE_BURST: 12000000}`, "12000000"},
	"REQUEST_TIMEOUT":      {`config: {REQUEST_TIMEOUT: 1m30s}`, "1m30s"},
	"MAX_RETRIES":          {`config: {MAX_RETRIES: "0"}`, "0"},
	"MAX_RUNTIME":          {`config: {MAX_RUNTIME: 11h}`, "11h"},
	"LOG_FORMAT":           {`config: {LOG_FORMAT: text}`, "text"},
	"LOG_LEVEL":            {`config: {LOG_LEVEL: debug}`, "debug"},
	"INCOMPLETE_EXIT_CODE": {`config: {INCOMPLETE_EXIT_CODE: 3}`, "3"},
	"REPORT_DIR":           {`reports: {persistent: true, path: /var/reports}`, "/var/reports"},
	"REPORT_KEPT":          {`config: {REPORT_KEPT: true}`, "true"},
	"SHARD_COUNT":          {`shards: 3`, "3"},
	"PUSHGATEWAY_URL":      {`pushgateway: {url: "http://push.example.com:9091"}`, "http://push.example.com:9091"},
}

// never are the variables that the chart does not set, and why.
var never = map[string]string{
	"GITLAB_TOKEN":       "variables of a pod are shown to whoever may read pods",
	"MERGE_REQUEST_NOTE": "no pod is a job of a merge request",
	"SHARD_INDEX":        "each pod learns it from JOB_COMPLETION_INDEX, which Kubernetes sets",
}

// programVariables asks the program itself.
func programVariables(t *testing.T) (names []string) {
	t.Helper()
	help := exec.CommandContext(t.Context(), "go", "run", "./cmd/registry-gc", "--help")
	help.Dir = moduleRoot
	out, err := help.Output()
	if err != nil {
		t.Fatalf("asking the program for its variables: %v", err)
	}
	for _, match := range regexp.MustCompile(`(?m)^  ([A-Z][A-Z0-9_]+) `).FindAllStringSubmatch(string(out), -1) {
		names = append(names, match[1])
	}
	if len(names) < 20 {
		t.Fatalf("--help was misread: %v", names)
	}
	return names
}

// checkVariables fails when the program does not know one of the variables, or refuses
// what they say together. The program is pointed at a port where nobody listens, so that
// an accepted configuration ends with another code than a refused one.
func checkVariables(t *testing.T, variables map[string]string) {
	t.Helper()
	known := programVariables(t)
	for name := range variables {
		if !slices.Contains(known, name) {
			t.Errorf("%s is set, which the program does not know", name)
		}
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "registry-gc")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/registry-gc")
	build.Dir = moduleRoot
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	here := maps.Clone(variables)
	here["GITLAB_URL"], here["MAX_RETRIES"], here["REPORT_DIR"] = "http://127.0.0.1:1", "0", dir
	if here["GITLAB_TOKEN_FILE"] != "" {
		here["GITLAB_TOKEN_FILE"] = filepath.Join(dir, "token")
		if err := os.WriteFile(here["GITLAB_TOKEN_FILE"], []byte("glpat-x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := exec.CommandContext(t.Context(), program)
	run.Env = []string{}
	for name, value := range here {
		run.Env = append(run.Env, name+"="+value)
	}
	const usage = 2 // the program's exit code for a bad configuration
	out, err := run.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() == usage {
		t.Errorf("the program does not accept %v: %v\n%s", here, err, out)
	}
}

// TestEveryVariableArrives: whatever the program can be told, the chart can tell it, and
// nothing that the program would not understand.
func TestEveryVariableArrives(t *testing.T) {
	known := programVariables(t)
	for _, name := range known {
		if _, isSet := settings[name]; never[name] == "" && !isSet {
			t.Errorf("the chart has no value for %s: add it to values.yaml, values.schema.json and here", name)
		}
	}
	for name, setting := range settings {
		if got := mustRender(t, setting.values).env()[name]; got != setting.want {
			t.Errorf("with %s the program gets %s=%q; want %q", setting.values, name, got, setting.want)
		}
	}
	for name := range configSchema(t) {
		if !slices.Contains(known, name) {
			t.Errorf("config.%s is a variable that the program does not know", name)
		}
	}
	for name, why := range never {
		if _, err := render(overlay(t, fmt.Sprintf("config: {%s: x}", name))); err == nil {
			t.Errorf("config.%s is taken, but %s", name, why)
		}
	}
}

// TestDefaultsAreTheProgramsOwn: what is not set, or set to null or "", is not in the pod,
// so that no default stands in two places.
func TestDefaultsAreTheProgramsOwn(t *testing.T) {
	want := []string{"DRY_RUN", "GITLAB_TOKEN_FILE", "GITLAB_URL", "INCOMPLETE_EXIT_CODE", "LOG_FORMAT", "MAX_RUNTIME"}
	for _, values := range []string{"", `config: {RATE_LIMIT: null, ORPHANS: "", GITLAB_GROUPS: [], VERIFY: ""}`} {
		var got []string
		for name := range mustRender(t, values).env() {
			got = append(got, name)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("with %q the pod has %v; want %v", values, got, want)
		}
	}
	if got := mustRender(t, "").env()["DRY_RUN"]; got != "true" {
		t.Errorf("a first run has DRY_RUN=%s", got)
	}
}

// TestValuesAreDocumented: values.yaml and its schema name the same values, and each in
// values.yaml has a comment above it, or is explained with the ones above.
func TestValuesAreDocumented(t *testing.T) {
	text := readText(t, chartDir+"/values.yaml")
	var values map[string]any
	if err := yaml.UnmarshalStrict([]byte(text), &values); err != nil {
		t.Fatal(err)
	}
	compareNames(t, "", values, readSchema(t))
	key := regexp.MustCompile(`^  [A-Z_]+:`)
	above := ""
	for line := range strings.Lines(text) {
		if key.MatchString(line) && !strings.HasPrefix(above, "  # ") {
			t.Errorf("values.yaml does not say what this is: %s", strings.TrimSpace(line))
		}
		above = line
	}
}

// schema is a JSON schema as far as it is used here.
type schema struct {
	Properties map[string]*schema `json:"properties"`
	Additional any                `json:"additionalProperties"`
}

func readSchema(t *testing.T) *schema {
	t.Helper()
	root := new(schema)
	if err := json.Unmarshal([]byte(readText(t, chartDir+"/values.schema.json")), root); err != nil {
		t.Fatal(err)
	}
	return root
}

func configSchema(t *testing.T) map[string]*schema {
	return readSchema(t).Properties["config"].Properties
}

// compareNames walks values and schema side by side, as deep as the schema says.
func compareNames(t *testing.T, path string, values map[string]any, s *schema) {
	t.Helper()
	if s.Additional != false {
		t.Errorf("the schema lets any name pass in %q", path)
	}
	for name, property := range s.Properties {
		value, ok := values[name]
		inner, isMap := value.(map[string]any)
		switch {
		case path == "" && name == "global": // Helm's own
		case path == ".resources": // Kubernetes' own
		case !ok:
			t.Errorf("values.yaml does not have %s.%s", path, name)
		case isMap && len(property.Properties) > 0:
			compareNames(t, path+"."+name, inner, property)
		}
	}
	for name := range values {
		if s.Properties[name] == nil {
			t.Errorf("the schema does not have %s.%s", path, name)
		}
	}
}

func formatInt(number int32) string { return strconv.Itoa(int(number)) }
