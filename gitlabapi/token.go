package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

const (
	// granularScope is the scope that a fine-grained token has in place of all others.
	granularScope = "granular"
	// adminScope is the scope by which a token of an administrator's counts as one where Admin Mode
	// is on.
	adminScope = "admin_mode"
)

// LacksAdminMode reports whether the token is an administrator's and lacks the scope admin_mode. Where
// Admin Mode is on it is like any other user's then, and sees neither all projects nor their rules. It
// is asked after [Client.CheckToken]; what cannot be found out is no.
func (c *Client) LacksAdminMode(ctx context.Context) bool {
	if !c.lacks.adminScope.Load() {
		return false
	}
	user, err := c.currentUser(ctx)
	return err == nil && user.IsAdmin
}

// currentUser returns the token's user, who is asked for once.
func (c *Client) currentUser(ctx context.Context) (*gitlab.User, error) {
	if user := c.user.Load(); user != nil {
		return user, nil
	}
	user, resp, err := c.gitlab.Users.CurrentUser(c.reading(ctx))
	if err == nil && (user == nil || user.ID == 0) {
		err = &throttle.FormatError{Problem: "the answer names no user"}
	}
	if err != nil {
		return nil, c.failure(http.MethodGet, "/user", resp, err)
	}
	c.user.Store(user)
	return user, nil
}

// CheckToken asks the instance about the token, before any work is done with it. It
// returns an error of class [throttle.ErrUnauthorized] for a token that the instance does not
// know, and [throttle.ErrInsufficientScope] for one that lacks scope "api" where it is going
// to delete, or any scope that can read where it is not. A fine-grained token, one of a kind that the
// instance cannot describe, or an instance too old to do so, passes: the requests to
// come will tell.
func (c *Client) CheckToken(ctx context.Context, toDelete bool) error {
	scopes, err := c.tokenScopes(ctx)
	if err != nil {
		return fmt.Errorf("checking the token: %w", err)
	}
	if len(scopes) == 0 || slices.Contains(scopes, "api") || !toDelete && slices.Contains(scopes, "read_api") {
		return nil
	}
	return fmt.Errorf("checking the token: it has the scopes %q: %w", scopes, throttle.ErrInsufficientScope)
}

// CheckRegistryToken is like [Client.CheckToken] for work that is done at the registry alone: the token
// needs scope "api", or "read_registry" and to push there "write_registry", too. One with which it cannot
// be asked what it may do passes as well.
func (c *Client) CheckRegistryToken(ctx context.Context, toPush bool) error {
	scopes, err := c.tokenScopes(ctx)
	switch reads := slices.Contains(scopes, "read_registry"); {
	case errors.Is(err, throttle.ErrInsufficientScope):
		return nil
	case err != nil:
		return fmt.Errorf("checking the token: %w", err)
	case len(scopes) == 0, slices.Contains(scopes, "api"), reads && !toPush, reads && slices.Contains(scopes, "write_registry"):
		return nil
	}
	return fmt.Errorf("checking the token: it has the scopes %q: %w", scopes, throttle.ErrInsufficientScope)
}

// tokenScopes asks for the scopes of the token; there are none where they do not say what it may do, or
// are not to be had.
func (c *Client) tokenScopes(ctx context.Context) ([]string, error) {
	token, resp, err := c.gitlab.PersonalAccessTokens.GetSinglePersonalAccessToken(c.reading(ctx))
	if err != nil {
		err = c.failure(http.MethodGet, "/personal_access_tokens/self", resp, err)
		status, answered := errors.AsType[*throttle.StatusError](err)
		if answered && status.Status < http.StatusInternalServerError &&
			!errors.Is(err, throttle.ErrUnauthorized) && !errors.Is(err, throttle.ErrInsufficientScope) {
			return nil, nil
		}
		return nil, err
	}
	if slices.Contains(token.Scopes, granularScope) {
		// What such a token may do is not said here. The type of repositories is closed to it in
		// GraphQL, where their lists come back null or empty.
		c.graphQL.off[listingRepositories].Store(true)
		return nil, nil
	}
	c.lacks.adminScope.Store(len(token.Scopes) > 0 && !slices.Contains(token.Scopes, adminScope))
	return token.Scopes, nil
}

// UserName returns the name of the token's user, "" where it cannot be found out: it is for reports alone.
func (c *Client) UserName(ctx context.Context) string {
	user, err := c.currentUser(ctx)
	if err != nil {
		return ""
	}
	return user.Username
}
