package pipeline_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// What is said of images that can be pulled and that GitLab cannot date.

// imageWorld has such images of every age, some of which stay for other reasons than their kind.
func imageWorld() *gitlabtest.World {
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	p := world.AddProject("g/p")
	p.Environments = []gitlabtest.Environment{{Name: "production", Ref: "deployed", SHA: strings.Repeat("a", 40)}}
	app := p.AddRepository("app")
	app.AddTagAt("attested-old", gitlabtest.KindAttestedImage, daysAgo(100))
	app.AddTagAt("attested-older", gitlabtest.KindAttestedImage, daysAgo(200))
	app.AddTagAt("attested-young", gitlabtest.KindAttestedImage, daysAgo(29))
	app.AddTagAt("multi-old", gitlabtest.KindMultiArch, daysAgo(300))
	app.AddTagAt("multi-young", gitlabtest.KindMultiArch, daysAgo(1))
	app.AddTagAt("plain", gitlabtest.KindImage, daysAgo(400))
	app.AddTagAt("latest", gitlabtest.KindAttestedImage, daysAgo(500))
	app.AddTagAt("v1.2.3", gitlabtest.KindMultiArch, daysAgo(500))
	app.AddTagAt("running", gitlabtest.KindAttestedImage, daysAgo(501))
	app.AddTagAt("deployed", gitlabtest.KindMultiArch, daysAgo(502))
	app.AddTagAt("lost", gitlabtest.KindManifestMissing, daysAgo(503))
	return world
}

// imageTrial prepares a run over it by the default rules, with kinds in DELETE_KINDS.
func imageTrial(t *testing.T, dryRun bool, kinds []manifest.Kind, options ...gitlabtest.Option) *trial {
	tr := byRules(imageWorld(), policy.Default(), append(options, gitlabtest.WithLog())...)
	tr.options.DryRun, tr.options.Workers, tr.settings.DeleteKinds = dryRun, 1, kinds // so that each count is one
	tr.options.InUse, tr.options.InUseEnvironments = inUse(t, "registry.example.com/g/p/app:running"), true
	return tr
}

// unnamed is DELETE_KINDS without images.
var unnamed = []manifest.Kind{manifest.KindCacheIndex, manifest.KindMissingManifest}

// The layers of the stand-in's images, and the config of one, whose length no date changes.
const largeLayer, smallLayer, lastLayer = 1_064_323, 156, 100

func configBytes(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("../gitlabapi/gitlabtest/testdata/buildkit/image-config-blob.json")
	if err != nil {
		t.Fatal(err)
	}
	return int64(len(text))
}

// attestedBytes and multiArchBytes are what the images reference: of two that share a layer, that
// counts once.
func attestedBytes(t *testing.T) int64 {
	return configBytes(t) + largeLayer + smallLayer + lastLayer
}
func multiArchBytes(t *testing.T) int64 { return 2*configBytes(t) + smallLayer }

// image is one of the world's.
func image(tag string, kind gitlabtest.Kind, bytes int64, days int) report.Image {
	return report.Image{Project: "g/p", Repository: "g/p/app", Tag: tag, Kind: string(kind), Bytes: bytes, Made: daysAgo(days).UTC()}
}

// sameImages compares what is measured of images, and not the digests by which each counts once.
var sameImages = cmp.Options{cmpopts.IgnoreFields(report.Image{}, "Digest"), cmpopts.IgnoreUnexported(report.StayingImages{})}

// withoutIDs leaves out what the world numbers.
func withoutIDs(images []report.Image) []report.Image {
	var all []report.Image
	for _, i := range images {
		i.RepositoryID = 0
		all = append(all, i)
	}
	return all
}

// TestImagesThatStay: a plan says of images that only lack a word how many they are, how old and how
// large. It asks for that alone two requests for each image in them; a run that deletes asks for
// nothing, and decides the same.
func TestImagesThatStay(t *testing.T) {
	attested, multi := attestedBytes(t), multiArchBytes(t)
	real := imageTrial(t, false, unnamed)
	ran := real.runInBubble(t)
	plan := imageTrial(t, true, unnamed)
	planned := plan.runInBubble(t)

	want := report.StayingImages{
		Images: report.Images{
			Measure: report.Measure{Tags: 3, Sized: 3, Bytes: 2*attested + multi, Oldest: daysAgo(300).UTC()},
			Kinds:   map[string]int{"attested-image": 2, "multi-arch": 1},
			Largest: []report.Image{
				image("attested-older", gitlabtest.KindAttestedImage, attested, 200),
				image("attested-old", gitlabtest.KindAttestedImage, attested, 100),
				image("multi-old", gitlabtest.KindMultiArch, multi, 300),
			},
		},
		OlderThan: report.Seconds(30 * 24 * time.Hour),
	}
	got := planned.PullableStay
	got.Largest = withoutIDs(got.Largest)
	if diff := cmp.Diff(want, got, sameImages); diff != "" {
		t.Errorf("those that stay (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(report.StayingImages{}, ran.PullableStay, sameImages); diff != "" {
		t.Errorf("a run that deletes has looked (-want +got):\n%s", diff)
	}
	if planned.UndatableImages != 6 || ran.UndatableImages != 6 || planned.Pullable.Tags+ran.Pullable.Tags > 0 {
		t.Errorf("images that stay: %d and %d, that go: %v and %v", planned.UndatableImages, ran.UndatableImages, planned.Pullable, ran.Pullable)
	}
	if diff := cmp.Diff(ran.verdicts(), planned.verdicts()); diff != "" || len(planned.decisions) != 11 {
		t.Errorf("verdicts (-run +plan):\n%s", diff)
	}
	// Of the eight tags whose names do not keep them each costs a run one; what is asked again, and
	// of which neighbours, is for the one that goes.
	asked := real.server.Stats().ByEndpoint
	if asked[blobEndpoint] != 0 || asked[manifestEndpoint] != 8+10 {
		t.Errorf("a run that deletes read %d manifests and %d configs", asked[manifestEndpoint], asked[blobEndpoint])
	}
	// Three attested ones have one image each, and three others two.
	images := 3 + 3*2
	children, configs := len(byDigest(plan.server)), plan.server.Stats().ByEndpoint[blobEndpoint]
	if children != images || configs != images || len(byDigest(real.server)) != 0 {
		t.Errorf("a plan read %d manifests of images and %d configs, want %d of each", children, configs, images)
	}
}

// byDigest returns the paths of the manifests that were read by their digests: those of children.
func byDigest(server *gitlabtest.Server) []string {
	var paths []string
	for _, request := range server.Requests() {
		if childManifests.MatchString(request.Path) {
			paths = append(paths, request.Path)
		}
	}
	return paths
}

var childManifests = regexp.MustCompile(`/manifests/sha256:`)

// TestImagesThatGo: what is named goes when it is old and nothing keeps it, and is counted apart, with
// the size and age of the image that is pulled. A plan says the same as the run.
func TestImagesThatGo(t *testing.T) {
	attested, multi := attestedBytes(t), multiArchBytes(t)
	old := []report.Image{
		image("attested-older", gitlabtest.KindAttestedImage, attested, 200),
		image("attested-old", gitlabtest.KindAttestedImage, attested, 100),
	}
	several := image("multi-old", gitlabtest.KindMultiArch, multi, 300)
	for name, test := range map[string]struct {
		kinds []manifest.Kind
		want  report.Images
		stay  int // in a plan
	}{
		"attested": {append([]manifest.Kind{manifest.KindAttestedImage}, unnamed...), report.Images{
			Measure: report.Measure{Tags: 2, Sized: 2, Bytes: 2 * attested, Oldest: old[0].Made}, Kinds: map[string]int{"attested-image": 2}, Largest: old}, 1},
		"multi-arch": {append([]manifest.Kind{manifest.KindMultiArch}, unnamed...), report.Images{
			Measure: report.Measure{Tags: 1, Sized: 1, Bytes: multi, Oldest: several.Made}, Kinds: map[string]int{"multi-arch": 1}, Largest: []report.Image{several}}, 2},
		"both": {append([]manifest.Kind{manifest.KindMultiArch, manifest.KindAttestedImage}, unnamed...), report.Images{
			Measure: report.Measure{Tags: 3, Sized: 3, Bytes: 2*attested + multi, Oldest: several.Made}, Kinds: map[string]int{"attested-image": 2, "multi-arch": 1}, Largest: append(old[:2:2], several)}, 0},
	} {
		for _, dryRun := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/plan %t", name, dryRun), func(t *testing.T) {
				tr := imageTrial(t, dryRun, test.kinds)
				got := tr.runInBubble(t)
				went := got.Pullable
				went.Largest = withoutIDs(went.Largest)
				if diff := cmp.Diff(test.want, went, sameImages); diff != "" {
					t.Errorf("images that go (-want +got):\n%s", diff)
				}
				for _, i := range test.want.Largest {
					d := got.decisions["g/p/app:"+i.Tag]
					if d.Bytes != i.Bytes || !d.Made.Equal(i.Made) || d.Reason != undatable {
						t.Errorf("%s: %d bytes, made %v (%s %s)", i.Tag, d.Bytes, d.Made, d.Reason, d.Detail)
					}
				}
				if got.Deleted != test.want.Tags+1 || !dryRun && len(deleted(tr.server)) != got.Deleted {
					t.Errorf("%d go, want %d images and a lost tag: %v", got.Deleted, test.want.Tags, got.verdicts())
				}
				if want := map[bool]int{true: test.stay}[dryRun]; got.PullableStay.Tags != want {
					t.Errorf("%d stay, want %d", got.PullableStay.Tags, want)
				}
			})
		}
	}
}

// TestImagesThatCannotBeRead: what is in an image that stays is no doubt about it. Its age is not
// known, and nothing else changes.
func TestImagesThatCannotBeRead(t *testing.T) {
	elsewhere := gitlabtest.Redirect("https://store.example/blob")
	for name, test := range map[string]struct {
		fault   gitlabtest.Fault
		old     int
		unknown int
		configs int // that were asked for; 0 for any number
	}{
		"no child":             {gitlabtest.Fault{Path: childManifests, Effect: gitlabtest.Reply(404, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`)}, 0, 6, 0},
		"one child is missing": {gitlabtest.Fault{Path: childManifests, Count: 1, Effect: gitlabtest.Reply(404, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`)}, 2, 1, 0},
		"errors":               {gitlabtest.Fault{Path: childManifests, Effect: gitlabtest.Status(500)}, 0, 6, 0},
		"no manifest":          {gitlabtest.Fault{Path: childManifests, Effect: gitlabtest.Reply(200, `{}`)}, 0, 6, 0},
		// One shows it of all.
		"configs in an object store": {gitlabtest.Fault{Path: regexp.MustCompile(`/blobs/`), Effect: elsewhere}, 0, 6, 1},
	} {
		t.Run(name, func(t *testing.T) {
			tr := imageTrial(t, true, unnamed, gitlabtest.WithFaults(test.fault))
			got := tr.runInBubble(t)
			stay := got.PullableStay
			if stay.Tags != test.old || stay.AgeUnknown != test.unknown {
				t.Errorf("%d stay, of %d the age is not known; want %d and %d", stay.Tags, stay.AgeUnknown, test.old, test.unknown)
			}
			if diff := cmp.Diff(imageTrial(t, false, unnamed).runInBubble(t).verdicts(), got.verdicts()); diff != "" {
				t.Errorf("verdicts (-run +plan):\n%s", diff)
			}
			if got.err != nil || got.Undecided+got.Failed+got.Unreadable > 0 {
				t.Errorf("%v; undecided %d, failed %d, unreadable %d", got.err, got.Undecided, got.Failed, got.Unreadable)
			}
			if n := tr.server.Stats().ByEndpoint[blobEndpoint]; test.configs > 0 && n != test.configs {
				t.Errorf("asked for %d configs", n)
			}
		})
	}
}

// TestImagesByOtherRules: a word is missing only where rules ask for it, and how old an image is that
// goes, a plan says whatever rule it goes by.
func TestImagesByOtherRules(t *testing.T) {
	const ofAnyAge = "rules:\n- {name: kinds, delete: tag.kind in settings.delete_kinds}\n"
	const byName = "rules:\n- {name: named, delete: \"tag.name == 'attested-old'\"}\n"
	for name, test := range map[string]struct {
		rules    *policy.File
		pullable int
		stay     int
		older    time.Duration
	}{
		"the original":     {policy.Original(), 5, 0, 0}, // all that nothing protects
		"kinds of any age": {parsed(t, ofAnyAge), 0, 7, 0},
		"a name":           {parsed(t, byName), 1, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			tr := imageTrial(t, true, unnamed)
			tr.rules = test.rules
			got := tr.runInBubble(t)
			pullable, stay := got.Pullable, got.PullableStay
			if pullable.Tags != test.pullable || pullable.Sized != test.pullable || stay.Tags != test.stay || stay.Sized != test.stay || stay.AgeUnknown != 0 {
				t.Errorf("go: %+v\nstay: %+v\n%v", pullable, stay, got.verdicts())
			}
			if stay.OlderThan != report.Seconds(test.older) {
				t.Errorf("older than %v", stay.OlderThan)
			}
		})
	}
}

// TestRunsReadNoImagesThatNoRuleAsksFor: that deletions rest on no age, and are shown without one, costs
// nothing.
func TestRunsReadNoImagesThatNoRuleAsksFor(t *testing.T) {
	tr := imageTrial(t, false, unnamed)
	tr.rules = policy.Original()
	got := tr.runInBubble(t)
	if read := byDigest(tr.server); got.Pullable.Tags != 5 || got.Pullable.Sized != 0 || len(read) > 0 {
		t.Errorf("go: %+v; read %q", got.Pullable, read)
	}
}

// TestImagesBySize: the size by which rules decide is that of what is pulled, and it is so again right
// before the deletion.
func TestImagesBySize(t *testing.T) {
	tr := imageTrial(t, false, unnamed)
	tr.rules = parsed(t, "rules:\n- {name: large, delete: tag.size > 1000000}\n")
	got := tr.runInBubble(t)
	want := fullNames([]string{"app:attested-old", "app:attested-older", "app:attested-young", "app:latest", "app:plain"})
	if diff := cmp.Diff(want, gone(tr.server)); diff != "" || got.Undecided > 0 {
		t.Errorf("deleted (-want +got):\n%s%v", diff, got.verdicts())
	}
}

// TestStopWhileImagesAreRead ends the reading at once, and tells of nothing that was not read.
func TestStopWhileImagesAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntilTagsAreOld()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		tr := imageTrial(t, true, unnamed)
		served := tr.server.Transport()
		tr.network = roundTripper(func(req *http.Request) (*http.Response, error) {
			if childManifests.MatchString(req.URL.Path) {
				stop()
				<-req.Context().Done()
				return nil, req.Context().Err()
			}
			return served.RoundTrip(req)
		})
		began := time.Now()
		got := tr.run(ctx, t)
		checkSums(t, got)
		if stay := got.PullableStay; stay.Tags+stay.AgeUnknown > 0 || got.err == nil || time.Since(began) > 10*time.Second {
			t.Errorf("%v after %v: %+v", got.err, time.Since(began), stay)
		}
	})
}

// TestSizesWithDatabase: its list knows no size of an index, so that none is shown, and no rule goes by
// that of the manifests in it.
func TestSizesWithDatabase(t *testing.T) {
	world := imageWorld()
	world.Regime = gitlabtest.Database
	for rule, want := range map[string][]string{
		"tag.size < 1000000": {},
		"tag.size > 1000000": {"app:plain"},
		"tag.name != 'lost'": {"app:attested-old", "app:attested-older", "app:attested-young", "app:deployed", "app:latest", "app:multi-old", "app:multi-young", "app:plain", "app:running", "app:v1.2.3"},
	} {
		tr := byRules(world, parsed(t, "rules:\n- {name: r, delete: \""+rule+"\"}\n"))
		tr.options.DryRun = true
		got := tr.runInBubble(t)
		marked := []string{}
		for name, d := range got.decisions {
			if d.Outcome != report.Marked {
				continue
			}
			marked = append(marked, name)
			if (d.Bytes > 0) != (d.Tag == "plain") {
				t.Errorf("%s has %d bytes", name, d.Bytes)
			}
		}
		slices.Sort(marked)
		if diff := cmp.Diff(fullNames(want), marked); diff != "" {
			t.Errorf("%s (-want +got):\n%s", rule, diff)
		}
	}
}

// TestImagesWithDatabase: GitLab dates every tag there, and nothing is looked for.
func TestImagesWithDatabase(t *testing.T) {
	world := imageWorld()
	world.Regime = gitlabtest.Database
	tr := registryTrial(world, pipeline.VerifyRegistry, gitlabtest.WithLog())
	tr.options.DryRun = true
	if got := tr.runInBubble(t); got.PullableStay.Tags+got.PullableStay.AgeUnknown > 0 || len(byDigest(tr.server)) > 0 {
		t.Errorf("%+v", got.PullableStay)
	}
}
