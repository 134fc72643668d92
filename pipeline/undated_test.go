package pipeline_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// What has no date now, and may have one all the same.

// TestNoAgeInAnOutage: while the object store is out GitLab shows no date of any image. A rule for what has
// no age, or no rank, sees the same as one for what is not dated, and an outage is suspected as well.
func TestNoAgeInAnOutage(t *testing.T) {
	const tags = 30
	for _, condition := range []string{"!tag.dated", "!has(tag.age)", "!has(tag.rank)"} {
		t.Run(condition, func(t *testing.T) {
			world := gitlabtest.NewWorld(gitlabtest.Legacy)
			app := world.AddProject("g/p").AddRepository("app")
			for i := range tags {
				app.AddTagAt(fmt.Sprint("t-", i), gitlabtest.KindImage, daysAgo(1))
			}
			tr := byRules(world, parsed(t, "rules:\n- {name: undated, delete: \""+condition+"\"}\n"),
				gitlabtest.WithFaults(gitlabtest.Fault{Path: regexp.MustCompile(`/tags/t-`), Effect: gitlabtest.ConfigUnreadable()}))
			tr.options.Verify = pipeline.VerifyAPI
			got := tr.runInBubble(t)
			if len(gone(tr.server)) > 0 || got.Reasons[policy.OutageSuspected] != tags {
				t.Errorf("deleted %d, reasons %v", len(gone(tr.server)), got.Reasons)
			}
		})
	}
}

// TestRankOfAnUnknownAge: a tag of which GitLab shows no date, as of an index, may be the newest. Then no
// rank of its repository is known, and no rule that speaks of ranks deletes.
func TestRankOfAnUnknownAge(t *testing.T) {
	for name, rules := range map[string]string{
		"ranks alone": "rules:\n- {name: newest, keep: has(tag.rank) && tag.rank <= 5}\n- {name: rest, delete: true}\n",
		"after ages":  "rules:\n- {name: young, keep: has(tag.age) && tag.age < days(5)}\n- {name: newest, keep: has(tag.rank) && tag.rank <= 5}\n- {name: rest, delete: true}\n",
		"no rank":     "rules:\n- {name: rest, delete: \"!has(tag.rank) || tag.rank > 5\"}\n",
	} {
		for _, newest := range []gitlabtest.Kind{gitlabtest.KindMultiArch, gitlabtest.KindDockerList} {
			for _, dated := range []bool{false, true} { // by the list, which says no more than that
				t.Run(fmt.Sprintf("%s/%s/dated %t", name, newest, dated), func(t *testing.T) {
					world := gitlabtest.NewWorld(gitlabtest.Legacy)
					app := world.AddProject("g/p").AddRepository("app")
					app.AddTagAt("newest", newest, daysAgo(0))
					list := `[{"name":"newest","created_at":"2025-03-01T11:00:00.000Z"}`
					for i := range 8 {
						app.AddTagAt(fmt.Sprint("t-", i), gitlabtest.KindImage, daysAgo(10+i))
						list += fmt.Sprintf(`,{"name":"t-%d"}`, i)
					}
					options := []gitlabtest.Option{gitlabtest.WithIndexDetails(gitlabtest.IndexEmpty)}
					if dated {
						options = append(options, gitlabtest.WithFaults(gitlabtest.Fault{Path: tagsOf(app), Effect: gitlabtest.Reply(200, list+"]")}))
					}
					tr := byRules(world, parsed(t, rules), options...)
					tr.options.Verify = pipeline.VerifyAPI
					got := tr.runInBubble(t)
					if gone := gone(tr.server); len(gone) > 0 || got.Undecided != 9 {
						t.Errorf("deleted %q, reasons %v", gone, got.Reasons)
					}
				})
			}
		}
	}
}

// TestMinAgeWithoutDates: with the metadata database every tag has a date, and whatever shows none is
// wrong. A cache that was pushed a moment ago does not go for it.
func TestMinAgeWithoutDates(t *testing.T) {
	world := gitlabtest.NewWorld(gitlabtest.Database)
	p := world.AddProject("g/p")
	app, cache := p.AddRepository("app"), p.AddRepository("app.cache")
	app.AddTagAt("main", gitlabtest.KindImage, daysAgo(100))
	cache.AddTagAt("x", gitlabtest.KindCacheManifest, today)
	digest := digestOf(t, world, "g/p/app.cache:x")
	for name, test := range map[string]struct {
		verify pipeline.Verify
		path   *regexp.Regexp
		body   string
	}{
		"a row": {pipeline.VerifyRegistry, registryLists,
			fmt.Sprintf(`[{"name":"x","digest":%q,"media_type":"application/vnd.oci.image.manifest.v1+json","size_bytes":10}]`, digest)},
		"details": {pipeline.VerifyAPI, tagOf(cache, "x"),
			fmt.Sprintf(`{"name":"x","path":"g/p/app.cache:x","location":"r/g/p/app.cache:x","revision":"aa","short_revision":"aa","digest":%q,"created_at":null,"total_size":10}`, digest)},
	} {
		t.Run(name, func(t *testing.T) {
			tr := byRules(world, policy.Default(), gitlabtest.WithFaults(
				gitlabtest.Fault{Method: "GET", Repository: cache.Path(), Path: test.path, Effect: gitlabtest.Reply(200, test.body)}))
			tr.options.Verify = test.verify
			got := tr.runInBubble(t)
			if d := got.decisions["g/p/app.cache:x"]; d.Action != policy.Undecided || len(gone(tr.server)) > 0 {
				t.Errorf("decided %s, %s (%s); deleted %q", d.Action, d.Reason, d.Detail, gone(tr.server))
			}
		})
	}
}

// TestAgeOfAManifestList: it is as old as the youngest of its images. GitLab dates a Docker manifest list by
// its image for amd64; that this date was asked for first changes nothing.
func TestAgeOfAManifestList(t *testing.T) {
	const listType = "application/vnd.docker.distribution.manifest.list.v2+json"
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	app := world.AddProject("g/p").AddRepository("app")
	app.AddTagAt("amd64", gitlabtest.KindDockerImage, daysAgo(200))
	app.AddTagAt("arm64", gitlabtest.KindDockerImage, daysAgo(1))
	app.AddTagAt("list", gitlabtest.KindDockerList, daysAgo(200))
	var children []string
	for _, platform := range []string{"amd64", "arm64"} {
		children = append(children, fmt.Sprintf(
			`{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":500,"digest":%q,"platform":{"architecture":%q,"os":"linux"}}`,
			digestOf(t, world, "g/p/app:"+platform), platform))
	}
	body := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, listType, strings.Join(children, ","))
	for _, condition := range []string{"tag.age > days(90)", "tag.dated && tag.age > days(90)", "tag.age > days(90) && tag.dated"} {
		tr := byRules(world, parsed(t, "rules:\n- {name: old, delete: \"tag.name == 'list' && "+condition+"\"}\n"), gitlabtest.WithFaults(
			gitlabtest.Fault{Path: regexp.MustCompile(`/manifests/list$`), Effect: gitlabtest.ManifestBytes([]byte(body), listType)}))
		got := tr.runInBubble(t)
		if d := got.decisions["g/p/app:list"]; d.Reason != policy.NoRule || len(gone(tr.server)) > 0 {
			t.Errorf("%s: decided %s (%s), deleted %q", condition, d.Reason, d.Detail, gone(tr.server))
		}
	}
}
