package gitlabtest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"slices"
	"sort"
	"strconv"
)

// maxNodes is the size of a page that is given none, and that of one that is
// given more.
const maxNodes = 100

// pageArguments are those of every connection.
type pageArguments struct {
	First, Last   *int32
	After, Before *string
}

// listing is a list as a connection walks along it.
type listing[T any] struct {
	rows []T
	id   func(T) int64
	keep func(T) bool // nil keeps all
	// byID: the rows are in the order of their ids, and a cursor is found by a
	// binary search. Otherwise they are in the order in which they are shown.
	byID       bool
	descending bool // the other way round
}

func (l *listing[T]) at(i int) T {
	if l.descending {
		return l.rows[len(l.rows)-1-i]
	}
	return l.rows[i]
}

// sortBy sorts a copy of the rows by a name.
func (l *listing[T]) sortBy(name func(T) string) {
	l.rows = slices.SortedStableFunc(slices.Values(l.rows), func(a, b T) int { return cmp.Compare(name(a), name(b)) })
	l.byID = false
}

// position returns where the row of a cursor stands, which may be between two.
func (l *listing[T]) position(o *operation, cursor string) (at int, there bool, err error) {
	id, ok := idOfCursor(cursor)
	if !ok {
		return 0, false, o.violate("Please provide a valid cursor")
	}
	if !l.byID {
		if i := slices.IndexFunc(l.rows, func(row T) bool { return l.id(row) == id }); i >= 0 {
			return i, true, nil
		}
		return len(l.rows), false, nil
	}
	i := sort.Search(len(l.rows), func(i int) bool {
		if l.descending {
			return l.id(l.at(i)) <= id
		}
		return l.id(l.at(i)) >= id
	})
	return i, i < len(l.rows) && l.id(l.at(i)) == id, nil
}

// bounds returns which rows lie between the cursors.
func (l *listing[T]) bounds(o *operation, args pageArguments) (from, to int, err error) {
	to = len(l.rows)
	if args.After != nil {
		i, there, err := l.position(o, *args.After)
		if err != nil {
			return 0, 0, err
		}
		if there {
			i++
		}
		from = i
	}
	if args.Before != nil {
		if to, _, err = l.position(o, *args.Before); err != nil {
			return 0, 0, err
		}
	}
	return from, max(from, to), nil
}

// page returns the rows of a page and what lies beside it. It walks over what it
// shows and over what the filter leaves out in between. Backwards it tells
// exactly whether there is a previous page, forwards whether there is a next; of
// the other side it knows, as GitLab does, only whether it came from there.
func (l *listing[T]) page(o *operation, args pageArguments) ([]T, pageInfo, error) {
	size, err := args.size(o)
	if err != nil {
		return nil, pageInfo{}, err
	}
	from, to, err := l.bounds(o, args)
	if err != nil {
		return nil, pageInfo{}, err
	}
	if args.Last != nil {
		shown, more := l.walk(to-1, from-1, -1, size)
		slices.Reverse(shown)
		return shown, pageInfo{next: args.Before != nil, previous: more}, nil
	}
	shown, more := l.walk(from, to, 1, size)
	if o.call.server.options.repeatPages && !o.measuring {
		if len(shown) == 0 {
			shown, _ = l.walk(len(l.rows)-1, -1, -1, size)
			slices.Reverse(shown)
		}
		more = true
	}
	return shown, pageInfo{next: more, previous: args.After != nil}, nil
}

// walk collects rows until it has as many as are wanted, and says whether there
// would have been more.
func (l *listing[T]) walk(from, end, step, size int) (rows []T, more bool) {
	for i := from; i != end; i += step {
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

// size is how many rows the page may have.
func (args pageArguments) size(o *operation) (int, error) {
	asked := args.First
	switch {
	case args.First != nil && args.Last != nil:
		return 0, o.violate("Can only provide either `first` or `last`, not both")
	case args.Last != nil:
		asked = args.Last
	case args.First == nil:
		return maxNodes, nil
	}
	if *asked < 0 {
		return 0, o.violate("a page cannot have %d nodes", *asked)
	}
	return min(int(*asked), maxNodes), nil
}

// cursor hides in what GitLab's hide: a row of its order.
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
