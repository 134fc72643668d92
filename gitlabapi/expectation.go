package gitlabapi

import (
	"bytes"
	"context"
	"fmt"
	"mime"
	"net/http"
	"strings"
)

// maxBody is the largest answer of the API that is read, in bytes. A page of 100
// projects with all their fields has about 400 KB; what is larger than this is no
// answer of GitLab's API.
const maxBody = 16 << 20

// A party is who is asked.
type party int

const (
	instance party = iota // GitLab itself
	registry              // its container registry
)

// setting names the variable that tells where a party is, and what it must be.
func (p party) setting() (variable, whose string) {
	if p == registry {
		return "REGISTRY_URL", "the registry"
	}
	return "GITLAB_URL", "the instance"
}

// mistaken says that an answer has a media type that the party does not use.
func (p party) mistaken(kind string) string {
	if p == registry {
		return fmt.Sprintf("the answer is %s instead of a registry's: is REGISTRY_URL the address of GitLab's registry?", kind)
	}
	return fmt.Sprintf("the answer is %s instead of JSON: is GITLAB_URL the address of a GitLab?", kind)
}

// An expectation says what an answer must be like to be one. The transport finds it in
// the context of the request.
type expectation struct {
	from  party
	limit int64 // of the body of a success, in bytes
	// types says what else than JSON may come.
	types types
}

// types are media types beside those of JSON. Pages of HTML are never among them.
type types int

const (
	jsonOnly     types = iota
	applications       // "application/…": manifests have types of their own, some old ones no JSON
	anyType            // where a digest tells whether it is the right thing
)

// fromAPI is what is expected of GitLab's API, and of every request that says nothing
// else.
var fromAPI = &expectation{from: instance, limit: maxBody}

type expectationKey struct{}

// expecting returns a context for requests whose answers must be like this.
func expecting(ctx context.Context, e *expectation) context.Context {
	return context.WithValue(ctx, expectationKey{}, e)
}

func expectationOf(ctx context.Context) *expectation {
	if e, ok := ctx.Value(expectationKey{}).(*expectation); ok {
		return e
	}
	return fromAPI
}

// check refuses a success in which somebody else speaks: a sign-in page, a portal,
// another program at that address. Of a DELETE it wants no body, only that there is
// no page in it.
func (e *expectation) check(req *http.Request, resp *http.Response) error {
	if resp.StatusCode >= http.StatusMultipleChoices {
		return nil
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if !e.allows(kind) && (req.Method != http.MethodDelete || isPage(kind)) {
		return &FormatError{e.from.mistaken(oneLine(kind))}
	}
	body, _ := resp.Body.(*readBody)
	wanted := req.Method == http.MethodGet || req.Method == http.MethodPost
	if wanted && string(bytes.TrimSpace(body.data)) == "null" {
		return &FormatError{"the answer is null"}
	}
	return nil
}

// allows reports whether an answer may have a media type; "" stands for none.
func (e *expectation) allows(kind string) bool {
	switch {
	case isPage(kind):
		return false
	case kind == "application/json", strings.HasSuffix(kind, "+json"), kind == "", e.types == anyType:
		return true
	default:
		return e.types == applications && strings.HasPrefix(kind, "application/")
	}
}

func isPage(kind string) bool { return kind == "text/html" || kind == "application/xhtml+xml" }
