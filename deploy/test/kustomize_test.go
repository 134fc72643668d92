package deploy_test

import (
	"path/filepath"
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
image: {repository: registry.example.com/tools/registry-gc, tag: latest}
token: {existingSecret: registry-gc}
networkPolicy: {enabled: false}
`

// TestChartAgreesWithManifests: the CronJob of the chart is that of the manifests, field by
// field but for labels, with one pod and with several, without and with a volume. There is one set of decisions about
// security, ends and limits, in two forms.
func TestChartAgreesWithManifests(t *testing.T) {
	const kept = "\nreports: {persistent: true, accessModes: [ReadWriteOnce]}"
	for values, manifest := range map[string]*resources{
		"shards: 1":        build(t, manifests),
		"shards: 4":        build(t, manifests+"/sharded"),
		"shards: 1" + kept: buildWithVolume(t, ""),
		"shards: 4" + kept: buildWithVolume(t, "sharded"),
	} {
		t.Run(values, func(t *testing.T) {
			chart := mustRender(t, likeManifests+values)
			options := []cmp.Option{
				cmpopts.IgnoreTypes(metav1.ObjectMeta{}),
				cmpopts.EquateEmpty(),
				cmpopts.SortSlices(func(a, b corev1.EnvVar) bool { return strings.Compare(a.Name, b.Name) < 0 }),
				cmpopts.SortSlices(func(a, b corev1.Volume) bool { return a.Name < b.Name }),
				cmpopts.SortSlices(func(a, b corev1.VolumeMount) bool { return a.Name < b.Name }),
				cmp.FilterPath(isSuspend, cmp.Ignore()),
			}
			if diff := cmp.Diff(manifest.job.Spec, chart.job.Spec, options...); diff != "" {
				t.Errorf("the CronJob of the manifests (-) and of the chart (+) differ:\n%s", diff)
			}
			if diff := cmp.Diff(manifest.claim, chart.claim, cmpopts.IgnoreTypes(metav1.ObjectMeta{})); diff != "" {
				t.Errorf("the claims differ:\n%s", diff)
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

// TestVolumeIsAnOption: without the volume there are no reports, and the program so writes its journal to the log.
func TestVolumeIsAnOption(t *testing.T) {
	for _, dir := range []string{"", "sharded"} {
		without, with := build(t, filepath.Join(manifests, dir)), buildWithVolume(t, dir)
		if _, set := without.env()["REPORT_DIR"]; set || without.claim != nil || len(without.pod().Volumes) != 1 {
			t.Errorf("%q: there is a volume or REPORT_DIR", dir)
		}
		if with.claim == nil || with.claim.Namespace != with.job.Namespace || with.env()["REPORT_DIR"] == "" {
			t.Errorf("%q: the claim is %v, REPORT_DIR %q", dir, with.claim, with.env()["REPORT_DIR"])
		}
		for name, value := range without.env() {
			if with.env()[name] != value {
				t.Errorf("%q: with the volume %s is %q", dir, name, with.env()[name])
			}
		}
	}
}

// TestIncompleteRunsAreNoFailures: a Job succeeds by code 0 alone.
func TestIncompleteRunsAreNoFailures(t *testing.T) {
	for what, r := range map[string]*resources{"the chart": mustRender(t, ""), "the manifests": build(t, manifests)} {
		if code := r.env()["INCOMPLETE_EXIT_CODE"]; code != "0" {
			t.Errorf("%s: INCOMPLETE_EXIT_CODE is %q", what, code)
		}
	}
}
