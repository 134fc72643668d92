package gitlabapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// object is an object of JSON.
type object = map[string]any

// fakeInstance is a network with an instance that knows projects, over GraphQL and over REST
// alike. A test says how its GraphQL misbehaves.
type fakeInstance struct {
	projects []Project // by ascending id; Repositories is how many each has
	// instead answers a query, unless it returns nil. spoil changes an answer.
	instead func(q *query, req *http.Request) (*http.Response, error)
	spoil   func(q *query, answer object)
	// restOnly makes REST list more than that number of repositories for a project.
	restOnly map[int64]int
	// restOverlap is by how much REST begins earlier than it is asked to, once.
	restOverlap int64
	// rules answers when rules for protected tags are asked for over REST; nil for one rule.
	rules func(*http.Request) *http.Response

	mu    sync.Mutex
	asked []string
}

// query is a query that was asked.
type query struct {
	// what is "full" or "bare" for a page of projects, "list" or "delete".
	what      string
	number    int // of queries before it
	Query     string
	Variables struct {
		First int
		After string
		IDs   []string
	}
	variables object
}

func (k *fakeInstance) RoundTrip(req *http.Request) (*http.Response, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if req.Method != http.MethodPost {
		return k.rest(req)
	}
	q := &query{number: len(k.asked)}
	body, err := io.ReadAll(req.Body)
	var variables struct{ Variables object }
	if err != nil || json.Unmarshal(body, q) != nil || json.Unmarshal(body, &variables) != nil {
		return nil, fmt.Errorf("%q is no query", body)
	}
	q.variables = variables.Variables
	answer := k.data(q)
	note := q.what
	if q.what == "list" {
		note += fmt.Sprintf(" %d", len(q.Variables.IDs))
	}
	k.asked = append(k.asked, note)
	if k.instead != nil {
		if resp, err := k.instead(q, req); resp != nil || err != nil {
			return resp, err
		}
	}
	if k.spoil != nil {
		k.spoil(q, answer)
	}
	text, err := json.Marshal(answer)
	return reply(req, 200, string(text)), err
}

// data answers a query and says what it is.
func (k *fakeInstance) data(q *query) object {
	switch {
	case strings.HasPrefix(q.Query, "mutation("):
		q.what = "delete"
		data := object{}
		for name, value := range q.variables {
			if alias, ok := strings.CutSuffix(name, "names"); ok {
				data[alias] = object{"errors": []string{}, "deletedTagNames": value}
			}
		}
		return object{"data": data}
	case len(q.Variables.IDs) > 0:
		q.what = "list"
		return object{"data": object{"projects": object{"nodes": k.listed(q)}}}
	}
	counted := strings.Contains(q.Query, countField)
	q.what = map[bool]string{true: "full", false: "bare"}[counted]
	after, _ := strconv.ParseInt(strings.TrimPrefix(q.Variables.After, "after"), 10, 64)
	page, more := k.page(after, q.Variables.First)
	nodes, end := make([]any, len(page)), ""
	for i, p := range page {
		node := object{"id": globalID(projectIDs, p.ID), "fullPath": p.Path, "archived": p.Archived, "containerRegistryEnabled": p.Registry}
		if counted {
			node[countField] = p.Repositories
		}
		nodes[i], end = node, fmt.Sprintf("after%d", p.ID)
	}
	data := object{}
	if strings.Contains(q.Query, userField) {
		data[userField] = object{"id": "gid://gitlab/User/1"}
	}
	data["projects"] = object{"nodes": nodes, "pageInfo": object{"hasNextPage": more, "endCursor": end}}
	return object{"data": data}
}

// page returns what follows an id.
func (k *fakeInstance) page(after int64, size int) (page []Project, more bool) {
	from, _ := slices.BinarySearchFunc(k.projects, after+1, func(p Project, id int64) int { return int(p.ID - id) })
	to := min(from+size, len(k.projects))
	return k.projects[from:to], to < len(k.projects)
}

// listed returns the repositories of projects.
func (k *fakeInstance) listed(q *query) []any {
	var nodes []any
	for _, p := range k.projects {
		if !slices.Contains(q.Variables.IDs, globalID(projectIDs, p.ID)) {
			continue
		}
		repositories := []any{}
		for _, r := range repositoriesIn(p, 0)[:min(p.Repositories, pageSize)] {
			repositories = append(repositories, object{
				"id": globalID(repositoryIDs, r.ID), "name": r.Name, "path": r.Path, "location": r.Host + "/" + r.Path, "status": nil,
			})
		}
		node := object{"id": globalID(projectIDs, p.ID)}
		if strings.Contains(q.Query, "containerRepositories") {
			node["containerRepositories"] = object{
				"nodes": repositories, "pageInfo": object{"hasNextPage": p.Repositories > pageSize, "endCursor": "x"},
			}
		}
		if strings.Contains(q.Query, rulesField) {
			node[rulesField] = object{"nodes": []any{object{"tagNamePattern": ruleOf(p.ID)}}, "pageInfo": object{"hasNextPage": false, "endCursor": "x"}}
		}
		nodes = append(nodes, node)
	}
	return nodes
}

// ruleOf is the pattern by which a project protects tags.
func ruleOf(id int64) string { return fmt.Sprintf("^keep-%d$", id) }

// repositoriesIn returns the repositories of a project, and some more.
func repositoriesIn(p Project, more int) []Repository {
	all := make([]Repository, p.Repositories+more)
	for i := range all {
		name := fmt.Sprintf("r%d", i)
		all[i] = Repository{ID: p.ID*1000 + int64(i), ProjectID: p.ID, Name: name, Path: strings.ToLower(p.Path) + "/" + name, Host: "registry.example"}
	}
	return all
}

// rest answers requests over REST.
func (k *fakeInstance) rest(req *http.Request) (*http.Response, error) {
	var answer []object
	next := ""
	if id, ok := strings.CutSuffix(strings.TrimPrefix(req.URL.Path, "/api/v4/projects/"), "/registry/repositories"); ok {
		k.asked = append(k.asked, "REST "+id)
		number, _ := strconv.ParseInt(id, 10, 64)
		page, _ := k.page(number-1, 1)
		if len(page) == 0 || page[0].ID != number {
			return reply(req, 404, `{"message":"404 Project Not Found"}`), nil
		}
		for _, r := range repositoriesIn(page[0], k.restOnly[number]) {
			answer = append(answer, object{"id": r.ID, "project_id": number, "name": r.Name, "path": r.Path, "location": r.Host + "/" + r.Path})
		}
	} else if id, ok := strings.CutSuffix(strings.TrimPrefix(req.URL.Path, "/api/v4/projects/"), "/registry/protection/tag/rules"); ok {
		k.asked = append(k.asked, "rules "+id)
		number, _ := strconv.ParseInt(id, 10, 64)
		if k.rules != nil {
			return k.rules(req), nil
		}
		answer = []object{{"id": 1, "project_id": number, "tag_name_pattern": ruleOf(number)}}
	} else {
		k.asked = append(k.asked, "REST")
		after, _ := strconv.ParseInt(req.URL.Query().Get("id_after"), 10, 64)
		after, k.restOverlap = after-k.restOverlap, 0
		page, more := k.page(after, pageSize)
		for _, p := range page {
			answer = append(answer, object{"id": p.ID, "path_with_namespace": p.Path, "archived": p.Archived, "container_registry_enabled": p.Registry})
		}
		if more {
			next = fmt.Sprintf(`<https://gitlab.example/api/v4/projects?id_after=%d>; rel="next"`, page[len(page)-1].ID)
		}
	}
	text, err := json.Marshal(answer)
	if answer == nil {
		text = []byte("[]")
	}
	return reply(req, 200, string(text), "Link", next, "X-Next-Page", ""), err
}

// requests returns what was asked, like things in a row as one, and forgets it.
func (k *fakeInstance) requests() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var runs []string
	for len(k.asked) > 0 {
		n := 1
		for n < len(k.asked) && k.asked[n] == k.asked[0] {
			n++
		}
		runs = append(runs, fmt.Sprintf("%d×%s", n, k.asked[0]))
		k.asked = k.asked[n:]
	}
	return strings.Join(runs, ", ")
}

// instanceWith returns an instance with a number of projects. Their ids have gaps, and every
// seventh has repositories.
func instanceWith(n int) *fakeInstance {
	k := new(fakeInstance)
	for i := range n {
		p := Project{ID: int64(10 + 3*i), Path: fmt.Sprintf("Group/p%d", i), Registry: i%5 != 0, Archived: i%11 == 0}
		if i%7 == 0 {
			p.Repositories = 1 + i%3
		}
		k.projects = append(k.projects, p)
	}
	return k
}

// inside returns what lies below an answer, by names and indices.
func inside(answer any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			answer = answer.(object)[step]
		case int:
			answer = answer.([]any)[step]
		}
	}
	return answer
}

// saying makes the errors of an answer.
func saying(messages ...string) []any {
	var all []any
	for _, message := range messages {
		all = append(all, object{"message": message})
	}
	return all
}

// unknown makes the error of a version that does not know a field.
func unknown(field string) object {
	return object{"errors": []any{object{
		"message":    fmt.Sprintf("Field '%s' doesn't exist on type 'Project'", field),
		"locations":  []any{object{"line": 1, "column": 2}},
		"path":       []any{"query", "projects", "nodes", field},
		"extensions": object{"code": "undefinedField", "typeName": "Project", "fieldName": field},
	}}}
}

func mustMarshal(t testing.TB, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
