package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

const (
	// MaxDeletionTags is the most tags of one repository that GitLab deletes by one mutation.
	MaxDeletionTags = 20
	// maxMutations is the most mutations in one request. They run one after another within
	// one time limit.
	maxMutations = 10
	maxNames     = MaxDeletionTags * maxMutations
)

// DeleteTag deletes a tag by its name. That there is no such tag any more is no
// error: it may be the second attempt of a deletion whose answer was lost, or
// another client was quicker.
//
// It is not sent once before has ended, which is an error of class [throttle.ErrNotSent]; once
// sent, it may take until ctx ends.
func (c *Client) DeleteTag(ctx, before context.Context, repository Repository, tag string) error {
	if err := checkTagName(tag); err != nil {
		return fmt.Errorf("deleting %s:%q: %w", repository.Path, tag, err)
	}
	resp, err := c.gitlab.ContainerRegistry.DeleteRegistryRepositoryTag(
		repository.ProjectID, repository.ID, tag, deleting(ctx, before))
	if err == nil {
		return nil
	}
	err = c.failure(http.MethodDelete, tagPath(repository, tag), resp, err)
	if errors.Is(err, ErrTagNotFound) {
		return nil
	}
	return fmt.Errorf("deleting %s:%s: %w", repository.Path, tag, err)
}

// A Deletion names tags of one repository.
type Deletion struct {
	Repository Repository
	Tags       []string
}

// MaxDeletions returns how many deletions [Client.DeleteTags] takes in one request just now, and
// how many tags in each: 10 and 20, fewer for a while when GitLab found that too much or took
// too long, and 0 where GraphQL is not to be had.
func (c *Client) MaxDeletions() (deletions, tags int) {
	if c.graphQL.off[deletingTags].Load() {
		return 0, 0
	}
	n := c.graphQL.names.get()
	return max(n/MaxDeletionTags, 1), min(n, MaxDeletionTags)
}

// deletedTags is what a mutation answers. GitLab drops protected names without a word:
// only what is named here is gone.
type deletedTags struct {
	DeletedTagNames []string `json:"deletedTagNames"`
}

// DeleteTags asks GitLab in one request to delete tags, and returns for each deletion
// and tag whether GitLab confirmed it by name. What is not confirmed may be gone or
// not; [Client.DeleteTag] says why not. That goes, too, for names that no tag can have
// and for what exceeds ten deletions, or [MaxDeletionTags] in one, which are not sent at all.
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
	m := newMutation(deletions)
	if len(m.fields) == 0 {
		return confirmed, nil
	}
	answer, err := c.mutate(ctx, before, m)
	for i, deletion := range deletions {
		field, sent := answer[alias(i)]
		for j, tag := range deletion.Tags {
			confirmed[i][j] = sent && slices.Contains(m.tags[alias(i)], tag) && slices.Contains(field.DeletedTagNames, tag)
		}
	}
	if err != nil {
		return confirmed, fmt.Errorf("deleting tags of %d repositories: %w", len(m.fields), err)
	}
	return confirmed, nil
}

// mutate sends a mutation and returns what came for each of its fields.
func (c *Client) mutate(ctx, before context.Context, m *mutation) (map[string]deletedTags, error) {
	data, err := queryGraphQL[map[string]*deletedTags](c, deleting(ctx, before), deletingTags, m.text, m.variables)
	if len(m.fields) == 1 && errors.Is(err, ErrTooComplex) {
		c.graphQL.off[deletingTags].Store(true) // it takes none at all
	} else {
		c.graphQL.names.observe(m.names, err)
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

// A mutation deletes tags of some repositories. What is to be deleted stands in its variables
// alone, never in its text.
type mutation struct {
	fields    []string            // their aliases
	tags      map[string][]string // by alias
	names     int                 // how many tags these are
	variables map[string]any
}

// newMutation makes the mutation for deletions, less what cannot be sent.
func newMutation(deletions []Deletion) *mutation {
	m := &mutation{tags: make(map[string][]string), variables: make(map[string]any)}
	for i, deletion := range deletions[:min(len(deletions), maxMutations)] {
		var tags []string
		for _, tag := range deletion.Tags {
			if checkTagName(tag) == nil && !slices.Contains(tags, tag) && len(tags) < MaxDeletionTags {
				tags = append(tags, tag)
			}
		}
		if len(tags) == 0 {
			continue
		}
		name := alias(i)
		m.fields, m.tags[name], m.names = append(m.fields, name), tags, m.names+len(tags)
		m.variables[name+"id"] = globalID(repositoryIDs, deletion.Repository.ID)
		m.variables[name+"names"] = tags
	}
	return m
}

func alias(i int) string { return fmt.Sprintf("d%d", i) }

func (m *mutation) text() string {
	var declared, fields strings.Builder
	for _, name := range m.fields {
		fmt.Fprintf(&declared, "$%[1]sid: ContainerRepositoryID!, $%[1]snames: [String!]!, ", name)
		fmt.Fprintf(&fields, " %[1]s: destroyContainerRepositoryTags(input: {id: $%[1]sid, tagNames: $%[1]snames}) { deletedTagNames }", name)
	}
	return "mutation(" + strings.TrimSuffix(declared.String(), ", ") + ") {" + fields.String() + " }"
}
