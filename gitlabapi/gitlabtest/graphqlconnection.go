package gitlabtest

import "slices"

// connection is a page of a list. Nodes may be null.
type connection[N any] struct {
	nodes   []N
	cursors []string
	info    pageInfo
}

// edge is a node with where it stands.
type edge[N any] struct {
	cursor string
	node   N
}

// pageInfo says where a page stands.
type pageInfo struct {
	next, previous bool
	start, end     *string
}

// connect presents the rows of a page.
func connect[T, N any](l *listing[T], o *operation, args pageArguments, present func(i int, row T) N) (*connection[N], error) {
	if o.measuring {
		// The meter wants to see everything below, whatever page is asked for.
		args = pageArguments{}
	}
	l.shorten(o)
	rows, info, err := l.page(o, args)
	if err != nil {
		return nil, err
	}
	c := &connection[N]{info: info}
	for i, row := range rows {
		c.nodes = append(c.nodes, present(i, row))
		c.cursors = append(c.cursors, cursorOf(l.id(row)))
	}
	c.info.span(c.cursors)
	return c, nil
}

// shorten cuts a list that a fault lets end early. It has to look at all of it.
func (l *listing[T]) shorten(o *operation) {
	if o.call.cut == nil || o.measuring {
		return
	}
	var kept []T
	for i := range l.rows {
		if row := l.at(i); l.keep == nil || l.keep(row) {
			kept = append(kept, row)
		}
	}
	kept = kept[:o.call.shorten(len(kept))]
	if l.descending {
		slices.Reverse(kept)
	}
	l.rows, l.keep = kept, nil
}

func (p *pageInfo) span(cursors []string) {
	if len(cursors) > 0 {
		p.start, p.end = &cursors[0], &cursors[len(cursors)-1]
	}
}

// Nodes resolves nodes.
func (c *connection[N]) Nodes() *[]N { return &c.nodes }

// Edges resolves edges.
func (c *connection[N]) Edges() *[]*edge[N] {
	edges := make([]*edge[N], len(c.nodes))
	for i, node := range c.nodes {
		edges[i] = &edge[N]{cursor: c.cursors[i], node: node}
	}
	return &edges
}

// PageInfo resolves pageInfo.
func (c *connection[N]) PageInfo() *pageInfo { return &c.info }

// Cursor resolves cursor.
func (e *edge[N]) Cursor() string { return e.cursor }

// Node resolves node.
func (e *edge[N]) Node() N { return e.node }

// HasNextPage resolves hasNextPage.
func (p *pageInfo) HasNextPage() bool { return p.next }

// HasPreviousPage resolves hasPreviousPage.
func (p *pageInfo) HasPreviousPage() bool { return p.previous }

// StartCursor resolves startCursor.
func (p *pageInfo) StartCursor() *string { return p.start }

// EndCursor resolves endCursor.
func (p *pageInfo) EndCursor() *string { return p.end }
