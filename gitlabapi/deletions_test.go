package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// deletionsOf makes deletions of tags "t0", "t1"… in repositories 1, 2….
func deletionsOf(repositories, tags int) []Deletion {
	all := make([]Deletion, repositories)
	for i := range all {
		all[i].Repository.ID = int64(i + 1)
		for j := range tags {
			all[i].Tags = append(all[i].Tags, fmt.Sprintf("t%d", j))
		}
	}
	return all
}

// confirmations says how many tags of each deletion were confirmed.
func confirmations(confirmed [][]bool) []int {
	numbers := make([]int, len(confirmed))
	for i := range confirmed {
		for _, yes := range confirmed[i] {
			if yes {
				numbers[i]++
			}
		}
	}
	return numbers
}

// TestDeleteTags pins what counts as deleted, and what kind of error the rest is.
func TestDeleteTags(t *testing.T) {
	replace := func(with object) func(*query, object) {
		return func(_ *query, answer object) {
			clear(answer)
			for name, value := range with {
				answer[name] = value
			}
		}
	}
	names := func(names ...string) object { return object{"errors": []string{}, "deletedTagNames": names} }
	var format *throttle.FormatError
	var says *graphQLError
	for _, test := range []struct {
		name      string
		spoil     func(*query, object)
		status    int
		want      []int
		class     error // nil: none
		as        any
		deletions int // MaxDeletions
	}{
		{name: "all", want: []int{3, 3}, deletions: 10},
		{name: "some", spoil: replace(object{"data": object{"d0": names("t2"), "d1": names()}}), want: []int{1, 0}, deletions: 10},
		{name: "other names", spoil: replace(object{"data": object{"d0": names("T0", "t", "t00", "x"), "d1": names("t0")}}), want: []int{0, 1}, deletions: 10},
		{name: "names of another repository", spoil: replace(object{"data": object{"d0": names(), "d7": names("t0"), "d1": names()}}), want: []int{0, 0}, deletions: 10},
		{name: "errors of one", spoil: replace(object{"data": object{"d0": object{"errors": []string{"x"}, "deletedTagNames": []string{"t0"}}, "d1": names("t0")}}),
			want: []int{1, 1}, deletions: 10},
		{name: "null beside an error", spoil: replace(object{"data": object{"d0": nil, "d1": names("t1")}, "errors": saying("odd")}), want: []int{0, 1}, as: &says, deletions: 10},
		{name: "null", spoil: replace(object{"data": object{"d0": nil, "d1": names("t1")}}), want: []int{0, 1}, as: &format, deletions: 10},
		{name: "one is missing", spoil: replace(object{"data": object{"d1": names("t1")}}), want: []int{0, 1}, as: &format, deletions: 10},
		{name: "another form", spoil: replace(object{"data": object{"d0": "t0", "d1": 7}}), want: []int{0, 0}, as: &format, deletions: 10},
		{name: "an error alone", spoil: replace(object{"errors": saying("odd")}), want: []int{0, 0}, as: &says, deletions: 10},
		{name: "too complex", spoil: replace(object{"errors": saying("Query has complexity of 301, which exceeds max complexity of 250")}),
			want: []int{0, 0}, class: errTooComplex, as: &says, deletions: 1},
		{name: "a timeout half-way", spoil: replace(object{"data": object{"d0": names("t0", "t1"), "d1": nil}, "errors": saying("Timeout on Mutation.destroyContainerRepositoryTags")}),
			want: []int{2, 0}, as: &says, deletions: 1},
		{name: "another schema", spoil: replace(unknown("destroyContainerRepositoryTags")), want: []int{0, 0}, class: errNoGraphQL, as: &says},
		{name: "no endpoint", status: 404, want: []int{0, 0}, class: errNoGraphQL},
		{name: "forbidden", status: 403, want: []int{0, 0}, class: throttle.ErrForbidden},
		{name: "forbidden, by class", status: 403, want: []int{0, 0}, class: errNoGraphQL},
		{name: "an unknown token", status: 401, want: []int{0, 0}, class: throttle.ErrUnauthorized, deletions: 10},
		{name: "an outage", status: 503, want: []int{0, 0}, as: new(*throttle.StatusError), deletions: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := instanceWith(0)
			k.spoil = test.spoil
			if test.status != 0 {
				k.instead = func(_ *query, req *http.Request) (*http.Response, error) { return reply(req, test.status, ""), nil }
			}
			c := newTestClient(t, k, Config{})
			confirmed, err := c.DeleteTags(t.Context(), t.Context(), deletionsOf(2, 3))
			if diff := cmp.Diff(test.want, confirmations(confirmed)); diff != "" {
				t.Errorf("confirmed (-want +got):\n%s", diff)
			}
			switch {
			case test.class == nil && test.as == nil && err != nil, test.class != nil && !errors.Is(err, test.class), test.as != nil && !errors.As(err, test.as):
				t.Errorf("got %v", err)
			case test.class != errNoGraphQL && test.status != 403 && errors.Is(err, errNoGraphQL):
				t.Errorf("%v claims that nothing was done", err)
			}
			if got := deletionsAtOnce(c); got != test.deletions {
				t.Errorf("%d deletions at once, want %d", got, test.deletions)
			}
			if asked := k.requests(); asked != "1×delete" {
				t.Errorf("asked %s", asked)
			}
			if test.deletions > 0 {
				return
			}
			if _, err := c.DeleteTags(t.Context(), t.Context(), deletionsOf(2, 3)); !errors.Is(err, errNoGraphQL) || k.requests() != "" {
				t.Errorf("the second time: %v", err)
			}
			if reads := !c.graphQL.off[listingProjects].Load(); reads != (test.name == "another schema" || test.status == 403) {
				t.Errorf("reading over GraphQL goes on: %v", reads)
			}
		})
	}
}

// deletionsAtOnce returns how many deletions go into one request.
func deletionsAtOnce(c *Client) int {
	n, _ := c.MaxDeletions()
	return n
}

// TestMaxDeletions: what GitLab does not get through in time becomes less, down to one name, and
// more again step by step. What is too complex for a single mutation is not to be had.
func TestMaxDeletions(t *testing.T) {
	k := instanceWith(0)
	most := 30 // names that GitLab gets through
	k.instead = func(q *query, req *http.Request) (*http.Response, error) {
		sent := 0
		for name, value := range q.variables {
			if strings.HasSuffix(name, "names") {
				sent += len(value.([]any))
			}
		}
		if sent > most {
			return reply(req, 503, ""), nil
		}
		return nil, nil
	}
	c := newTestClient(t, k, Config{})
	for i, want := range [][2]int{{10, 20}, {5, 20}, {2, 20}, {1, 20}, {1, 20}, {1, 20}, {1, 20}, {2, 20}, {1, 20}} {
		deletions, tags := c.MaxDeletions()
		if deletions != want[0] || tags != want[1] {
			t.Fatalf("%d: %d deletions of %d tags, want %v", i, deletions, tags, want)
		}
		confirmed, err := c.DeleteTags(t.Context(), t.Context(), deletionsOf(deletions, tags))
		if all := deletions*tags <= most; (err == nil) != all || confirmations(confirmed)[0] > 0 != all {
			t.Errorf("%d: %v, confirmed %v", i, err, confirmations(confirmed))
		}
	}
	most = 0
	for range 10 {
		_, _ = c.DeleteTags(t.Context(), t.Context(), deletionsOf(c.MaxDeletions()))
	}
	if deletions, tags := c.MaxDeletions(); deletions != 1 || tags != 1 {
		t.Errorf("%d deletions of %d tags", deletions, tags)
	}
	most = 200
	for range 40 {
		_, _ = c.DeleteTags(t.Context(), t.Context(), deletionsOf(1, 1))
	}
	if deletions, tags := c.MaxDeletions(); deletions != 10 || tags != 20 {
		t.Errorf("later %d deletions of %d tags", deletions, tags)
	}

	k.instead, k.spoil = nil, func(_ *query, answer object) {
		clear(answer)
		answer["errors"] = saying("Query has complexity of 301, which exceeds max complexity of 250")
	}
	for i, want := range []int{10, 5, 2, 1, 0} {
		if got := deletionsAtOnce(c); got != want {
			t.Fatalf("%d: %d deletions at once, want %d", i, got, want)
		}
		if _, err := c.DeleteTags(t.Context(), t.Context(), deletionsOf(c.MaxDeletions())); want > 0 && !errors.Is(err, errTooComplex) {
			t.Errorf("%d: got %v", i, err)
		}
	}
}

// TestWhatADeletionSends: names stand in variables, and only such as a tag can have.
func TestWhatADeletionSends(t *testing.T) {
	k := instanceWith(0)
	var sent object
	k.spoil = func(q *query, _ object) {
		sent = q.variables
		if strings.Contains(q.Query, "secret-name") || strings.Contains(q.Query, "gid:") {
			t.Errorf("the text is %s", q.Query)
		}
	}
	given := []Deletion{
		{Repository{ID: 42}, []string{"secret-name", "a\"}", "", "secret-name", strings.Repeat("x", 129), "b"}},
		{Repository{ID: 43}, []string{"x/y", "é"}},
		{Repository{ID: 44}, nil},
		{Repository{ID: 42}, deletionsOf(1, 22)[0].Tags},
	}
	confirmed, err := newTestClient(t, k, Config{}).DeleteTags(t.Context(), t.Context(), given)
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([][]bool{
		{true, false, false, true, false, true}, {false, false}, {}, append(slicesOf(true, 20), false, false),
	}, confirmed); diff != "" {
		t.Errorf("confirmed (-want +got):\n%s", diff)
	}
	twenty := make([]any, 20)
	for i := range twenty {
		twenty[i] = fmt.Sprintf("t%d", i)
	}
	if diff := cmp.Diff(object{
		"d0id": "gid://gitlab/ContainerRepository/42", "d0names": []any{"secret-name", "b"},
		"d3id": "gid://gitlab/ContainerRepository/42", "d3names": twenty,
	}, sent); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

func slicesOf(value bool, n int) []bool {
	all := make([]bool, n)
	for i := range all {
		all[i] = value
	}
	return all
}

func TestDeletionsThatAreNotSent(t *testing.T) {
	k := instanceWith(0)
	c := newTestClient(t, k, Config{})
	for name, given := range map[string][]Deletion{
		"none": nil, "no names": {{}, {}}, "no name that a tag can have": {{Repository{ID: 1}, []string{"", "a b"}}},
	} {
		if _, err := c.DeleteTags(t.Context(), t.Context(), given); err != nil || k.requests() != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	confirmed, err := c.DeleteTags(t.Context(), t.Context(), deletionsOf(12, 1))
	if diff := cmp.Diff([]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0}, confirmations(confirmed)); err != nil || diff != "" {
		t.Errorf("%v, confirmed (-want +got):\n%s", err, diff)
	}
}

// TestADeletionOfTagsThatIsTooLate is not sent at all, but may be sent again when it
// was in time.
func TestADeletionOfTagsThatIsTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := instanceWith(0)
		c := newTestClient(t, k, Config{MaxRetries: 3})
		before, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.DeleteTags(t.Context(), before, deletionsOf(1, 1))
		if !errors.Is(err, throttle.ErrNotSent) || k.requests() != "" || deletionsAtOnce(c) != 10 {
			t.Errorf("too late: %v", err)
		}

		before, cancel = context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		k.instead = func(*query, *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return nil, syscall.ECONNRESET
		}
		_, err = c.DeleteTags(t.Context(), before, deletionsOf(1, 1))
		if err == nil || errors.Is(err, throttle.ErrNotSent) || k.requests() != "1×delete" {
			t.Errorf("in time: %v", err)
		}
	})
}

// TestADeletionOfTagsIsRepeated: it is harmless twice.
func TestADeletionOfTagsIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := instanceWith(0)
		k.instead = func(q *query, req *http.Request) (*http.Response, error) {
			if q.number == 0 {
				return nil, syscall.ECONNRESET
			}
			return nil, nil
		}
		confirmed, err := newTestClient(t, k, Config{MaxRetries: 1}).DeleteTags(t.Context(), t.Context(), deletionsOf(2, 2))
		if diff := cmp.Diff([]int{2, 2}, confirmations(confirmed)); err != nil || diff != "" || k.requests() != "2×delete" {
			t.Errorf("%v, confirmed (-want +got):\n%s", err, diff)
		}
	})
}
