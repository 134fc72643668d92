package gitlabapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
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
	if err := registry.CheckTag(tag); err != nil {
		return fmt.Errorf("deleting %s:%q: %w", repository.Path, tag, err)
	}
	resp, err := c.gitlab.ContainerRegistry.DeleteRegistryRepositoryTag(
		repository.ProjectID, repository.ID, tag, c.deleting(ctx, before))
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
// too long, and 0 where GraphQL is not available.
func (c *Client) MaxDeletions() (deletions, tags int) {
	if c.graphQL.off[deletingTags].Load() {
		return 0, 0
	}
	n := c.graphQL.names.get()
	return max(n/MaxDeletionTags, 1), min(n, MaxDeletionTags)
}

// DeleteTags asks GitLab in one request to delete tags, and returns for each deletion
// and tag whether GitLab confirmed it by name. What is not confirmed may be gone or
// not; [Client.DeleteTag] says why not. That goes, too, for names that no tag can have
// and for what exceeds ten deletions, or [MaxDeletionTags] in one, which are not sent at all.
//
// The error says why there was no answer, or no whole one; what is confirmed counts in
// spite of it. It is of class [throttle.ErrNotSent] when before ended before it was sent; once
// sent, it may take until ctx ends.
func (c *Client) DeleteTags(ctx, before context.Context, deletions []Deletion) (confirmed [][]bool, err error) {
	confirmed = make([][]bool, len(deletions))
	for i := range deletions {
		confirmed[i] = make([]bool, len(deletions[i].Tags))
	}
	m := newMutation(deletions)
	if m.deletions == 0 {
		return confirmed, nil
	}
	// GitLab drops protected names without a word: only what is named here is gone.
	type deletedTags struct {
		DeletedTagNames []string `json:"deletedTagNames"`
	}
	data, err := queryGraphQL[map[string]*deletedTags](c, c.deleting(ctx, before), deletingTags, m.text, m.variables)
	if m.deletions == 1 && errors.Is(err, errTooComplex) {
		c.graphQL.off[deletingTags].Store(true) // it takes none at all
	} else {
		c.graphQL.names.observe(m.names, err)
	}
	for i, sent := range m.tags {
		if data == nil || len(sent) == 0 {
			continue
		}
		field := (*data)[alias(i)]
		if field == nil {
			err = cmp.Or(err, error(&throttle.FormatError{Problem: "the answer does not speak of all that was to be deleted"}))
			continue
		}
		for j, tag := range deletions[i].Tags {
			confirmed[i][j] = slices.Contains(sent, tag) && slices.Contains(field.DeletedTagNames, tag)
		}
	}
	if err != nil {
		return confirmed, fmt.Errorf("deleting tags of %d repositories: %w", m.deletions, err)
	}
	return confirmed, nil
}

// A mutation deletes tags of some repositories. What is to be deleted stands in its variables
// alone, never in its text.
type mutation struct {
	tags             [][]string // what is sent of each deletion
	deletions, names int        // how many deletions have any, and how many tags these are
	declared, fields strings.Builder
	variables        map[string]any
}

func alias(i int) string { return fmt.Sprintf("d%d", i) }

// newMutation makes the mutation for deletions, less what cannot be sent.
func newMutation(deletions []Deletion) *mutation {
	m := &mutation{variables: make(map[string]any)}
	for i, deletion := range deletions[:min(len(deletions), maxMutations)] {
		var tags []string
		for _, tag := range deletion.Tags {
			if registry.CheckTag(tag) == nil && !slices.Contains(tags, tag) && len(tags) < MaxDeletionTags {
				tags = append(tags, tag)
			}
		}
		m.tags = append(m.tags, tags)
		if len(tags) == 0 {
			continue
		}
		m.deletions, m.names = m.deletions+1, m.names+len(tags)
		name := alias(i)
		fmt.Fprintf(&m.declared, "$%[1]sid: ContainerRepositoryID!, $%[1]snames: [String!]!, ", name)
		fmt.Fprintf(&m.fields, " %[1]s: destroyContainerRepositoryTags(input: {id: $%[1]sid, tagNames: $%[1]snames}) { deletedTagNames }", name)
		m.variables[name+"id"] = globalID(repositoryIDs, deletion.Repository.ID)
		m.variables[name+"names"] = tags
	}
	return m
}

func (m *mutation) text() string {
	return "mutation(" + strings.TrimSuffix(m.declared.String(), ", ") + ") {" + m.fields.String() + " }"
}
