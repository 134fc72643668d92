package policy_test

import (
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// BenchmarkDecide is what a decision of the default rules costs.
func BenchmarkDecide(b *testing.B) {
	rules := compileFile(b, policy.Default(), settings)
	orphan := cacheFacts()
	image := cacheFacts() // no rule decides: all are tried
	image.Repository.IsCache, image.Tag.Kind = false, policy.Known(manifest.KindImage)
	legacy := image
	legacy.Database = policy.Known(false)
	protected := cacheFacts()
	protected.Tag.Name = "main"
	listed := image // what a list tells
	for _, fact := range facts {
		if fact.name != policy.FactDatabase && fact.name != policy.FactBroken {
			fact.forget(&listed)
		}
	}
	needs := listed // which ends at an unknown
	needs.Repository.IsCache = true
	for _, test := range []struct {
		name  string
		facts policy.Facts
	}{
		{"orphan", orphan}, {"image", image}, {"legacy", legacy}, {"protected", protected},
		{"listed", listed}, {"needs", needs}, {"nothing", policy.Facts{Tag: policy.Tag{Name: "feature-1"}}},
	} {
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rules.Decide(&test.facts)
			}
		})
	}
}

// BenchmarkCompile is what rules cost before anything is asked.
func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		compileFile(b, policy.Default(), settings)
	}
}
