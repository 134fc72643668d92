package gitlabapi_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

const (
	marker  = "<!-- registry-gc: job -->"
	newNote = marker + "\n\nnew"

	listsNotes = "GET /projects/:id/merge_requests/:iid/notes"
	makesNotes = "POST /projects/:id/merge_requests/:iid/notes"
)

var (
	userPath  = regexp.MustCompile(`^/user$`)
	notesPath = regexp.MustCompile(`/notes$`)
)

// withNotes returns a world with a merge request on which these are written.
func withNotes(notes ...gitlabtest.Note) (*gitlabtest.World, gitlabapi.MergeRequest) {
	w := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := w.AddProject("group/app")
	p.MergeRequests = []gitlabtest.MergeRequest{{IID: 3}, {IID: 4, Notes: notes}}
	return w, gitlabapi.MergeRequest{ProjectID: p.ID, IID: 4}
}

// TestWriteNote: the newest note of the token's own user with the same first line is changed, and no other.
func TestWriteNote(t *testing.T) {
	own := gitlabtest.Note{Author: gitlabtest.TokenUser, Body: marker + "\r\n\r\nearlier"}
	others := gitlabtest.Note{Author: "ada", Body: marker + "\n\nearlier"}
	several := func(n int, note gitlabtest.Note) []gitlabtest.Note { return slices.Repeat([]gitlabtest.Note{note}, n) }
	for name, test := range map[string]struct {
		notes   []gitlabtest.Note
		changes int // index of the note that is changed, -1 for none
		pages   int
	}{
		"none":                        {nil, -1, 1},
		"an earlier one":              {[]gitlabtest.Note{own, others, others}, 0, 1},
		"two earlier ones":            {[]gitlabtest.Note{own, own, others}, 1, 1},
		"only others":                 {[]gitlabtest.Note{others}, -1, 1},
		"the first line elsewhere":    {[]gitlabtest.Note{{Author: gitlabtest.TokenUser, Body: "> see\n" + marker}}, -1, 1},
		"a longer first line":         {[]gitlabtest.Note{{Author: gitlabtest.TokenUser, Body: marker + " is a line"}}, -1, 1},
		"GitLab's own":                {[]gitlabtest.Note{{Author: gitlabtest.TokenUser, Body: marker, System: true}}, -1, 1},
		"on the last page of ten":     {slices.Concat([]gitlabtest.Note{own}, several(999, others)), 0, 10},
		"on a page that is not asked": {slices.Concat([]gitlabtest.Note{own}, several(1000, others)), -1, 10},
	} {
		t.Run(name, func(t *testing.T) {
			w, to := withNotes(test.notes...)
			s := gitlabtest.New(w, gitlabtest.WithRole(gitlabtest.Maintainer))
			want := slices.Clone(test.notes)
			if test.changes >= 0 {
				want[test.changes].Body = newNote
			} else {
				want = append(want, gitlabtest.Note{Author: gitlabtest.TokenUser, Body: newNote})
			}
			updated, err := connect(t, s).WriteNote(t.Context(), to, newNote)
			if err != nil || updated != (test.changes >= 0) {
				t.Errorf("updated: %t, %v", updated, err)
			}
			if got := s.Notes("group/app", to.IID); !slices.Equal(got, want) {
				t.Errorf("the notes are not as wanted; the last is %+v of %d", got[len(got)-1], len(got))
			}
			if n := s.Notes("group/app", 3); len(n) > 0 {
				t.Errorf("another merge request has %+v", n)
			}
			if n := s.Stats().ByEndpoint[listsNotes]; n != test.pages || s.Stats().Changing != 1 {
				t.Errorf("%d pages were read, and the requests are %v", n, s.Stats().ByEndpoint)
			}
		})
	}
}

// TestNewNoteIsSentOnce: whatever becomes of the request that makes a note, there are never two.
func TestNewNoteIsSentOnce(t *testing.T) {
	for name, test := range map[string]struct {
		effect gitlabtest.Effect
		left   int // notes
	}{
		"no answer":              {gitlabtest.Cut(), 0},
		"half an answer":         {gitlabtest.CutBody(), 1},
		"an answer that is none": {gitlabtest.Halve(), 1},
		"a failure":              {gitlabtest.Status(502), 0},
		"a limit":                {gitlabtest.RateLimited(), 0},
		"maintenance":            {gitlabtest.Maintenance(503, 1), 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, to := withNotes()
			s := gitlabtest.New(w, gitlabtest.WithFaults(gitlabtest.Fault{Method: "POST", Effect: test.effect}))
			retries := func(c *gitlabapi.Config) { c.MaxRetries = 3 }
			if _, err := connect(t, s, retries).WriteNote(t.Context(), to, newNote); err == nil {
				t.Error("there is no error")
			}
			if n := s.Stats().ByEndpoint[makesNotes]; n != 1 {
				t.Errorf("it was sent %d times", n)
			}
			s.SetFaults()
			updated, err := connect(t, s).WriteNote(t.Context(), to, newNote)
			if err != nil || updated != (test.left == 1) || len(s.Notes("group/app", to.IID)) != 1 {
				t.Errorf("updated: %t, %v, %+v", updated, err, s.Notes("group/app", to.IID))
			}
		})
	}
}

// TestNotesThatAreNotSent: what GitLab would take for a command, or not at all.
func TestNotesThatAreNotSent(t *testing.T) {
	w, to := withNotes()
	s := gitlabtest.New(w)
	c := connect(t, s)
	for _, body := range []string{marker + "\n/merge", marker + "\n  /close\n", "/approve", marker + "\n" + strings.Repeat("x", gitlabapi.MaxNote)} {
		if _, err := c.WriteNote(t.Context(), to, body); err == nil {
			t.Errorf("%.40q was sent", body)
		}
	}
	if n := s.Stats().Total; n > 0 {
		t.Errorf("%d requests", n)
	}
}

// TestNoteRefused: who may not write gets GitLab's words, and nothing is written in the place of a note that
// cannot be looked for.
func TestNoteRefused(t *testing.T) {
	own := gitlabtest.Note{Author: gitlabtest.TokenUser, Body: marker}
	for name, test := range map[string]struct {
		notes    []gitlabtest.Note
		option   gitlabtest.Option
		iid      int64
		class    error
		says     string
		changing int
	}{
		"a token that reads":    {nil, gitlabtest.WithToken(gitlabtest.DefaultToken, "read_api"), 4, throttle.ErrInsufficientScope, "higher privileges", 1},
		"the same for an old":   {[]gitlabtest.Note{own}, gitlabtest.WithToken(gitlabtest.DefaultToken, "read_api"), 4, throttle.ErrInsufficientScope, "higher privileges", 1},
		"no such merge request": {nil, nil, 9, throttle.ErrNotFound, "404 Not found", 0},
		"no user": {nil, gitlabtest.WithFaults(gitlabtest.Fault{Path: userPath, Effect: gitlabtest.Reply(200, "{}")}), 4,
			nil, "names no user", 0},
		"a list that breaks off": {[]gitlabtest.Note{own}, gitlabtest.WithFaults(gitlabtest.Fault{Method: "GET", Path: notesPath, Effect: gitlabtest.Halve()}), 4,
			nil, "not of the form", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, to := withNotes(test.notes...)
			to.IID = test.iid
			var options []gitlabtest.Option
			if test.option != nil {
				options = append(options, test.option)
			}
			s := gitlabtest.New(w, options...)
			_, err := connect(t, s).WriteNote(t.Context(), to, newNote)
			if err == nil || test.class != nil && !errors.Is(err, test.class) || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("got %v", err)
			}
			if s.Stats().Changing != test.changing || !slices.Equal(s.Notes("group/app", 4), test.notes) {
				t.Errorf("%v, %+v", s.Stats().ByEndpoint, s.Notes("group/app", 4))
			}
		})
	}
}
