package report

import (
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

// EntryOf returns a decision as an entry of a plan.
func EntryOf(d Decision) plan.Entry {
	return plan.Entry{
		Project: d.Project, ProjectID: d.ProjectID, Repository: d.Repository, RepositoryID: d.RepositoryID, Tag: d.Tag,
		Digest: d.Digest, MediaType: d.MediaType, Reason: string(d.Reason), Kind: d.Kind,
		Bytes: d.Bytes, Made: d.Made, RestsOn: d.RestsOn, CounterpartEmpty: d.CounterpartEmpty,
	}
}

// A PlanFile is a handler that writes what is marked for deletion into a plan.
type PlanFile struct {
	*plan.Writer
	Path string
}

// Handle implements [Handler].
func (f *PlanFile) Handle(e Event) error {
	d, ok := e.(Decision)
	if !ok || d.Outcome != Marked {
		return nil
	}
	return f.Add(EntryOf(d))
}
