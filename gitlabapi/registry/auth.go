package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

const (
	// service is what GitLab's /jwt/auth calls the container registry. It gives tokens for
	// other services, too, which a registry has no business with.
	service = "container_registry"
	// userName stands beside the access token, of whose user GitLab knows anyway.
	userName = "registry-gc"
	// expiryMargin is how long before its end a token is not used any more: the request may
	// wait for the limiter, and the registry has to check it.
	expiryMargin = 10 * time.Second
	// deniedFor is how long it is remembered that a token allows nothing, where the token
	// does not say how long it lives: GitLab's default for one that does.
	deniedFor = 5 * time.Minute
)

// challenge is what the registry answers to a request without a token.
type challenge struct {
	open bool // it serves everybody, and wants no token
}

// challenge asks the registry whose tokens it wants. The answer is good only if they are those
// of the instance's own /jwt/auth: anything else is a [ChallengeError], as the registry's
// address, or the instance's, must be wrong then.
func (r *Registry) challenge(ctx context.Context) (challenge, error) {
	q := request{method: http.MethodGet, path: "/v2/"}
	resp, err := r.send(ctx, q, throttle.Secret{})
	if err != nil {
		return challenge{}, err
	}
	header := resp.Header.Get("WWW-Authenticate")
	switch {
	case resp.StatusCode == http.StatusOK:
		return challenge{open: true}, nil
	case resp.StatusCode != http.StatusUnauthorized || header == "":
		return challenge{}, r.refusal(resp, "")
	}
	scheme, parameters := parseChallenge(header)
	realm := parameters["realm"]
	switch {
	case scheme != "bearer" || realm == "":
		err = &ChallengeError{"the registry does not ask for a token, but for another proof"}
	case !isRealm(realm, r.jwtAuth()):
		err = &ChallengeError{"the registry asks for a token of " + r.client.Scrub(realm) +
			", which is not the instance's own: is GITLAB_URL the address that the registry knows it by?"}
	case parameters["service"] != service:
		err = &ChallengeError{"the registry asks for a token of another service than " + service}
	default:
		return challenge{}, nil
	}
	return challenge{}, q.failed(err)
}

// parameterForm is a parameter of a challenge (RFC 9110, section 11.2).
var parameterForm = regexp.MustCompile(`([A-Za-z0-9_-]+)\s*=\s*"((?:[^"\\]|\\.)*)"`)

// parseChallenge reads a WWW-Authenticate header: its scheme in lower case, and its parameters,
// of which the last counts when one comes twice.
func parseChallenge(header string) (scheme string, parameters map[string]string) {
	scheme, rest, _ := strings.Cut(header, " ")
	parameters = make(map[string]string)
	for _, parameter := range parameterForm.FindAllStringSubmatch(rest, -1) {
		parameters[strings.ToLower(parameter[1])] = parameter[2]
	}
	return strings.ToLower(scheme), parameters
}

// jwtAuth is the address of the instance's own /jwt/auth.
func (r *Registry) jwtAuth() *url.URL {
	base := r.client.URL()
	root := &url.URL{Scheme: base.Scheme, Host: base.Host, Path: "/"}
	return root.JoinPath(base.EscapedPath(), "jwt/auth")
}

// isRealm reports whether a realm is that address: of the same scheme, host, port and path,
// and nothing more.
func isRealm(realm string, own *url.URL) bool {
	u, err := url.Parse(realm)
	if err != nil || u.User != nil || u.Opaque != "" || strings.ContainsAny(realm, "?#\\") {
		return false
	}
	return u.Scheme == own.Scheme && strings.EqualFold(u.Hostname(), own.Hostname()) &&
		portOf(u) == portOf(own) && u.EscapedPath() == own.EscapedPath()
}

// portOf returns the port of an address, that of its scheme if it names none.
func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "http":
		return "80"
	default:
		return "443"
	}
}

// token is a token of the registry for one repository or several.
type token struct {
	bearer throttle.Secret // zero when the registry wants none
	until  time.Time       // zero for ever
	denied []string        // the repositories among them that it does not allow to read
}

// bearer returns a token that allows to read a repository, other than the one that was refused,
// if any.
func (r *Registry) bearer(ctx context.Context, repository string, refused throttle.Secret) (throttle.Secret, error) {
	stale := func(t token) bool {
		isRefused := !refused.IsZero() && t.bearer.Reveal() == refused.Reveal()
		return isRefused || !t.until.IsZero() && !time.Now().Before(t.until)
	}
	var repositories []string
	if repository != "" {
		if repositories = r.shared[repository]; repositories == nil {
			repositories = []string{repository}
		}
	}
	t, err := r.tokens.Get(ctx, strings.Join(repositories, " "), stale, func(ctx context.Context) (token, error) {
		return r.fetchToken(ctx, repositories)
	})
	switch {
	case err != nil:
		return throttle.Secret{}, fmt.Errorf("asking for a token of the registry: %w", err)
	case slices.Contains(t.denied, repository):
		return throttle.Secret{}, fmt.Errorf("the token that GitLab gives for the registry does not allow to read %s: %w", repository, throttle.ErrForbidden)
	}
	return t.bearer, nil
}

// fetchToken asks the instance for a token for the repositories, or one without any scope.
// Other requests wait for the token, so it has the priority of a recheck.
func (r *Registry) fetchToken(ctx context.Context, repositories []string) (token, error) {
	never := func(challenge) bool { return false }
	wanted, err := r.challenges.Get(ctx, "", never, r.Recheck().challenge)
	if err != nil || wanted.open {
		return token{}, err
	}
	query := url.Values{"service": {service}}
	for _, repository := range repositories {
		query.Add("scope", "repository:"+repository+":pull")
	}
	address := r.jwtAuth()
	address.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return token{}, errors.New("the request for a token cannot be made")
	}
	req.SetBasicAuth(userName, r.client.Token().Reveal())
	var t token
	err = r.bans.try(ctx, func() error {
		asked := time.Now()
		resp, err := r.client.Do(req, throttle.Request{Priority: throttle.Recheck, NoRedirect: true})
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			e := r.client.StatusError(resp)
			if e.Status == http.StatusUnauthorized {
				e.Classes = append(e.Classes, ErrDenied)
			}
			return e
		}
		if t, err = readToken(throttle.Body(resp), repositories, asked); err != nil {
			return &throttle.RequestError{Method: req.Method, Path: address.EscapedPath(), Err: err}
		}
		return nil
	})
	return t, err
}

// tokenForm is what RFC 6750 allows as a bearer token.
var tokenForm = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// readToken reads the answer of /jwt/auth. What the token allows, and how long it lives where
// the answer does not say so, stands in its claims; to check its signature is up to the
// registry. Its life is a difference of two of the server's times, as its clock may differ from
// ours.
func readToken(body []byte, repositories []string, asked time.Time) (token, error) {
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return token{}, &throttle.FormatError{Problem: "the answer holds no token"}
	}
	text := answer.Token
	if text == "" {
		text = answer.AccessToken
	}
	if !tokenForm.MatchString(text) {
		return token{}, &throttle.FormatError{Problem: "the answer holds no token"}
	}
	t := token{bearer: throttle.NewSecret(text)}
	var claims struct {
		IssuedAt int64 `json:"iat"`
		Expires  int64 `json:"exp"`
		Access   *[]struct {
			Type    string   `json:"type"`
			Name    string   `json:"name"`
			Actions []string `json:"actions"` // without those that are denied
		} `json:"access"`
	}
	if parts := strings.Split(text, "."); len(parts) == 3 {
		if payload, err := base64.RawURLEncoding.DecodeString(parts[1]); err != nil || json.Unmarshal(payload, &claims) != nil {
			claims.IssuedAt, claims.Expires, claims.Access = 0, 0, nil
		}
	}
	if claims.Access != nil {
		allowed := make(map[string]bool)
		for _, a := range *claims.Access {
			allowed[a.Name] = allowed[a.Name] || a.Type == "repository" && (slices.Contains(a.Actions, "pull") || slices.Contains(a.Actions, "*"))
		}
		for _, repository := range repositories {
			if !allowed[repository] {
				t.denied = append(t.denied, repository)
			}
		}
	}
	seconds := answer.ExpiresIn
	if seconds <= 0 && claims.IssuedAt > 0 {
		seconds = claims.Expires - claims.IssuedAt
	}
	life := time.Duration(min(seconds, 3600)) * time.Second
	switch {
	case life > 0:
		t.until = asked.Add(max(life-expiryMargin, life/2))
	case len(t.denied) > 0:
		t.until = asked.Add(deniedFor)
	}
	return t, nil
}

// maxAttempts is how many tokens are asked for at once. GitLab bans an address for an hour
// after 30 refused passwords in 3 minutes (its Rack Attack settings): even if all of these are
// refused together, that is half of it.
const maxAttempts = 15

// banGuard keeps requests that show the access token as a password from getting the address
// banned: until it has been accepted once, one at a time may try, and once it is refused none
// tries again.
type banGuard struct {
	places   chan struct{} // one to begin with, all once the password has been accepted
	accepted sync.Once
	refused  atomic.Pointer[error]
}

func newBanGuard() *banGuard {
	g := &banGuard{places: make(chan struct{}, maxAttempts)}
	g.places <- struct{}{}
	return g
}

// try calls a function that shows the password, or returns the error of an earlier refusal, or
// the context's.
func (g *banGuard) try(ctx context.Context, show func() error) error {
	select {
	case <-g.places:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { g.places <- struct{}{} }()
	if refused := g.refused.Load(); refused != nil {
		return *refused
	}
	err := show()
	switch {
	case err == nil:
		g.accepted.Do(func() {
			for range maxAttempts - 1 {
				g.places <- struct{}{}
			}
		})
	case errors.Is(err, ErrDenied):
		g.refused.Store(&err)
	}
	return err
}
