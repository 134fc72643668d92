package gitlabtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// kindsOnLegacy says for each kind of tag what its details are on LEGACY.
var kindsOnLegacy = map[gitlabtest.Kind]struct {
	status int
	dated  string // undated, when it was made, or in the year 1
}{
	gitlabtest.KindImage:           {http.StatusOK, whenMade},
	gitlabtest.KindDockerImage:     {http.StatusOK, whenMade},
	gitlabtest.KindDockerList:      {http.StatusOK, whenMade},
	gitlabtest.KindCacheManifest:   {http.StatusOK, undated},
	gitlabtest.KindArtifact:        {http.StatusOK, undated},
	gitlabtest.KindSignature:       {http.StatusOK, yearOne},
	gitlabtest.KindKanikoCache:     {http.StatusOK, yearOne},
	gitlabtest.KindAttestedImage:   {http.StatusNotFound, undated},
	gitlabtest.KindMultiArch:       {http.StatusNotFound, undated},
	gitlabtest.KindCacheIndex:      {http.StatusNotFound, undated},
	gitlabtest.KindCacheList:       {http.StatusNotFound, undated},
	gitlabtest.KindManifestMissing: {http.StatusNotFound, undated},
	gitlabtest.KindReferrers:       {http.StatusNotFound, undated},
	gitlabtest.KindBareIndex:       {http.StatusNotFound, undated},
	gitlabtest.KindNestedIndex:     {http.StatusNotFound, undated},
}

const (
	undated  = ""
	whenMade = "2023-05-04T03:02:01.987+00:00"
	yearOne  = "0001-01-01T00:00:00.000+00:00"
)

func TestLegacyDetailsOfEveryKind(t *testing.T) {
	for kind, want := range kindsOnLegacy {
		t.Run(string(kind), func(t *testing.T) {
			w, repository := oneRepository(gitlabtest.Legacy, "web")
			created := time.Date(2023, time.May, 4, 3, 2, 1, 987_000_000, time.UTC)
			repository.AddTagAt("v1.x", kind, created)
			got := get(t, gitlabtest.New(w), tagAt(repository, "v1.x"))
			if got.status != want.status {
				t.Fatalf("status %d, want %d: %s", got.status, want.status, got.text)
			}
			if want.status == http.StatusNotFound {
				if diff := cmp.Diff(`{"message":"404 Tag Not Found"}`, got.text); diff != "" {
					t.Error(diff)
				}
				return
			}
			wantDate := any(nil)
			if want.dated != undated {
				wantDate = want.dated
			}
			if diff := cmp.Diff(wantDate, got.object(t)["created_at"]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLegacyDetailsHaveGitLabsFields(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Legacy, "web")
	repository.AddTag("main", gitlabtest.KindImage)
	got := get(t, gitlabtest.New(w, gitlabtest.WithRegistryHost("registry.example")), tagAt(repository, "main")).object(t)
	revision, digest := got["revision"].(string), got["digest"].(string)
	want := map[string]any{
		"name": "main", "path": "group/app/web:main", "location": "registry.example/group/app/web:main",
		"revision": revision, "short_revision": revision[:9], "digest": digest,
		"created_at": "2024-03-01T12:00:00.000+00:00", "total_size": float64(1064323 + 156 + 100),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(revision) != 64 || len(digest) != len("sha256:")+64 || revision == digest[7:] {
		t.Errorf("revision %q and digest %q are not those of a config and a manifest", revision, digest)
	}
}

// A Docker list stands for its linux/amd64 child, and so carries its digest.
func TestLegacyDetailsOfADockerListAreItsChilds(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Legacy, "web")
	repository.AddTag("list", gitlabtest.KindDockerList)
	repository.AddTag("child", gitlabtest.KindDockerImage)
	s := gitlabtest.New(w)
	list, child := get(t, s, tagAt(repository, "list")), get(t, s, tagAt(repository, "child"))
	if diff := cmp.Diff(child.object(t)["digest"], list.object(t)["digest"]); diff != "" {
		t.Error(diff)
	}
}

func TestDatabaseDetailsAreNeverMissingOrUndated(t *testing.T) {
	for kind := range kindsOnLegacy {
		if kind == gitlabtest.KindManifestMissing {
			continue // a database holds none
		}
		w, repository := oneRepository(gitlabtest.Database, "web.cache")
		repository.AddTag("branch", kind)
		got := get(t, gitlabtest.New(w), tagAt(repository, "branch"))
		if got.status != http.StatusOK || got.object(t)["created_at"] != "2024-03-01T12:00:00.000+00:00" {
			t.Errorf("%s: %d %s", kind, got.status, got.text)
		}
		if dead := w.Truth(); len(dead) > 0 {
			t.Errorf("%s is dead: %v", kind, dead)
		}
	}
}

func TestDatabaseDateDoesNotMoveWhenATagIsPushedAgain(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Database, "web")
	repository.AddTag("main", gitlabtest.KindImage)
	s := gitlabtest.New(w)
	before := get(t, s, tagAt(repository, "main")).object(t)
	if err := s.Push("group/app", "web", "main", gitlabtest.KindDockerImage); err != nil {
		t.Fatal(err)
	}
	after := get(t, s, tagAt(repository, "main")).object(t)
	if before["created_at"] != after["created_at"] || before["digest"] == after["digest"] {
		t.Errorf("before %v, after %v", before, after)
	}
}

// Rails looks for the name in one page of names that contain it.
func TestDatabaseDetailsOfAShortNameAreCrowdedOut(t *testing.T) {
	for others, want := range map[int]int{99: http.StatusOK, 100: http.StatusNotFound} {
		w, repository := oneRepository(gitlabtest.Database, "web")
		repository.AddTag("v1", gitlabtest.KindImage)
		for i := range others {
			repository.AddTag(fmt.Sprintf("build-%d-v1", i), gitlabtest.KindImage)
		}
		repository.AddTag("v1-after", gitlabtest.KindImage)
		if got := get(t, gitlabtest.New(w), tagAt(repository, "v1")); got.status != want {
			t.Errorf("%d longer names before: status %d, want %d", others, got.status, want)
		}
	}
}

// What the API says when Rails gets an error from the registry, or nothing.
func TestRegistryFailures(t *testing.T) {
	tests := []struct {
		name                   string
		effect                 gitlabtest.Effect
		details, list, deletes string
	}{
		{
			"outage", gitlabtest.RegistryOutage(),
			`404 {"message":"404 Tag Not Found"}`, `200 []`, `400 {"message":"400 Bad request"}`,
		},
		{
			"unreachable", gitlabtest.RegistryUnreachable(),
			`503 {"message":"503 Service Unavailable"}`, `503 {"message":"503 Service Unavailable"}`,
			`400 {"message":"400 Bad request"}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w, repository := oneRepository(gitlabtest.Legacy, "web")
			repository.AddTag("main", gitlabtest.KindImage)
			s := gitlabtest.New(w, gitlabtest.WithFaults(gitlabtest.Fault{Effect: test.effect}))
			show := func(r reply) string { return fmt.Sprint(r.status, " ", r.text) }
			got := []string{
				show(get(t, s, tagAt(repository, "main"))),
				show(get(t, s, at(repository)+"/tags")),
				show(call(t, s, http.MethodDelete, tagAt(repository, "main"))),
			}
			if diff := cmp.Diff([]string{test.details, test.list, test.deletes}, got); diff != "" {
				t.Error(diff)
			}
			if left := s.Remaining(); len(left) != 1 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestUnreadableConfigTakesTheDate(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Legacy, "web")
	repository.AddTag("main", gitlabtest.KindImage)
	s := gitlabtest.New(w, gitlabtest.WithFaults(gitlabtest.Fault{Effect: gitlabtest.ConfigUnreadable(), Count: 1}))
	first, second := get(t, s, tagAt(repository, "main")).object(t), get(t, s, tagAt(repository, "main")).object(t)
	if first["created_at"] != nil || second["created_at"] == nil || first["digest"] != second["digest"] {
		t.Errorf("unreadable %v, readable %v", first, second)
	}
}

// What versions of GitLab say about indexes, and about a list of Docker's.
func TestDetailsOfIndexes(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Legacy, "web")
	for _, kind := range []gitlabtest.Kind{gitlabtest.KindMultiArch, gitlabtest.KindDockerList, gitlabtest.KindImage, gitlabtest.KindManifestMissing} {
		repository.AddTag(string(kind), kind)
	}
	for version, want := range map[gitlabtest.IndexDetails]string{
		gitlabtest.IndexMissing: "404 200 200 404",
		gitlabtest.IndexError:   "500 500 200 404",
		gitlabtest.IndexEmpty:   "200 200 200 404",
	} {
		s := gitlabtest.New(w, gitlabtest.WithIndexDetails(version))
		var got []string
		for _, tag := range repository.Tags {
			got = append(got, fmt.Sprint(get(t, s, tagAt(repository, tag.Name)).status))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%d: got %q, want %s", version, got, want)
		}
	}
	empty := get(t, gitlabtest.New(w, gitlabtest.WithIndexDetails(gitlabtest.IndexEmpty)), tagAt(repository, "multi-arch")).object(t)
	if empty["digest"] == "" || empty["revision"] != nil || empty["short_revision"] != nil || empty["created_at"] != nil || empty["total_size"] != nil {
		t.Errorf("%v", empty)
	}
}

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

// Another client pushes while a request is on its way.
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
	want := []string{"group/app/web:branch no-rule", "group/app/web.cache:branch counterpart-present"}
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

// TestGoneTagsForbidden: since about 18.3 a tag that cannot be looked up cannot be deleted over REST, for
// a hundred others that sort before it as for its being gone; a mutation knows nothing of that.
func TestGoneTagsForbidden(t *testing.T) {
	w, repository := oneRepository(gitlabtest.Database, "web")
	repository.AddTag("there", gitlabtest.KindImage)
	repository.AddTag("1", gitlabtest.KindImage)
	for i := range 100 {
		repository.AddTag(fmt.Sprintf("0-1-%d", i), gitlabtest.KindImage)
	}
	s := gitlabtest.New(w, gitlabtest.WithGoneTagsForbidden())
	for tag, want := range map[string]int{"gone": 403, "1": 403, "there": 200} {
		if got := call(t, s, http.MethodDelete, tagAt(repository, tag)).status; got != want {
			t.Errorf("%s: %d, want %d", tag, got, want)
		}
	}
	wantAnswer(t, s, "mutation {"+destroying("a", repository, "gone", "1")+"}", `{"data":{"a":{"errors":[],"deletedTagNames":["gone","1"]}}}`)
}
