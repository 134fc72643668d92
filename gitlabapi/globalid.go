package gitlabapi

import (
	"strconv"
	"strings"
)

// GraphQL names things by global ids: gid://gitlab/Project/7.
const (
	projectIDs    = "gid://gitlab/Project/"
	repositoryIDs = "gid://gitlab/ContainerRepository/"
)

func globalID(kind string, id int64) string { return kind + strconv.FormatInt(id, 10) }

// parseGlobalID returns the number in the global id of a thing of that kind, or 0 for
// anything that GitLab would not write so.
func parseGlobalID(kind, text string) int64 {
	digits, ok := strings.CutPrefix(text, kind)
	id, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || id <= 0 || globalID(kind, id) != text {
		return 0
	}
	return id
}
