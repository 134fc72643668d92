package pipeline

import (
	"context"
	"errors"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// What a plan says of images that GitLab cannot date: how old and how large they are, those that
// would go, and those that stay for want of a word in DELETE_KINDS. That costs two requests for
// each image in them, which a run that deletes does not spend.

// namingAll returns the rules as they would be if DELETE_KINDS named all images that GitLab cannot
// date; nil in a run that deletes, and for rules that do not ask for kinds.
func namingAll(options Options) *policy.Rules {
	if !options.DryRun || options.Rules == nil || !options.Rules.Uses("settings.delete_kinds") {
		return nil
	}
	rules, err := options.Rules.Naming(manifest.KindAttestedImage, manifest.KindMultiArch)
	if err != nil {
		return nil // which rules that were compiled before do not lead to
	}
	return rules
}

// tellOfImage reads how old and how large an image is that would go, and tells of one that would if
// its kind were named. What cannot be read is no doubt about the verdict, which stands.
func (r *run) tellOfImage(ctx context.Context, d decision) decision {
	kind, _ := d.finding.kind.Get()
	if !r.options.DryRun || d.witness || !report.IsUndatableImage(kind) || d.regime == registry.Database || d.digest == "" {
		return d
	}
	switch {
	case d.verdict.Action == policy.Delete && (d.finding.made.IsUnknown() || d.finding.size.IsUnknown()):
		read := d
		if err := r.readImage(ctx, &read, policy.FactAge); err == nil {
			d.finding.made, d.finding.size = read.finding.made, read.finding.size
		}
	case r.namingAll != nil && d.verdict.Action == policy.Keep && report.StaysUnnamed(d.verdict.Reason):
		r.tellOfStaying(ctx, d)
	}
	return d
}

// tellOfStaying tells of an image that stays for no other reason than that DELETE_KINDS does not
// name its kind.
func (r *run) tellOfStaying(ctx context.Context, d decision) {
	goes, err := r.wouldGo(ctx, &d)
	if err == nil && goes && (d.finding.made.IsUnknown() || d.finding.size.IsUnknown()) {
		err = r.readImage(ctx, &d, policy.FactAge) // which its rule did not ask for
	}
	unread := err != nil && d.finding.made.IsUnknown() && ctx.Err() == nil
	if err == nil && goes || unread {
		r.tell(r.imageStays(d, unread))
	}
}

// wouldGo finds whether an image would go if its kind were named.
func (r *run) wouldGo(ctx context.Context, d *decision) (bool, error) {
	for {
		decided := r.namingAll.Decide(&d.facts)
		if decided.Need == needNothing {
			return decided.Action == policy.Delete, nil
		}
		if err := r.readImage(ctx, d, decided.Need); err != nil {
			return false, err
		}
	}
}

// readImage finds a fact about an image. Where one image shows that the registry keeps configs in an
// object store, to which no token may be shown, those of others are not asked for.
func (r *run) readImage(ctx context.Context, d *decision, need policy.Name) error {
	if _, err := r.outages.wait(ctx); err != nil {
		return err
	}
	if r.configsElsewhere.Load() && need == policy.FactAge {
		return errDateElsewhere
	}
	err := r.findFact(ctx, d, need)
	if _, elsewhere := errors.AsType[*registry.ElsewhereError](err); elsewhere {
		r.configsElsewhere.Store(true)
	}
	if err == nil && d.facts.IsUnknown(need) {
		err = errCannotBeHad
	}
	return err
}

// imageStays is a decision as an image that stays.
func (r *run) imageStays(d decision, unread bool) report.ImageStays {
	kind, _ := d.finding.kind.Get()
	made, _ := d.finding.made.Get()
	stays := report.ImageStays{
		Image: report.Image{
			Project: d.projectPath, Repository: d.Path, RepositoryID: d.ID, Tag: d.name,
			Digest: d.finding.digest, Kind: string(kind), Bytes: d.finding.bytes(), Made: made.UTC(),
		},
		AgeUnread: unread,
	}
	if r.options.Rules.Uses("settings.image_age") {
		stays.ImageAge = r.options.Rules.Settings().ImageAge
	}
	return stays
}
