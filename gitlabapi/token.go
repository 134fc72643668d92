package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// CheckToken asks the instance about the token, before any work is done with it. It
// returns an error of class [throttle.ErrUnauthorized] for a token that the instance does not
// know, and [throttle.ErrInsufficientScope] for one that lacks scope "api" where it is going
// to delete, or any scope that can read where it is not. A token of a kind that the
// instance cannot describe, or an instance too old to do so, passes: the requests to
// come will tell.
func (c *Client) CheckToken(ctx context.Context, toDelete bool) error {
	token, resp, err := c.gitlab.PersonalAccessTokens.GetSinglePersonalAccessToken(c.reading(ctx))
	if err != nil {
		err = c.failure(http.MethodGet, "/personal_access_tokens/self", resp, err)
		status, answered := errors.AsType[*throttle.StatusError](err)
		if answered && status.Status < http.StatusInternalServerError &&
			!errors.Is(err, throttle.ErrUnauthorized) && !errors.Is(err, throttle.ErrInsufficientScope) {
			return nil
		}
		return fmt.Errorf("checking the token: %w", err)
	}
	if len(token.Scopes) == 0 || slices.Contains(token.Scopes, "api") || !toDelete && slices.Contains(token.Scopes, "read_api") {
		return nil
	}
	return fmt.Errorf("checking the token: it has the scopes %q: %w", token.Scopes, throttle.ErrInsufficientScope)
}
