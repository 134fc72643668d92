package gitlabtest

import "slices"

// maxTagNodes is the size of a page of tags.
const maxTagNodes = 20

// Tags resolves tags. Of a page that is larger than it may be, only the beginning
// is shown. With a database the next page begins all the same where the registry
// ended the one that it was asked for, so that tags are skipped; and without a
// size it is asked for none at all.
func (n *repositoryDetails) Tags(args struct {
	First *int32
	After *string
}) (*connection[*tagNode], error) {
	names, err := n.tagNames()
	if err != nil {
		return nil, err
	}
	if args.After != nil && !n.o.measuring {
		i, there := slices.BinarySearch(names, *args.After)
		if there {
			i++
		}
		names = names[i:]
	}
	return n.tagsPage(names, n.o.tagsAsked(args.First)), nil
}

// tagsAsked is how many tags Rails asks the registry for.
func (o *operation) tagsAsked(first *int32) int {
	database := o.call.server.state.regime == Database
	switch {
	case o.measuring:
		return 1
	case first == nil && database:
		return 0
	case first == nil:
		return maxTagNodes
	case database:
		return max(0, int(*first))
	default:
		return min(max(0, int(*first)), maxTagNodes)
	}
}

func (n *repositoryDetails) tagsPage(names []string, asked int) *connection[*tagNode] {
	page := names[:min(asked, len(names))]
	c := &connection[*tagNode]{info: pageInfo{next: len(page) > 0 && len(page) < len(names)}}
	for _, name := range page[:min(maxTagNodes, len(page))] {
		c.nodes = append(c.nodes, &tagNode{n.o.call.presentTag(n.repository, name)})
		c.cursors = append(c.cursors, name)
	}
	c.info.span(c.cursors)
	if len(page) > 0 {
		c.info.end = &page[len(page)-1]
	}
	return c
}

// tagNode is a ContainerRepositoryTag.
type tagNode struct{ tag shownTag }

// Name resolves name.
func (n *tagNode) Name() string { return n.tag.Name }

// Path resolves path.
func (n *tagNode) Path() string { return n.tag.Path }

// Location resolves location.
func (n *tagNode) Location() string { return n.tag.Location }
