package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

const (
	// MaxDeletion is the most tags of one repository that GitLab deletes by one mutation.
	MaxDeletion = 20
	// maxDeletions is the most mutations in one request. They run one after another within
	// one time limit.
	maxDeletions = 10
)

// A Deletion names tags of one repository, at most [MaxDeletion] of them, and no more
// than [Client.MaxDeletionNow] says if all are to be deleted by one request.
type Deletion struct {
	Repository Repository
	Tags       []string
}

// deletedTags is what a mutation answers. GitLab drops protected names without a word:
// only what is named here is gone.
type deletedTags struct {
	DeletedTagNames []string `json:"deletedTagNames"`
}

// DeletionsAtOnce is how many deletions [Client.DeleteTags] takes in one request just now;
// 0 where GraphQL is not to be had.
func (c *Client) DeletionsAtOnce() int {
	if c.graphQL.off[deletions].Load() {
		return 0
	}
	return c.graphQL.deletions.now()
}

// MaxDeletionNow is how many tags of one repository [Client.DeleteTags] deletes by one
// mutation just now: [MaxDeletion], and fewer for a while when a single mutation has
// taken longer than GitLab allows.
func (c *Client) MaxDeletionNow() int { return c.graphQL.names.now() }

// DeleteTags asks GitLab in one request to delete tags, and returns for each deletion
// and tag whether GitLab confirmed it by name. What is not confirmed may be gone or
// not; [Client.DeleteTag] says why not. That goes, too, for names that no tag can have
// and for what exceeds [Client.MaxDeletionNow] or ten deletions, which are not sent at
// all.
//
// The error says why there was no answer, or no whole one; what is confirmed counts in
// spite of it. It is of class [ErrNoGraphQL] or [ErrTooComplex] when GitLab deleted
// nothing for that reason, and of class [throttle.ErrNotSent] when before ended before
// it was sent; once sent, it may take until ctx ends.
func (c *Client) DeleteTags(ctx, before context.Context, deletions []Deletion) (confirmed [][]bool, err error) {
	confirmed = make([][]bool, len(deletions))
	for i := range deletions {
		confirmed[i] = make([]bool, len(deletions[i].Tags))
	}
	m := newMutation(deletions, c.MaxDeletionNow())
	if len(m.fields) == 0 {
		return confirmed, nil
	}
	answer, err := c.mutate(ctx, before, m)
	for i, deletion := range deletions {
		field, sent := answer[alias(i)]
		for j, tag := range deletion.Tags {
			confirmed[i][j] = sent && slices.Contains(m.names(i), tag) && slices.Contains(field.DeletedTagNames, tag)
		}
	}
	if err != nil {
		return confirmed, fmt.Errorf("deleting tags of %d repositories: %w", len(m.fields), err)
	}
	return confirmed, nil
}

// mutate sends a mutation and returns what came for each of its fields.
func (c *Client) mutate(ctx, before context.Context, m *mutation) (map[string]deletedTags, error) {
	data, err := queryGraphQL[map[string]*deletedTags](c, deleting(ctx, before), deletions, m.text, m.variables)
	c.graphQL.deletions.heard(len(m.fields), err)
	alone := len(m.fields) == 1
	switch {
	case alone && errors.Is(err, ErrTooComplex):
		c.graphQL.off[deletions].Store(true) // it takes none at all
	case alone || err == nil:
		c.graphQL.names.heard(m.most(), err)
	}
	answer := make(map[string]deletedTags)
	if data == nil {
		return answer, err
	}
	for _, name := range m.fields {
		if field := (*data)[name]; field != nil {
			answer[name] = *field
		} else if err == nil {
			err = &throttle.FormatError{Problem: "the answer does not speak of all that was to be deleted"}
		}
	}
	return answer, err
}

// A mutation deletes tags of some repositories. What is to be deleted stands in its
// variables alone, never in its text.
type mutation struct {
	fields    []string // their aliases
	variables map[string]any
}

// newMutation makes the mutation for deletions, of so many tags each at most, less what
// cannot be sent.
func newMutation(deletions []Deletion, most int) *mutation {
	m := &mutation{variables: make(map[string]any)}
	for i, deletion := range deletions[:min(len(deletions), maxDeletions)] {
		var names []string
		for _, tag := range deletion.Tags {
			if checkTagName(tag) == nil && !slices.Contains(names, tag) && len(names) < most {
				names = append(names, tag)
			}
		}
		if len(names) > 0 {
			m.fields = append(m.fields, alias(i))
			m.variables[alias(i)+"id"] = globalID(repositoryIDs, deletion.Repository.ID)
			m.variables[alias(i)+"names"] = names
		}
	}
	return m
}

func alias(i int) string { return fmt.Sprintf("d%d", i) }

// names returns what is asked to be deleted by the i-th deletion.
func (m *mutation) names(i int) []string {
	names, _ := m.variables[alias(i)+"names"].([]string)
	return names
}

// most returns how many tags the largest of its deletions has.
func (m *mutation) most() int {
	most := 0
	for i := range maxDeletions {
		most = max(most, len(m.names(i)))
	}
	return most
}

func (m *mutation) text() string {
	var declared, fields strings.Builder
	for _, name := range m.fields {
		fmt.Fprintf(&declared, "$%[1]sid: ContainerRepositoryID!, $%[1]snames: [String!]!, ", name)
		fmt.Fprintf(&fields, " %[1]s: destroyContainerRepositoryTags(input: {id: $%[1]sid, tagNames: $%[1]snames}) { deletedTagNames }", name)
	}
	return "mutation(" + strings.TrimSuffix(declared.String(), ", ") + ") {" + fields.String() + " }"
}
