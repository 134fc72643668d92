package deploy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// likeManifests are the values that make the chart say what the manifests say, which have
// no network policy.
const likeManifests = `
fullnameOverride: registry-gc
token: {existingSecret: registry-gc}
networkPolicy: {enabled: false}
`

// TestChartAgreesWithManifests: the CronJob of the chart is that of the manifests, field by
// field but for labels, with one pod and with several. There is one set of decisions about
// security, ends and limits, in two forms.
func TestChartAgreesWithManifests(t *testing.T) {
	for dir, shards := range map[string]string{"": "shards: 1", "/sharded": "shards: 4"} {
		t.Run(shards, func(t *testing.T) {
			chart, manifest := mustRender(t, likeManifests+shards), build(t, manifests+dir)
			options := []cmp.Option{
				cmpopts.IgnoreTypes(metav1.ObjectMeta{}),
				cmpopts.EquateEmpty(),
				cmpopts.SortSlices(func(a, b corev1.EnvVar) bool { return strings.Compare(a.Name, b.Name) < 0 }),
				cmp.FilterPath(isSuspend, cmp.Ignore()),
			}
			if diff := cmp.Diff(manifest.job.Spec, chart.job.Spec, options...); diff != "" {
				t.Errorf("the CronJob of the manifests (-) and of the chart (+) differ:\n%s", diff)
			}
			if diff := cmp.Diff(manifest.account, chart.account, cmpopts.IgnoreTypes(metav1.ObjectMeta{})); diff != "" {
				t.Errorf("the accounts differ:\n%s", diff)
			}
		})
	}
}

// isSuspend finds the one field that the chart always sets and the manifests never do.
func isSuspend(path cmp.Path) bool { return path.Last().String() == ".Suspend" }

// TestSharded: the overlay is the CronJob as it is, with an Indexed Job whose pods all run
// at once, know how many they are, and fail one by one.
func TestSharded(t *testing.T) {
	plain, sharded := build(t, manifests), build(t, manifests+"/sharded")
	if plain.job.Name != sharded.job.Name || plain.job.Namespace != sharded.job.Namespace || sharded.account == nil {
		t.Error("the overlay is not the CronJob of the base")
	}
	checkIndexed(t, sharded, 4)
	if name := sharded.container().Image; strings.Contains(name, "registry.example.com") != strings.Contains(plain.container().Image, "registry.example.com") {
		t.Errorf("the overlay takes its image from %s, the base from %s", name, plain.container().Image)
	}
	if plain.env()["SHARD_COUNT"] != "" || plain.job.Spec.JobTemplate.Spec.CompletionMode != nil {
		t.Error("the CronJob without shards speaks of shards")
	}
	for _, variable := range plain.container().Env {
		if !slices.Contains(sharded.container().Env, variable) {
			t.Errorf("the overlay lost %s", variable.Name)
		}
	}
}

// checkIndexed holds a Job against what several shards need.
func checkIndexed(t *testing.T, r *resources, shards int32) {
	t.Helper()
	got := r.job.Spec.JobTemplate.Spec
	got.Template, got.ActiveDeadlineSeconds = corev1.PodTemplateSpec{}, nil
	want := batchv1.JobSpec{
		Completions:          &shards,
		Parallelism:          &shards,
		CompletionMode:       new(batchv1.IndexedCompletion),
		BackoffLimitPerIndex: new(int32(0)),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the Job is not one of %d shards (-want +got):\n%s", shards, diff)
	}
	if count := r.env()["SHARD_COUNT"]; count != formatInt(shards) {
		t.Errorf("SHARD_COUNT is %q; want %d", count, shards)
	}
	if index, set := r.env()["SHARD_INDEX"]; set {
		t.Errorf("SHARD_INDEX is %q, for every shard", index)
	}
	if policy := r.job.Spec.ConcurrencyPolicy; policy != batchv1.ForbidConcurrent {
		t.Errorf("concurrencyPolicy is %s", policy)
	}
}
