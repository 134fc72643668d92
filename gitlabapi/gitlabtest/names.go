package gitlabtest

import (
	"regexp"
	"strings"
)

// What GitLab and the registry let things be called. Paths of projects may
// hold capitals, which the registry does not know; worlds do without them.
var (
	pathElement       = regexp.MustCompile(`^[a-z0-9_][a-z0-9_.-]*$`)
	repositoryElement = regexp.MustCompile(`^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$`)
	tagName           = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
)

// validPath holds for full paths of projects that are images' paths as well.
func validPath(path string) bool {
	for element := range strings.SplitSeq(path, "/") {
		if !pathElement.MatchString(element) || !repositoryElement.MatchString(element) {
			return false
		}
		if strings.HasSuffix(element, ".git") || strings.HasSuffix(element, ".atom") {
			return false
		}
	}
	return true
}

// validRepository holds for names of repositories below their project.
func validRepository(name string) bool {
	if name == "" {
		return true
	}
	for element := range strings.SplitSeq(name, "/") {
		if !repositoryElement.MatchString(element) {
			return false
		}
	}
	return true
}

func validTag(name string) bool { return tagName.MatchString(name) }
