package gitlabapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// RegistryPageSize is the most that GitLab's registry gives in one page.
const RegistryPageSize = 1000

// A TagRow is what the registry's database says about a tag.
type TagRow struct {
	Name      string
	Digest    string // of its manifest, "sha256:…"
	MediaType string
	Bytes     int64 // of config and layers; 0 where the registry does not say
	// CreatedAt is when the tag was pushed first, PublishedAt when it was pushed last;
	// registries too old to say the latter let it be made out from other dates.
	CreatedAt   time.Time
	PublishedAt time.Time
}

// Tags lists the names of a repository's tags, each once and in ascending order, on a
// registry of whatever regime. A listing that fails half-way returns none. The error is
// [ErrRepositoryNotFound] when the registry itself says that there is no such repository,
// and says so at once: one that vanishes half-way is a [ListingError].
func (r *Registry) Tags(ctx context.Context, path string) ([]string, error) {
	list := registryListing[string]{
		registry: r, path: path, address: "/v2/" + path + "/tags/list", expect: aTagList,
		decode: func(body []byte) ([]string, error) { return decodeTagList(path, body) },
		name:   func(tag string) string { return tag },
	}
	var tags []string
	for page, err := range list.pages(ctx) {
		if err != nil {
			return nil, fmt.Errorf("listing the tags of %s at the registry: %w", path, err)
		}
		tags = append(tags, page...)
	}
	slices.Sort(tags)
	return slices.Compact(tags), nil
}

// TagRows lists the tags of a repository on a registry with the metadata database, page
// by page as they come, for those who keep less of a row; a tag can come twice when the
// list changes meanwhile. The first error is the last thing that it yields, and means that
// the listing was not whole. It is [ErrRepositoryNotFound] when the registry itself says
// that there is no such repository, and says so before any row: one that vanishes
// half-way is a [ListingError].
func (r *Registry) TagRows(ctx context.Context, path string) iter.Seq2[[]TagRow, error] {
	mediaTypes := make(map[string]string)
	list := registryListing[TagRow]{
		registry: r, path: path, address: "/gitlab/v1/repositories/" + path + "/tags/list/", expect: fromRegistry,
		decode: func(body []byte) ([]TagRow, error) { return decodeTagRows(mediaTypes, body) },
		name:   func(row TagRow) string { return row.Name },
	}
	return func(yield func([]TagRow, error) bool) {
		for page, err := range list.pages(ctx) {
			if err != nil {
				err = fmt.Errorf("listing the tags of %s at the registry: %w", path, err)
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

// A registryListing walks the pages of one of the registry's lists of tags.
type registryListing[T any] struct {
	registry *Registry
	path     string // of the repository
	address  string // of the list
	expect   *expectation
	decode   func(body []byte) ([]T, error)
	name     func(T) string
}

// pages yields one page after the other; the first error is the last thing that it
// yields. The next page is where Link points to. After a full page without Link, which a
// proxy may have dropped, what follows its last tag is asked for.
func (l registryListing[T]) pages(ctx context.Context) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		if err := checkRepositoryPath(l.path); err != nil {
			yield(nil, err)
			return
		}
		seed, seen := maphash.MakeSeed(), make(map[uint64]bool)
		query := url.Values{"n": {strconv.Itoa(RegistryPageSize)}}.Encode()
		for query != "" {
			var items []T
			var err error
			if items, query, err = l.page(ctx, query); err == nil {
				err = l.checkRepeat(seed, seen, items, query)
			}
			if len(seen) > 0 && errors.Is(err, ErrRepositoryNotFound) {
				// A repository with tags is not one that has none.
				err = &RequestError{http.MethodGet, l.address, &ListingError{"the repository vanished while its tags were listed"}}
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(items, nil) {
				return
			}
		}
	}
}

// page asks for one page and returns the query of the one after it, "" after the last.
func (l registryListing[T]) page(ctx context.Context, query string) ([]T, string, error) {
	q := question{method: http.MethodGet, repository: l.path, url: l.registry.at(l.address, query), expect: l.expect}
	resp, err := l.registry.ask(ctx, q)
	if err != nil {
		return nil, "", err
	}
	items, err := l.decode(bytesOf(resp))
	if err != nil {
		return nil, "", q.failed(&FormatError{err.Error()})
	}
	if slices.ContainsFunc(items, func(item T) bool { return l.name(item) == "" }) {
		return nil, "", q.failed(&FormatError{"the listing has a tag without a name"})
	}
	next, err := l.next(q.url, resp, items)
	if err != nil {
		return nil, "", q.failed(err)
	}
	return items, next, nil
}

// next returns the query of the page after the one given.
func (l registryListing[T]) next(from *url.URL, resp *http.Response, items []T) (string, error) {
	body, ok := resp.Body.(*readBody)
	if !ok {
		return "", &ListingError{"the answer was not read"}
	}
	if link, ok := nextLink(body.links); ok {
		to, err := followLink(from, link, registry)
		if err != nil {
			return "", &ListingError{l.registry.client.harmless(err.Error())}
		}
		return to.RawQuery, nil
	}
	if hasLinks(body.links) || len(items) != RegistryPageSize {
		return "", nil
	}
	last := l.name(items[len(items)-1])
	return url.Values{"last": {last}, "n": {strconv.Itoa(RegistryPageSize)}}.Encode(), nil
}

// checkRepeat refuses a page that came before, and an empty one that is not the last:
// a list that goes on like this has no end.
func (l registryListing[T]) checkRepeat(seed maphash.Seed, seen map[uint64]bool, items []T, next string) error {
	var hash maphash.Hash
	hash.SetSeed(seed)
	for _, item := range items {
		_, _ = hash.WriteString(l.name(item))
		_ = hash.WriteByte(0)
	}
	mark := hash.Sum64()
	if seen[mark] || len(items) == 0 && next != "" {
		return &RequestError{http.MethodGet, l.address, &ListingError{"a page of the listing brings nothing new"}}
	}
	seen[mark] = true
	return nil
}

// presentTags are the names in a list of tags, which is null where there are none. That
// it is not there at all is something else.
type presentTags struct {
	present bool
	names   []string
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *presentTags) UnmarshalJSON(text []byte) error {
	t.present = true
	return json.Unmarshal(text, &t.names)
}

// decodeTagList reads a page of /v2/<path>/tags/list.
func decodeTagList(path string, body []byte) ([]string, error) {
	var answer struct {
		Name string      `json:"name"`
		Tags presentTags `json:"tags"`
	}
	switch err := json.Unmarshal(body, &answer); {
	case err != nil || !answer.Tags.present:
		return nil, errors.New("the answer is no list of tags")
	case answer.Name != path:
		return nil, errors.New("the answer is the list of another repository")
	}
	return answer.Tags.names, nil
}

// rowInJSON is a row as the registry gives it.
type rowInJSON struct {
	Name        string     `json:"name"`
	Digest      string     `json:"digest"`
	MediaType   string     `json:"media_type"`
	Bytes       int64      `json:"size_bytes"`
	CreatedAt   *time.Time `json:"created_at"`
	UpdatedAt   *time.Time `json:"updated_at"`
	PublishedAt *time.Time `json:"published_at"`
}

// decodeTagRows reads a page of /gitlab/v1/repositories/<path>/tags/list/. Rows share
// what mediaTypes already holds of their media types, of which there are few.
func decodeTagRows(mediaTypes map[string]string, body []byte) ([]TagRow, error) {
	var sources []rowInJSON
	if err := json.Unmarshal(body, &sources); err != nil || sources == nil {
		return nil, errors.New("the answer is no list of tags")
	}
	rows := make([]TagRow, len(sources))
	for i, source := range sources {
		if !isDigest(source.Digest) {
			return nil, errors.New("the listing has a tag without a digest")
		}
		if _, ok := mediaTypes[source.MediaType]; !ok {
			mediaTypes[source.MediaType] = source.MediaType
		}
		rows[i] = rowOf(source, mediaTypes[source.MediaType])
	}
	return rows, nil
}

func rowOf(source rowInJSON, mediaType string) TagRow {
	row := TagRow{Name: source.Name, Digest: source.Digest, MediaType: mediaType, Bytes: max(source.Bytes, 0)}
	for _, at := range []*time.Time{source.CreatedAt, source.UpdatedAt, source.PublishedAt} {
		if at != nil {
			row.PublishedAt = *at // the last of these that is said is the latest
		}
	}
	if source.CreatedAt != nil {
		row.CreatedAt = *source.CreatedAt
	}
	return row
}
