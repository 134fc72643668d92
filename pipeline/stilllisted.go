package pipeline

import (
	"context"
	"errors"
	"sync"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// smallListing is how many tags a repository may have for its listing to be read after every request to
// delete of it. Of a larger one a quarter of the tags may go before.
const smallListing = 400

// errStillListed says that a deletion which GitLab confirmed has changed nothing.
var errStillListed = errors.New("GitLab says that it is deleted, and the tag is still listed: its entry in the registry's storage may be without a link")

// A toConfirm are the tags of which GitLab has confirmed the deletion, and that may be listed all the
// same, by repository. On an instance without the metadata database an entry of the registry's storage
// that has no link is such a tag: GitLab's details of it are 404 as those of a dead tag are, and its
// deletion is a success every night. The registry's own word is not taken in by it.
type toConfirm struct {
	mu sync.Mutex
	of map[int64][]candidate
}

// put adds a tag, unless its deletion needs no look.
func (t *toConfirm) put(c candidate) bool {
	if !c.byPagesOfGitLab() || !c.finding.lacksDetails() {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = make(map[int64][]candidate)
	}
	t.of[c.ID] = append(t.of[c.ID], c)
	return true
}

// take returns the tags of repositories whose listing is worth its requests by now, or all.
func (t *toConfirm) take(all bool) [][]candidate {
	t.mu.Lock()
	defer t.mu.Unlock()
	var due [][]candidate
	for id, tags := range t.of {
		if size := tags[0].size; all || size <= smallListing || len(tags) >= size/4 {
			due = append(due, tags)
			delete(t.of, id)
		}
	}
	return due
}

// confirm lists repositories and reports their tags: those that are still there as not deleted. What
// cannot be listed now, or after a stop, is reported as GitLab has confirmed it.
func (d *deleter) confirm(ctx context.Context, all bool) {
	for _, deleted := range d.toConfirm.take(all) {
		tags, err := deleted[0].fresh.list(ctx, deleted[0].repository)
		for _, c := range deleted {
			if err == nil && tags.has(c.tag) && d.isThere(ctx, c) {
				d.report(c, report.Failed, report.DeleteFailed, errStillListed.Error())
				continue
			}
			d.report(c, report.Deleted, c.verdict.Reason, "")
		}
	}
}

// isThere reports whether a tag that is still listed is the one that was deleted, and not one that was
// pushed since.
func (d *deleter) isThere(ctx context.Context, c candidate) bool {
	f, err := c.fresh.find(ctx, c.repository, c.listed, finding{}, policy.FactHasDetails)
	return err == nil && f.lacksDetails()
}
