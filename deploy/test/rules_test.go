package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestRuleOfSeveralConditions: the rule in docs/rules.md of a prefix, an age and a number deletes what all three say, in
// the stand-in's world, where tags begin with feature-; and with another number in one of them, other tags.
func TestRuleOfSeveralConditions(t *testing.T) {
	found := regexp.MustCompile("(?s)```yaml\n(# old-pull-requests.yaml\n.*?)```").FindStringSubmatch(readText(t, moduleRoot+"/docs/rules.md"))
	if found == nil {
		t.Fatal("docs/rules.md has no old-pull-requests.yaml")
	}
	dir := t.TempDir()
	programs := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "./cmd/registry-gc", "./cmd/gitlab-standin")
	programs.Dir = moduleRoot
	if out, err := programs.CombinedOutput(); err != nil {
		t.Fatalf("building the programs: %v\n%s", err, out)
	}
	address := startStandin(t, dir)
	for _, test := range []struct {
		of, by string
		want   []string
	}{
		{"startsWith('pr-')", "startsWith('feature-')", []string{"web.cache:feature-2022-redesign", "web.cache:feature-banner", "web:feature-login"}},
		{"startsWith('feature-')", "startsWith('feature-b')", []string{"web.cache:feature-banner"}},
		{"startsWith('feature-b')", "startsWith('feature-')", []string{"web.cache:feature-2022-redesign", "web.cache:feature-banner", "web:feature-login"}},
		{"days(14)", "days(140)", []string{"web.cache:feature-2022-redesign", "web:feature-login"}},
		{"tag.rank > 5", "tag.rank > 8", []string{"web.cache:feature-2022-redesign"}},
	} {
		if strings.Count(found[1], test.of) != 1 {
			t.Fatalf("the rule does not say %q:\n%s", test.of, found[1])
		}
		found[1] = strings.ReplaceAll(found[1], test.of, test.by)
		if got := plannedBy(t, dir, address, found[1]); !slices.Equal(got, test.want) {
			t.Errorf("with %s %v would go, want %v", test.by, got, test.want)
		}
	}
}

// plannedBy returns the tags that would go by a file of rules, without what stands before the name of the repository.
func plannedBy(t *testing.T, dir, address, rules string) []string {
	t.Helper()
	file, reports := filepath.Join(dir, "rules.yaml"), t.TempDir()
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	program := exec.CommandContext(t.Context(), filepath.Join(dir, "registry-gc"), "plan")
	program.Env = []string{"GITLAB_URL=" + address, "GITLAB_TOKEN=" + standinToken, "RATE_LIMIT=0", "RULES=" + file, "REPORT_DIR=" + reports}
	if out, err := program.CombinedOutput(); err != nil {
		t.Fatalf("a plan by\n%s\n%v\n%s", rules, err, out)
	}
	var tags []string
	for line := range strings.Lines(readText(t, filepath.Join(reports, "decisions.jsonl"))) {
		var decision struct {
			Repository string `json:"repository"`
			Tag        string `json:"tag"`
		}
		if err := json.Unmarshal([]byte(line), &decision); err != nil {
			t.Fatal(err)
		}
		tags = append(tags, filepath.Base(decision.Repository)+":"+decision.Tag)
	}
	slices.Sort(tags)
	return tags
}
