package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// ProjectPages yields the projects that the token can see, by ascending id, in pages;
// with membership only those that its user is a member of. It asks GraphQL, which says
// how many repositories each has, and loses no project: a page that is not whole is
// read again in smaller ones, then without the count, then over REST. Where GraphQL is
// not to be had everything comes over REST. The first error ends the sequence.
func (c *Client) ProjectPages(ctx context.Context, membership bool) iter.Seq2[[]Project, error] {
	return func(yield func([]Project, error) bool) {
		w := &projectWalk{client: c, membership: membership, yield: yield, cursors: make(map[string]bool)}
		for w.step(ctx) {
		}
	}
}

// A projectWalk is one listing of all projects. Its place is an id: all projects up to
// it were given. As GraphQL gives them in that order, too, REST can take over anywhere.
type projectWalk struct {
	client     *Client
	membership bool
	yield      func([]Project, error) bool

	last    int64           // the largest id that was given
	cursor  string          // GraphQL's name for the same place
	cursors map[string]bool // that were met
	levels  levels
}

// step reads on by one page, or by one stretch over REST. It reports whether there is
// more to come.
func (w *projectWalk) step(ctx context.Context) bool {
	page, err := w.client.projectPage(ctx, w, w.levels.now(w.client))
	switch {
	case err == nil && page.next == "" && w.last == 0 && len(page.projects) == 0:
		// A token that GraphQL does not honour sees nothing either.
		return w.overREST(ctx, projectPage{})
	case err == nil:
		w.levels.succeeded()
		return w.give(page.projects) && w.goOn(page)
	case hopeless(ctx, err):
		w.yield(nil, fmt.Errorf("listing projects: %w", err))
		return false
	case w.helpsToAskLess(err) && w.levels.failed():
		return true
	}
	return w.overREST(ctx, page)
}

// helpsToAskLess reports whether a page may come whole when it is asked for in another
// way, or just again. A network that is out of order, or haste, is no matter of that.
func (w *projectWalk) helpsToAskLess(err error) bool {
	_, says := errors.AsType[*GraphQLError](err)
	_, contradicts := errors.AsType[*throttle.ListingError](err)
	return (tooMuch(err) || says || contradicts || isAlien(err)) && !w.client.graphQL.off[discovery].Load()
}

// give yields projects, if there are any.
func (w *projectWalk) give(projects []Project) bool {
	return len(projects) == 0 || w.yield(projects, nil)
}

// goOn takes the place after a page, and reports whether something follows it.
func (w *projectWalk) goOn(page projectPage) bool {
	w.last, w.cursor = max(w.last, page.last), page.next
	w.cursors[page.next] = true
	return page.next != ""
}

// overREST reads the stretch of a page that GraphQL did not give whole. Where the page
// does not say where it ends and the next begins, REST goes on to the end: GraphQL's
// cursors are its own, and one cannot be made of an id.
//
// An error over REST ends the walk even where the next page is known: GraphQL and REST
// have both failed then, after all their attempts, and who listens could not tell from
// an error in the middle which projects are missing.
func (w *projectWalk) overREST(ctx context.Context, page projectPage) bool {
	if page.last == 0 || page.next == "" {
		page = projectPage{last: math.MaxInt64}
	}
	for projects, err := range w.client.projectsAfter(ctx, w.membership, w.last) {
		if err != nil {
			w.yield(nil, err)
			return false
		}
		within, ended := w.upTo(projects, page.last)
		if !w.give(within) {
			return false
		}
		if ended {
			break
		}
	}
	return w.goOn(page)
}

// upTo returns those projects that lie between the walk's place and an id, and whether
// there are larger ones.
func (w *projectWalk) upTo(projects []Project, id int64) (within []Project, ended bool) {
	for _, project := range projects {
		switch {
		case project.ID > id:
			ended = true
		case project.ID > w.last:
			within = append(within, project)
		}
	}
	return within, ended
}
