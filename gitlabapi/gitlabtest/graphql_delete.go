package gitlabtest

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// maxTagNames is how many tags one mutation takes.
const maxTagNames = 20

const (
	// errNotAvailable is what GraphQL says of what is not there and of what may not
	// be touched, in the same words.
	errNotAvailable = graphqlError("The resource that you are attempting to access does not exist " +
		"or you don't have permission to perform this action")
	// errNoRegistry is what Rails says when it cannot connect to the registry.
	errNoRegistry = graphqlError("Can't connect to the Container Registry. If this error persists, " +
		"please review the troubleshooting documentation.")
)

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

// Errors resolves errors.
func (d *destroyed) Errors() []string { return d.errors }

// DeletedTagNames resolves deletedTagNames.
func (d *destroyed) DeletedTagNames() []string { return d.names }

// ClientMutationID resolves clientMutationId.
func (d *destroyed) ClientMutationID() *string { return d.input.ClientMutationID }

// DestroyContainerRepositoryTags resolves the mutation. Several in one request
// run one after another. A failure becomes an error only when nothing was deleted.
func (graphqlRoot) DestroyContainerRepositoryTags(ctx context.Context, args struct{ Input destroyTagsInput }) (*destroyed, error) {
	o := operationIn(ctx)
	result := &destroyed{input: args.Input}
	if o.measuring {
		return result, nil
	}
	faults, s, asked := &o.call.graphql, o.call.server, args.Input.TagNames
	if o.mutations++; faults.mutationsTimeOut && o.mutations > faults.mutationsThatWork {
		return nil, graphqlError("Timeout on Mutation.destroyContainerRepositoryTags")
	}
	r, err := o.destroyable(args.Input)
	if err != nil {
		return nil, err
	}
	unprotected := slices.DeleteFunc(slices.Clone(asked), s.protects)
	if len(asked) > 0 && len(unprotected) == 0 {
		result.errors = []string{"cannot delete protected tag(s)"}
		return result, nil
	}
	var deleted, refused []string
	unreachable := false
	for i, name := range asked {
		if slices.Contains(asked[:i], name) || s.protects(name) || isNth(faults.skipped, i) {
			continue
		}
		switch err := o.destroyTag(r, name); {
		case errors.Is(err, errRegistrySays):
			refused = append(refused, name)
		case err != nil:
			unreachable = true
		case !isNth(faults.unnamed, i):
			deleted = append(deleted, name)
		}
	}
	switch {
	case len(deleted) == 0 && unreachable:
		result.errors = []string{"error while deleting tags"}
	case len(deleted) == 0 && len(refused) > 0:
		result.errors = []string{"could not delete tags: " + strings.Join(refused, ", ")}
	default:
		result.names = append(deleted, faults.extraNames...)
	}
	return result, nil
}

// destroyable returns the repository, if its tags may be deleted as they are
// asked to be.
func (o *operation) destroyable(input destroyTagsInput) (*repository, error) {
	id, err := o.idOf(string(input.ID), "ContainerRepository")
	if err != nil {
		return nil, err
	}
	if len(input.TagNames) > maxTagNames {
		return nil, o.violate("Number of tags is greater than %d", maxTagNames)
	}
	r := o.call.server.state.numbered[id]
	if r == nil || r.project.unreadable() || r.project.archived || r.project.notMember ||
		!slices.Contains(o.call.server.options.tokens[o.call.token], "api") {
		return nil, errNotAvailable
	}
	return r, nil
}

// destroyTag deletes a tag; one that is gone counts as deleted.
func (o *operation) destroyTag(r *repository, name string) error {
	s := o.call.server
	switch {
	case o.call.registryUnreachable:
		return errNoRegistry
	case o.call.registryFails:
		return errRegistrySays
	case s.real != nil:
		_, err := s.removeRealTag(o.call, r, name)
		return err
	}
	o.call.beginDeletion()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeTag(r, name)
	return nil
}
