package registry

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// TestRestoreIsSentOnce, whatever comes back, and not at all where it may not be or is too late: what it
// rests on may have changed when it is sent again.
func TestRestoreIsSentOnce(t *testing.T) {
	const text = `{"schemaVersion":2}`
	m := RawManifest{MediaType: manifest.TypeOCIIndex, Digest: sha256Of(text), Bytes: []byte(text)}
	errs := func(code string) string { return `{"errors":[{"code":"` + code + `","message":"m"}]}` }
	challenge := `Bearer realm="https://gitlab.example/jwt/auth",service="container_registry",error=`
	for name, test := range map[string]struct {
		answer *http.Response // nil for a connection that is cut
		tag    string         // "" for an ordinary one
		late   bool
		noPush bool
		want   error // nil for none
		puts   int
	}{
		"done":              {answer: reply(nil, 201, ""), puts: 1},
		"not created":       {answer: reply(nil, 202, ""), want: errAny, puts: 1},
		"another digest":    {answer: reply(nil, 201, "", "Docker-Content-Digest", digestOf(7)), want: errAny, puts: 1},
		"failing":           {answer: reply(nil, 503, errs("UNAVAILABLE")), want: errAny, puts: 1},
		"limited":           {answer: reply(nil, 429, errs("TOOMANYREQUESTS")), want: errAny, puts: 1},
		"cut":               {want: errAny, puts: 1},
		"protected":         {answer: reply(nil, 401, errs("PROTECTED_TAG")), want: throttle.ErrForbidden, puts: 1},
		"denied":            {answer: reply(nil, 403, errs("DENIED")), want: throttle.ErrForbidden, puts: 1},
		"run out":           {answer: reply(nil, 401, errs("UNAUTHORIZED"), "WWW-Authenticate", challenge+`"invalid_token"`), want: ErrTokenRanOut, puts: 1},
		"too few rights":    {answer: reply(nil, 401, errs("UNAUTHORIZED"), "WWW-Authenticate", challenge+`"insufficient_scope"`), want: throttle.ErrForbidden, puts: 1},
		"collected":         {answer: reply(nil, 400, errs("MANIFEST_BLOB_UNKNOWN")), want: ErrCollected, puts: 1},
		"no right to push":  {noPush: true, want: throttle.ErrForbidden},
		"too late":          {late: true, want: throttle.ErrNotSent},
		"named as a digest": {tag: "sha256-" + strings.Repeat("a", 64), want: throttle.ErrNotSent},
		"no name":           {tag: "a/b", want: throttle.ErrNotSent},
	} {
		t.Run(name, func(t *testing.T) {
			h := &fakeRegistry{noPush: test.noPush, serve: func(req *http.Request) *http.Response {
				if req.Method != http.MethodPut {
					return reply(req, 200, text, "Content-Type", m.MediaType, "Docker-Content-Digest", m.Digest)
				}
				if test.answer != nil {
					test.answer.Request = req
				}
				return test.answer
			}}
			r := h.connect(t, throttle.Config{MaxRetries: 3}).WithPush()
			if digest, _, err := r.Names(t.Context(), "group/app", "tag"); digest != m.Digest || err != nil {
				t.Fatal(digest, err)
			}
			tag := "tag"
			before, end := context.WithCancel(t.Context())
			defer end()
			if test.tag != "" {
				tag = test.tag
			}
			if test.late {
				end()
			}
			err := r.Restore(t.Context(), before, "group/app", tag, m)
			if test.want == nil && err != nil || test.want != nil && test.want != errAny && !errors.Is(err, test.want) || test.want == errAny && err == nil {
				t.Errorf("%v, want %v", err, test.want)
			}
			asked := strings.Join(h.requests(), "\n")
			if puts := strings.Count(asked, "PUT "); puts != test.puts {
				t.Errorf("%d PUTs, want %d:\n%s", puts, test.puts, asked)
			}
			if !strings.Contains(asked, "%3Apull%2Cpush&") || strings.Count(asked, "/jwt/auth") != 1 {
				t.Errorf("not one token for both:\n%s", asked)
			}
		})
	}
}

// errAny stands for an error of no class that matters.
var errAny = errors.New("any")

// TestTokensThatAllowPushesAreApart from those of everybody else.
func TestTokensThatAllowPushesAreApart(t *testing.T) {
	h := &fakeRegistry{serve: document(manifest.TypeOCIIndex, `{"schemaVersion":2,"manifests":[]}`)}
	r := h.connect(t, throttle.Config{})
	for _, view := range []*Registry{r, r.WithPush(), r, r.WithPush()} {
		if _, _, err := view.Names(t.Context(), "group/app", "tag"); err != nil {
			t.Fatal(err)
		}
	}
	asked := strings.Join(h.requests(), "\n")
	if strings.Count(asked, "%3Apull&") != 1 || strings.Count(asked, "%3Apull%2Cpush&") != 1 {
		t.Error(asked)
	}
}
