package gitlabtest

import (
	"maps"
	"net/url"
	"sort"
	"strconv"
	"strings"
)

const (
	defaultPerPage = 20
	maxPerPage     = 100
	// maxCounted is the length from which on GitLab does not say how long a
	// list is.
	maxCounted = 10_000
)

// perPage is the size of a page. GitLab makes one that is too large smaller
// without a word.
func (c *call) perPage() int {
	return min(c.number("per_page", defaultPerPage), maxPerPage)
}

// offsetPage returns the page that the call asks for of a list, and sets the headers that
// say where it stands.
func offsetPage[T any](c *call, list []T) []T {
	total, per, page, endless := len(list), c.perPage(), c.number("page", 1), c.server.options.repeatPages
	pages := max(1, (total+per-1)/per)
	previous, next, served := min(page-1, pages), 0, page
	if page < pages || endless {
		next = page + 1
	}
	if endless {
		served = min(page, pages)
	}
	var links []string
	number := func(header, rel string, page int) {
		text := ""
		if page > 0 {
			text = strconv.Itoa(page)
			links = append(links, c.link(rel, "page", text))
		}
		if header != "" {
			c.header.Set(header, text)
		}
	}
	c.header.Set("X-Per-Page", strconv.Itoa(per))
	c.header.Set("X-Page", strconv.Itoa(page))
	number("X-Prev-Page", "prev", previous)
	number("X-Next-Page", "next", next)
	number("", "first", 1)
	if total <= maxCounted {
		number("X-Total-Pages", "last", pages)
		c.header.Set("X-Total", strconv.Itoa(total))
	}
	c.header.Set("Link", strings.Join(links, ", "))
	from := min((served-1)*per, total)
	return list[from:min(from+per, total)]
}

// keysetPage returns the bounds of the page of so many tags that the call asks for by the
// name of the last before, and says whether there are more.
func (c *call) keysetPage(tags []storedTag, size int) (from, to int, more bool) {
	if last := c.query.Get("last"); last != "" {
		from = sort.Search(len(tags), func(i int) bool { return c.server.state.registry.compare(tags[i].name, last) > 0 })
	}
	if c.server.options.repeatPages {
		from = min(from, max(0, len(tags)-size))
	}
	to = min(from+size, len(tags))
	return from, to, from < to && (to < len(tags) || c.server.options.repeatPages)
}

// link points to the same list with one parameter changed.
func (c *call) link(rel, parameter, value string) string {
	o := &c.server.options
	address, escaped := c.origin(), c.request.URL.EscapedPath()
	switch {
	case o.foreignURL != "":
		address = o.foreignURL
	case o.externalURL != "":
		address, escaped = o.externalURL, strings.TrimPrefix(escaped, o.basePath)
	}
	query := maps.Clone(c.query)
	if query == nil {
		query = url.Values{}
	}
	query.Set(parameter, value)
	return "<" + address + escaped + "?" + query.Encode() + `>; rel="` + rel + `"`
}
