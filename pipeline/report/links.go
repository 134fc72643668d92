package report

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Links makes addresses of pages in GitLab, for reading in a browser. The zero
// value makes none.
type Links struct {
	Instance string // its address, without a slash at the end
}

// Repository returns the address of a container repository's page, that of its project's
// if the id is 0, and nothing for a path that GitLab cannot have.
func (l Links) Repository(project string, id int64) string {
	segments := strings.Split(project, "/")
	if l.Instance == "" || slices.ContainsFunc(segments, leadsElsewhere) {
		return ""
	}
	address := l.Instance
	for _, segment := range segments {
		address += "/" + url.PathEscape(segment)
	}
	if id == 0 {
		return address
	}
	return address + "/container_registry/" + strconv.FormatInt(id, 10)
}

// leadsElsewhere reports whether a browser would take a segment for a step in the tree.
func leadsElsewhere(segment string) bool { return segment == "" || segment == "." || segment == ".." }

// attrs returns what a log line has a link with.
func (l Links) attrs(project string, id int64) []any {
	if link := l.Repository(project, id); link != "" {
		return []any{"link", link}
	}
	return nil
}
