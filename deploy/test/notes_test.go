package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNotes: whoever installs the chart reads whether it deletes, and whether that could be undone.
func TestNotes(t *testing.T) {
	const deletes, warns, keeps = "DELETES tags at https://gitlab.example.com", "WARNING: there is no volume for the journal", "The claim stays"
	for values, want := range map[string][]string{
		"":                            {"deletes nothing", "Before runs delete, set\nreports.persistent"},
		"reports: {persistent: true}": {"deletes nothing", "(/reports/journal)", keeps},
		"config: {DRY_RUN: false}":    {deletes, warns},
		`{shards: 3, config: {DRY_RUN: "false"}}`:                              {deletes, warns, "in 3 pods at once"},
		"{config: {DRY_RUN: false}, reports: {persistent: true}}":              {deletes, "The claim nightly-registry-gc keeps", keeps},
		"{shards: 3, config: {DRY_RUN: false}, reports: {persistent: true}}":   {deletes, "(/reports/shard-*/journal)", keeps},
		"{config: {DRY_RUN: false}, reports: {existingClaim: mine, path: /r}}": {deletes, "The claim mine keeps", "(/r/journal)"},
	} {
		notes := mustRender(t, values).notes
		for _, part := range want {
			if !strings.Contains(notes, part) {
				t.Errorf("with %q the notes do not say %q:\n%s", values, part, notes)
			}
		}
		for _, part := range []string{deletes, warns, keeps} {
			if strings.Contains(notes, part) && !strings.Contains(strings.Join(want, "\n"), part) {
				t.Errorf("with %q the notes say %q:\n%s", values, part, notes)
			}
		}
	}
}

// fakeKubectl writes down how it is called. The first two times there is no log and no end yet.
const fakeKubectl = `#!/bin/sh
echo "$*" >>"$CALLS"
n=$(grep -cxF -- "$*" "$CALLS")
case $3 in
logs) [ "$4" != -f ] || [ "$n" -gt 2 ];;
get) case $4 in
	job) [ "$n" -gt 2 ] && echo "FailureTarget Failed" || echo "FailureTarget";;
	pods) echo 4;;
	esac;;
esac
`

// TestCommands runs the commands of the notes and of deploy/kubernetes in a shell, twice, as somebody would who
// pastes them: each time there is another Job, whose log and end are waited for, and its name is not too long for
// the host name of a shard.
func TestCommands(t *testing.T) {
	long := "fullnameOverride: " + strings.Repeat("a", 47) + "-b\nshards: 1000"
	readme := readText(t, manifests+"/README.md")
	for from, text := range map[string]string{
		"the notes":            mustRender(t, "").notes,
		"the notes, a release": mustRender(t, long).notes,
		"the manifests":        readme[strings.Index(readme, "   job="):strings.Index(readme, "5. When what it marks")],
	} {
		command := regexp.MustCompile(`(?m)^   ? ?(job=|until |kubectl ).*$`)
		script := strings.Join(command.FindAllString(text, -1), "\n")
		dir := t.TempDir()
		calls := filepath.Join(dir, "calls")
		for file, text := range map[string]string{"kubectl": fakeKubectl, "sleep": "#!/bin/sh\n", "date": "#!/bin/sh\ncat \"$NOW\"\n"} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		names := make(map[string]bool)
		for _, now := range []string{"1800000000", "1800000001"} {
			if err := os.WriteFile(filepath.Join(dir, "now"), []byte(now), 0o644); err != nil {
				t.Fatal(err)
			}
			shell := exec.CommandContext(t.Context(), "sh", "-euc", script)
			shell.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "CALLS=" + calls, "NOW=" + filepath.Join(dir, "now")}
			out, err := shell.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "Failed\n") {
				t.Fatalf("the commands of %s: %v\n%s\n%s", from, err, script, out)
			}
			all := readText(t, calls)
			created := regexp.MustCompile(`create job --from=cronjob/\S+ (\S+)\n`).FindAllStringSubmatch(all, -1)
			name := created[len(created)-1][1]
			names[name] = true
			if host := name + "-999"; len(host) > 63 {
				t.Errorf("%s make the Job %s, of whose shards the last one has the host name %s with %d characters", from, name, host, len(host))
			}
			for _, call := range []string{"logs -f job/" + name, "get job " + name + " -o jsonpath="} {
				if strings.Count(all, call) < 3 {
					t.Errorf("%s do not wait by %q:\n%s", from, call, all)
				}
			}
		}
		if len(names) != 2 {
			t.Errorf("%s, run twice, make the Jobs %v", from, names)
		}
	}
	if strings.Contains(mustRender(t, "").notes, "--prefix") || !strings.Contains(mustRender(t, "shards: 7").notes, "--prefix --max-log-requests=7") {
		t.Error("the notes do not say how to see the logs of several pods, or say it of one")
	}
}

// TestLongNames: a CronJob's Job has eleven characters more than it, the host of a shard up to four more,
// and 63 are the most.
func TestLongNames(t *testing.T) {
	for _, values := range []string{
		"fullnameOverride: " + strings.Repeat("a", 60),
		"nameOverride: " + strings.Repeat("a", 60),
	} {
		if name := mustRender(t, values+"\nshards: 1000").job.Name; len(name)+11+4 > 63 {
			t.Errorf("with %s the CronJob is called %s, with %d characters", values, name, len(name))
		}
	}
}
