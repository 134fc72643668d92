package gitlabtest_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

func TestDeletionTakesTheTagAlone(t *testing.T) {
	for kind := range kindsOnLegacy {
		w, repository := oneRepository(gitlabtest.Legacy, "web")
		repository.AddTag("one", kind)
		repository.AddTag("sibling", kind) // of the same digest
		s := gitlabtest.New(w)
		got := call(t, s, http.MethodDelete, tagAt(repository, "one"))
		names := get(t, s, at(repository)+"/tags").column(t, "name")
		if got.status != http.StatusOK || !cmp.Equal(names, []any{"sibling"}) {
			t.Errorf("%s: status %d, left %v", kind, got.status, names)
		}
	}
}

func TestDeletingATagThatIsGone(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Legacy, "web")
	now := gitlabtest.New(w)
	old := gitlabtest.New(w, gitlabtest.WithGoneTagsMissing())
	path := tagAt(repository, "gone")
	got := []int{call(t, now, http.MethodDelete, path).status, call(t, old, http.MethodDelete, path).status}
	if diff := cmp.Diff([]int{200, 404}, got); diff != "" {
		t.Error(diff)
	}
	if deleted := now.Deleted(); len(deleted) != 0 {
		t.Errorf("counted as deleted: %v", deleted)
	}
}

func TestDeletionOutOfReach(t *testing.T) {
	for name, set := range map[string]func(*gitlabtest.Project){
		"archived":   func(p *gitlabtest.Project) { p.Archived = true },
		"disabled":   func(p *gitlabtest.Project) { p.RegistryDisabled = true },
		"forbidden":  func(p *gitlabtest.Project) { p.Forbidden = true },
		"not member": func(p *gitlabtest.Project) { p.NotMember = true },
	} {
		w, repository := oneRepository(gitlabtest.Legacy, "web.cache")
		repository.AddTag("orphan", gitlabtest.KindCacheManifest)
		set(repository.Project())
		s := gitlabtest.New(w)
		got := call(t, s, http.MethodDelete, tagAt(repository, "orphan"))
		if got.status != http.StatusForbidden || len(s.Remaining()) != 1 || len(w.Truth()) != 0 {
			t.Errorf("%s: %d %s, left %v, dead %v", name, got.status, got.text, s.Remaining(), w.Truth())
		}
	}
}

// The world is a plan: what happens to one server leaves others alone.
func TestServersDoNotShareTheirWorld(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Legacy, "web.cache")
	repository.AddTag("orphan", gitlabtest.KindCacheManifest)
	one, other := gitlabtest.New(w), gitlabtest.New(w)
	call(t, one, http.MethodDelete, tagAt(repository, "orphan"))
	want := []gitlabtest.TagState{{
		Project: "group/app", Repository: "group/app/web.cache", Tag: "orphan",
		Kind: gitlabtest.KindCacheManifest,
		Dead: "counterpart-repository-missing", Truth: "counterpart-repository-missing",
	}}
	if diff := cmp.Diff(want, one.Deleted()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, other.Remaining()); diff != "" {
		t.Error(diff)
	}
	if got := one.Stats().Changing; got != 1 {
		t.Errorf("changing requests: %d", got)
	}
}

// Somebody pushes while a request is on its way.
func TestPushBetweenTwoRequests(t *testing.T) {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := w.AddProject("group/app")
	p.AddRepository("web")
	cache := p.AddRepository("web.cache")
	cache.AddTag("branch", gitlabtest.KindCacheManifest)
	s := gitlabtest.New(w)
	s.OnRequest(func(r gitlabtest.Request) {
		if r.Endpoint != "GET /projects/:id/registry/repositories/:rid/tags" {
			return
		}
		if err := s.Push("group/app", "web", "branch", gitlabtest.KindImage); err != nil {
			t.Error(err)
		}
	})
	before := s.Remaining()[0].Truth
	get(t, s, at(cache)+"/tags")
	var after []string
	for _, tag := range s.Remaining() {
		after = append(after, tag.String()+" "+tag.Truth)
	}
	want := []string{"group/app/web:branch healthy", "group/app/web.cache:branch counterpart-present"}
	if diff := cmp.Diff(want, after); diff != "" || before != "counterpart-tag-missing" {
		t.Errorf("before %s, after %s", before, diff)
	}
	if err := s.Remove("group/app", "web", "branch"); err != nil {
		t.Fatal(err)
	}
	if len(s.Remaining()) != 1 || len(s.Deleted()) != 0 {
		t.Errorf("after Remove: left %v, deleted %v", s.Remaining(), s.Deleted())
	}
}
