package gitlabtest

import (
	"errors"
	"slices"
	"strings"
)

// repositoryNode is a ContainerRepository.
type repositoryNode struct {
	o          *operation
	repository *repository
}

// repositoryDetails is a ContainerRepositoryDetails, which alone has tags.
type repositoryDetails struct{ repositoryNode }

// connectRepositories lists repositories that are in the order of their ids,
// newest first unless they are sorted. Dates are in the order of the ids.
func connectRepositories(o *operation, rows []*repository, args repositoriesArguments) (*connection[*repositoryNode], error) {
	l := &listing[*repository]{
		rows: rows, id: func(r *repository) int64 { return r.id }, byID: true, descending: true,
	}
	if args.Name != nil && !o.measuring {
		wanted := strings.ToLower(*args.Name)
		l.keep = func(r *repository) bool { return strings.Contains(r.name, wanted) }
	}
	if args.Sort != nil {
		l.descending = strings.HasSuffix(*args.Sort, "_DESC")
		if strings.HasPrefix(*args.Sort, "NAME_") {
			l.sortBy(func(r *repository) string { return r.name })
		}
	}
	return connect(l, o, args.pageArguments, func(_ int, r *repository) *repositoryNode {
		return &repositoryNode{o, r}
	})
}

// ID resolves id.
func (n repositoryNode) ID() repositoryID {
	return repositoryID(globalID("ContainerRepository", n.repository.id))
}

// Name resolves name.
func (n repositoryNode) Name() string { return n.repository.name }

// Path resolves path.
func (n repositoryNode) Path() string { return n.repository.path }

// Location resolves location.
func (n repositoryNode) Location() string {
	return n.o.call.registryHost() + "/" + n.repository.path
}

// Status resolves status.
func (n repositoryNode) Status() *string {
	if n.repository.status == "" {
		return nil
	}
	return new(strings.ToUpper(n.repository.status))
}

// Project resolves project.
func (n repositoryNode) Project() *projectNode {
	return &projectNode{o: n.o, project: n.repository.project}
}

// errNoRegistry is what Rails says when it cannot connect to the registry.
const errNoRegistry = inWords("Can't connect to the Container Registry. If this error persists, " +
	"please review the troubleshooting documentation.")

// TagsCount resolves tagsCount: 0 on an error of the registry.
func (n repositoryNode) TagsCount() (int32, error) {
	names, err := n.tagNames()
	return int32(len(names)), err
}

// tagNames is what Rails makes of the registry's list.
func (n repositoryNode) tagNames() ([]string, error) {
	c := n.o.call
	s := c.server
	switch {
	case n.o.measuring:
		return []string{"main"}, nil
	case c.registryUnreachable:
		return nil, errNoRegistry
	case s.backend != nil:
		tags, err := s.backend.names(c.request.Context(), n.repository.path)
		if err != nil && !errors.Is(err, errRegistrySays) {
			return nil, errNoRegistry
		}
		if s.registryFails(c) {
			tags = nil
		}
		return namesOf(tags[:c.shorten(len(tags))]), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return namesOf(s.tagsSeen(c, n.repository)), nil
}

func namesOf(tags []storedTag) []string {
	names := make([]string, len(tags))
	for i := range tags {
		names[i] = tags[i].name
	}
	return names
}

// maxTagNodes is the size of a page of tags.
const maxTagNodes = 20

// Tags resolves tags. Of a page that is larger than it may be, only the beginning
// is shown. With a database the next page begins all the same where the registry
// ended the one that it was asked for, so that tags are skipped; and without a
// size it is asked for none at all.
func (n *repositoryDetails) Tags(args struct {
	First *int32
	After *string
}) (*connection[*tagNode], error) {
	names, err := n.tagNames()
	if err != nil {
		return nil, err
	}
	if args.After != nil && !n.o.measuring {
		i, there := slices.BinarySearch(names, *args.After)
		if there {
			i++
		}
		names = names[i:]
	}
	return n.tagsPage(names, n.o.tagsAsked(args.First)), nil
}

// tagsAsked is how many tags Rails asks the registry for.
func (o *operation) tagsAsked(first *int32) int {
	database := o.call.server.state.regime == Database
	switch {
	case o.measuring:
		return 1
	case first == nil && database:
		return 0
	case first == nil:
		return maxTagNodes
	case database:
		return max(0, int(*first))
	default:
		return min(max(0, int(*first)), maxTagNodes)
	}
}

func (n *repositoryDetails) tagsPage(names []string, asked int) *connection[*tagNode] {
	page := names[:min(asked, len(names))]
	c := &connection[*tagNode]{info: pageInfo{next: len(page) > 0 && len(page) < len(names)}}
	for _, name := range page[:min(maxTagNodes, len(page))] {
		c.nodes = append(c.nodes, &tagNode{n.o.call.presentTag(n.repository, name)})
		c.cursors = append(c.cursors, name)
	}
	c.info.span(c.cursors)
	if len(page) > 0 {
		c.info.end = &page[len(page)-1]
	}
	return c
}

// tagNode is a ContainerRepositoryTag.
type tagNode struct{ tag shownTag }

// Name resolves name.
func (n *tagNode) Name() string { return n.tag.Name }

// Path resolves path.
func (n *tagNode) Path() string { return n.tag.Path }

// Location resolves location.
func (n *tagNode) Location() string { return n.tag.Location }
