package gitlabtest

import (
	"context"
	"errors"
	"slices"
	"strings"
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
	names, refused, failed := o.destroyTags(r, args.Input.TagNames)
	asked := args.Input.TagNames
	switch {
	case len(asked) > 0 && !slices.ContainsFunc(asked, func(tag string) bool { return !o.call.server.protects(tag) }):
		result.errors = []string{"cannot delete protected tag(s)"}
	case failed && len(names) == 0:
		result.errors = []string{"error while deleting tags"}
	case len(refused) > 0 && len(names) == 0:
		result.errors = []string{"could not delete tags: " + strings.Join(refused, ", ")}
	default:
		result.names = append(names, o.call.misled.alien...)
	}
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

// destroyTags deletes tags, and returns which ones it says that it deleted, those among
// them that were gone before, which ones the registry refused, and whether it could not be
// reached: GitLab makes these an error only when nothing was deleted. Protected tags are
// in neither.
func (o *operation) destroyTags(r *repository, names []string) (said, refused []string, failed bool) {
	c := o.call
	for i, name := range names {
		if slices.Contains(names[:i], name) || o.strikesNth(c.misled.skipped, i) || c.server.protects(name) {
			continue
		}
		switch err := o.destroyTag(r, name); {
		case err != nil && !errors.Is(err, errRegistrySays):
			failed = true
		case err != nil:
			refused = append(refused, name)
		case o.strikesNth(c.misled.unnamed, i):
		default:
			said = append(said, name)
		}
	}
	return said, refused, failed
}

// destroyTag deletes a tag, or finds that it is gone.
func (o *operation) destroyTag(r *repository, name string) error {
	s := o.call.server
	switch {
	case o.call.registryUnreachable:
		return errNoRegistry
	case s.registryFails(o.call):
		return errRegistrySays
	case s.backend != nil:
		_, err := s.removeBehind(o.call, r, name)
		return err
	}
	o.call.beginDeletion()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeTag(r, name)
	return nil
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
