package registry

import (
	"errors"
	"fmt"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

// secretBearer is the registry's token in the test below. It is no JWT, so that all that
// is kept of it is the token.
const secretBearer = "Bearer_Secret.Token-9876543210"

// echoes are answers that hold a text wherever an answer may end up in an error.
func echoes(text string) map[string]func(*http.Request) *http.Response {
	quoted := quoteJSON(text)
	word := strings.ReplaceAll(text, " ", "/")
	return map[string]func(*http.Request) *http.Response{
		"message":        always(400, `{"errors":[{"code":"UNKNOWN","message":`+quoted+`,"detail":`+quoted+`}]}`),
		"code":           always(403, `{"errors":[{"code":`+quoted+`}]}`),
		"404":            always(404, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":`+quoted+`}]}`),
		"401":            always(401, `{"errors":[{"code":"UNAUTHORIZED","message":`+quoted+`}]}`, "WWW-Authenticate", `Bearer realm="`+text+`"`),
		"401 for basic":  always(401, "{}", "WWW-Authenticate", `Basic realm="`+text+`"`),
		"401, a scheme":  always(401, "{}", "WWW-Authenticate", text),
		"API's message":  always(400, `{"message":`+quoted+`,"error":`+quoted+`}`),
		"content type":   always(200, text, "Content-Type", "text/"+secretToken),
		"garbage":        always(200, text),
		"in a list":      always(200, `[{"name":`+quoted+`,"digest":`+quoted+`,"created_at":`+quoted+`}]`),
		"another list":   always(200, `{"name":`+quoted+`,"tags":[]}`),
		"link elsewhere": always(200, rowList("a"), "Link", `<https://`+secretToken+`.example/`+word+`>; rel="next"`),
		"link malformed": always(200, rowList("a"), "Link", `<http://[::1`+word+`>; rel="next"`),
		"redirect":       always(302, "", "Location", "https://x.example/"+word),
		"redirect host":  always(302, "", "Location", "https://"+secretToken+".example/"),
		"manifest":       document(manifest.TypeOCIIndex, `{"mediaType":`+quoted+`}`),
		"media type":     document("application/"+secretToken, "{}"),
		"no token":       always(200, `{"refresh_token":`+quoted+`,"x":`+quoted+`}`),
		"odd token":      always(200, `{"token":`+quoted+`}`),
		"broken off": func(req *http.Request) *http.Response {
			resp := reply(req, 200, "")
			resp.Body = io.NopCloser(iotest.ErrReader(errors.New("unexpected " + text)))
			return resp
		},
	}
}

// TestNoErrorHoldsASecretOfTheRegistrys has one of the addresses that are asked put the
// access token, and what the request itself showed, wherever its answers may end up in
// an error.
func TestNoErrorHoldsASecretOfTheRegistrys(t *testing.T) {
	for name := range echoes("") {
		for _, from := range []string{"the challenge", "/v2/", "/jwt/auth", "the rest"} {
			network := wire(func(req *http.Request) (*http.Response, error) {
				_, shown, _ := strings.Cut(req.Header.Get("Authorization"), " ")
				path := req.URL.Path
				if path == "/v2/" && shown == "" {
					path = "the challenge"
				}
				switch {
				case path == from, from == "the rest" && !strings.Contains("the challenge /v2/ /jwt/auth", path):
					return echoes(secretToken + " " + shown)[name](req), nil
				case path == "/jwt/auth":
					return reply(req, 200, fmt.Sprintf(`{"token":%q}`, secretBearer)), nil
				case path == "the challenge":
					return reply(req, 401, "", "WWW-Authenticate", `Bearer realm="https://gitlab.example/jwt/auth",service="container_registry"`), nil
				}
				return reply(req, 200, "{}"), nil
			})
			r, _ := New(newTestClient(t, network, throttle.Config{}), "registry.example")
			for method, err := range everyRegistryMethod(t.Context(), r) {
				checkHarmless(t, fmt.Sprintf("%s of %s: %s", name, from, method), err, secretToken, secretBearer, basic())
			}
			checkHarmless(t, "registry", fmt.Errorf("%+v %#v %+v", r, r, r.client), secretToken, secretBearer, basic())
		}
	}
}

// checkHarmless looks for secrets in an error and all that it wraps.
func checkHarmless(t *testing.T, name string, err error, secrets ...string) {
	t.Helper()
	for ; err != nil; err = errors.Unwrap(err) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
			for _, secret := range secrets {
				if strings.Contains(fmt.Sprintf(verb, err), secret) {
					t.Errorf("%s: %T shows %s", name, err, secret)
				}
			}
		}
		if len(err.Error()) > 3*1024 {
			t.Errorf("%s: %T has a text of %d bytes", name, err, len(err.Error()))
		}
	}
}
