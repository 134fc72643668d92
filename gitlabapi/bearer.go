package gitlabapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	remote "github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	// loginUser stands beside the access token, of whose user GitLab knows anyway.
	loginUser = "registry-gc"
	// grantMargin is how long before its end a token is not used any more: the request
	// may wait for the gate, and the registry has to check it.
	grantMargin = 10 * time.Second
	// deniedFor is how long it is remembered that a token allows nothing, where the
	// token does not say how long it lives: GitLab's default for one that does.
	deniedFor = 5 * time.Minute
)

// grant is a token of the registry for one repository or several.
type grant struct {
	bearer Secret // zero when the registry wants none
	until  time.Time
	denied []string // the repositories among them that it does not allow to read
}

// bearer returns a token that allows to read a repository, other than the one that was
// refused, if any.
func (r *Registry) bearer(ctx context.Context, repository string, refused Secret) (Secret, error) {
	stale := func(g grant) bool {
		isRefused := !refused.IsZero() && g.bearer.Reveal() == refused.Reveal()
		return isRefused || !g.until.IsZero() && !time.Now().Before(g.until)
	}
	var scopes []string
	if repository != "" {
		scopes = r.sharing(repository)
	}
	g, err := r.grants.Get(ctx, strings.Join(scopes, " "), stale, func(ctx context.Context) (grant, error) {
		return r.obtain(ctx, scopes)
	})
	switch {
	case err != nil:
		return Secret{}, fmt.Errorf("asking for a token of the registry: %w", err)
	case slices.Contains(g.denied, repository):
		return Secret{}, fmt.Errorf("the token that GitLab gives for the registry does not allow to read %s: %w", repository, ErrForbidden)
	}
	return g.bearer, nil
}

// obtain goes through the handshake: the registry says whom it trusts, and the instance
// gives a token for the repositories, or one without any scope.
func (r *Registry) obtain(ctx context.Context, repositories []string) (grant, error) {
	fixed := func(challenge) bool { return false }
	wanted, err := r.challenges.Get(ctx, "", fixed, r.challenge)
	if err != nil || wanted.open {
		return grant{}, err
	}
	leave, err := r.client.login.enter(ctx)
	if err != nil {
		return grant{}, err
	}
	defer leave()
	var scopes []string
	for _, repository := range repositories {
		scopes = append(scopes, "repository:"+repository+":pull")
	}
	asked := time.Now()
	token, err := r.client.exchange(ctx, scopes)
	if err != nil {
		r.client.login.refused(err)
		return grant{}, err
	}
	r.client.login.accepted()
	return grantOf(token, repositories, asked)
}

// exchange turns the access token into one of the registry's. It goes to the instance's
// own address, whatever the registry said.
//
// go-containerregistry allows a private address as a realm only where the registry
// itself is. Here the realm has been compared with the configured instance before, so
// that the instance stands for the registry: what is private for it is private for both.
func (c *Client) exchange(ctx context.Context, scopes []string) (*remote.Token, error) {
	realm := c.realm()
	path := realm.EscapedPath()
	host, err := name.NewRegistry(realm.Host)
	if err != nil {
		return nil, &RequestError{http.MethodGet, path, &ChallengeError{"the instance's host cannot be that of a realm"}}
	}
	user := authn.FromConfig(authn.AuthConfig{Username: loginUser, Password: c.token.Reveal()})
	wanted := &remote.Challenge{
		Scheme:     "bearer",
		Parameters: map[string]string{"realm": realm.String(), "service": service},
		Insecure:   realm.Scheme == "http",
	}
	network := handshake{client: c, address: realm, source: sourceLogin, takes: []int{http.StatusOK}}
	token, err := remote.Exchange(ctx, host, user, network, scopes, wanted)
	if err != nil {
		return nil, handshakeError(err, &RequestError{http.MethodGet, path, &FormatError{"the answer holds no token"}})
	}
	return token, nil
}

// tokenForm is what RFC 6750 allows as a bearer token.
var tokenForm = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// grantOf reads a token that was asked for at the given time.
func grantOf(token *remote.Token, repositories []string, asked time.Time) (grant, error) {
	text := token.Token
	if text == "" {
		text = token.AccessToken
	}
	if !tokenForm.MatchString(text) {
		return grant{}, &FormatError{"the answer of /jwt/auth holds no token"}
	}
	g := grant{bearer: NewSecret(text)}
	said := claimsOf(text)
	life := time.Duration(token.ExpiresIn) * time.Second
	if life <= 0 {
		life = said.life()
	}
	for _, repository := range repositories {
		if said.Access != nil && !said.allowRead(repository) {
			g.denied = append(g.denied, repository)
		}
	}
	switch {
	case life > 0:
		g.until = asked.Add(max(life-grantMargin, life/2))
	case len(g.denied) > 0:
		g.until = asked.Add(deniedFor)
	}
	return g, nil
}

// claims are what GitLab writes into the tokens that it gives (a JWT). They are read
// for what they say about themselves; to check the signature is up to the registry.
type claims struct {
	IssuedAt int64     `json:"iat"`
	Expires  int64     `json:"exp"`
	Access   *[]access `json:"access"` // nil when not said
}

// access is what a token allows; denied actions are left out.
type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// claimsOf returns the claims of a token, none if it has another form.
func claimsOf(token string) claims {
	var c claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &c) != nil {
		return claims{}
	}
	return c
}

// life returns how long the token lives, 0 if it does not say so. It is a difference
// of two of the server's times, as its clock may differ from ours.
func (c claims) life() time.Duration {
	if c.IssuedAt <= 0 || c.Expires <= c.IssuedAt {
		return 0
	}
	return time.Duration(min(c.Expires-c.IssuedAt, int64(time.Hour/time.Second))) * time.Second
}

func (c claims) allowRead(repository string) bool {
	return slices.ContainsFunc(*c.Access, func(a access) bool {
		allowed := slices.Contains(a.Actions, "pull") || slices.Contains(a.Actions, "*")
		return a.Type == "repository" && a.Name == repository && allowed
	})
}
