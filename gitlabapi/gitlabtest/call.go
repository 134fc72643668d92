package gitlabtest

import (
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
	writer  http.ResponseWriter
	request *http.Request
	path    string // decoded, below /api/v4
	query   url.Values
	route   *route            // nil when there is none
	params  map[string]string // of the route's path
	refusal *refusal          // why there is no route
	token   string
	header  http.Header // of the answer

	// What faults did to it.
	registryFails       bool
	registryUnreachable bool
	configUnreadable    bool
	cut                 func(total int) int
	cutBody             bool

	// What is recorded.
	status    int
	violation string
	at        time.Time
}

// answer is a status and a body: a value that becomes JSON, or text as it is.
type answer struct {
	status      int
	body        any
	contentType string // of a body that is a string; JSON when empty
}

// refusal is a request that no endpoint takes.
type refusal struct {
	answer *answer
	why    string
}

func (s *Server) newCall(w http.ResponseWriter, r *http.Request) *call {
	c := &call{
		server: s, writer: w, request: r, at: s.options.clock(),
		token: tokenOf(r), header: http.Header{},
	}
	c.resolveRoute()
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil && c.refusal == nil {
		c.refusal = &refusal{badRequest("query string is malformed"), "malformed query string"}
	}
	c.query = query
	return c
}

// endpoint names what was asked for without what it was asked about.
func (c *call) endpoint() string {
	if c.route == nil {
		return "unknown"
	}
	return c.route.method + " " + c.route.template
}

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
	text, plain := a.body.(string)
	contentType := a.contentType
	body := []byte(text)
	if contentType == "" {
		contentType = "application/json"
	}
	if !plain {
		body = encode(a.body)
	}
	c.status = a.status
	header := c.writer.Header()
	for name, values := range c.header {
		if !c.strips(name) {
			header[name] = values
		}
	}
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", contentType)
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	c.writer.WriteHeader(a.status)
	c.send(body)
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
		// The client has gone away when this fails, which is its own affair.
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
