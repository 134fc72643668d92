package gitlabtest

import (
	"errors"
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
