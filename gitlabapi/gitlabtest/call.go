package gitlabtest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// call is one request on its way through the server.
type call struct {
	server    *Server
	writer    http.ResponseWriter
	request   *http.Request
	path      string // decoded, below /api/v4
	query     url.Values
	route     *route            // nil when there is none
	params    map[string]string // of the route's path
	refusal   *refusal          // why there is no route
	token     string
	operation *operation  // what GraphQL is asked, nil when something else is
	registry  bool        // the registry is asked, and not Rails
	header    http.Header // of the answer

	// What faults do to it.
	registryFails       bool
	registryUnreachable bool
	configUnreadable    bool
	cut                 func(total int) int
	cutBody             bool
	halved              bool      // the body ends in its middle, and seems whole
	realm               string    // that the registry names for tokens
	manifest            *manifest // that is served in place of every other
	graphql             graphqlFaults
	// lost says of a tag that its manifest cannot be found; nil when all can be.
	lost          func(path, tag string) bool
	blobsLost     bool
	unlinked      *regexp.Regexp               // tags that are listed and not there
	dropsPushes   bool                         // a manifest that is pushed is not kept
	stale         map[string]*storedRepository // what is read in the registry's place
	deletionTakes time.Duration

	// What is recorded.
	status    int
	violation string
	at        time.Time
}

// refusal is a request that no endpoint takes.
type refusal struct {
	answer *answer
	why    string
}

func (s *Server) newCall(at host, w http.ResponseWriter, r *http.Request) *call {
	c := &call{server: s, writer: w, request: r, at: s.options.clock(), header: http.Header{}}
	c.resolveRoute(at)
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	c.token = cmp.Or(r.Header.Get("PRIVATE-TOKEN"), bearer)
	if c.route == tokenRoute || c.route == gitRoute {
		_, c.token, _ = r.BasicAuth()
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil && c.refusal == nil {
		c.refusal = &refusal{badRequest("query string is malformed"), "malformed query string"}
	}
	c.query = query
	if c.route == graphqlRoute {
		c.operation = readOperation(c)
	}
	return c
}

// endpoint names what was asked for without what it was asked about.
func (c *call) endpoint() string {
	switch {
	case c.route == nil:
		return "unknown"
	case c.registry:
		// A HEAD has no body, which is worth knowing there.
		return c.request.Method + " " + c.route.template
	default:
		return strings.TrimSpace(c.route.method + " " + c.route.template + " " + c.kind())
	}
}

// kind is that of the operation that GraphQL is asked, "" elsewhere and where it
// cannot be told.
func (c *call) kind() string {
	if c.operation == nil {
		return ""
	}
	return c.operation.kind
}

// changes says whether the call may change anything, as far as can be seen from
// outside.
func (c *call) changes() bool {
	return c.request.Method != http.MethodGet && c.request.Method != http.MethodHead && c.kind() != kindQuery
}

// flag reads a boolean parameter, which has been checked already.
func (c *call) flag(name string) bool { return c.query.Get(name) == "true" || c.query.Get(name) == "1" }

// number reads a parameter, which has been checked already.
func (c *call) number(name string, otherwise int) int {
	n, err := strconv.Atoi(c.query.Get(name))
	if err != nil {
		return otherwise
	}
	return n
}

// shorten says how much of a list of so many items is there at all.
func (c *call) shorten(total int) int {
	if c.cut == nil {
		return total
	}
	return min(total, max(0, c.cut(total)))
}

// registryHost is the host in locations.
func (c *call) registryHost() string { return cmp.Or(c.server.options.registryHost, c.request.Host) }

// origin is the scheme and host that were asked.
func (c *call) origin() string {
	if c.request.TLS != nil {
		return "https://" + c.request.Host
	}
	return "http://" + c.request.Host
}

// instance is the scheme and host that addresses in answers begin with.
func (c *call) instance() string {
	return cmp.Or(c.server.options.externalURL, c.origin()+c.server.options.basePath)
}

// answer is a status and a body: a value that becomes JSON, or text as it is.
type answer struct {
	status      int
	body        any
	contentType string // of the body; JSON when empty
}

// noBody is the body of an answer that has none, and no type either.
type noBody struct{}

// write sends an answer, or half of it before the connection is cut.
func (c *call) write(a *answer) {
	var body []byte
	contentType := cmp.Or(a.contentType, "application/json")
	switch b := a.body.(type) {
	case string:
		body = []byte(b)
	case []byte:
		body = b
	case noBody:
		contentType = ""
	default:
		text, err := json.Marshal(b)
		mustBe(err == nil, "%v", err)
		if body = text; a.contentType == registryJSON {
			body = append(body, '\n') // as the registry's encoder does
		}
	}
	if c.halved {
		body = body[:len(body)/2]
	}
	c.status = a.status
	header := c.writer.Header()
	for name, values := range c.header {
		if stripped := name == "Link" || strings.HasPrefix(name, "X-"); !stripped || !c.server.options.noPageHeaders {
			header[name] = values
		}
	}
	if contentType != "" && header.Get("Content-Type") == "" {
		header.Set("Content-Type", contentType)
	}
	if header.Get("Content-Length") == "" {
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	c.writer.WriteHeader(a.status)
	switch {
	case c.request.Method == http.MethodHead:
	case !c.cutBody:
		_, _ = c.writer.Write(body) // when this fails, the client has gone away
	default:
		_, _ = c.writer.Write(body[:len(body)/2])
		_ = http.NewResponseController(c.writer).Flush()
		panic(http.ErrAbortHandler)
	}
}

func ok(body any) *answer { return &answer{status: http.StatusOK, body: body} }

// problem is the body of errors that GitLab's API framework raises.
type problem struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
	Scope       string `json:"scope,omitempty"`
}

// failure is an error in GitLab's words: the status, and what went wrong.
func failure(status int, what string) *answer {
	return &answer{status: status, body: map[string]string{"message": strconv.Itoa(status) + " " + what}}
}

func notFound(what string) *answer { return failure(http.StatusNotFound, what+" Not Found") }

func forbidden() *answer { return failure(http.StatusForbidden, "Forbidden") }

func badRequest(what string) *answer {
	return &answer{status: http.StatusBadRequest, body: problem{Error: what}}
}

func notAllowed(what string) *answer {
	return &answer{status: http.StatusMethodNotAllowed, body: problem{Error: what}}
}

const registryJSON = "application/json; charset=utf-8"

// registryFailure is an error of the registry, or of /jwt/auth.
func registryFailure(status int, code, message string, detail any) *answer {
	type registryError struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Detail  any    `json:"detail,omitempty"`
	}
	return &answer{status: status, contentType: registryJSON, body: map[string]any{
		"errors": []registryError{{code, message, detail}},
	}}
}

// noRegistryPage is what the registry says to paths and methods that it does not
// know.
func noRegistryPage(status int) *answer {
	text := "404 page not found\n"
	if status == http.StatusMethodNotAllowed {
		text = "Method not allowed\n"
	}
	return &answer{status: status, body: text, contentType: "text/plain; charset=utf-8"}
}

func unavailable() *answer {
	return registryFailure(http.StatusServiceUnavailable, "UNAVAILABLE", "service unavailable", nil)
}

// tagProtected and tagImmutable have no WWW-Authenticate, which tells them from a token that ran
// out.
func tagProtected() *answer {
	return registryFailure(http.StatusUnauthorized, "PROTECTED_TAG", "insufficient permissions to alter protected tag", nil)
}

func tagImmutable() *answer {
	return registryFailure(http.StatusUnauthorized, "IMMUTABLE_TAG", "insufficient permissions to alter immutable tag", nil)
}

func manifestUnknown(message string, detail any) *answer {
	return registryFailure(http.StatusNotFound, "MANIFEST_UNKNOWN", message, detail)
}

func tagUnknown(tag string) *answer {
	return manifestUnknown("manifest unknown", map[string]string{"Tag": tag})
}

func revisionUnknown(path, digest string) *answer {
	return manifestUnknown("manifest unknown", map[string]string{"Name": path, "Revision": digest})
}

func manifestInvalid(detail string) *answer {
	return registryFailure(http.StatusBadRequest, "MANIFEST_INVALID", "manifest invalid", detail)
}
