package gitlabapi

// A level is a way to ask GraphQL for a page of projects.
type level int

const (
	fullPages  level = iota // 100 projects with their counts
	smallPages              // 20, for counts that time out on more
	barePages               // 100 without counts
)

// smallPage is the number of projects on a small page.
const smallPage = 20

func (l level) size() int {
	if l == smallPages {
		return smallPage
	}
	return pageSize
}

// The number of bare pages after which counts are tried again: it doubles from the
// first figure to the last while they go on failing.
const (
	firstPatience = 4
	maxPatience   = 64
)

// levels chooses how to ask for the next page. A page that fails is read again in small
// ones, whose counts may come in time, and what fails of these without counts.
//
// After such a stretch pages come without counts for a while, not in small ones: five of
// those cost more requests than listing the repositories of a hundred projects
// does. Where counts always time out, two pages are asked for in vain each time that
// they are tried: 6 in 2,000 projects, 14 in 20,000.
type levels struct {
	level    level
	left     int // pages until the level changes by itself
	patience int
}

// now returns the level of the next page.
func (l *levels) now(c *Client) level {
	if !c.graphQL.knows(countField) {
		l.level, l.left = barePages, 0
	}
	return l.level
}

// succeeded is told that a page came whole.
func (l *levels) succeeded() {
	if l.level == fullPages {
		l.patience = 0
		return
	}
	l.passed()
}

// failed is told that a page did not come whole. It reports whether another level is
// left to read it at; after the last one the stretch is REST's.
func (l *levels) failed() bool {
	switch l.level {
	case fullPages:
		l.level, l.left = smallPages, pageSize/smallPage
	case smallPages:
		l.wait()
	default:
		l.passed()
		return false
	}
	return true
}

// passed counts down the pages at a lower level.
func (l *levels) passed() {
	if l.left--; l.left > 0 {
		return
	}
	if l.level == smallPages {
		l.wait()
	} else {
		l.level = fullPages
	}
}

// wait has some pages read without counts.
func (l *levels) wait() {
	l.patience = min(max(2*l.patience, firstPatience), maxPatience)
	l.level, l.left = barePages, l.patience
}
