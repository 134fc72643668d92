package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// An Explanation is all that there is to know of one tag, and what the rules make of it. Its texts
// have names of the server in them.
type Explanation struct {
	Project    string // full path
	Repository string // full path
	Tag        string
	// Skipped says why a run passes the tag by. It is then not asked about, and the rest is empty.
	Skipped report.SkipReason
	// Verdict is what a run comes to, before it reads again what a deletion rests on.
	Verdict policy.Verdict
	// Description explains the verdict's reason, as the rules do.
	Description string
	// Doubt is why the tag is undecided, or why its repository's listing broke off; nil if neither is so.
	Doubt error
	// Full is what becomes of a verdict to delete with all facts found. It differs where a run
	// presumes something that it looks into before it deletes.
	Full            policy.Verdict
	FullDescription string
	Facts           []ExplainedFact
	Rules           []policy.Step // what each makes of all facts
	// Warnings are what a run would warn of as well.
	Warnings []error
}

// ErrReference says that a text does not name one tag.
var ErrReference = errors.New("a tag is named as GROUP/PROJECT[/REPOSITORY]:TAG, without the address of the registry and without a digest")

// A NotFoundError says that something of that name is not there, or cannot be seen.
type NotFoundError struct {
	Kind string // "project", "repository" or "tag"
	Name string
	In   string   // full path of the project or repository that lacks it; empty for a project
	Has  []string // what that has instead
}

// Error implements error.
func (e *NotFoundError) Error() string {
	switch e.Kind {
	case "project":
		return fmt.Sprintf("%q is in no project that the token can see", e.Name)
	case "repository":
		return fmt.Sprintf("the project %q has no repository %q", e.In, e.Name)
	default:
		return fmt.Sprintf("the repository %q has no tag %q", e.In, e.Name)
	}
}

// Explain finds all that the rules speak of about one tag, also what a decision would not need,
// and returns it with the verdict and with what each rule says. It finds facts as a run does, and
// sends no request that changes anything.
//
// The reference is the full path of a repository, a colon and the tag. The error is
// [ErrReference], a [*NotFoundError], or what kept the tag from being found; that a fact could not
// be found out is none.
func Explain(ctx context.Context, client *gitlabapi.Client, options Options, reference string) (*Explanation, error) {
	name, err := parseReference(reference)
	if err != nil {
		return nil, err
	}
	options.Workers = max(options.Workers, 1)
	e, release := newEngine(ctx, cmp.Or(options.Grace, defaultGrace))
	defer release()
	events := make(chan report.Event, 1)
	r := newRun(e, client, options, events)
	explained := start(e, stage[tagReference, *Explanation]{workers: 1, work: r.explain}, first(name))
	closeWhenDone(e, events)
	var warnings []error
	for event := range events {
		switch event := event.(type) {
		case report.RegimeUnclear:
			warnings = append(warnings, errors.New("it is not clear whether the registry has a metadata database: the stricter reading of each sign counts"))
		case report.Unreadable:
			warnings = append(warnings, fmt.Errorf("%s cannot be read: %w", event.Name, event.Err))
		}
	}
	if err := context.Cause(e.soft); err != nil {
		return nil, err
	}
	x := <-explained
	if x == nil {
		return nil, errors.Join(warnings...) // the project could not be read
	}
	x.Warnings = warnings
	return x, nil
}

// CheckReference returns [ErrReference] for a text that does not name one tag.
func CheckReference(reference string) error {
	_, err := parseReference(reference)
	return err
}

// A tagReference is what names a tag.
type tagReference struct{ path, tag string }

// parseReference splits a reference at its last colon. A colon before that is one of an address with
// a port.
func parseReference(text string) (tagReference, error) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 || strings.ContainsAny(text[:i], ":@?#%") || !strings.Contains(text[:i], "/") || registry.CheckTag(text[i+1:]) != nil {
		return tagReference{}, ErrReference
	}
	for part := range strings.SplitSeq(text[:i], "/") {
		if part == "" || part == "." || part == ".." {
			return tagReference{}, ErrReference
		}
	}
	return tagReference{text[:i], text[i+1:]}, nil
}

// explain is the work of the only stage of [Explain].
func (r *run) explain(ctx context.Context, name tagReference, send emit[*Explanation]) error {
	owner, repository, err := r.findProject(ctx, name.path)
	if err != nil {
		return err
	}
	x := &Explanation{Project: owner.Path, Repository: name.path, Tag: name.tag}
	if skipped, ok := (&projectLister{run: r, exclude: newExclusion(Exclude{})}).skip(owner).(report.Skipped); ok {
		x.Skipped = skipped.Why
		send(x)
		return nil
	}
	member, err := r.findRepository(ctx, owner, repository)
	if member == nil || err != nil {
		return err
	}
	if x.Repository = member.Path; member.Deleting {
		x.Skipped = report.RepositoryDeleting
		send(x)
		return nil
	}
	t, err := r.listTag(ctx, member, name.tag)
	if err != nil {
		return err
	}
	d := r.decide(ctx, t)
	failed, err := r.completeFacts(ctx, &d)
	if err != nil {
		return err
	}
	r.fillIn(ctx, x, &d, failed)
	send(x)
	return nil
}

// findProject returns the project that a path leads into and the rest of the path, the name of a
// repository. It asks for the whole path first, as a project may be called like a repository of a
// project above it.
func (r *run) findProject(ctx context.Context, path string) (p gitlabapi.Project, repository string, err error) {
	for end := len(path); strings.Contains(path[:end], "/"); end = strings.LastIndexByte(path[:end], '/') {
		p, err := r.client.Project(ctx, path[:end])
		if err == nil {
			return p, strings.TrimPrefix(path[end:], "/"), nil
		}
		if !errors.Is(err, throttle.ErrNotFound) {
			return p, "", err
		}
	}
	return p, "", &NotFoundError{Kind: "project", Name: path}
}

// findRepository returns a repository of a project, joined with its counterpart; nil where the
// project cannot be read, which has been told.
func (r *run) findRepository(ctx context.Context, owner gitlabapi.Project, name string) (*projectRepository, error) {
	listed, err := r.listRepositories(ctx, []*project{{Project: owner}})
	if err != nil || len(listed) == 0 {
		return nil, err
	}
	linked, err := r.link(listed[0], registry.TokenGroups(pathsOf(listed)))
	if err != nil {
		return nil, err
	}
	for _, member := range linked {
		if strings.EqualFold(member.Name, name) {
			return member, nil
		}
	}
	for _, left := range listed[0].repositories { // those that GitLab is deleting
		if strings.EqualFold(left.Name, name) {
			return &projectRepository{repository: &repository{Repository: left, projectPath: owner.Path}}, nil
		}
	}
	return nil, &NotFoundError{Kind: "repository", Name: name, In: owner.Path, Has: pathsOf(listed)}
}

// listTag returns a tag of a repository, of a listing that broke off, too.
func (r *run) listTag(ctx context.Context, p *projectRepository, name string) (tag, error) {
	s, err := r.listTags(ctx, p)
	if s == nil || endsRun(err) {
		return tag{}, err
	}
	place, listed := s.tags.place(name)
	switch {
	case listed:
		return tag{scannedRepository: s, listedTag: s.tags[place]}, nil
	case err != nil:
		return tag{}, err
	default:
		return tag{}, &NotFoundError{Kind: "tag", Name: name, In: p.Path, Has: s.tags.names()}
	}
}

// completeFacts looks for those facts about a tag that the rules speak of and that its decision did
// not need. Why some could not be found out is returned by their names. The error is one that
// would end a run.
func (r *run) completeFacts(ctx context.Context, d *decision) (failed map[policy.Name]error, err error) {
	failed = make(map[policy.Name]error)
	var unreadable error // why nothing of the tag itself can be read
	fail := func(fact policy.Name, err error) {
		failed[fact] = err
		if d.digest == "" && slices.Contains(factsOfTag, fact) {
			unreadable = err
		}
	}
	if d.doubt != nil {
		fail(r.options.Rules.Decide(&d.facts).Need, d.doubt)
	}
	// The rank comes first: what is found with it takes the place of what was found before.
	for _, fact := range append([]policy.Name{policy.FactRank}, explainedFacts...) {
		switch {
		case !r.lacks(d, fact) || failed[fact] != nil:
		case unreadable != nil && slices.Contains(factsOfTag, fact):
			failed[fact] = unreadable // asking again would fail again, after as many tries
		default:
			if err := r.findNeeded(ctx, d, fact); err != nil {
				fail(fact, err)
			}
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for _, err := range failed {
		if endsRun(err) {
			return nil, err
		}
	}
	return failed, nil
}

// lacks reports whether a fact is to be looked for that the rules speak of. What the name of a
// cache repository says of its tags is looked into, too. Of a tag whose listing broke off nothing
// is asked, as little as in a run.
func (r *run) lacks(d *decision, fact policy.Name) bool {
	presumed := fact == policy.FactIsCache && d.presumed
	return r.options.Rules.Uses(string(fact)) && d.err == nil && (presumed || d.facts.IsUnknown(fact))
}

// fillIn puts into an explanation what was decided, and all facts.
func (r *run) fillIn(ctx context.Context, x *Explanation, d *decision, failed map[policy.Name]error) {
	rules := r.options.Rules
	x.Verdict, x.Full, x.Doubt = d.verdict, d.verdict, d.doubt
	if d.verdict.Action == policy.Delete {
		x.Full = rules.Decide(&d.facts).Verdict
	}
	x.Description, x.FullDescription = rules.Describe(x.Verdict.Reason), rules.Describe(x.Full.Reason)
	x.Facts = r.explainFacts(ctx, d, failed)
	x.Rules = rules.Explain(&d.facts)
}
