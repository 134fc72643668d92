package registry

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// fakeRegistry is a network with an instance at gitlab.example and its registry at
// registry.example, which gives and wants tokens. It is no complete registry: a test
// says what paths answer.
type fakeRegistry struct {
	realm  string        // what the registry names; "" for the instance's own
	life   time.Duration // of tokens; 0 for ever
	denies func(repository string) bool
	login  func(*http.Request) *http.Response // answers /jwt/auth instead, unless nil
	serve  func(*http.Request) *http.Response // answers with a good token
	opaque bool                               // tokens say nothing
	silent bool                               // tokens say nothing of their life
	open   bool                               // no token is wanted
	noPush bool                               // tokens do not allow to push

	mu     sync.Mutex
	asked  []string // method and address of every request
	given  map[string]time.Time
	tokens int
}

func (h *fakeRegistry) RoundTrip(req *http.Request) (*http.Response, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, req.Method+" "+req.URL.String())
	switch {
	case req.URL.Host == "gitlab.example" && req.URL.Path == "/jwt/auth":
		return h.give(req), nil
	case req.URL.Host != "registry.example":
		return nil, fmt.Errorf("%s was asked", req.URL)
	}
	if strings.Contains(fmt.Sprint(req.Header), secretToken) || strings.Contains(fmt.Sprint(req.Header), basic()) {
		return nil, errors.New("the registry was shown the access token")
	}
	if !h.open && !h.accepts(req) {
		return h.challenge(req), nil
	}
	if req.URL.Path == "/v2/" {
		return reply(req, 200, "{}"), nil
	}
	if resp := h.serve(req); resp != nil {
		return resp, nil
	}
	return nil, errors.New("the connection was cut")
}

// basic is the access token as it stands in a header.
func basic() string {
	return base64.StdEncoding.EncodeToString([]byte(userName + ":" + secretToken))
}

func (h *fakeRegistry) challenge(req *http.Request) *http.Response {
	realm := h.realm
	if realm == "" {
		realm = "https://gitlab.example/jwt/auth"
	}
	return reply(req, 401, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`,
		"WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="container_registry"`, realm))
}

// accepts reports whether a request has a token that is good for what it asks.
func (h *fakeRegistry) accepts(req *http.Request) bool {
	bearer, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	at, given := h.given[bearer]
	if !ok || !given || h.life > 0 && time.Since(at) >= h.life {
		return false
	}
	if !strings.Contains(req.URL.Path, "/group/") {
		return true
	}
	return strings.Contains(scopeIn(bearer), "pull")
}

// give answers /jwt/auth.
func (h *fakeRegistry) give(req *http.Request) *http.Response {
	if h.login != nil {
		if resp := h.login(req); resp != nil {
			return resp
		}
	}
	if req.Header.Get("Authorization") != "Basic "+basic() {
		return reply(req, 401, `{"errors":[{"code":"UNAUTHORIZED","message":"HTTP Basic: Access denied"}]}`)
	}
	h.tokens++
	token := h.token(req.URL.Query().Get("scope"))
	if h.given == nil {
		h.given = make(map[string]time.Time)
	}
	h.given[token] = time.Now()
	return reply(req, 200, fmt.Sprintf(`{"token":%q}`, token))
}

// token makes a token for a scope; without the action when that is denied.
func (h *fakeRegistry) token(scope string) string {
	parts := strings.Split(scope, ":")
	granted := []map[string]any{}
	actions := []string{"pull"}
	if strings.HasSuffix(scope, "push") && !h.noPush {
		actions = append(actions, "push")
	}
	if len(parts) == 3 && (h.denies == nil || !h.denies(parts[1])) {
		granted = append(granted, map[string]any{"type": "repository", "name": parts[1], "actions": actions})
	}
	claims := map[string]any{"access": granted, "jti": h.tokens}
	if h.life > 0 && !h.silent {
		claims["iat"], claims["exp"] = time.Now().Unix(), time.Now().Add(h.life).Unix()
	}
	payload, _ := json.Marshal(claims)
	encoded := base64.RawURLEncoding.EncodeToString(payload)
	if h.opaque {
		return fmt.Sprintf("opaque-%s", encoded)
	}
	return "header." + encoded + ".signature"
}

// scopeIn returns what a token says, in clear.
func scopeIn(token string) string {
	token = strings.TrimPrefix(token, "opaque-")
	if parts := strings.Split(token, "."); len(parts) == 3 {
		token = parts[1]
	}
	payload, _ := base64.RawURLEncoding.DecodeString(token)
	return string(payload)
}

// requests returns what was asked and forgets it.
func (h *fakeRegistry) requests() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	asked := h.asked
	h.asked = nil
	return asked
}

// connect returns a client of the registry.
func (h *fakeRegistry) connect(t testing.TB, config throttle.Config) *Registry {
	t.Helper()
	if config.Concurrency == 0 {
		config.Concurrency = 16
	}
	r, err := New(newTestClient(t, h, config), "registry.example")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// always answers every request with the same.
func always(status int, body string, header ...string) func(*http.Request) *http.Response {
	return func(req *http.Request) *http.Response { return reply(req, status, body, header...) }
}

// document answers with a manifest or blob of the right digest.
func document(mediaType, body string) func(*http.Request) *http.Response {
	return always(200, body, "Content-Type", mediaType, "Docker-Content-Digest", sha256Of(body))
}

func sha256Of(body string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(body))) }

// everyRegistryMethod asks for everything that a registry can be asked for.
func everyRegistryMethod(ctx context.Context, r *Registry) map[string]error {
	errs := make(map[string]error)
	_, errs["Tags"] = r.Tags(ctx, "group/app")
	_, errs["TagRows"] = allRows(r.TagRows(ctx, "group/app", ""))
	_, errs["Head"] = r.Head(ctx, "group/app", "tag")
	_, errs["Manifest"] = r.Manifest(ctx, "group/app", "tag")
	_, _, errs["ConfigCreated"] = r.ConfigCreated(ctx, "group/app", digestOf(1))
	_, errs["Contents"] = r.Contents(ctx, "group/app", manifest.Manifest{Kind: manifest.KindMultiArch, MediaType: manifest.TypeOCIIndex, Children: []string{digestOf(1)}})
	_, errs["Signs"] = r.Signs(ctx)
	_, errs["RawManifest"] = r.RawManifest(ctx, "group/app", digestOf(1))
	_, _, errs["Names"] = r.Names(ctx, "group/app", "tag")
	errs["Restore"] = r.WithPush().Restore(ctx, ctx, "group/app", "tag", RawManifest{MediaType: manifest.TypeOCIManifest, Digest: digestOf(1)})
	return errs
}

// allRows returns the rows of all pages, none if one of them failed.
func allRows(pages iter.Seq2[[]TagRow, error]) ([]TagRow, error) {
	var all []TagRow
	for rows, err := range pages {
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}
