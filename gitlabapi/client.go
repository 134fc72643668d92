package gitlabapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"
	"golang.org/x/time/rate"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// pageSize is the most that GitLab gives in one page.
const pageSize = 100

// Config is what a [Client] needs to know.
type Config = throttle.Config

// A Client asks one GitLab instance under one token. It is safe for concurrent use.
type Client struct {
	throttle *throttle.Client
	gitlab   *gitlab.Client
	graphQL  *graphQL
	lacks    *lacks
	user     *atomic.Pointer[gitlab.User] // see currentUser
	priority throttle.Priority
	topics   bool
	tries    *int // see [Client.WithTries]
}

// lacks is what a client has found out that its instance does not have, or not for its token.
// It is asked for once.
type lacks struct {
	git      atomic.Bool // a token that Git over HTTP takes
	tagRules atomic.Bool // rules for protected tags over REST
	// adminScope says that the token has been described, and that it has no scope by which an
	// administrator's would be one in Admin Mode.
	adminScope atomic.Bool
}

// New returns a client. It sends nothing yet.
func New(config Config) (*Client, error) {
	t, err := throttle.New(config)
	if err != nil {
		return nil, err
	}
	c, err := gitlab.NewClient(t.Token().Reveal(),
		gitlab.WithBaseURL(t.URL().String()),
		gitlab.WithHTTPClient(&http.Client{Transport: t}),
		gitlab.WithCustomLimiter(rate.NewLimiter(rate.Inf, 0)), // t has one
		gitlab.WithoutRetries(),                                // t repeats what may be repeated
		gitlab.WithCustomRetryMax(0),
	)
	if err != nil {
		return nil, fmt.Errorf("setting up the client of %s: %w", t.URL().Redacted(), err)
	}
	return &Client{throttle: t, gitlab: c, graphQL: newGraphQL(), lacks: new(lacks), user: new(atomic.Pointer[gitlab.User])}, nil
}

// Throttle returns what the client's requests go through, for clients of the registry.
func (c *Client) Throttle() *throttle.Client { return c.throttle }

// Stats returns what has been sent through the client's [throttle.Client] so far.
func (c *Client) Stats() throttle.Stats { return c.throttle.Stats() }

// Held reports whether an error is that of a project, group or repository that wants to be left alone
// for a while. HeldFor returns how long that is.
func Held(err error) bool {
	_, held := errors.AsType[*throttle.HeldError](err)
	return held
}

// HeldFor returns how long it is until what was [Held] may be asked for again.
func (c *Client) HeldFor() time.Duration { return c.throttle.HeldFor() }

// Recheck returns the same client for reading again, right before a deletion, what it rests on:
// its requests are sent before others that wait.
func (c *Client) Recheck() *Client {
	view := *c
	view.priority = throttle.Recheck
	return &view
}

// WithTries returns the same client for deletions of what may still be sent so many times, which is
// counted down.
func (c *Client) WithTries(left *int) *Client {
	view := *c
	view.tries = left
	return &view
}

// WithTopics returns the same client, which fills [Project.Topics]: to ask for them makes a
// query of projects cost more.
func (c *Client) WithTopics() *Client {
	view := *c
	view.topics = true
	return &view
}

// Format implements [fmt.Formatter], so that no verb shows what GitLab's client holds.
func (c *Client) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.throttle) }

// reading is the option of a request that reads.
func (c *Client) reading(ctx context.Context) gitlab.RequestOptionFunc {
	return gitlab.WithContext(throttle.With(ctx, throttle.Request{Priority: c.priority}))
}

// deleting is the option of a deletion, which is not sent once before has ended. Nothing stands
// in its way in the queue: what it rests on grows old.
func (c *Client) deleting(ctx, before context.Context) gitlab.RequestOptionFunc {
	return gitlab.WithContext(throttle.With(ctx, throttle.Request{Priority: throttle.Deletion, Before: before, Tries: c.tries}))
}

// ErrTagNotFound: GitLab itself, not a proxy before it, says that it has no such tag in a
// repository that it has. It is also [throttle.ErrNotFound].
var ErrTagNotFound = errors.New("tag not found")

// failure turns what GitLab's client returned, or a [throttle.FormatError] about it, into a
// [throttle.StatusError] or a [throttle.RequestError].
func (c *Client) failure(method, path string, resp *gitlab.Response, err error) error {
	if resp != nil && resp.Response != nil && resp.StatusCode >= http.StatusMultipleChoices {
		e := c.throttle.StatusError(resp.Response)
		switch {
		case e.Status == http.StatusUnauthorized:
			e.Classes = append(e.Classes, throttle.ErrUnauthorized)
		case e.Status == http.StatusNotFound && strings.EqualFold(e.Message, "404 Tag Not Found"):
			e.Classes = append(e.Classes, ErrTagNotFound)
		}
		return e
	}
	// What http.Client wraps around an error repeats method and address.
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, told := errors.AsType[*throttle.FormatError](err)
	switch {
	case syntax:
		err = &throttle.FormatError{Problem: "the answer is not valid JSON"}
	case resp != nil && !told: // what the decoder says may quote the answer at any length
		err = &throttle.FormatError{Problem: "the answer is not of the form that GitLab's API gives it"}
	}
	return &throttle.RequestError{Method: method, Path: path, Err: err}
}
