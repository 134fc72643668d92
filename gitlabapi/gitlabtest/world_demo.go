package gitlabtest

import (
	"strings"
	"time"
)

// demoTags are the tags of the demo's world: by project, repository and kind, with their age in
// days. What goes for its age is older than a month.
var demoTags = []struct {
	project, repository string
	kind                Kind
	days                int
	tags                string
}{
	// The plain case: images, and caches some of which have lost the branch that they were for.
	{"acme/shop/storefront", "", KindImage, 12, "latest v1.0.0 nightly"},
	{"acme/shop/storefront", "web", KindImage, 12, "main v2.3.0 v2.3.1 feature-cart feature-search"},
	{"acme/shop/storefront", "web", KindAttestedImage, 140, "feature-login"},
	{"acme/shop/storefront", "web", KindMultiArch, 50, "release-candidate"},
	{"acme/shop/storefront", "web.cache", KindCacheManifest, 12, "main feature-cart feature-search feature-login"},
	{"acme/shop/storefront", "web.cache", KindCacheManifest, 90, "feature-banner fix-typo renovate-go-1.x 1"},
	{"acme/shop/storefront", "web.cache", KindCacheIndex, 1400, "feature-2022-redesign hotfix-2022"},
	{"acme/shop/storefront", "web.cache", KindImage, 200, "pushed-by-mistake"},

	// A cache whose counterpart was never pushed, and one whose counterpart is empty.
	{"acme/shop/checkout", "service", KindDockerImage, 400, "latest main v0.9.0 load-test"},
	{"acme/shop/checkout", "service", KindDockerList, 300, "windows-trial"},
	{"acme/shop/checkout", "worker.cache", KindCacheManifest, 75, "main feature-queue feature-retry spike_1"},
	{"acme/shop/checkout", "worker.cache", KindImage, 60, "kept-by-hand"},
	{"acme/shop/checkout", "jobs/mailer", "", 0, ""},
	{"acme/shop/checkout", "jobs/mailer.cache", KindCacheManifest, 45, "latest feature-templates"},

	// What is not an application: base images, charts, and tags whose manifests are gone.
	{"acme/platform/base-images", "go", KindMultiArch, 65, "v1.26.0 1.26 1.25"},
	{"acme/platform/base-images", "go", KindAttestedImage, 100, "latest trial"},
	{"acme/platform/base-images", "go", KindManifestMissing, 500, "broken-upload v1.19.0"},
	{"acme/platform/base-images", "go", KindCacheList, 700, "buildcache"},
	{"acme/platform/charts", "app", KindArtifact, 150, "1.4.2 1.4.3 1.5.0-rc.1"},
	{"acme/platform/runner", "image", KindImage, 35, "main build-1 build-2 build-3 build-4 build-5 build-6"},
	{"acme/platform/runner", "image.cache", KindCacheManifest, 35, "build-4 build-5 build-6 build-7 build-8 build-9"},
	// Signatures and the like are named after the digest of what they belong to.
	{"acme/platform/charts", "app", KindArtifact, 150, ReferrersTag(demoDigest) + ".sbom"},
	// Caches that are named by another convention than the images: none of the names is there.
	{"acme/platform/runner", "helper", KindImage, 20, "main 2.0 2.1"},
	{"acme/platform/runner", "helper.cache", KindCacheManifest, 20, "main-amd64 main-arm64 2.0-amd64 2.0-arm64 2.1-amd64 2.1-arm64"},
	{"acme/docs", "", "", 0, ""},

	// What would be dead if it could be deleted.
	{"acme/attic/old-site", "web.cache", KindCacheManifest, 900, "feature-flash"},
	{"acme/labs/prototype", "app", KindCacheIndex, 900, "cache"},
	{"acme/labs/experiment", "app", KindManifestMissing, 900, "half-gone"},
}

// demoGit is what the projects of the demo's world have beside their registries, by which rules of one's
// own decide: branches, Git tags and environments. None of the rules by default looks at it.
var demoGit = []struct {
	project           string
	branches, gitTags string
	topics            []string
	environments      []Environment
}{
	{"acme/shop/storefront", "main feature/cart feature/search", "v1.0.0 v2.3.0 v2.3.1", []string{"shop"}, []Environment{
		{Name: "production", Ref: "v2.3.1", SHA: demoCommit("v2.3.1"), Tag: true},
		{Name: "staging", Ref: "main", SHA: demoCommit("main")},
		{Name: "review/login", Ref: "feature/login", SHA: demoCommit("login")},
		{Name: "review/banner", Ref: "feature/banner", SHA: demoCommit("banner"), Stopped: true},
		{Name: "planned"},
	}},
	{"acme/shop/checkout", "main feature/queue", "v0.9.0", []string{"shop"}, []Environment{
		{Name: "production", Ref: "load-test", SHA: demoCommit("load-test")},
	}},
	{"acme/platform/base-images", "main", "v1.19.0 v1.26.0", nil, nil},
	{"acme/platform/charts", "main", "1.4.2 1.4.3 1.5.0-rc.1", nil, nil},
	{"acme/platform/runner", "main build-6", "2.0 2.1", []string{"throwaway"}, nil},
	{"acme/attic/old-site", "main", "", nil, nil},
	{"acme/labs/prototype", "main", "", nil, nil},
	{"acme/labs/experiment", "main", "", nil, nil},
}

// demoCommit is the commit that a name stands for.
func demoCommit(name string) string { return objectOf("acme/" + name) }

// demoDigest is what a tag of the demo's world is named after.
const demoDigest = "sha256:4bf0c26a9d1f0e4d2f0e0f6c7c5b8d9a1e2f3a4b5c6d7e8f90a1b2c3d4e5f607"

// DemoMergeRequest is the number of the only merge request in the demo's world, one of acme/docs.
const DemoMergeRequest = 7

// DemoWorld returns a small LEGACY instance that shows every kind of tag and
// every outcome. Its regime may be changed before it is served.
func DemoWorld() *World {
	w := NewWorld(Legacy)
	now := time.Now().UTC().Truncate(time.Second)
	for _, row := range demoTags {
		p := w.Project(row.project)
		if p == nil {
			p = w.AddProject(row.project)
		}
		if row.repository == "" && row.tags == "" {
			continue // a project without a repository
		}
		r := p.Repository(row.repository)
		if r == nil {
			r = p.AddRepository(row.repository)
		}
		for _, name := range strings.Fields(row.tags) {
			r.AddTagAt(name, row.kind, now.AddDate(0, 0, -row.days))
		}
	}
	for _, row := range demoGit {
		p := w.Project(row.project)
		p.Branches, p.GitTags = strings.Fields(row.branches), strings.Fields(row.gitTags)
		p.Topics, p.Environments = row.topics, row.environments
	}
	w.Project("acme/docs").MergeRequests = []MergeRequest{{IID: DemoMergeRequest, Notes: []Note{
		{Author: "ada", Body: "requested review from @grace", System: true},
		{Author: "grace", Body: "Which tags would this delete?"},
	}}}
	w.Project("acme/attic/old-site").Archived = true
	w.Project("acme/labs/prototype").RegistryDisabled = true
	w.Project("acme/labs/experiment").Repository("app").Status = "delete_ongoing"
	return w
}
