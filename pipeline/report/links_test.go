package report

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

func TestLinks(t *testing.T) {
	links := Links{Instance: "https://gitlab.example.com/git"}
	for _, test := range []struct {
		project string
		id      int64
		want    string
	}{
		{"acme/shop", 42, "https://gitlab.example.com/git/acme/shop/container_registry/42"},
		{"acme/shop", 0, "https://gitlab.example.com/git/acme/shop"},
		{"acme/a b\x1b[31m\n<?#%", 1, "https://gitlab.example.com/git/acme/a%20b%1B%5B31m%0A%3C%3F%23%25/container_registry/1"},
		{"acme/../../admin", 1, ""},
		{"./acme", 1, ""},
		{"//evil.example", 1, ""},
		{"", 1, ""},
	} {
		if got := links.Repository(test.project, test.id); got != test.want {
			t.Errorf("%q, %d: %q, want %q", test.project, test.id, got, test.want)
		}
	}
	if got := (Links{}).Repository("acme/shop", 42); got != "" {
		t.Errorf("without an instance there is %q", got)
	}
}

// TestLinkedLines: a line that needs a look says where, and no other does.
func TestLinkedLines(t *testing.T) {
	const link = "https://gitlab.example.com/acme/shop/container_registry/42"
	decision := Decision{Project: "acme/shop", Repository: "acme/shop/web", RepositoryID: 42, Tag: "1", Action: policy.Delete}
	outcome := func(o Outcome) Decision { decision.Outcome = o; return decision }
	for _, test := range []struct {
		event  Event
		linked bool
	}{
		{outcome(Failed), true},
		{outcome(Undecided), true},
		{outcome(Deleted), false},
		{outcome(Marked), false},
		{Unreadable{Name: "acme/shop/web", Project: "acme/shop", RepositoryID: 42, Err: errors.New("no")}, true},
		{Unreadable{Name: "acme", Err: errors.New("no")}, false},
	} {
		for _, links := range []Links{{}, {Instance: "https://gitlab.example.com"}} {
			var out bytes.Buffer
			if err := (&Log{Logger: slog.New(slog.NewTextHandler(&out, nil)), Links: links}).Handle(test.event); err != nil {
				t.Fatal(err)
			}
			if got, want := strings.Contains(out.String(), " link="+link), test.linked && links.Instance != ""; got != want || out.Len() == 0 {
				t.Errorf("%+v with %+v: %s", test.event, links, &out)
			}
		}
	}
}

// TestLinkedSummary: the repositories and projects that the summary names have links
// beside them.
func TestLinkedSummary(t *testing.T) {
	event := dead("acme/shop/web", manifest.KindAttestedImage, 1<<20, Marked)
	event.Project, event.RepositoryID = "acme/shop", 42
	summary := countEvents(t, true, event)
	var out strings.Builder
	if err := summary.WriteText(&out, Text{Links: Links{Instance: "https://gitlab.example.com"}}); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{
		"\n  acme/shop/web     1  1.0 MiB  https://gitlab.example.com/acme/shop/container_registry/42\n",
		"\n    1  acme/shop  https://gitlab.example.com/acme/shop\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
