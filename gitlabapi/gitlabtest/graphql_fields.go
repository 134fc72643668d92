package gitlabtest

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/graph-gophers/graphql-go"
)

// graphqlRoot resolves the fields of queries and mutations. The exported methods and
// fields of this and of the types below are what the schema's fields are resolved by.
type graphqlRoot struct{}

// CurrentUser resolves Query.currentUser: the owner of the token.
func (graphqlRoot) CurrentUser() *struct{ ID graphql.ID } {
	return &struct{ ID graphql.ID }{graphql.ID(globalID("User", 1))}
}

// Projects resolves Query.projects. Of the orders that GitLab has, it has those by id. Ids of
// no project are ignored.
func (graphqlRoot) Projects(ctx context.Context, args struct {
	IDs        *[]graphql.ID
	Membership *bool
	Sort       *string
	pageArguments
}) (*connection[*projectNode], error) {
	o := operationIn(ctx)
	st := o.call.server.state
	rows := slices.Clone(st.projects)
	if args.IDs != nil && !o.measuring() {
		rows = nil
		for _, text := range *args.IDs {
			id, err := o.idOf(string(text), "Project")
			if err != nil {
				return nil, err
			}
			if p := st.byID[id]; p != nil {
				rows = append(rows, p)
			}
		}
		slices.SortFunc(rows, func(a, b *project) int { return cmp.Compare(a.ID, b.ID) })
		rows = slices.Compact(rows)
	}
	if args.Membership != nil && *args.Membership {
		rows = slices.DeleteFunc(rows, func(p *project) bool { return p.NotMember })
	}
	ascending := false
	if args.Sort != nil {
		if ascending = *args.Sort == "id_asc"; !ascending && *args.Sort != "id_desc" {
			return nil, o.violate("%q is no order of projects", *args.Sort)
		}
	}
	return connect(o, rows, ascending, func(p *project) int64 { return p.ID }, args.pageArguments, func(i int, p *project) *projectNode {
		if isNth(o.call.graphql.nullProjects, i) {
			return nil
		}
		return o.node(i, p)
	})
}

// Project resolves Query.project: null where there is none.
func (graphqlRoot) Project(ctx context.Context, args struct{ FullPath graphql.ID }) *projectNode {
	o := operationIn(ctx)
	p := o.call.server.state.byPath[string(args.FullPath)]
	if o.measuring() {
		p = o.call.server.state.projects[0]
	}
	if p == nil || isNth(o.call.graphql.nullProjects, 0) {
		return nil
	}
	return o.node(0, p)
}

// node presents a project, the i-th of its page.
func (o *operation) node(i int, p *project) *projectNode {
	topics := append([]string{}, p.Topics...)
	return &projectNode{
		o: o, project: p, index: i,
		ID: graphql.ID(globalID("Project", p.ID)), FullPath: graphql.ID(p.Path),
		Archived: &p.Archived, MarkedForDeletion: &p.MarkedForDeletion, ContainerRegistryEnabled: new(!p.RegistryDisabled), Topics: &topics,
	}
}

// projectNode is a Project. What may be seen at all shows all of these fields,
// but for its repositories.
type projectNode struct {
	o       *operation
	project *project
	index   int // on its page

	ID                       graphql.ID
	FullPath                 graphql.ID
	Archived                 *bool
	MarkedForDeletion        *bool
	ContainerRegistryEnabled *bool
	Topics                   *[]string
}

// ContainerRepositoriesCount resolves containerRepositoriesCount. Rails counts
// rows of its own and checks no permission, so that the repositories of a
// project whose registry cannot be read are counted as well.
func (n *projectNode) ContainerRepositoriesCount() (int32, error) {
	if f := &n.o.call.graphql; f.countsTimeOut && n.index >= f.countsThatWork {
		return 0, graphqlError("Timeout on Project.containerRepositoriesCount")
	}
	return int32(len(n.project.repositories)), nil
}

// ContainerRepositories resolves containerRepositories, newest first: null where REST says
// 403, since GraphQL hides what may not be read. A name is looked for anywhere in the names.
func (n *projectNode) ContainerRepositories(args struct {
	Name *string
	pageArguments
}) (*connection[*repositoryNode], error) {
	if n.project.unreadable() || isNth(n.o.call.graphql.nullRepositories, n.index) {
		return nil, nil
	}
	id := func(r *repository) int64 { return r.id }
	repositories := slices.Clone(n.project.repositories)
	if slices.Contains(n.o.call.server.options.tokens[n.o.call.token], granular) {
		repositories = nil // the type is closed to such tokens
	}
	if args.Name != nil && !n.o.measuring() {
		repositories = slices.DeleteFunc(repositories, func(r *repository) bool {
			return !strings.Contains(strings.ToLower(r.name), strings.ToLower(*args.Name))
		})
	}
	return connect(n.o, repositories, false, id, args.pageArguments, func(_ int, r *repository) *repositoryNode {
		node := &repositoryNode{
			ID: repositoryID(globalID("ContainerRepository", r.id)), Name: r.name, Path: r.path,
			Location: n.o.call.registryHost() + "/" + r.path,
		}
		if r.status != "" {
			node.Status = new(strings.ToUpper(r.status))
		}
		return node
	})
}

// repositoryNode is a ContainerRepository.
type repositoryNode struct {
	ID                   repositoryID
	Name, Path, Location string
	Status               *string
}

// hasRuleAbove says whether the user is too low for a rule of a project, whichever tags that is
// about: mutations are refused then, where REST deletes what no rule protects.
func (s *Server) hasRuleAbove(p *project) bool {
	return slices.ContainsFunc(p.rules, func(r protectionRule) bool { return !r.Immutable && s.options.role < r.Delete })
}

// ruleNode is a ContainerProtectionTagRule.
type ruleNode struct {
	TagNamePattern              string
	MinimumAccessLevelForPush   *string
	MinimumAccessLevelForDelete *string
	Immutable                   bool
}

// ContainerProtectionTagRules resolves containerProtectionTagRules, newest first: those who may
// not see rules see none.
func (n *projectNode) ContainerProtectionTagRules(args pageArguments) (*connection[*ruleNode], error) {
	if isNth(n.o.call.graphql.nullRules, n.index) {
		return nil, nil
	}
	rules := n.project.rules
	if !n.o.measuring() && n.o.call.server.options.role < Maintainer {
		rules = nil
	}
	numbers := make([]int64, len(rules))
	for i := range numbers {
		numbers[i] = int64(i + 1)
	}
	id := func(number int64) int64 { return number }
	return connect(n.o, numbers, false, id, args, func(_ int, number int64) *ruleNode {
		r := rules[number-1]
		node := &ruleNode{TagNamePattern: r.Pattern, Immutable: r.Immutable}
		if !r.Immutable {
			node.MinimumAccessLevelForPush = new(strings.ToUpper(accessLevels[r.Push]))
			node.MinimumAccessLevelForDelete = new(strings.ToUpper(accessLevels[r.Delete]))
		}
		return node
	})
}

// environmentNode is an Environment.
type environmentNode struct {
	environment Environment

	ID    graphql.ID
	Name  string
	State string
}

// deploymentNode is a Deployment.
type deploymentNode struct {
	Ref, SHA *string
	Tag      *bool
}

// Environments resolves environments, newest first.
func (n *projectNode) Environments(args struct {
	States *[]string
	pageArguments
}) (*connection[*environmentNode], error) {
	server := n.o.call.server
	server.mu.Lock()
	environments := n.project.Environments
	server.mu.Unlock()
	var numbers []int64
	for i, e := range environments {
		if args.States == nil || slices.Contains(*args.States, e.state()) {
			numbers = append(numbers, int64(i+1))
		}
	}
	if args.States != nil {
		for _, state := range *args.States {
			if !slices.Contains([]string{"available", "stopping", "stopped"}, state) {
				return nil, n.o.violate("Requested states are invalid")
			}
		}
	}
	id := func(number int64) int64 { return number }
	return connect(n.o, numbers, false, id, args.pageArguments, func(i int, number int64) *environmentNode {
		if isNth(n.o.call.graphql.nullEnvironments, i) {
			return nil
		}
		e := environments[number-1]
		return &environmentNode{environment: e, ID: graphql.ID(globalID("Environment", n.project.ID*1000+number)), Name: e.Name, State: e.state()}
	})
}

func (e Environment) state() string {
	if e.Stopped {
		return "stopped"
	}
	return "available"
}

// LastDeployment resolves lastDeployment. All deployments here were successful.
func (n *environmentNode) LastDeployment(args struct{ Status string }) *deploymentNode {
	e := n.environment
	if args.Status != "SUCCESS" || e.Ref == "" {
		return nil
	}
	return &deploymentNode{Ref: &e.Ref, SHA: &e.SHA, Tag: &e.Tag}
}

const (
	// maxTagNames is how many tags one mutation takes.
	maxTagNames = 20
	// errNotAvailable is what GraphQL says of what is not there and of what may not
	// be touched, in the same words.
	errNotAvailable = graphqlError("The resource that you are attempting to access does not exist " +
		"or you don't have permission to perform this action")
)

// destroyed is a DestroyContainerRepositoryTagsPayload.
type destroyed struct {
	Errors           []string
	DeletedTagNames  []string
	ClientMutationID *string
}

// DestroyContainerRepositoryTags resolves the mutation. Several in one request
// run one after another. A failure becomes an error only when nothing was deleted; a tag
// that is gone counts as deleted.
func (graphqlRoot) DestroyContainerRepositoryTags(ctx context.Context, args struct {
	Input struct {
		ID               repositoryID
		TagNames         []string
		ClientMutationID *string
	}
}) (*destroyed, error) {
	o := operationIn(ctx)
	result := &destroyed{ClientMutationID: args.Input.ClientMutationID}
	if o.measuring() {
		return result, nil
	}
	faults, s, asked := &o.call.graphql, o.call.server, args.Input.TagNames
	if o.mutations++; faults.mutationsTimeOut && o.mutations > faults.mutationsThatWork {
		return nil, graphqlError("Timeout on Mutation.destroyContainerRepositoryTags")
	}
	id, err := o.idOf(string(args.Input.ID), "ContainerRepository")
	if err != nil {
		return nil, err
	}
	r := s.state.numbered[id]
	switch {
	case len(asked) > maxTagNames:
		return nil, o.violate("Number of tags is greater than %d", maxTagNames)
	case r == nil || r.project.unreadable() || r.project.readOnly() || r.project.NotMember || s.options.role < Developer ||
		!slices.Contains(s.options.tokens[o.call.token], "api"), s.hasRuleAbove(r.project):
		return nil, errNotAvailable
	case len(asked) > 0 && !slices.ContainsFunc(asked, func(name string) bool { return !s.protects(r.project, name) }):
		result.Errors = []string{"cannot delete protected tag(s)"}
		return result, nil
	}
	var deleted, refused []string
	unreachable := false
	for i, name := range asked {
		if slices.Contains(asked[:i], name) || s.protects(r.project, name) || isNth(faults.skipped, i) {
			continue
		}
		switch _, err := s.removeTag(o.call, r, name); {
		case errors.Is(err, errRegistrySays):
			refused = append(refused, name)
		case err != nil:
			unreachable = true
		case !isNth(faults.unnamed, i):
			deleted = append(deleted, name)
		}
	}
	switch {
	case len(deleted) == 0 && unreachable:
		result.Errors = []string{"error while deleting tags"}
	case len(deleted) == 0 && len(refused) > 0:
		result.Errors = []string{"could not delete tags: " + strings.Join(refused, ", ")}
	default:
		result.DeletedTagNames = append(deleted, faults.extraNames...)
	}
	return result, nil
}

// maxNodes is the size of a page by default, and at most.
const maxNodes = 100

// pageArguments are those of every connection.
type pageArguments struct {
	First *int32
	After *string
}

// connection is a page of a list. Nodes may be null.
type connection[N any] struct {
	Nodes    *[]N
	PageInfo struct {
		HasNextPage bool
		EndCursor   *string
	}
}

// connect presents a page of a list, of which it is given a copy in the order of the ids.
func connect[T, N any](o *operation, rows []T, ascending bool, id func(T) int64, args pageArguments, present func(i int, row T) N) (*connection[N], error) {
	if !ascending {
		slices.Reverse(rows)
	}
	rows = rows[:o.call.shorten(len(rows))]
	size, page := maxNodes, rows
	if o.measuring() {
		// The meter wants to see everything below, whatever page is asked for.
		args = pageArguments{}
	}
	if args.First != nil {
		if *args.First < 0 {
			return nil, o.violate("a page cannot have %d nodes", *args.First)
		}
		size = min(int(*args.First), maxNodes)
	}
	if args.After != nil {
		var after int64
		raw, err := base64.StdEncoding.DecodeString(*args.After)
		if _, unread := fmt.Sscanf(string(raw), cursorForm, &after); err != nil || unread != nil {
			return nil, o.violate("Please provide a valid cursor")
		}
		page = slices.DeleteFunc(slices.Clone(rows), func(row T) bool {
			return id(row) == after || (id(row) > after) != ascending
		})
	}
	result := &connection[N]{}
	result.PageInfo.HasNextPage = len(page) > size || o.call.server.options.repeatPages
	if len(page) == 0 && o.call.server.options.repeatPages {
		page = rows[max(0, len(rows)-size):]
	}
	page = page[:min(size, len(page))]
	nodes := make([]N, len(page))
	for i, row := range page {
		nodes[i] = present(i, row)
		result.PageInfo.EndCursor = new(base64.StdEncoding.EncodeToString(fmt.Appendf(nil, cursorForm, id(row))))
	}
	result.Nodes = &nodes
	return result, nil
}

// cursorForm is what GitLab's cursors hide: a row of its order.
const cursorForm = `{"id":"%d"}`

const globalPrefix = "gid://gitlab/"

// globalID is what GraphQL calls a row of Rails' database.
func globalID(model string, id int64) string {
	return globalPrefix + model + "/" + strconv.FormatInt(id, 10)
}

// idOf reads the global id of a row of one kind.
func (o *operation) idOf(text, model string) (int64, error) {
	number, found := strings.CutPrefix(text, globalPrefix+model+"/")
	id, err := strconv.ParseInt(number, 10, 64)
	if !found || err != nil {
		return 0, o.violate("%q does not represent an instance of %s", text, model)
	}
	return id, nil
}

// repositoryID is GitLab's own scalar for ids of repositories.
type repositoryID string

// ImplementsGraphQLType says which scalar it is.
func (repositoryID) ImplementsGraphQLType(name string) bool { return name == "ContainerRepositoryID" }

// UnmarshalGraphQL reads a value.
func (id *repositoryID) UnmarshalGraphQL(input any) error {
	text, ok := input.(string)
	if !ok {
		return fmt.Errorf("%v is no id", input)
	}
	*id = repositoryID(text)
	return nil
}
