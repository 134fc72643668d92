package gitlabtest

import (
	"context"
	"slices"
)

// maxTagNames is how many tags one mutation takes.
const maxTagNames = 20

// errNotAvailable is what GraphQL says of what is not there and of what may not
// be touched, in the same words.
const errNotAvailable = inWords("The resource that you are attempting to access does not exist " +
	"or you don't have permission to perform this action")

type destroyTagsInput struct {
	ID               repositoryID
	TagNames         []string
	ClientMutationID *string
}

// destroyed is a DestroyContainerRepositoryTagsPayload.
type destroyed struct {
	input  destroyTagsInput
	errors []string
	names  []string
}

// DestroyContainerRepositoryTags resolves the mutation. Several in one request
// run one after another.
func (graphqlRoot) DestroyContainerRepositoryTags(ctx context.Context, args struct{ Input destroyTagsInput }) (*destroyed, error) {
	o := operationIn(ctx)
	result := &destroyed{input: args.Input}
	if o.measuring {
		return result, nil
	}
	if o.mutationTimesOut() {
		return nil, inWords("Timeout on Mutation.destroyContainerRepositoryTags")
	}
	r, err := o.destroyable(args.Input)
	if err != nil {
		return nil, err
	}
	names, failed := o.destroyTags(r, args.Input.TagNames)
	if failed && len(names) == 0 {
		result.errors = []string{"error while deleting tags"}
		return result, nil
	}
	result.names = append(names, o.call.misled.alien...)
	return result, nil
}

// destroyable returns the repository, if its tags may be deleted as they are
// asked to be.
func (o *operation) destroyable(input destroyTagsInput) (*repository, error) {
	s := o.call.server
	r, err := o.repository(input.ID)
	switch {
	case err != nil:
		return nil, err
	case len(input.TagNames) > maxTagNames:
		return nil, o.violate("Number of tags is greater than %d", maxTagNames)
	case r == nil || r.project.unreadable() || r.project.archived || r.project.notMember,
		!slices.Contains(s.options.tokens[o.call.token], "api"):
		return nil, errNotAvailable
	default:
		return r, nil
	}
}

// destroyTags deletes tags, and returns what it says that it deleted, and whether
// the registry failed: GitLab makes that an error only when nothing was deleted.
func (o *operation) destroyTags(r *repository, names []string) (said []string, failed bool) {
	c := o.call
	for i, name := range names {
		if slices.Contains(names[:i], name) || o.strikesNth(c.misled.skipped, i) || c.server.protects(name) {
			continue
		}
		there, err := o.destroyTag(r, name)
		switch {
		case err != nil:
			failed = true
		case o.strikesNth(c.misled.unnamed, i):
		case there || c.server.options.goneTagsNamed:
			// What GitLab says of a tag that is gone already is not known.
			said = append(said, name)
		}
	}
	return said, failed
}

// destroyTag deletes a tag and says whether it was there.
func (o *operation) destroyTag(r *repository, name string) (bool, error) {
	s := o.call.server
	switch {
	case s.registryFails(o.call), o.call.registryUnreachable:
		return false, errRegistrySays
	case s.backend != nil:
		return s.removeBehind(o.call, r, name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.removeTag(r, name), nil
}

// protects says whether a rule of GitLab's guards a tag.
func (s *Server) protects(tag string) bool {
	return s.options.protectedTags != nil && s.options.protectedTags.MatchString(tag)
}

// Errors resolves errors.
func (d *destroyed) Errors() []string { return d.errors }

// DeletedTagNames resolves deletedTagNames.
func (d *destroyed) DeletedTagNames() []string { return d.names }

// ClientMutationID resolves clientMutationId.
func (d *destroyed) ClientMutationID() *string { return d.input.ClientMutationID }
