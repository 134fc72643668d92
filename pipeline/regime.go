package pipeline

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// A regimeFinder finds out the instance's regime, once a run.
type regimeFinder struct {
	client *gitlabapi.Client
	tell   emit[report.Event]
	turn   *semaphore.Weighted // one repository is asked at a time

	mu    sync.Mutex
	known policy.Fact[policy.Regime]
}

// fact returns what is known of the regime by now.
func (f *regimeFinder) fact() policy.Fact[policy.Regime] {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known
}

// learn asks a repository that has tags, unless the regime is known. It waits while
// another is asked, and asks its own when that has left the regime open.
func (f *regimeFinder) learn(ctx context.Context, repo *repository) error {
	if f.fact().IsKnown() || f.turn.Acquire(ctx, 1) != nil {
		return nil
	}
	defer f.turn.Release(1)
	if f.fact().IsKnown() {
		return nil
	}
	// Any other failure leaves the regime unknown for now, by which no tag goes for a
	// 404, and is the next repository's to mend.
	return runError(f.ask(ctx, repo))
}

func (f *regimeFinder) ask(ctx context.Context, repo *repository) error {
	answer, err := f.client.Regime(ctx, repo.Repository)
	if err != nil {
		return err
	}
	var regime policy.Regime
	switch answer {
	case gitlabapi.RegimeLegacy:
		regime = policy.Legacy
	case gitlabapi.RegimeDatabase:
		regime = policy.Database
	default:
		return nil // what the repository shows leaves the regime open
	}
	f.mu.Lock()
	f.known = policy.Known(regime)
	f.mu.Unlock()
	f.tell(report.RegimeFound{Regime: regime})
	return nil
}
