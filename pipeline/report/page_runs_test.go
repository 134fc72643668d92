package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// A pageRun is a run whose page is looked at.
type pageRun struct {
	*Summary
	decisions bytes.Buffer // as in decisions.jsonl
	kept      bool         // whether these have tags that are kept, too
}

func newPageRun(dryRun bool) *pageRun {
	return &pageRun{Summary: NewSummary(dryRun)}
}

func (r *pageRun) tell(t testing.TB, events ...Event) {
	t.Helper()
	for _, e := range events {
		if err := r.Handle(e); err != nil {
			t.Fatal(err)
		}
		if d, ok := e.(Decision); ok && (d.Outcome != Kept || r.kept) {
			line, err := json.Marshal(decisionLine(d))
			if err != nil {
				t.Fatal(err)
			}
			r.decisions.Write(append(line, '\n'))
		}
	}
}

func (r *pageRun) page(t testing.TB) []byte { t.Helper(); return r.pageOf(t, "") }

// pageOf returns the page of a run that has made a plan, "" for none.
func (r *pageRun) pageOf(t testing.TB, planFile string) []byte {
	t.Helper()
	selection, err := readSelection(planFile, nil)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := (&page{Summary: r.Summary, selection: selection}).write(&text, bytes.NewReader(r.decisions.Bytes())); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(text.Bytes(), []byte("</html>\n")) {
		t.Fatalf("the page is not whole: %d bytes", text.Len())
	}
	return text.Bytes()
}

const planInstance = "https://gitlab.example.com"

// writePlan writes the plan of the run into a file.
func (r *pageRun) writePlan(t testing.TB) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "plan.jsonl")
	writer, err := plan.NewWriter(path, planInstance)
	if err != nil {
		t.Fatal(err)
	}
	file := &PlanFile{Writer: writer, Path: path}
	_, err = eachDecision(bytes.NewReader(r.decisions.Bytes()), func(d *decisionLine) error { return file.Handle(Decision(*d)) })
	err = errors.Join(err, writer.Close(plan.Header{
		Time: time.Date(2026, 11, 26, 12, 30, 0, 0, time.UTC), Version: "1.2.3", User: hostileNames[0], Rules: plan.Rules{Name: "default", Hash: "sha256:1"},
		Settings: map[string]string{"EXCLUDE": strings.Join(hostileNames, ",")}, Regime: "legacy",
	}))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// smallRun has every outcome, kind and reason for advice, as a small instance would
// have them.
func smallRun(t testing.TB, dryRun bool) *pageRun {
	r := newPageRun(dryRun)
	r.kept = !dryRun
	gone := Deleted
	if dryRun {
		gone = Marked
	}
	r.Started, r.Rules = firstStart, byDefault(t)
	r.tell(t, RegimeFound{registry.Legacy}, Skipped{"acme/attic", ProjectArchived, false}, Unreadable{Name: "acme/closed", Err: errors.New("forbidden")})
	for _, p := range []string{"acme/shop/storefront", "acme/platform/charts", "acme/platform/build-images", "acme/shop/a-project-with-a-name-that-is-longer-than-what-a-phone-shows"} {
		r.tell(t, ProjectScanned{p}, RepositoryScanned{p, p + "/web", 9}, RepositoryScanned{p, p + "/web.cache", 9})
	}
	add := func(n int, project, repository, tag string, outcome Outcome, reason policy.Reason, kind manifest.Kind, detail string) {
		action := map[Outcome]policy.Action{Kept: policy.Keep, Undecided: policy.Undecided}[outcome]
		if action == "" {
			action = policy.Delete
		}
		for i := n - 1; i >= 0; i-- { // not in the order of the page
			manifest := tag
			if tag == "topic" {
				manifest = "build" // what was built there is in another group, too
			}
			r.tell(t, Decision{Project: project, ProjectID: int64(len(project)), Repository: project + "/" + repository, RepositoryID: int64(len(project + repository)), Tag: fmt.Sprintf("%s-%d", tag, i*i+1),
				Action: action, Outcome: outcome, Reason: reason, Kind: string(kind), Detail: detail,
				Digest: fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(fmt.Sprint(manifest, i)))), Bytes: int64(i+1) * 81_234_567, Made: firstStart.AddDate(0, 0, -40*i*i)})
		}
	}
	add(31, "acme/shop/storefront", "web", "release", Kept, policy.NoRule, manifest.KindImage, "")
	add(3, "acme/shop/storefront", "web", "v1.0", Kept, "protected", "", "")
	add(6, "acme/shop/storefront", "web.cache", "v1.feature_", gone, counterpartTagMissing, manifest.KindCacheManifest, "")
	add(5, "acme/platform/build-images", "web", "build", gone, undatable, manifest.KindAttestedImage, "")
	add(2, "acme/shop/storefront", "web", "topic", gone, undatable, manifest.KindAttestedImage, "")
	add(3, "acme/platform/charts", "jobs/mailer.cache", "main", gone, undatable, manifest.KindCacheIndex, "")
	add(2, "acme/shop/a-project-with-a-name-that-is-longer-than-what-a-phone-shows", "web.cache", "spike_", gone, undatable, manifest.KindMissingManifest, "")
	add(2, "acme/platform/charts", "web", "chart", Undecided, policy.DetailsUnknown, manifest.KindArtifact, "asking for the tag: GET …/tags/chart-1: 502 Bad Gateway, after 5 retries")
	add(1, "acme/platform/charts", "web", "held", Failed, DeleteForbidden, manifest.KindAttestedImage, "403 Forbidden")
	add(1, "acme/platform/charts", "web", "unseen", gone, undatable, "", "")
	add(2, "acme/platform/build-images", "web", "multi", Kept, "multi-arch", manifest.KindMultiArch, "")
	if dryRun {
		for i, tag := range []string{"multi-1", "multi-2", "trial"} {
			r.tell(t, ImageStays{ImageAge: 30 * 24 * time.Hour, Image: Image{Project: "acme/platform/build-images", Repository: "acme/platform/build-images/web",
				Tag: tag, Kind: string(manifest.KindMultiArch), Bytes: int64(i) << 28, Made: firstStart.AddDate(0, -i-2, 0)}})
		}
		r.tell(t, ImageStays{AgeUnread: true})
	}
	r.Requests, r.Retries, r.Duration = Requests{API: 3400, Registry: 1200}, 3, Seconds(93_200*time.Millisecond)
	return r
}

// hostileNames try what can be tried to become more than text.
var hostileNames = []string{
	`</script><img src=x onerror=window.attacked=1>`,
	`<!--<script>window.attacked=1</script>`,
	`"><svg/onload=window.attacked=1>`,
	`'-window.attacked=1-'`,
	`javascript:window.attacked=1`,
	`{{.Summary}}${window.attacked=1}`,
	`</style><link rel=stylesheet href=https://attacker.example/>`,
	`</title></svg><iframe src=https://attacker.example/>`,
	"line\u2028separator\u2029\nand \x1b[31mcolour",
	"gnp.\u202etxt\u202c turned round \u2066\u2069 \u200b",
	`\u003cscript\u003ewindow.attacked=1\u003c/script\u003e`,
	`&lt;img src=x onerror=window.attacked=1&gt;`,
	`https://attacker.example/x?<b>`,
	`=HYPERLINK("https://attacker.example/","click")`,
}

// hostileRun has n decisions, and in every place that the server fills one of the
// hostile names.
func hostileRun(t testing.TB, n int) *pageRun { return hostileRunOf(t, n, newPageRun(false), Deleted) }

// hostilePlanRun is the same of a run that marks tags.
func hostilePlanRun(t testing.TB, n int) *pageRun {
	return hostileRunOf(t, n, newPageRun(true), Marked)
}

func hostileRunOf(t testing.TB, n int, r *pageRun, gone Outcome) *pageRun {
	r.Started = firstStart
	r.tell(t, RegimeFound{registry.Legacy})
	for i, evil := range hostileNames {
		r.tell(t, ImageStays{Image: Image{Project: evil, Repository: evil, Tag: evil, Kind: evil, Bytes: int64(i), Made: firstStart}})
	}
	kinds := []manifest.Kind{manifest.KindCacheIndex, manifest.KindAttestedImage, manifest.KindMissingManifest, manifest.KindCacheManifest, ""}
	outcomes := []Outcome{gone, gone, gone, gone, gone, gone, Undecided, Failed}
	for i := range n {
		evil := hostileNames[i%len(hostileNames)]
		d := Decision{Project: fmt.Sprintf("group-%d/project-%d", i%991%97, i%991), ProjectID: int64(i%991 + 1), RepositoryID: int64(i%991 + 1), Tag: fmt.Sprintf("feature-%d", i),
			Action: policy.Delete, Outcome: outcomes[i%len(outcomes)], Reason: undatable, Kind: string(kinds[i%len(kinds)]),
			Digest: fmt.Sprintf("sha256:%064x", i*7919), Bytes: int64(i) * 1000,
			MediaType: "application/vnd.oci.image.index.v1+json", Made: firstStart.AddDate(0, 0, -i%5000), RestsOn: "the registry: no manifest, asked twice; GitLab: 404"}
		switch {
		case d.Outcome == Undecided:
			d.Action, d.Reason = policy.Undecided, policy.DetailsUnknown
		case d.Outcome == Failed:
			d.Reason = DeleteFailed
		}
		d.Repository = d.Project + "/web.cache"
		if i < 10*len(hostileNames) {
			d.Project, d.Repository, d.Tag, d.Digest, d.Detail = evil, evil+"/"+evil, fmt.Sprint(evil, i), evil, evil
		}
		if i < len(hostileNames) {
			d.Kind, d.Reason = evil, policy.Reason(evil)
		}
		r.tell(t, d)
	}
	r.Error = hostileNames[0]
	return r
}
