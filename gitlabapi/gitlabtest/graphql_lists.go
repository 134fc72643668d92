package gitlabtest

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"sort"
	"strconv"
)

// maxNodes is the size of a page by default, and at most.
const maxNodes = 100

// pageArguments are those of every connection.
type pageArguments struct {
	First *int32
	After *string
}

// listing is a list as a connection walks along it.
type listing[T any] struct {
	rows       []T // by id
	id         func(T) int64
	keep       func(T) bool // nil keeps all
	descending bool
}

func (l *listing[T]) at(i int) T {
	if l.descending {
		return l.rows[len(l.rows)-1-i]
	}
	return l.rows[i]
}

// after returns where a page begins that follows a cursor.
func (l *listing[T]) after(id int64) int {
	return sort.Search(len(l.rows), func(i int) bool {
		if l.descending {
			return l.id(l.at(i)) < id
		}
		return l.id(l.at(i)) > id
	})
}

// collect returns the rows from a place on, at most so many, and whether there are more.
func (l *listing[T]) collect(from, size int) (rows []T, more bool) {
	for i := from; i < len(l.rows); i++ {
		row := l.at(i)
		switch {
		case l.keep != nil && !l.keep(row):
		case len(rows) == size:
			return rows, true
		default:
			rows = append(rows, row)
		}
	}
	return rows, false
}

// connection is a page of a list. Nodes may be null.
type connection[N any] struct {
	nodes []N
	info  pageInfo
}

// pageInfo says where a page ends.
type pageInfo struct {
	next bool
	end  *string
}

// connect presents the rows of a page.
func connect[T, N any](l *listing[T], o *operation, args pageArguments, present func(i int, row T) N) (*connection[N], error) {
	size, from := maxNodes, 0
	if o.measuring {
		// The meter wants to see everything below, whatever page is asked for.
		args = pageArguments{}
	}
	if args.First != nil {
		if *args.First < 0 {
			return nil, o.violate("a page cannot have %d nodes", *args.First)
		}
		size = min(int(*args.First), maxNodes)
	}
	if o.call.cut != nil && !o.measuring {
		// Where the list is cut is known only when all of it was looked at.
		rows, _ := l.collect(0, len(l.rows))
		rows = rows[:o.call.shorten(len(rows))]
		if l.descending {
			slices.Reverse(rows)
		}
		l = &listing[T]{rows: rows, id: l.id, descending: l.descending}
	}
	if args.After != nil {
		id, ok := idOfCursor(*args.After)
		if !ok {
			return nil, o.violate("Please provide a valid cursor")
		}
		from = l.after(id)
	}
	rows, more := l.collect(from, size)
	if o.call.server.options.repeatPages && !o.measuring {
		if len(rows) == 0 && len(l.rows) > 0 {
			all, _ := l.collect(0, len(l.rows))
			rows = all[max(0, len(all)-size):]
		}
		more = true
	}
	c := &connection[N]{info: pageInfo{next: more}}
	for i, row := range rows {
		c.nodes = append(c.nodes, present(i, row))
		c.info.end = new(cursorOf(l.id(row)))
	}
	return c, nil
}

// Nodes resolves nodes.
func (c *connection[N]) Nodes() *[]N { return &c.nodes }

// PageInfo resolves pageInfo.
func (c *connection[N]) PageInfo() *pageInfo { return &c.info }

// HasNextPage resolves hasNextPage.
func (p *pageInfo) HasNextPage() bool { return p.next }

// EndCursor resolves endCursor.
func (p *pageInfo) EndCursor() *string { return p.end }

// cursor is what GitLab's cursors hide: a row of its order.
type cursor struct {
	ID string `json:"id"`
}

func cursorOf(id int64) string {
	return base64.StdEncoding.EncodeToString(encode(cursor{strconv.FormatInt(id, 10)}))
}

func idOfCursor(text string) (int64, bool) {
	var c cursor
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(raw, &c) != nil {
		return 0, false
	}
	id, err := strconv.ParseInt(c.ID, 10, 64)
	return id, err == nil
}
