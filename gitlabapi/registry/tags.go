package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// PageSize is the most that GitLab's registry gives in one page.
const PageSize = 1000

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

// Tags lists the names of a repository's tags, each once and in ascending order. A registry
// without metadata database sends the whole list at once, whatever is asked for, and never a
// Link; with it, it sends pages and a Link to the next, so that nothing else says that a list
// goes on. A listing that fails half-way returns none. The error is [ErrRepositoryNotFound]
// when the registry itself says that there is no such repository, and says so at once: one that
// vanishes half-way is a [throttle.ListingError].
func (r *Registry) Tags(ctx context.Context, path string) ([]string, error) {
	return throttle.GetLarge(ctx, r.client, maxList, func(maxBody int64) ([]string, error) {
		list := listing[string]{
			registry: r, repository: path, path: "/v2/" + path + "/tags/list", maxBody: maxBody,
			decode: func(body []byte) ([]string, error) { return decodeTagList(path, body) },
			name:   func(tag string) string { return tag },
		}
		var tags []string
		for page, err := range list.pages(ctx) {
			switch {
			case err != nil:
				return nil, err
			case tags == nil:
				tags = page
			default:
				tags = append(tags, page...)
			}
		}
		slices.Sort(tags)
		return slices.Compact(tags), nil
	})
}

// Bounds of a listing. A list that is longer is none that a registry has, or none that anybody can walk.
const (
	maxList  = 64 << 20  // bytes of one that comes at once
	maxTags  = 2_000_000 // in all pages
	maxPages = 20_000
)

// TagRows lists the tags of a repository on a registry with the metadata database, page by page
// as they come and in the order of the database's collation, which need not be that of bytes;
// from the first that comes after a name, or all after "". A tag can come twice when the list
// changes meanwhile. The first error is the last thing that it yields, and means that the
// listing was not whole; its classes are those of [Registry.Tags].
func (r *Registry) TagRows(ctx context.Context, path, after string) iter.Seq2[[]TagRow, error] {
	return r.rows(path, after).pages(ctx)
}

// TagRow is like [Registry.TagRows] for the row of a single tag: registries from v4.7 on send no other,
// older ones the pages in which it is.
func (r *Registry) TagRow(ctx context.Context, path, tag string) iter.Seq2[[]TagRow, error] {
	list := r.rows(path, tag[:len(tag)-1]) // what it begins with comes before it
	list.exact = tag
	return list.pages(ctx)
}

func (r *Registry) rows(path, after string) listing[TagRow] {
	mediaTypes := make(map[string]string)
	return listing[TagRow]{
		registry: r, repository: path, path: "/gitlab/v1/repositories/" + path + "/tags/list/", paged: true, after: after,
		decode: func(body []byte) ([]TagRow, error) { return decodeTagRows(mediaTypes, body) },
		name:   func(row TagRow) string { return row.Name },
	}
}

// A listing walks the pages of one of the registry's lists of tags.
type listing[T any] struct {
	registry   *Registry
	repository string
	path       string
	paged      bool // the list has no page longer than PageSize
	after      string
	exact      string // the only name that is wanted; "" for all
	maxBody    int64  // 0 for the usual
	decode     func(body []byte) ([]T, error)
	name       func(T) string
}

// pages yields one page after the other; the first error is the last thing that it yields. The
// next page is where Link points to. After a full page of a paged list without Link, which a
// proxy may have dropped, what follows its last tag is asked for. A page that came before, or an
// empty one that is not the last, is an error: a list that goes on like this has no end.
func (l listing[T]) pages(ctx context.Context) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		fail := func(err error) {
			yield(nil, fmt.Errorf("listing the tags of %s at the registry: %w", l.repository, err))
		}
		if err := checkPath(l.repository); err != nil {
			fail(err)
			return
		}
		q := request{
			method: http.MethodGet, repository: l.repository, path: l.path, options: throttle.Request{MaxBody: l.maxBody},
			query: pageAfter(l.after),
		}
		if l.exact != "" {
			q.query += "&" + url.Values{"name_exact": {l.exact}}.Encode()
		}
		tags := 0
		for seen := (throttle.SeenPages{}); ; {
			items, next, err := l.page(ctx, q)
			first := len(seen) == 0
			tags += len(items)
			names := make([]string, len(items))
			for i, item := range items {
				names[i] = l.name(item)
			}
			switch {
			case err != nil && !first && errors.Is(err, ErrRepositoryNotFound):
				// A repository with tags is not one that has none.
				err = q.failed(&throttle.ListingError{Problem: "the repository vanished while its tags were listed"})
			case err == nil && (tags > maxTags || len(seen) == maxPages):
				err = q.failed(&throttle.ListingError{Problem: fmt.Sprintf("the listing has more than %d tags, or %d pages", maxTags, maxPages)})
			case err == nil && (len(items) == 0 && next != "" || !seen.Add(names)):
				err = q.failed(&throttle.ListingError{Problem: "a page of the listing brings nothing new"})
			}
			if err != nil {
				fail(err)
				return
			}
			if !yield(items, nil) || next == "" {
				return
			}
			q.query = next
		}
	}
}

// pageAfter returns the query of the page that begins after a name.
func pageAfter(name string) string {
	query := url.Values{"n": {strconv.Itoa(PageSize)}}
	if name != "" {
		query.Set("last", name)
	}
	return query.Encode()
}

// page asks for one page and returns the query of the one after it, "" after the last.
func (l listing[T]) page(ctx context.Context, q request) (items []T, next string, err error) {
	resp, err := l.registry.do(ctx, q)
	if err != nil {
		return nil, "", err
	}
	if items, err = l.decode(throttle.Body(resp)); err != nil {
		return nil, "", q.failed(&throttle.FormatError{Problem: err.Error()})
	}
	if slices.ContainsFunc(items, func(item T) bool { return l.name(item) == "" }) {
		return nil, "", q.failed(&throttle.FormatError{Problem: "the listing has a tag without a name"})
	}
	link, linked, err := l.registry.client.NextPage(resp)
	switch {
	case err != nil:
		return nil, "", q.failed(err)
	case link != nil:
		return items, link.RawQuery, nil
	case l.paged && !linked && len(items) == PageSize:
		return items, pageAfter(l.name(items[len(items)-1])), nil
	}
	return items, "", nil
}

// decodeTagList reads a page of /v2/<path>/tags/list. Its tags are null where there are none;
// that they are not there at all is something else.
func decodeTagList(path string, body []byte) ([]string, error) {
	var answer struct {
		Name string   `json:"name"`
		Tags tagNames `json:"tags"`
	}
	switch {
	case json.Unmarshal(body, &answer) != nil || !answer.Tags.present:
		return nil, errors.New("the answer is not a list of tags")
	case answer.Name != path:
		return nil, errors.New("the answer lists another repository")
	}
	return answer.Tags.names, nil
}

// tagNames are the names in a list, and whether there was one.
type tagNames struct {
	names   []string
	present bool
}

// UnmarshalJSON implements [json.Unmarshaler]. It makes no second copy of what may be long.
func (t *tagNames) UnmarshalJSON(text []byte) error {
	n := bytes.Count(text, []byte(`,`)) + 1
	if n > maxTags {
		return errors.New("there are too many")
	}
	t.present = true
	if string(text) == "null" {
		return nil
	}
	t.names = make([]string, 0, n)
	return json.Unmarshal(text, &t.names)
}

// decodeTagRows reads a page of /gitlab/v1/repositories/<path>/tags/list/. Rows share what
// mediaTypes already holds of their media types, of which there are few.
func decodeTagRows(mediaTypes map[string]string, body []byte) ([]TagRow, error) {
	var sources []struct {
		Name        string    `json:"name"`
		Digest      string    `json:"digest"`
		MediaType   string    `json:"media_type"`
		Bytes       int64     `json:"size_bytes"`
		CreatedAt   time.Time `json:"created_at"`
		UpdatedAt   time.Time `json:"updated_at"`
		PublishedAt time.Time `json:"published_at"`
	}
	if err := json.Unmarshal(body, &sources); err != nil || sources == nil {
		return nil, errors.New("the answer is not a list of tags")
	}
	rows := make([]TagRow, len(sources))
	for i, source := range sources {
		if !manifest.IsDigest(source.Digest) {
			return nil, errors.New("the listing has a tag without a digest")
		}
		if _, ok := mediaTypes[source.MediaType]; !ok {
			mediaTypes[source.MediaType] = source.MediaType
		}
		published := source.CreatedAt
		for _, at := range []time.Time{source.UpdatedAt, source.PublishedAt} {
			if !at.IsZero() {
				published = at // the last of these that is said is the latest
			}
		}
		rows[i] = TagRow{
			Name: source.Name, Digest: source.Digest, MediaType: mediaTypes[source.MediaType],
			Bytes: max(source.Bytes, 0), CreatedAt: source.CreatedAt, PublishedAt: published,
		}
	}
	return rows, nil
}
