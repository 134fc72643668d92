package gitlabapi

import (
	"context"
	"fmt"
	"iter"
	"net/http"
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

// pages yields one page after the other with the number of items that the server
// says there are in all, or -1 where it does not say. The first error is the last
// thing that it yields.
//
// The next page is where Link or X-Next-Page point to. Where a server or a proxy
// sends neither, it is asked for as long as pages are full.
func (l listing[T]) pages(ctx context.Context) iter.Seq2[page[T], error] {
	return func(yield func(page[T], error) bool) {
		seen := make(throttle.SeenPages)
		for number, options := int64(1), []gitlab.RequestOptionFunc{}; ; number++ {
			items, resp, err := l.fetch(append(options, l.client.reading(ctx))...)
			if err == nil && slices.ContainsFunc(items, l.isBlank) {
				err, resp = &throttle.FormatError{Problem: "the listing has an entry that is none"}, nil
			}
			if err != nil {
				yield(page[T]{}, l.client.failure(http.MethodGet, l.path, resp, err))
				return
			}
			if throttle.Seen(seen, items, l.key) {
				yield(page[T]{}, l.problem("page %d of the listing repeats an earlier one", number))
				return
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
	return &throttle.RequestError{Method: http.MethodGet, Path: l.path, Err: &throttle.ListingError{Problem: l.client.throttle.Scrub(fmt.Sprintf(format, args...))}}
}

// next returns how to ask for the page after the one given, or nil after the last.
func (l listing[T]) next(resp *gitlab.Response, items []T, number int64) (gitlab.RequestOptionFunc, error) {
	link, linked, err := l.client.throttle.NextPage(resp.Response)
	if err != nil {
		return nil, &throttle.RequestError{Method: http.MethodGet, Path: l.path, Err: err}
	}
	if link != nil {
		return gitlab.WithKeysetPaginationParameters(link.String()), nil
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
	if linked || len(items) < pageSize {
		return nil, nil
	}
	if l.after != nil {
		return l.after(items[len(items)-1]), nil
	}
	return gitlab.WithOffsetPaginationParameters(number + 1), nil
}

// total returns how many items a server says that a listing has.
func total(resp *gitlab.Response) int64 {
	if resp.Header.Get("X-Total") == "" {
		return -1
	}
	return resp.TotalItems
}
