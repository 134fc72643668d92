package gitlabtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"sync"

	"github.com/graph-gophers/graphql-go/errors"
)

// The kinds of operations, as [Request] and [Fault] name them.
const (
	kindQuery    = "query"
	kindMutation = "mutation"
)

// operation is what a request asks of GraphQL.
type operation struct {
	call      *call
	query     string
	name      string
	variables map[string]any

	malformed string               // why the body is no request
	problems  []*errors.QueryError // why the schema refuses it

	mu        sync.Mutex // fields are resolved by several goroutines
	measuring bool
	kind      string // "" when it cannot be told
	score     int
	depth     int
	declared  map[string]bool // its variables; nil before it was found valid
	mutations int             // begun so far
	violation string
}

// operationKey is under what the operation stands in the context.
type operationKey struct{}

func operationIn(ctx context.Context) *operation {
	return ctx.Value(operationKey{}).(*operation)
}

// readOperation reads a request's body and measures what it asks for, before
// anything else becomes of it: faults, hooks and records ask what kind it is.
func readOperation(c *call) *operation {
	o := &operation{call: c}
	if o.malformed = o.read(); o.malformed == "" {
		o.measure()
	}
	return o
}

// read returns what is wrong with the body. GitLab passes over members that it
// does not know, and over the type of the body.
func (o *operation) read() string {
	var body []byte
	if r := o.call.request; r.Body != nil {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // the client has gone away
		}
		body = text
	}
	mediaType, _, err := mime.ParseMediaType(o.call.request.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return "the body is not said to be JSON"
	}
	return o.decode(body)
}

// decode takes the members of a request from a body. It is exact about their
// names, where Go would pass over capitals.
func (o *operation) decode(body []byte) string {
	var sent map[string]json.RawMessage
	if err := json.Unmarshal(body, &sent); err != nil {
		return "the body is no request: " + err.Error()
	}
	members := map[string]any{"query": &o.query, "variables": &o.variables, "operationName": &o.name}
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		if members[name] == nil {
			return name + " is no member of a request"
		}
		if err := json.Unmarshal(sent[name], members[name]); err != nil {
			return "the body is no request: " + err.Error()
		}
	}
	return ""
}

// measure runs the operation against one of everything, while the meter counts.
// It always asks the whole schema: to find out that an old GitLab lacks a field
// is no mistake of a client's.
func (o *operation) measure() {
	o.measuring = true
	response := o.execute(graphqlSchema(), context.Background())
	o.measuring = false
	switch {
	case o.kind == "" && len(response.Errors) > 0:
		o.problems = response.Errors
	default:
		for _, name := range slices.Sorted(maps.Keys(o.variables)) {
			if !o.declared[name] {
				o.problems = append(o.problems, errors.Errorf("Variable $%s is not declared by the operation", name))
			}
		}
	}
}

// violate refuses the value of an argument, and has it recorded.
func (o *operation) violate(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.measuring && o.violation == "" {
		o.violation = text
	}
	return inWords(text)
}

// inWords is an error in GitLab's own words, which are answered as they are.
type inWords string

func (e inWords) Error() string { return string(e) }
