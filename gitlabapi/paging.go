package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"
)

// A listing walks the pages of one of GitLab's lists.
type listing[T comparable] struct {
	client *Client
	path   string // below /api/v4, for errors
	// fetch asks for one page; the options say which.
	fetch func(...gitlab.RequestOptionFunc) ([]T, *gitlab.Response, error)
	// key identifies an item, so that a page which comes a second time is noticed.
	key func(T) string
	// after asks for what follows an item, for keyset lists; nil where pages have
	// numbers.
	after func(T) gitlab.RequestOptionFunc
}

// pages yields one page after the other with the number of items that the server
// says there are in all, or -1 where it does not say. The first error is the last
// thing that it yields.
//
// The next page is where Link or X-Next-Page point to. Where a server or a proxy
// sends neither, it is asked for as long as pages are full.
func (l listing[T]) pages(ctx context.Context) iter.Seq2[page[T], error] {
	return func(yield func(page[T], error) bool) {
		seed, seen := maphash.MakeSeed(), make(map[uint64]bool)
		for number, options := int64(1), []gitlab.RequestOptionFunc{}; ; number++ {
			items, resp, err := l.fetch(append(options, gitlab.WithContext(ctx))...)
			if err == nil && slices.ContainsFunc(items, l.isBlank) {
				err, resp = &FormatError{"the listing has an entry that is none"}, nil
			}
			if err != nil {
				yield(page[T]{}, l.client.failure(http.MethodGet, l.path, resp, err))
				return
			}
			if mark := l.fingerprint(seed, items); seen[mark] {
				yield(page[T]{}, l.problem("page %d of the listing repeats an earlier one", number))
				return
			} else {
				seen[mark] = true
			}
			next, err := l.next(resp, items, number)
			if !yield(page[T]{items, total(resp)}, nil) {
				return
			}
			if err != nil {
				yield(page[T]{}, err)
			}
			if err != nil || next == nil {
				return
			}
			options = []gitlab.RequestOptionFunc{next}
		}
	}
}

// isBlank reports whether an item is null, or without what identifies it.
func (l listing[T]) isBlank(item T) bool {
	var none T
	return item == none || l.key(item) == "" || l.key(item) == "0"
}

// A page is a part of a listing.
type page[T any] struct {
	items []T
	total int64 // items in the whole listing, -1 if unknown
}

func (l listing[T]) problem(format string, args ...any) error {
	return &RequestError{http.MethodGet, l.path, &ListingError{l.client.harmless(fmt.Sprintf(format, args...))}}
}

// next returns how to ask for the page after the one given, or nil after the last.
func (l listing[T]) next(resp *gitlab.Response, items []T, number int64) (gitlab.RequestOptionFunc, error) {
	links := linksOf(resp)
	if link, ok := nextLink(links); ok {
		return l.follow(resp.Request.URL, link)
	}
	if _, sent := resp.Header["X-Next-Page"]; sent {
		switch {
		case resp.Header.Get("X-Next-Page") == "":
			return nil, nil
		case resp.NextPage != number+1:
			return nil, l.problem("page %d does not name the one after it as its next", number)
		}
		return gitlab.WithOffsetPaginationParameters(resp.NextPage), nil
	}
	if hasLinks(links) || len(items) < pageSize {
		return nil, nil
	}
	if l.after != nil {
		return l.after(items[len(items)-1]), nil
	}
	return gitlab.WithOffsetPaginationParameters(number + 1), nil
}

// follow returns how to ask for the page that a link points to.
func (l listing[T]) follow(from *url.URL, link string) (gitlab.RequestOptionFunc, error) {
	to, err := followLink(from, link, instance)
	if err != nil {
		return nil, l.problem("%v", err)
	}
	return gitlab.WithKeysetPaginationParameters(to.String()), nil
}

// followLink returns where a link to the next page of a list leads. A link to another
// host or to another list is refused. Its scheme and port may differ, as they do behind
// a proxy that the party does not know of: only its query is to be used.
func followLink(from *url.URL, link string, asked party) (*url.URL, error) {
	to, err := from.Parse(link)
	if err != nil {
		return nil, errors.New("the link to the next page is not a URL")
	}
	if !strings.EqualFold(to.Hostname(), from.Hostname()) {
		variable, whose := asked.setting()
		return nil, fmt.Errorf("refused a link to the next page on another host, %s: %s must be the address by which %s knows itself",
			oneLine(to.Scheme+"://"+to.Host), variable, whose)
	}
	if to.Path != from.Path {
		return nil, fmt.Errorf("refused a link to the next page that leads to another list, %s", oneLine(to.EscapedPath()))
	}
	return to, nil
}

func (l listing[T]) fingerprint(seed maphash.Seed, items []T) uint64 {
	var hash maphash.Hash
	hash.SetSeed(seed)
	for _, item := range items {
		_, _ = hash.WriteString(l.key(item))
		_ = hash.WriteByte(0)
	}
	return hash.Sum64()
}

// total returns how many items a server says that a listing has.
func total(resp *gitlab.Response) int64 {
	if resp.Header.Get("X-Total") == "" {
		return -1
	}
	return resp.TotalItems
}

func linksOf(resp *gitlab.Response) []string {
	if body, ok := resp.Body.(*readBody); ok {
		return body.links
	}
	return nil
}

// nextLink finds the target of relation "next" in Link headers (RFC 8288).
func nextLink(headers []string) (string, bool) {
	for target, relations := range relatedLinks(headers) {
		if slices.ContainsFunc(relations, func(r string) bool { return strings.EqualFold(r, "next") }) {
			return target, true
		}
	}
	return "", false
}

// hasLinks reports whether Link headers point anywhere at all.
func hasLinks(headers []string) bool {
	for range relatedLinks(headers) {
		return true
	}
	return false
}

// relatedLinks yields the targets in Link headers that have relations. What it cannot
// read it passes over.
func relatedLinks(headers []string) iter.Seq2[string, []string] {
	return func(yield func(string, []string) bool) {
		for _, rest := range headers {
			for {
				_, after, _ := strings.Cut(rest, "<")
				target, after, found := strings.Cut(after, ">")
				if !found {
					break
				}
				var params string
				params, rest = cutUnquoted(after, ',')
				if r := relationsOf(params); len(r) > 0 && !yield(target, r) {
					return
				}
			}
		}
	}
}

// relationsOf returns what stands in the parameter "rel" of a link.
func relationsOf(params string) []string {
	for params != "" {
		var param string
		param, params = cutUnquoted(params, ';')
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(name), "rel") {
			return strings.Fields(strings.Trim(strings.TrimSpace(value), `"`))
		}
	}
	return nil
}

// cutUnquoted cuts a text at the first separator that is not inside quotes.
func cutUnquoted(text string, separator byte) (before, after string) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case text[i] == '\\' && quoted:
			i++
		case text[i] == separator && !quoted:
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}
