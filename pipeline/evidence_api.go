package pipeline

import (
	"context"
	"errors"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// apiLegacy is GitLab's word alone on an instance without the metadata database: a
// request a tag, a 404 with five causes, and empty lists in an outage.
type apiLegacy struct {
	run   *run
	pulse *pulse
}

func (apiLegacy) guarded() bool { return true }

// readings is two: a registry that fails now and then shows by what comes back.
func (apiLegacy) readings() int { return 2 }

func (e apiLegacy) list(ctx context.Context, repo *repository) (listing, error) {
	tags, err := e.run.client.Tags(ctx, repo.Repository)
	return listingOf(tags), err
}

// listingOf keeps of GitLab's list what matters here.
func listingOf(tags []gitlabapi.Tag) listing {
	kept := make([]listed, len(tags))
	for i, t := range tags {
		kept[i] = listed{name: t.Name, dated: t.Dated}
	}
	return newListing(kept)
}

func (e apiLegacy) look(ctx context.Context, t *tag) error {
	t.examined = true
	return e.examine(ctx, t)
}

func (e apiLegacy) examine(ctx context.Context, t *tag) error {
	answer, err := e.run.client.TagDetails(ctx, t.repository.Repository, t.facts.Tag)
	switch {
	case errors.Is(err, gitlabapi.ErrTagNotFound):
		t.facts.Details = policy.Known(policy.DetailsMissing)
		return nil
	case err != nil:
		t.facts.Details = policy.Unknown[policy.Details]()
		return err
	}
	t.digest, t.bytes = answer.Digest, answer.Bytes
	t.facts.Details = policy.Known(policy.DetailsUndated)
	if t.dated || !answer.CreatedAt.IsZero() {
		t.facts.Details = policy.Known(policy.DetailsDated)
	}
	return nil
}

// lookAgain has nothing to ask: GitLab gives details of one tag at a time.
func (apiLegacy) lookAgain(context.Context, *repository, []string) *secondLook { return nil }

// counterpart reads the counterpart's listing afresh, once for each cache repository,
// and asks for the counterpart's own details.
func (e apiLegacy) counterpart(ctx context.Context, t *tag) (policy.Fact[policy.Counterpart], error) {
	return e.run.counterpartByLists(ctx, t)
}

// alive asks for a healthy tag. Where no tag of the run is healthy, a listing has to do
// that is not empty, as it would be in an outage; for an orphan its own details, which
// are read last.
func (e apiLegacy) alive(ctx context.Context, t *tag) error {
	err := e.pulse.check(ctx, t.read)
	if !errors.Is(err, errNoWitness) {
		return err
	}
	if t.verdict.Reason != policy.MissingDetails {
		return nil
	}
	return e.run.lists(ctx, t.repository)
}

// apiDatabase is GitLab's word alone on an instance with the metadata database. A tag
// that is listed is there and has a date; its details are asked for before it goes.
type apiDatabase struct{ run *run }

func (apiDatabase) guarded() bool { return false }

func (apiDatabase) readings() int { return 1 }

func (e apiDatabase) list(ctx context.Context, repo *repository) (listing, error) {
	tags, err := e.run.client.TagsByKeyset(ctx, repo.Repository)
	return listingOf(tags), err
}

func (apiDatabase) look(_ context.Context, t *tag) error {
	t.facts.Details = policy.Known(policy.DetailsDated)
	return nil
}

func (e apiDatabase) examine(ctx context.Context, t *tag) error {
	return apiLegacy{run: e.run}.examine(ctx, t)
}

func (apiDatabase) lookAgain(context.Context, *repository, []string) *secondLook { return nil }

func (e apiDatabase) counterpart(ctx context.Context, t *tag) (policy.Fact[policy.Counterpart], error) {
	return e.run.counterpartByLists(ctx, t)
}

func (apiDatabase) alive(context.Context, *tag) error { return nil }
