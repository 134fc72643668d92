package gitlabtest

import (
	"net/url"
	"strconv"
	"strings"
)

const (
	defaultPerPage = 20
	maxPerPage     = 100
	// maxProjectOffset is where offset pages of projects end.
	maxProjectOffset = 50_000
	// maxCounted is the length from which on GitLab does not say how long a
	// list is.
	maxCounted = 10_000
)

// perPage is the size of a page. GitLab makes one that is too large smaller
// without a word.
func (c *call) perPage() int {
	return min(c.number("per_page", defaultPerPage), maxPerPage)
}

// offsetPage returns the bounds of the page that the call asks for, of a list
// of so many items, and sets the headers that say where it stands.
func (c *call) offsetPage(total int) (from, to int) {
	per, page := c.perPage(), c.number("page", 1)
	pages := max(1, (total+per-1)/per)
	served := page
	if c.server.options.repeatPages {
		served = min(page, pages)
	}
	from = min((served-1)*per, total)
	to = min(from+per, total)
	next := 0
	if page < pages || c.server.options.repeatPages {
		next = page + 1
	}
	c.pageHeaders(page, next, per, total, pages)
	return from, to
}

func (c *call) pageHeaders(page, next, per, total, pages int) {
	prev := min(page-1, pages)
	c.header.Set("X-Per-Page", strconv.Itoa(per))
	c.header.Set("X-Page", strconv.Itoa(page))
	c.header.Set("X-Next-Page", positive(next))
	c.header.Set("X-Prev-Page", positive(prev))
	var links []string
	link := func(rel string, page int) {
		if page > 0 {
			links = append(links, c.link(rel, "page", strconv.Itoa(page)))
		}
	}
	link("prev", prev)
	link("next", next)
	link("first", 1)
	if total <= maxCounted {
		link("last", pages)
		c.header.Set("X-Total", strconv.Itoa(total))
		c.header.Set("X-Total-Pages", strconv.Itoa(pages))
	}
	c.header.Set("Link", strings.Join(links, ", "))
}

func positive(n int) string {
	if n <= 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// linkNext says where a keyset listing goes on.
func (c *call) linkNext(parameter, value string) {
	c.header.Set("Link", c.link("next", parameter, value))
}

// link points to the same list with one parameter changed.
func (c *call) link(rel, parameter, value string) string {
	query := url.Values{}
	for name, values := range c.query {
		query[name] = values
	}
	query.Set(parameter, value)
	return "<" + c.self() + "?" + query.Encode() + `>; rel="` + rel + `"`
}

// self is the address that was asked, as links to other pages give it.
func (c *call) self() string {
	o := &c.server.options
	escaped := c.request.URL.EscapedPath()
	switch {
	case o.foreignURL != "":
		return o.foreignURL + escaped
	case o.externalURL != "":
		return o.externalURL + strings.TrimPrefix(escaped, o.basePath)
	default:
		return c.origin() + escaped
	}
}
