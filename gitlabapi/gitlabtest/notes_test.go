package gitlabtest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// send sends JSON below /api/v4.
func send(t *testing.T, s *gitlabtest.Server, method, path, body string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequest(method, host+"/api/v4"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("PRIVATE-TOKEN", gitlabtest.DefaultToken)
	r.Header.Set("Content-Type", "application/json")
	answer, err := s.Transport().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(got)
}

// withNotes returns a world with the merge request !4 of the project 1001, and where its notes are, whose ids
// begin with 9000001.
func withNotes(notes ...gitlabtest.Note) (*gitlabtest.World, string) {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := w.AddProject("group/app")
	p.MergeRequests = []gitlabtest.MergeRequest{{IID: 4, Notes: notes}}
	return w, fmt.Sprintf("/projects/%d/merge_requests/4/notes", p.ID)
}

var (
	ownNote    = gitlabtest.Note{Author: gitlabtest.TokenUser, Body: "mine"}
	othersNote = gitlabtest.Note{Author: "ada", Body: "hers"}
	systemNote = gitlabtest.Note{Author: gitlabtest.TokenUser, Body: "changed the title", System: true}
)

// Who may write, and change what; the rest stays as it was.
func TestNotesAreWritten(t *testing.T) {
	const changed = `{"body":"changed"}`
	notes := []gitlabtest.Note{ownNote, othersNote, systemNote}
	reader := gitlabtest.WithToken(gitlabtest.DefaultToken, "read_api", "read_registry")
	maintainer := gitlabtest.WithRole(gitlabtest.Maintainer)
	archived := func(p *gitlabtest.Project) { p.Archived = true }
	for name, test := range map[string]struct {
		method, below, body string
		option              gitlabtest.Option
		set                 func(*gitlabtest.Project)
		status, violations  int
		changes             int // index of the note that is changed or made, -1 for none
	}{
		"a new one":               {"POST", "", changed, nil, nil, 201, 0, 3},
		"by a token that reads":   {"POST", "", changed, reader, nil, 403, 0, -1},
		"in an archived project":  {"POST", "", changed, nil, archived, 403, 0, -1},
		"one's own":               {"PUT", "/9000001", changed, nil, nil, 200, 0, 0},
		"one's own, read only":    {"PUT", "/9000001", changed, reader, nil, 403, 0, -1},
		"somebody else's":         {"PUT", "/9000002", changed, nil, nil, 403, 0, -1},
		"the same, by Maintainer": {"PUT", "/9000002", changed, maintainer, nil, 200, 0, 1},
		"GitLab's own":            {"PUT", "/9000003", changed, maintainer, nil, 403, 0, -1},
		"one that is not there":   {"PUT", "/9000004", changed, nil, nil, 404, 0, -1},
		"blank":                   {"POST", "", `{"body":" \n"}`, nil, nil, 400, 0, -1},
		"too long":                {"POST", "", `{"body":"` + strings.Repeat("x", 1_000_001) + `"}`, nil, nil, 400, 0, -1},
		"as long as may be":       {"POST", "", `{"body":"` + strings.Repeat("ü", 1_000_000) + `"}`, nil, nil, 201, 0, 3},
		"without a body":          {"POST", "", `{}`, nil, nil, 400, 1, -1},
		"another member":          {"POST", "", `{"body":"changed","created_at":"2026-01-01"}`, nil, nil, 400, 1, -1},
		"a quick action":          {"PUT", "/9000001", `{"body":"changed\n/merge"}`, nil, nil, 400, 1, -1},
		"no number":               {"PUT", "/latest", changed, nil, nil, 400, 1, -1},
	} {
		t.Run(name, func(t *testing.T) {
			w, at := withNotes(notes...)
			if test.set != nil {
				test.set(w.Projects[0])
			}
			var options []gitlabtest.Option
			if test.option != nil {
				options = append(options, test.option)
			}
			s := gitlabtest.New(w, options...)
			if status, text := send(t, s, test.method, at+test.below, test.body); status != test.status {
				t.Errorf("%d %.200s", status, text)
			}
			wantViolations(t, s, test.violations)
			got := s.Notes("group/app", 4)
			for i, n := range got {
				if was := i < len(notes) && n == notes[i]; was == (i == test.changes) {
					t.Errorf("%d is %+.100v", i, n)
				}
			}
			if want := max(len(notes), test.changes+1); len(got) != want {
				t.Errorf("there are %d notes", len(got))
			}
		})
	}
}

// Lists are in pages, the newest first unless it is asked otherwise, and say who wrote what.
func TestNotesAreListed(t *testing.T) {
	w, at := withNotes(ownNote, othersNote, systemNote)
	s := gitlabtest.New(w, gitlabtest.WithToken(gitlabtest.DefaultToken, "read_api"))
	for query, want := range map[string][]any{
		"?per_page=2": {"changed the title", "hers", "mine"},
		"?per_page=2&order_by=created_at&sort=asc": {"mine", "hers", "changed the title"},
	} {
		if diff := cmp.Diff(want, follow(t, s, at+query, "body")); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	var authors []any
	for _, author := range get(t, s, at+"?sort=asc").column(t, "author") {
		authors = append(authors, author.(map[string]any)["id"])
	}
	user := get(t, s, "/user").object(t)["id"]
	if authors[0] != user || authors[1] == user || authors[2] != user {
		t.Errorf("the user is %v and the authors are %v", user, authors)
	}
	if diff := cmp.Diff([]any{false, false, true}, get(t, s, at+"?sort=asc").column(t, "system")); diff != "" {
		t.Error(diff)
	}
	if got := get(t, s, strings.Replace(at, "/4/", "/5/", 1)); got.status != http.StatusNotFound {
		t.Errorf("of no merge request: %d %s", got.status, got.text)
	}
	wantViolations(t, s, 0)
}
