package registry

import (
	"cmp"
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
	"gitlab.com/registry-gc/registry-gc/internal/flight"
)

const (
	// service is what GitLab's /jwt/auth calls the container registry. It gives tokens for
	// other services, too, which a registry has no business with.
	service = "container_registry"
	// userName is sent with the access token as password. GitLab accepts any.
	userName = "registry-gc"
	// expiryMargin is how long before its end a token is not used any more: the request may
	// wait for the limiter, and the registry has to check it.
	expiryMargin = 10 * time.Second
	// deniedFor is how long it is remembered that a token allows nothing, where the token
	// does not say how long it lives: GitLab's default for one that does.
	deniedFor = 5 * time.Minute
)

// challenge asks the registry whose tokens it wants, and reports whether it wants none. The
// answer is good only if they are those of the instance's own /jwt/auth: anything else is a
// [RealmError] or a [throttle.FormatError], as the registry's address, or the instance's, must be
// wrong then.
func (r *Registry) challenge(ctx context.Context) (open bool, err error) {
	q := request{method: http.MethodGet, path: "/v2/"}
	resp, err := r.send(ctx, q, throttle.Secret{})
	if err != nil {
		return false, err
	}
	header := resp.Header.Get("WWW-Authenticate")
	switch {
	case resp.StatusCode == http.StatusOK:
		return true, nil
	case resp.StatusCode != http.StatusUnauthorized || header == "":
		return false, r.refusal(resp, "")
	}
	scheme, parameters := parseChallenge(header)
	realm := parameters["realm"]
	switch {
	case scheme != "bearer" || realm == "":
		err = &throttle.FormatError{Problem: "the registry does not ask for a token, but for another proof"}
	case !isRealm(realm, r.jwtAuth()):
		err = &RealmError{Realm: r.client.Scrub(realm), Own: r.jwtAuth().String()}
	case parameters["service"] != service:
		err = &throttle.FormatError{Problem: "the registry asks for a token of another service than " + service}
	default:
		return false, nil
	}
	return false, q.failed(err)
}

// open is what challenge says, asked once.
func (r *Registry) open(ctx context.Context) (bool, error) {
	return r.challenges.Get(ctx, "", flight.Never, r.Recheck().challenge)
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
	port := func(u *url.URL) string {
		return cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	return u.Scheme == own.Scheme && strings.EqualFold(u.Hostname(), own.Hostname()) &&
		port(u) == port(own) && u.EscapedPath() == own.EscapedPath()
}

// token is a token of the registry for one repository or several.
type token struct {
	bearer throttle.Secret // zero when the registry wants none
	until  time.Time       // zero for ever
	denied []string        // the repositories among them that it does not allow to read
	noPush []string        // those that it does not allow to push to, where that was asked for
}

// bearer returns a token that allows to read the repository of a request, or to push to it where that
// is what the request does, other than the one that was refused, if any.
func (r *Registry) bearer(ctx context.Context, q request, refused throttle.Secret) (throttle.Secret, error) {
	stale := func(t token) bool {
		isRefused := !refused.IsZero() && t.bearer.Reveal() == refused.Reveal()
		return isRefused || !t.until.IsZero() && !time.Now().Before(t.until)
	}
	var repositories []string
	actions := "pull"
	if q.repository != "" {
		repositories = []string{q.repository}
		if slices.Contains(r.group, q.repository) {
			repositories = r.group
		}
		if r.push {
			actions = "pull,push"
		}
	}
	t, err := r.tokens.Get(ctx, actions+" "+strings.Join(repositories, " "), stale, func(ctx context.Context) (token, error) {
		return r.fetchToken(ctx, repositories, actions)
	})
	switch {
	case err != nil:
		return throttle.Secret{}, fmt.Errorf("asking for a token of the registry: %w", err)
	case slices.Contains(t.denied, q.repository):
		return throttle.Secret{}, fmt.Errorf("the token that GitLab gives for the registry does not allow to read %s: %w", q.repository, throttle.ErrForbidden)
	case q.method == http.MethodPut && slices.Contains(t.noPush, q.repository):
		return throttle.Secret{}, fmt.Errorf("the token that GitLab gives for the registry does not allow to push to %s, which takes the role Developer and scope api or write_registry: %w",
			q.repository, throttle.ErrForbidden)
	}
	return t.bearer, nil
}

// fetchToken asks the instance for a token for some actions on the repositories, or one without any scope.
// Other requests wait for the token, so it has the priority of a recheck.
func (r *Registry) fetchToken(ctx context.Context, repositories []string, actions string) (t token, err error) {
	open, err := r.open(ctx)
	if err != nil || open {
		return token{}, err
	}
	query := url.Values{"service": {service}}
	for _, repository := range repositories {
		query.Add("scope", "repository:"+repository+":"+actions)
	}
	address := r.jwtAuth()
	address.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return token{}, errors.New("the request for a token cannot be made")
	}
	req.SetBasicAuth(userName, r.client.Token().Reveal())
	err = r.bans.try(ctx, func() error {
		asked := time.Now()
		resp, err := r.client.Do(req, throttle.Request{Priority: throttle.Recheck, NoRedirect: true})
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			e := r.client.StatusError(resp)
			switch {
			case e.Status == http.StatusUnauthorized:
				e.Classes = append(e.Classes, ErrDenied)
			case e.Status == http.StatusForbidden && !throttle.IsHTML(resp) && e.Message != "":
				e.Classes = append(e.Classes, ErrMayNotPull)
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
// the answer does not say so, stands in its claims. Its life is a difference of two of the
// server's times, as its clock may differ from ours.
func readToken(body []byte, repositories []string, asked time.Time) (token, error) {
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
	}
	err := json.Unmarshal(body, &answer)
	text := cmp.Or(answer.Token, answer.AccessToken)
	if err != nil || !tokenForm.MatchString(text) {
		return token{}, &throttle.FormatError{Problem: "the answer holds no token"}
	}
	t := token{bearer: throttle.NewSecret(text)}
	claims := readClaims(text)
	for _, repository := range repositories {
		if claims.Access != nil && !claims.allow(repository, "pull") {
			t.denied = append(t.denied, repository)
		}
		if claims.Access != nil && !claims.allow(repository, "push") {
			t.noPush = append(t.noPush, repository)
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

// claims are what a token says of itself, as far as that matters here.
type claims struct {
	IssuedAt int64 `json:"iat"`
	Expires  int64 `json:"exp"`
	Access   []struct {
		Type    string   `json:"type"`
		Name    string   `json:"name"`
		Actions []string `json:"actions"` // without those that are denied
	} `json:"access"`
}

// readClaims reads the claims of a token, none where it has none that can be read. To check its
// signature is up to the registry.
func readClaims(text string) claims {
	var c claims
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return c
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &c) != nil {
		return claims{}
	}
	return c
}

// allow reports whether something may be done with a repository.
func (c claims) allow(repository, action string) bool {
	for _, a := range c.Access {
		if a.Type == "repository" && a.Name == repository && (slices.Contains(a.Actions, action) || slices.Contains(a.Actions, "*")) {
			return true
		}
	}
	return false
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
