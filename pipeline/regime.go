package pipeline

import (
	"context"
	"errors"
	"sync"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// maxRegimeQuestions bounds how many repositories are asked before the regime is left
// unknown. More than one is asked only when the answer was none.
const maxRegimeQuestions = 20

// A regimeFinder finds out the instance's regime, once a run.
type regimeFinder struct {
	client *gitlabapi.Client
	tell   emit[report.Event]
	found  flight[policy.Regime]

	mu    sync.Mutex
	asked int
	known policy.Fact[policy.Regime]
}

// errRegimeOpen says that an answer left the regime open.
var errRegimeOpen = errors.New("the answer leaves the regime open")

// fact returns what is known of the regime by now.
func (f *regimeFinder) fact() policy.Fact[policy.Regime] {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known
}

// learn asks a repository that has tags, unless the regime is known. It waits while
// another asks, so that no tag is decided upon before there is an answer.
func (f *regimeFinder) learn(ctx context.Context, repo *repository) {
	if f.fact().IsKnown() || f.exhausted() {
		return
	}
	// A failure leaves the regime unknown for now, which every rule can live with.
	_, _ = f.found.get(ctx, func(ctx context.Context) (policy.Regime, error) {
		f.mu.Lock()
		f.asked++
		f.mu.Unlock()
		return f.ask(ctx, repo)
	})
}

func (f *regimeFinder) exhausted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked >= maxRegimeQuestions
}

func (f *regimeFinder) ask(ctx context.Context, repo *repository) (policy.Regime, error) {
	answer, err := f.client.Regime(ctx, repo.Repository)
	if err != nil {
		return 0, err
	}
	var regime policy.Regime
	switch answer {
	case gitlabapi.RegimeLegacy:
		regime = policy.Legacy
	case gitlabapi.RegimeDatabase:
		regime = policy.Database
	default:
		return 0, errRegimeOpen
	}
	f.mu.Lock()
	f.known = policy.Known(regime)
	f.mu.Unlock()
	f.tell(report.RegimeFound{Regime: regime})
	return regime, nil
}
