package gitlabapi

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
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

// maxPages bounds a listing: five million entries in pages of a hundred. One that is longer goes on for
// ever.
const maxPages = 50_000

// A page is a part of a listing.
type page[T any] struct {
	items []T
	total int64 // items in the whole listing, -1 where the server does not say
}

// pages yields one page after the other. The first error is the last thing that it yields.
func (l listing[T]) pages(ctx context.Context) iter.Seq2[page[T], error] {
	return func(yield func(page[T], error) bool) {
		seen := make(throttle.SeenPages)
		for number, options := int64(1), []gitlab.RequestOptionFunc{}; ; number++ {
			items, resp, err := l.fetch(append(options, l.client.reading(ctx))...)
			if err == nil && slices.ContainsFunc(items, l.isBlank) {
				err = errBlankEntry
			}
			if err != nil {
				yield(page[T]{}, l.client.failure(http.MethodGet, l.path, resp, err))
				return
			}
			keys := make([]string, len(items))
			for i, item := range items {
				keys[i] = l.key(item)
			}
			if number > maxPages {
				yield(page[T]{}, l.problem("the listing has more than %d pages", maxPages))
				return
			}
			if !seen.Add(keys) {
				yield(page[T]{}, l.problem("page %d of the listing repeats an earlier one", number))
				return
			}
			total := int64(-1)
			if resp.Header.Get("X-Total") != "" {
				total = resp.TotalItems
			}
			next, err := l.nextPage(resp, items, number)
			if !yield(page[T]{items, total}, nil) {
				return
			}
			if err != nil {
				yield(page[T]{}, err)
			}
			if next == nil {
				return
			}
			options = []gitlab.RequestOptionFunc{next}
		}
	}
}

var errBlankEntry = &throttle.FormatError{Problem: "the listing has an empty entry"}

// isBlank reports whether an item is null, or without what identifies it.
func (l listing[T]) isBlank(item T) bool {
	var none T
	return item == none || l.key(item) == "" || l.key(item) == "0"
}

func (l listing[T]) problem(format string, args ...any) error {
	problem := l.client.throttle.Scrub(fmt.Sprintf(format, args...))
	return l.client.failure(http.MethodGet, l.path, nil, &throttle.ListingError{Problem: problem})
}

// nextPage returns how to ask for the page after the one given, or nil after the last: it is where
// Link or X-Next-Page point to. Where a server or a proxy sends neither, a next page is asked
// for as long as pages are full.
func (l listing[T]) nextPage(resp *gitlab.Response, items []T, number int64) (gitlab.RequestOptionFunc, error) {
	link, linked, err := l.client.throttle.NextPage(resp.Response)
	_, numbered := resp.Header["X-Next-Page"]
	switch {
	case err != nil:
		return nil, l.client.failure(http.MethodGet, l.path, nil, err)
	case link != nil:
		return gitlab.WithKeysetPaginationParameters(link.String()), nil
	case numbered && resp.Header.Get("X-Next-Page") == "":
		return nil, nil
	case numbered && resp.NextPage != number+1:
		return nil, l.problem("page %d names another page than the one after it as the next", number)
	case numbered:
		return gitlab.WithOffsetPaginationParameters(resp.NextPage), nil
	case linked || len(items) < pageSize:
		return nil, nil
	case l.after != nil:
		return l.after(items[len(items)-1]), nil
	default:
		return gitlab.WithOffsetPaginationParameters(number + 1), nil
	}
}

// collect reads a listing to its end, each item once, and compares what came with the
// number that the server stated. Items come twice, or not at all, when a list changes
// between two of its pages; then it is read once more from the start. What could be
// read is returned beside an error.
//
// The largest number that a page stated counts: when entries go while the list is read, others
// move to pages that have been read already, and only the number of the first page shows the
// loss.
func collect[S comparable, T any](ctx context.Context, list listing[S], convert func(S) T) (items []T, err error) {
	for range 2 {
		items = nil
		seen, stated := make(map[string]bool), int64(-1)
		for page, err := range list.pages(ctx) {
			if err != nil {
				return items, err
			}
			stated = max(stated, page.total)
			for _, source := range page.items {
				if key := list.key(source); !seen[key] {
					seen[key] = true
					items = append(items, convert(source))
				}
			}
		}
		if stated < 0 || stated == int64(len(items)) {
			return items, nil
		}
		err = list.problem("the listing has %d entries, but says that it has %d", len(items), stated)
	}
	return items, err
}

// withQuery sets a query parameter of a request.
func withQuery(name, value string) gitlab.RequestOptionFunc {
	return gitlab.WithKeysetPaginationParameters("?" + url.Values{name: {value}}.Encode())
}
