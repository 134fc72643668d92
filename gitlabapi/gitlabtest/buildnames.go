package gitlabtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// tellingRepositories are names with something to stumble over; "" is the
// root repository.
var tellingRepositories = []string{
	"", "web", "api", "a/b", "tools/ci/linter", "base.image", "web_v2",
	"cache", "webcache", "my.cache/app", "x.cached",
}

// protectedExamples are names that are never touched.
var protectedExamples = []string{"latest", "v1.2.3", "main", "master", "v2.0.0-rc.1", "v..", "vendor.js.map"}

// repositoryNames hands out names for the repositories of one project.
type repositoryNames struct {
	rand  *rand.Rand
	rest  []string // telling ones that are not taken
	count int
}

// next returns a name; now and then a telling one.
func (n *repositoryNames) next() string {
	if len(n.rest) > 0 && n.rand.IntN(2) == 0 {
		i := n.rand.IntN(len(n.rest))
		name := n.rest[i]
		n.rest = append(n.rest[:i], n.rest[i+1:]...)
		return name
	}
	n.count++
	return fmt.Sprintf("service-%d", n.count)
}

// base returns a name that the cache suffix can be put to.
func (n *repositoryNames) base() string {
	for {
		if name := n.next(); name != "" {
			return name
		}
	}
}

// tagNames hands out names of tags, none of them twice or protected.
type tagNames struct {
	rand  *rand.Rand
	count int
}

func (b *builder) tagNames() *tagNames { return &tagNames{rand: b.rand} }

// tagForms are forms of names, each of which holds the number: two names of
// different forms are never the same.
var tagForms = []string{
	"feature-%d", "feature-%d", "feature-%d", "MR-%d_Fix", "release_%d.x", "user.name-%d",
	"%d", "v%d", "v%d.1", "V%d.0.0", "_%d", "latest-%d", "pr.%d.build..7",
}

func (n *tagNames) next() string {
	n.count++
	if n.rand.IntN(100) == 0 {
		// As long as a name can be.
		return fmt.Sprintf("%s-%07d", strings.Repeat("long-", 24), n.count)
	}
	return fmt.Sprintf(tagForms[n.rand.IntN(len(tagForms))], n.count)
}
