package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// plainImage answers with an image.
func plainImage(t testing.TB) func(*http.Request) *http.Response {
	return document(manifest.TypeOCIManifest, string(fixture(t, "image-oci-manifest.json")))
}

// logins counts the requests for tokens among others.
func logins(asked []string) int {
	n := 0
	for _, a := range asked {
		if strings.Contains(a, "/jwt/auth") {
			n++
		}
	}
	return n
}

// together asks for a tag of each repository at the same time and returns the errors.
func together(ctx context.Context, r *Registry, repositories ...string) []error {
	errs := make([]error, len(repositories))
	var all sync.WaitGroup
	for i, repository := range repositories {
		all.Go(func() { _, errs[i] = r.Head(ctx, repository, "tag") })
	}
	all.Wait()
	return errs
}

func repeated(n int, repository string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = repository
	}
	return all
}

func numbered(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("group/app-%d", i)
	}
	return all
}

// TestOneTokenForManyWhoAsk: however many ask at once, a repository's token is asked
// for once, also when it runs out.
func TestOneTokenForManyWhoAsk(t *testing.T) {
	for name, h := range map[string]*fakeRegistry{
		"that says how long it lives": {life: 5 * time.Minute},
		"that runs out unannounced":   {life: 5 * time.Minute, silent: true},
		"that says nothing":           {life: 5 * time.Minute, opaque: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h.serve = plainImage(t)
				r := h.connect(t, throttle.Config{})
				for round := range 4 {
					if err := errors.Join(together(t.Context(), r, repeated(50, "group/app")...)...); err != nil {
						t.Fatalf("round %d: %v", round, err)
					}
					if got := logins(h.requests()); got != 1 {
						t.Errorf("round %d asked for %d tokens", round, got)
					}
					time.Sleep(h.life)
				}
				if got := r.client.Stats().Requests; got != 4 {
					t.Errorf("%d requests to the instance", got)
				}
			})
		})
	}
}

// TestATokenIsRenewedBeforeItsEnd where it says when that is, at the cost of no refusal.
func TestATokenIsRenewedBeforeItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeRegistry{life: 5 * time.Minute, serve: plainImage(t)}
		r := h.connect(t, throttle.Config{})
		for _, test := range []struct {
			after time.Duration
			want  int
		}{{0, 3}, {4*time.Minute + 49*time.Second, 1}, {time.Second, 2}, {time.Minute, 1}} {
			time.Sleep(test.after)
			if err := errors.Join(together(t.Context(), r, "group/app")...); err != nil {
				t.Fatal(err)
			}
			if got := h.requests(); len(got) != test.want {
				t.Errorf("after another %v: %q", test.after, got)
			}
		}
	})
}

// TestATokenThatRunsOutInAPause: the wait for the limiter may outlive a token.
func TestATokenThatRunsOutInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image, limited := plainImage(t), false
		h := &fakeRegistry{life: 5 * time.Minute}
		h.serve = func(req *http.Request) *http.Response {
			if !limited {
				limited = true
				return reply(req, 429, "", "Retry-After", "3000")
			}
			return image(req)
		}
		r := h.connect(t, throttle.Config{MaxRetries: 2})
		if err := errors.Join(together(t.Context(), r, "group/app")...); err != nil {
			t.Error(err)
		}
		if got := r.client.Stats(); got.Throttled != 3000*time.Second || got.Requests != 2 {
			t.Errorf("Stats() = %+v", got)
		}
	})
}

// TestARefusalThatStays: a fresh token that is refused, too, is not renewed again.
func TestARefusalThatStays(t *testing.T) {
	h := &fakeRegistry{opaque: true, denies: func(string) bool { return true }}
	r := h.connect(t, throttle.Config{MaxRetries: 3})
	_, err := r.Manifest(t.Context(), "group/app", "tag")
	if !errors.Is(err, throttle.ErrForbidden) || errors.Is(err, throttle.ErrUnauthorized) || errors.Is(err, ErrDenied) {
		t.Errorf("got %v", err)
	}
	if got := h.requests(); len(got) != 5 || logins(got) != 2 {
		t.Errorf("%q", got)
	}
}

// TestATokenWithoutTheAction: GitLab drops what is not allowed in silence, but the token
// says so itself. The registry need not be asked, nor the instance again, for a while.
func TestATokenWithoutTheAction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeRegistry{life: 5 * time.Minute, denies: func(r string) bool { return r == "group/secret" }, serve: plainImage(t)}
		r := h.connect(t, throttle.Config{})
		errs := together(t.Context(), r, "group/app", "group/secret", "group/secret")
		if errs[0] != nil || !errors.Is(errs[1], throttle.ErrForbidden) || !errors.Is(errs[2], throttle.ErrForbidden) || errors.Is(errs[1], throttle.ErrUnauthorized) {
			t.Errorf("got %v", errs)
		}
		for _, asked := range h.requests() {
			if strings.Contains(asked, "/v2/group/secret") {
				t.Errorf("%s was asked", asked)
			}
		}
		if _, err := r.Tags(t.Context(), "group/secret"); !errors.Is(err, throttle.ErrForbidden) || len(h.requests()) != 0 {
			t.Errorf("asked again, %v", err)
		}
		h.denies = nil
		time.Sleep(h.life)
		if _, err := r.Head(t.Context(), "group/secret", "tag"); err != nil {
			t.Errorf("after a change of mind: %v", err)
		}
	})
}

// TestARefusedPasswordIsShownOnce: 30 refusals ban the address. However many ask, of
// whatever repository, on whatever registry, one request is sent and all fail.
func TestARefusedPasswordIsShownOnce(t *testing.T) {
	h := &fakeRegistry{login: func(req *http.Request) *http.Response {
		return reply(req, 401, `{"errors":[{"code":"UNAUTHORIZED","message":"HTTP Basic: Access denied."}]}`)
	}}
	r := h.connect(t, throttle.Config{MaxRetries: 5, Concurrency: 200})
	for i, err := range together(t.Context(), r, numbered(150)...) {
		if !errors.Is(err, ErrDenied) || errors.Is(err, throttle.ErrUnauthorized) || errors.Is(err, throttle.ErrForbidden) {
			t.Errorf("%d: got %v", i, err)
		}
		if status, ok := errors.AsType[*throttle.StatusError](err); !ok || status.Path != "/jwt/auth" || status.Message != "UNAUTHORIZED: HTTP Basic: Access denied." {
			t.Errorf("%d: got %v", i, err)
		}
	}
	if got := logins(h.requests()); got != 1 {
		t.Errorf("the password was shown %d times", got)
	}
	for method, err := range everyRegistryMethod(t.Context(), r) {
		if !errors.Is(err, ErrDenied) {
			t.Errorf("%s: %v", method, err)
		}
	}
	for _, asked := range h.requests() {
		if asked != "GET https://registry.example/v2/" {
			t.Errorf("afterwards %s", asked)
		}
	}
}

// TestAPasswordRefusedInTheMiddleOfARun may be shown by those who are at the door
// already, not by more than half of what bans the address.
func TestAPasswordRefusedInTheMiddleOfARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		shown := 0
		h := &fakeRegistry{serve: plainImage(t)}
		network := wire(func(req *http.Request) (*http.Response, error) {
			if req.URL.Path != "/jwt/auth" || !strings.Contains(req.URL.RawQuery, "app-") {
				return h.RoundTrip(req)
			}
			mu.Lock()
			shown++
			mu.Unlock()
			time.Sleep(time.Second)
			return reply(req, 401, "{}"), nil
		})
		r, _ := New(newTestClient(t, network, throttle.Config{Concurrency: 200}), "registry.example")
		if err := errors.Join(together(t.Context(), r, "group/first")...); err != nil {
			t.Fatal(err)
		}
		for _, err := range together(t.Context(), r, numbered(150)...) {
			if !errors.Is(err, ErrDenied) {
				t.Errorf("got %v", err)
			}
		}
		if shown > 15 || shown < 2 {
			t.Errorf("the password was shown %d times", shown)
		}
	})
}

// TestAnswersOfJWTAuth that hold no token.
func TestAnswersOfJWTAuth(t *testing.T) {
	for name, test := range map[string]struct {
		resp  func(*http.Request) *http.Response
		check func(error) bool
	}{
		"forbidden": {always(403, `{"errors":[{"code":"DENIED","message":"access forbidden"}]}`), func(err error) bool { return errors.Is(err, throttle.ErrForbidden) }},
		"no registry": {always(404, `{"errors":[{"code":"UNAVAILABLE"}]}`), func(err error) bool {
			return errors.Is(err, throttle.ErrNotFound) && !errors.Is(err, ErrManifestNotFound)
		}},
		"not a manifest's": {always(404, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`), func(err error) bool {
			return errors.Is(err, throttle.ErrNotFound) && !errors.Is(err, ErrManifestNotFound)
		}},
		"not a repository's": {always(404, `{"errors":[{"code":"NAME_UNKNOWN"}]}`), func(err error) bool {
			return errors.Is(err, throttle.ErrNotFound) && !errors.Is(err, ErrRepositoryNotFound)
		}},
		"broken":         {always(500, ``), isStatus(500)},
		"created":        {always(201, `{"token":"x"}`), isStatus(201)},
		"a page":         {always(200, `<html>`, "Content-Type", "text/html"), isFormat},
		"nothing":        {always(200, ``), isFormat},
		"null":           {always(200, `null`), isFormat},
		"an empty token": {always(200, `{"token":""}`), isFormat},
		"a number":       {always(200, `{"token":7}`), isFormat},
		"a list":         {always(200, `[]`), isFormat},
		"two lines":      {always(200, `{"token":"a\r\nb: c"}`), isFormat},
		"letters":        {always(200, `{"token":"日本"}`), isFormat},
	} {
		h := &fakeRegistry{login: test.resp}
		_, err := h.connect(t, throttle.Config{}).Head(t.Context(), "group/app", "tag")
		if !test.check(err) || errors.Is(err, throttle.ErrUnauthorized) || errors.Is(err, ErrDenied) {
			t.Errorf("%s: got %v", name, err)
		}
		h.login, h.serve = nil, plainImage(t)
	}
}

func isFormat(err error) bool {
	_, ok := errors.AsType[*throttle.FormatError](err)
	return ok
}

func isStatus(want int) func(error) bool {
	return func(err error) bool {
		status, ok := errors.AsType[*throttle.StatusError](err)
		return ok && status.Status == want
	}
}

// TestAFailureOfJWTAuthIsForgotten, unlike a refusal.
func TestAFailureOfJWTAuthIsForgotten(t *testing.T) {
	for _, status := range []int{403, 404, 500, 503} {
		h := &fakeRegistry{login: always(status, "{}"), serve: plainImage(t)}
		r := h.connect(t, throttle.Config{})
		if _, err := r.Head(t.Context(), "group/app", "tag"); err == nil {
			t.Errorf("%d: no error", status)
		}
		h.login = nil
		if _, err := r.Head(t.Context(), "group/app", "tag"); err != nil {
			t.Errorf("after %d: %v", status, err)
		}
	}
}

// TestTheTokenUsedLastStays while others come and go.
func TestTheTokenUsedLastStays(t *testing.T) {
	h := &fakeRegistry{serve: plainImage(t)}
	r := h.connect(t, throttle.Config{})
	for _, repository := range numbered(3 * maxTokens) {
		if err := errors.Join(together(t.Context(), r, "group/busy", repository)...); err != nil {
			t.Fatal(err)
		}
	}
	if got := logins(h.requests()); got != 3*maxTokens+1 {
		t.Errorf("%d tokens were asked for", got)
	}
}

// TestTheBanGuard lets one try until the password has been accepted, then so many at once, and
// none once it has been refused. A cancel ends the wait.
func TestTheBanGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newBanGuard()
		tries := func(n int, result error) (shown int) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var all sync.WaitGroup
			var mu sync.Mutex
			for range n {
				all.Go(func() {
					err := g.try(ctx, func() error {
						mu.Lock()
						shown++
						mu.Unlock()
						time.Sleep(time.Minute)
						return result
					})
					if result == nil && err != nil && !errors.Is(err, context.DeadlineExceeded) || result != nil && err == nil {
						t.Errorf("got %v", err)
					}
				})
			}
			all.Wait()
			return shown
		}
		for i, want := range []int{1, maxAttempts, maxAttempts} {
			if got := tries(100, nil); got != want {
				t.Errorf("%d: %d show the password at once, want %d", i, got, want)
			}
		}
		if got := tries(100, ErrDenied); got != maxAttempts {
			t.Errorf("%d show a refused password", got)
		}
		if got := tries(100, ErrDenied); got != 0 {
			t.Errorf("%d show a password that has been refused", got)
		}
	})
}
