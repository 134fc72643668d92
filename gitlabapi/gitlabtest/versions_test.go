package gitlabtest_test

import (
	"net/http"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// TestOldVersions: what versions before 16.10 and before 17.4 make of a question that a database alone can
// answer, and a registry before 3.60 of GitLab's own API.
func TestOldVersions(t *testing.T) {
	ask := func(regime gitlabtest.Regime, options ...gitlabtest.Option) (keyset, details, v1 reply) {
		w, r := oneRepository(regime, "web")
		r.AddTag("a", gitlabtest.KindCacheManifest)
		r.AddTag("b", gitlabtest.KindMultiArch)
		s := gitlabtest.New(w, options...)
		keyset = get(t, s, at(r)+"/tags?pagination=keyset&per_page=1&sort=asc")
		details = get(t, s, tagAt(r, "b"))
		v1 = query{path: "/gitlab/v1/", token: tokenFor(t, s)}.ask(t, s)
		return keyset, details, v1
	}
	keyset, details, v1 := ask(gitlabtest.Database, gitlabtest.WithRailsOnV2())
	if keyset.status != http.StatusMethodNotAllowed || details.status != http.StatusNotFound || v1.status != http.StatusOK {
		t.Errorf("Rails that reads /v2 of a database: %d, %d, %d", keyset.status, details.status, v1.status)
	}
	keyset, _, v1 = ask(gitlabtest.Legacy, gitlabtest.WithoutKeysetTags(), gitlabtest.WithOwnAPIAnyway())
	if keyset.status != http.StatusOK || keyset.header.Get("X-Page") != "1" || v1.status != http.StatusOK {
		t.Errorf("an old version: %d, %v, %d", keyset.status, keyset.header, v1.status)
	}
}

// TestStrayEntries are listed without a database, have no details, and are in no database.
func TestStrayEntries(t *testing.T) {
	for regime, want := range map[gitlabtest.Regime]int{gitlabtest.Legacy: 2, gitlabtest.Database: 1} {
		w, r := oneRepository(regime, "web")
		r.AddTag("a", gitlabtest.KindImage)
		r.AddStray(".nfs0001")
		s := gitlabtest.New(w)
		if got := follow(t, s, at(r)+"/tags", "name"); len(got) != want {
			t.Errorf("%v: %v", regime, got)
		}
		if got := get(t, s, tagAt(r, ".nfs0001")); got.status != http.StatusNotFound {
			t.Errorf("%v: details %d", regime, got.status)
		}
		if regime == gitlabtest.Legacy {
			call(t, s, http.MethodDelete, tagAt(r, ".nfs0001"))
			wantViolations(t, s, 1)
		}
		if verdict := w.VerdictsUnder(gitlabtest.TruthRules{})[r.Path()+":.nfs0001"]; (verdict == "no-tag-name") != (regime == gitlabtest.Legacy) {
			t.Errorf("%v: %q", regime, verdict)
		}
	}
}

// TestProjectsOfASpecialKind: one that is marked for deletion is read-only and says so; one whose registry
// is hidden can be read, and its registry cannot.
func TestProjectsOfASpecialKind(t *testing.T) {
	w, r := oneRepository(gitlabtest.Legacy, "web")
	r.AddTag("a", gitlabtest.KindImage)
	r.Project().MarkedForDeletion = true
	s := gitlabtest.New(w)
	project := "/projects/1001"
	if got := get(t, s, project).object(t)["marked_for_deletion_on"]; got == nil {
		t.Error("it does not say so")
	}
	if got := call(t, s, http.MethodDelete, tagAt(r, "a")); got.status != http.StatusForbidden {
		t.Errorf("deletion: %d", got.status)
	}
	w, r = oneRepository(gitlabtest.Legacy, "web")
	r.Project().RegistryHidden = true
	s = gitlabtest.New(w)
	if shown, hidden := get(t, s, project), get(t, s, project+"/registry/repositories"); shown.status != 200 || hidden.status != 404 {
		t.Errorf("hidden: %d, %d", shown.status, hidden.status)
	}
}
