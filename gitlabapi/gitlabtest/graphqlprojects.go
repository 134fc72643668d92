package gitlabtest

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/graph-gophers/graphql-go"
)

// projectNode is a Project. Who may see a project, may see all of these fields,
// but for its repositories.
type projectNode struct {
	o       *operation
	project *project
	index   int // on its page
}

func byProjectID(a, b *project) int { return cmp.Compare(a.id, b.id) }

// listProjects lists projects that are in the order of their ids, newest first.
func listProjects(rows []*project) *listing[*project] {
	return &listing[*project]{
		rows: rows, id: func(p *project) int64 { return p.id }, byID: true, descending: true,
	}
}

// orderProjects sets the order. What else GitLab sorts by it does not have here;
// all dates are in the order of the ids. Sorting by name looks at every project
// for every page.
func orderProjects(o *operation, l *listing[*project], order *string) error {
	if order == nil {
		return nil
	}
	by, direction, ok := cutSort(*order)
	if !ok {
		return o.violate("%q is no order of projects", *order)
	}
	l.descending = direction == "desc"
	if by == "name" || by == "path" {
		l.sortBy((*project).base)
	}
	return nil
}

// cutSort parts what is sorted by from the direction.
func cutSort(order string) (by, direction string, ok bool) {
	i := strings.LastIndexByte(order, '_')
	if i < 0 {
		return "", "", false
	}
	by, direction = order[:i], order[i+1:]
	known := []string{"id", "name", "path", "created_at", "updated_at", "last_activity_at"}
	return by, direction, slices.Contains(known, by) && (direction == "asc" || direction == "desc")
}

func connectProjects(o *operation, l *listing[*project], args pageArguments) (*connection[*projectNode], error) {
	return connect(l, o, args, func(i int, p *project) *projectNode {
		if o.strikesNth(o.call.misled.nullProjects, i) {
			return nil
		}
		return &projectNode{o, p, i}
	})
}

// ID resolves id.
func (n *projectNode) ID() graphql.ID { return graphql.ID(globalID("Project", n.project.id)) }

// FullPath resolves fullPath.
func (n *projectNode) FullPath() graphql.ID { return graphql.ID(n.project.path) }

// Archived resolves archived.
func (n *projectNode) Archived() *bool { return &n.project.archived }

// ContainerRegistryEnabled resolves containerRegistryEnabled.
func (n *projectNode) ContainerRegistryEnabled() *bool { return new(!n.project.disabled) }

// ContainerRepositoriesCount resolves containerRepositoriesCount. Rails counts
// rows of its own and asks nobody's permission, so that the repositories of a
// project whose registry cannot be read are counted as well.
func (n *projectNode) ContainerRepositoriesCount() (int32, error) {
	if n.o.countTimesOut(n.index) {
		return 0, inWords("Timeout on Project.containerRepositoriesCount")
	}
	return int32(len(n.project.repositories)), nil
}

type repositoriesArguments struct {
	Name, Sort *string
	pageArguments
}

// ContainerRepositories resolves containerRepositories: null where REST says
// 403, since GraphQL hides what one may not read.
func (n *projectNode) ContainerRepositories(args repositoriesArguments) (*connection[*repositoryNode], error) {
	if n.project.unreadable() || n.o.strikesNth(n.o.call.misled.nullRepositories, n.index) {
		return nil, nil
	}
	return connectRepositories(n.o, n.project.repositories, args)
}

// groupNode is a Group.
type groupNode struct {
	o     *operation
	group *Group
}

// ID resolves id.
func (n *groupNode) ID() graphql.ID { return graphql.ID(globalID("Group", n.group.ID)) }

// FullPath resolves fullPath.
func (n *groupNode) FullPath() graphql.ID { return graphql.ID(n.group.Path) }

// Projects resolves projects.
func (n *groupNode) Projects(_ context.Context, args struct {
	IncludeSubgroups bool
	pageArguments
}) (*connection[*projectNode], error) {
	if n.o.measuring {
		return connectProjects(n.o, listProjects([]*project{sample.project}), args.pageArguments)
	}
	l := listProjects(n.o.call.server.below().projects[n.group])
	if !args.IncludeSubgroups {
		l.keep = func(p *project) bool { return p.group == n.group }
	}
	return connectProjects(n.o, l, args.pageArguments)
}

// ContainerRepositories resolves containerRepositories: what REST lists for a
// group.
func (n *groupNode) ContainerRepositories(args repositoriesArguments) (*connection[*repositoryNode], error) {
	if n.o.measuring {
		return connectRepositories(n.o, sample.project.repositories, args)
	}
	return connectRepositories(n.o, n.o.call.server.below().repositoriesOf(n.group), args)
}
