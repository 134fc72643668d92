package pipeline

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

const (
	// maxOutage is how long a run waits for a registry that does not answer any more.
	maxOutage = 5 * time.Minute
	// The canary is asked after the first of these pauses, which doubles up to the second.
	firstProbe, maxProbe = 5 * time.Second, 30 * time.Second
	// answersFor is for how long it counts that the canary has answered.
	answersFor = 10 * time.Second
)

// ErrOutage ends a run in whose middle the registry, or GitLab, has ceased to answer.
var ErrOutage = errors.New("what answered before has not for five minutes: the registry, or GitLab before it, is out of order")

// isNoAnswer reports whether an error is that of a server that is out of order, after all attempts.
func isNoAnswer(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil || gitlabapi.Held(err) || isContradiction(err) {
		return false
	}
	if said, ok := errors.AsType[*throttle.StatusError](err); ok {
		return said.Status >= http.StatusInternalServerError
	}
	_, failed := errors.AsType[*throttle.RequestError](err)
	return failed
}

// isContradiction reports whether something answered that makes no sense.
func isContradiction(err error) bool {
	_, format := errors.AsType[*throttle.FormatError](err)
	_, redirect := errors.AsType[*throttle.RedirectError](err)
	_, listing := errors.AsType[*throttle.ListingError](err)
	return format || redirect || listing
}

// outages notice that nothing is answered any more, and hold everybody up until it is: to work through a
// thousand tags of which each is asked for six times helps nobody. Whether it is so, the canary says: a
// single tag, or repository, that cannot be read is its own failure. All stages share them.
type outages struct {
	canary *canary

	mu       sync.Mutex
	on       context.Context // ends when the outage is over; nil while there is none
	answered time.Time       // when the canary last did
	passed   int             // outages that are over
	ended    bool            // one has lasted too long
	// listed is the smallest repository whose listing has answered, which stands in where no
	// tag had to be asked for.
	listed listedRepository
}

// A listedRepository is one whose listing has answered, with how many tags it has.
type listedRepository struct {
	*repository
	sourceChoice
	size int
}

// remember takes note of a repository that was listed.
func (o *outages) remember(s *scannedRepository) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.listed.repository == nil || len(s.tags) < o.listed.size {
		o.listed = listedRepository{s.repository, s.sourceChoice, len(s.tags)}
	}
}

// ask has something asked. What fails in an outage is asked once more when that is over.
func (o *outages) ask(ctx context.Context, do func() error) error {
	before, err := o.wait(ctx)
	if err != nil {
		return err
	}
	err = do()
	if !isNoAnswer(ctx, err) || !o.isOut(ctx, before) {
		return err
	}
	if _, err := o.wait(ctx); err != nil {
		return err
	}
	return do()
}

// wait returns when there is no outage, and how many there were; or why there is nothing to wait for.
func (o *outages) wait(ctx context.Context) (passed int, err error) {
	o.mu.Lock()
	on := o.on
	o.mu.Unlock()
	if on != nil {
		select {
		case <-on.Done():
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return 0, ErrOutage
	}
	return o.passed, nil
}

// isOut reports, of something that was not answered and asked for after so many outages, whether that
// was another one. Who finds that out first waits for its end, and asks the canary now and then.
func (o *outages) isOut(ctx context.Context, passed int) bool {
	o.mu.Lock()
	switch {
	case o.on != nil, o.passed > passed:
		o.mu.Unlock()
		return true
	case time.Since(o.answered) < answersFor:
		o.mu.Unlock()
		return false
	}
	on, over := context.WithCancel(context.Background())
	defer over()
	o.on = on
	o.mu.Unlock()

	began, out, ended := time.Now(), false, false
	for pause := firstProbe; !o.answers(ctx) && ctx.Err() == nil; pause = min(2*pause, maxProbe) {
		out = true
		if ended = time.Since(began) > maxOutage; ended {
			break
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if out {
		o.passed++
	}
	o.on, o.ended, o.answered = nil, ended, time.Now()
	return out
}

// answers reports whether a healthy tag, or a listing, can be read; also where none is known, or what is
// read is odd.
func (o *outages) answers(ctx context.Context) bool {
	o.mu.Lock()
	listed := o.listed
	o.mu.Unlock()
	err := o.canary.check(ctx)
	if errors.Is(err, errNoHealthyTag) && listed.repository != nil {
		_, err = listed.fresh.list(ctx, listed.repository)
	}
	return !isNoAnswer(ctx, err)
}
