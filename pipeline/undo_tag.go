package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/internal/flight"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

// Why a tag was not restored.
var (
	errLikeDigest = errors.New("it is named like a digest, by which a registry may take it for an image; none such was deleted by this program")
	errNotShown   = errors.New("the registry has taken it and says afterwards that there is no such tag, as one does that ran on through a garbage collection: restart it, then try again")
	errLateUndo   = errors.New("it could not be set within ten seconds of looking whether there is such a tag")
)

// bringBack brings one tag back. Its error is one by which no other will come back either.
func (u *undo) bringBack(ctx context.Context, r plan.Record) (Restoration, error) {
	result := Restoration{Record: r, Outcome: NotRestored}
	switch {
	case r.Digest == "":
		result.Outcome = NoDigest
		return result, nil
	case ctx.Err() != nil:
		result.Outcome = NotReached
		return result, nil
	case manifest.NamesDigest(r.Tag):
		result.Err = errLikeDigest
		return result, nil
	}
	t := &undoneTag{undo: u, Restoration: result, registry: u.registry.WithGroup(u.groups[r.Repository])}
	t.work(ctx)
	return t.Restoration, u.count(t.Restoration)
}

// An undoneTag is a tag in the hands of a worker.
type undoneTag struct {
	*undo
	Restoration
	registry *registry.Registry
	sent     bool // it may have been set
}

// work looks and sets the tag, again after failures that pass: as a push may have been done although its
// answer was lost, and somebody else may have pushed meanwhile, each attempt begins with a look.
func (t *undoneTag) work(ctx context.Context) {
	late := 0
	for try := 0; ; try++ {
		var m registry.RawManifest
		asked, missing := time.Time{}, false
		if m, asked, missing = t.look(ctx); !missing {
			return
		}
		if t.options.DryRun {
			t.ends(Restored, nil)
			return
		}
		err := t.set(ctx, asked, m)
		switch {
		case err == nil:
			return
		case ctx.Err() != nil && !t.sent:
			t.ends(NotReached, nil)
			return
		case ctx.Err() != nil:
			t.confirm(err)
			return
		case errors.Is(err, throttle.ErrNotSent):
			if late++; late < maxTries {
				continue
			}
			t.ends(NotRestored, errLateUndo)
			return
		case try >= t.client.Throttle().Tries()-1:
			t.confirm(err)
			return
		}
		select {
		case <-time.After(time.Second<<min(try, 4) + rand.N(time.Second)):
		case <-ctx.Done(): // which the next look sees
		}
	}
}

// ends says what became of the tag.
func (t *undoneTag) ends(outcome UndoOutcome, err error) { t.Outcome, t.Err = outcome, err }

// look finds the manifest, and then whether there is no such tag: nothing lies between that and setting it.
// Otherwise it says what became of the tag.
func (t *undoneTag) look(ctx context.Context) (m registry.RawManifest, asked time.Time, missing bool) {
	found, err := t.manifest(ctx)
	digest, asked, lookErr := t.registry.Recheck().Names(ctx, t.Repository, t.Tag)
	switch {
	case lookErr == nil:
		t.exists(digest)
	case isLost(lookErr):
		t.ends(NotRestored, lookErr) // the tag is there, and cannot be read
	case ctx.Err() != nil && !t.sent:
		t.ends(NotReached, nil)
	case ctx.Err() != nil:
		t.confirm(context.Cause(ctx))
	case found.collected && errors.Is(lookErr, registry.ErrRepositoryNotFound):
		t.ends(t.gone(), nil)
	case !errors.Is(lookErr, registry.ErrNoSuchTag):
		t.ends(NotRestored, lookErr)
	case err != nil:
		t.ends(NotRestored, err)
	case found.collected:
		t.ends(t.gone(), nil)
	default:
		return found.RawManifest, asked, true
	}
	return m, asked, false
}

// exists says what became of a tag that is there.
func (t *undoneTag) exists(digest string) {
	switch {
	case digest != t.Digest:
		t.Now = digest
		t.ends(TakenByOther, nil)
	case t.sent:
		t.ends(Restored, nil)
	default:
		t.ends(ThereAlready, nil)
	}
}

// A readManifest is a manifest as it was read, or that the registry has none any more.
type readManifest struct {
	registry.RawManifest
	collected bool
}

// manifest reads what the tag pointed to, once for all tags of a manifest that are at work.
func (t *undoneTag) manifest(ctx context.Context) (readManifest, error) {
	return t.manifests.Get(ctx, t.Repository+"@"+t.Digest, flight.Never, func(ctx context.Context) (readManifest, error) {
		m, err := t.registry.RawManifest(ctx, t.Repository, t.Digest)
		if errors.Is(err, registry.ErrManifestNotFound) {
			return readManifest{collected: true}, nil
		}
		return readManifest{RawManifest: m}, err
	})
}

// set sets the tag and makes sure that it was. An error may pass; nil says that all is said.
func (t *undoneTag) set(ctx context.Context, asked time.Time, m registry.RawManifest) error {
	fresh, cancel := context.WithDeadline(ctx, asked.Add(maxAge))
	defer cancel()
	err := t.registry.Restore(t.hard, fresh, t.Repository, t.Tag, m)
	isPage := errors.Is(err, throttle.ErrPage)
	switch {
	case errors.Is(err, throttle.ErrForbidden) && !isPage:
		t.ends(Protected, err)
		return nil
	case errors.Is(err, registry.ErrCollected):
		t.ends(Collected, err)
		return nil
	case gitlabapi.Held(err) && !t.sent:
		t.ends(NotRestored, err)
		return nil
	case errors.Is(err, throttle.ErrNotSent):
		return err
	}
	t.sent = true
	if err != nil && mayPassOnce(err) {
		return err
	}
	t.confirm(err)
	return nil
}

// mayPassOnce reports whether a failed push may succeed when it is tried again.
func mayPassOnce(err error) bool {
	answer, answered := errors.AsType[*throttle.StatusError](err)
	_, odd := errors.AsType[*throttle.FormatError](err)
	_, redirected := errors.AsType[*throttle.RedirectError](err)
	if answered {
		return answer.Status >= http.StatusInternalServerError || answer.Status == http.StatusTooManyRequests || errors.Is(err, registry.ErrTokenRanOut)
	}
	return !odd && !redirected
}

// confirm reads the tag again after it may have been set, also after a stop. A push that was answered as a
// success is not believed without.
func (t *undoneTag) confirm(pushed error) {
	m, err := t.registry.Recheck().Head(t.hard, t.Repository, t.Tag)
	switch {
	case err == nil:
		t.exists(m.Digest)
	case pushed != nil:
		t.ends(NotRestored, pushed)
	case errors.Is(err, registry.ErrManifestNotFound) && !isLost(err):
		t.ends(NotRestored, errNotShown)
	default:
		t.ends(NotRestored, fmt.Errorf("it was set, and cannot be read again: %w", err))
	}
}

// gone returns what became of a tag whose manifest the registry does not have: it may never have had it.
func (t *undoneTag) gone() UndoOutcome {
	if wasLost(t.Entry) {
		return PointedToNothing
	}
	return Collected
}

// isLost reports whether a tag is there whose manifest is not.
func isLost(err error) bool {
	_, lost := errors.AsType[*registry.LostManifestError](err)
	return lost
}
