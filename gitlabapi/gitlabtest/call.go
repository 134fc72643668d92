package gitlabtest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// call is one request on its way through the server.
type call struct {
	server  *Server
	host    host // what is served where it came in
	writer  http.ResponseWriter
	request *http.Request
	path    string // decoded, below /api/v4
	query   url.Values
	route   *route            // nil when there is none
	params  map[string]string // of the route's path
	refusal *refusal          // why there is no route
	token   string
	// operation is what GraphQL is asked, nil when something else is.
	operation *operation
	// registry says that the registry is asked, and not Rails.
	registry bool
	header   http.Header // of the answer

	// What faults do to it.
	registryFails       bool
	registryUnreachable bool
	configUnreadable    bool
	cut                 func(total int) int
	cutBody             bool
	realm               string    // that the registry names for tokens
	manifest            *manifest // that is served in place of every other
	graphql             graphqlFaults
	// lost says of a tag that its manifest cannot be found; nil when all can be.
	lost          func(path, tag string) bool
	blobsLost     bool
	stale         map[string]*storedRepository // what is read in the registry's place
	deletionTakes time.Duration

	// What is recorded.
	status    int
	violation string
	at        time.Time
}

// answer is a status and a body: a value that becomes JSON, or text as it is.
type answer struct {
	status      int
	body        any
	contentType string // of the body; JSON when empty
}

// noBody is the body of an answer that has none, and no type either.
type noBody struct{}

// refusal is a request that no endpoint takes.
type refusal struct {
	answer *answer
	why    string
}

func (s *Server) newCall(at host, w http.ResponseWriter, r *http.Request) *call {
	c := &call{
		server: s, host: at, writer: w, request: r, at: s.options.clock(),
		token: tokenOf(r), header: http.Header{},
	}
	c.resolveRoute(at)
	if c.route == tokenRoute {
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
	if c.route == nil {
		return "unknown"
	}
	if c.registry {
		// A HEAD spares the body, which is worth knowing there.
		return c.request.Method + " " + c.route.template
	}
	name := c.route.method + " " + c.route.template
	if kind := c.kind(); kind != "" {
		name += " " + kind
	}
	return name
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
	switch {
	case c.request.Method == http.MethodGet, c.request.Method == http.MethodHead:
		return false
	default:
		return c.kind() != kindQuery
	}
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// flag reads a boolean parameter, which has been checked already.
func (c *call) flag(name string) bool {
	return truthy(c.query.Get(name))
}

func truthy(s string) bool { return s == "true" || s == "1" }

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
func (c *call) registryHost() string {
	if host := c.server.options.registryHost; host != "" {
		return host
	}
	return c.request.Host
}

// write sends an answer.
func (c *call) write(a *answer) {
	body := a.bytes()
	c.status = a.status
	header := c.writer.Header()
	for name, values := range c.header {
		if !c.strips(name) {
			header[name] = values
		}
	}
	if contentType := a.typeOfBody(); contentType != "" && header.Get("Content-Type") == "" {
		header.Set("Content-Type", contentType)
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	c.writer.WriteHeader(a.status)
	c.send(body)
}

// bytes returns the body as it is sent.
func (a *answer) bytes() []byte {
	switch body := a.body.(type) {
	case string:
		return []byte(body)
	case []byte:
		return body
	case noBody:
		return nil
	default:
		text := encode(body)
		if a.contentType == registryJSON {
			text = append(text, '\n') // as the registry's encoder does
		}
		return text
	}
}

func (a *answer) typeOfBody() string {
	if _, none := a.body.(noBody); none {
		return ""
	}
	return cmp.Or(a.contentType, "application/json")
}

// strips says whether a proxy takes a header off the answer.
func (c *call) strips(header string) bool {
	return c.server.options.noPageHeaders &&
		(header == "Link" || strings.HasPrefix(header, "X-"))
}

// send writes a body, or its first half before the connection is cut.
func (c *call) send(body []byte) {
	if c.request.Method == http.MethodHead {
		return
	}
	if !c.cutBody {
		// The client has gone away when this fails.
		_, _ = c.writer.Write(body)
		return
	}
	_, _ = c.writer.Write(body[:len(body)/2])
	_ = http.NewResponseController(c.writer).Flush()
	panic(http.ErrAbortHandler)
}

func encode(body any) []byte {
	text, err := json.Marshal(body)
	if err != nil {
		panic("gitlabtest: " + err.Error())
	}
	return text
}
