package throttle

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// NextPage returns the target of relation "next" in the Link headers (RFC 8288) of an answer,
// "" if there is none. linked reports whether they hold a relation at all: a page that says
// how it is linked, but not to a next one, is the last.
//
// A link to another host or to another list is refused. Its scheme and port may differ, as
// they do behind a proxy that the server does not know of: only its query is to be used.
func (c *Client) NextPage(resp *http.Response) (next *url.URL, linked bool, err error) {
	body, ok := resp.Body.(*readBody)
	if !ok {
		return nil, false, nil
	}
	link, linked := nextLink(body.links)
	if link == "" {
		return nil, linked, nil
	}
	from := resp.Request.URL
	next, err = from.Parse(link)
	switch {
	case err != nil:
		err = errors.New("the link to the next page is not a URL")
	case !strings.EqualFold(next.Hostname(), from.Hostname()):
		variable, whose := requestOf(resp.Request.Context()).Server.setting()
		err = fmt.Errorf("refused a link to the next page on another host, %s: %s must be the address that %s has in its own configuration",
			next.Scheme+"://"+next.Host, variable, whose)
	case next.Path != from.Path:
		err = fmt.Errorf("refused a link to the next page that leads to another list, %s", next.EscapedPath())
	default:
		return next, true, nil
	}
	return nil, true, &ListingError{c.scrub(resp.Request, err.Error())}
}

// linkForm is one link of a Link header, and relForm its relations. Values may be quoted, and
// what is quoted may hold separators.
var (
	linkForm = regexp.MustCompile(`<([^>]*)>((?:[^",]|"(?:[^"\\]|\\.)*")*)`)
	relForm  = regexp.MustCompile(`(?i)^(?:[^"]|"(?:[^"\\]|\\.)*")*?;\s*rel\s*=\s*(?:"([^"]*)"|([^";\s]+))`)
)

// nextLink returns the first target of relation "next" in Link headers, and whether they hold
// a link with a relation at all. What it cannot read it passes over.
func nextLink(headers []string) (next string, linked bool) {
	for _, header := range headers {
		for _, link := range linkForm.FindAllStringSubmatch(header, -1) {
			rel := relForm.FindStringSubmatch(link[2])
			if rel == nil {
				continue
			}
			relations := strings.Fields(rel[1] + rel[2])
			linked = linked || len(relations) > 0
			if slices.ContainsFunc(relations, func(r string) bool { return strings.EqualFold(r, "next") }) {
				return link[1], true
			}
		}
	}
	return "", linked
}

// SeenPages are the pages of a listing that have come, by their hashes.
type SeenPages map[[sha256.Size]byte]bool

// Add reports whether a page with these names of items is new, and notes that it has come.
func (s SeenPages) Add(names []string) bool {
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	seen := s[sum]
	s[sum] = true
	return !seen
}
