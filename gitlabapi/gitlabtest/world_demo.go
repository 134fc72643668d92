package gitlabtest

import "strings"

// demoTags are the tags of the demo's world: by project, repository and kind.
var demoTags = []struct {
	project, repository string
	kind                Kind
	tags                string
}{
	// The plain case: images, and caches some of which have lost the branch that they were for.
	{"acme/shop/storefront", "", KindImage, "latest v1.0.0 nightly"},
	{"acme/shop/storefront", "web", KindImage, "main v2.3.0 v2.3.1 feature-cart feature-search"},
	{"acme/shop/storefront", "web", KindAttestedImage, "feature-login"},
	{"acme/shop/storefront", "web", KindMultiArch, "release-candidate"},
	{"acme/shop/storefront", "web.cache", KindCacheManifest, "main feature-cart feature-search feature-login"},
	{"acme/shop/storefront", "web.cache", KindCacheManifest, "feature-banner fix-typo renovate-go-1.x 1"},
	{"acme/shop/storefront", "web.cache", KindCacheIndex, "feature-2022-redesign hotfix-2022"},
	{"acme/shop/storefront", "web.cache", KindImage, "pushed-by-mistake"},

	// A cache whose counterpart was never pushed, and one whose counterpart is empty.
	{"acme/shop/checkout", "service", KindDockerImage, "latest main v0.9.0 load-test"},
	{"acme/shop/checkout", "service", KindDockerList, "windows-trial"},
	{"acme/shop/checkout", "worker.cache", KindCacheManifest, "main feature-queue feature-retry spike_1"},
	{"acme/shop/checkout", "worker.cache", KindImage, "kept-by-hand"},
	{"acme/shop/checkout", "jobs/mailer", "", ""},
	{"acme/shop/checkout", "jobs/mailer.cache", KindCacheManifest, "latest feature-templates"},

	// What is not an application: base images, charts, and tags whose manifests are gone.
	{"acme/platform/base-images", "go", KindMultiArch, "v1.26.0 1.26 1.25"},
	{"acme/platform/base-images", "go", KindAttestedImage, "latest trial"},
	{"acme/platform/base-images", "go", KindManifestMissing, "broken-upload v1.19.0"},
	{"acme/platform/base-images", "go", KindCacheList, "buildcache"},
	{"acme/platform/charts", "app", KindArtifact, "1.4.2 1.4.3 1.5.0-rc.1"},
	{"acme/platform/runner", "image", KindImage, "main build-1 build-2 build-3 build-4 build-5 build-6"},
	{"acme/platform/runner", "image.cache", KindCacheManifest, "build-4 build-5 build-6 build-7 build-8 build-9"},
	{"acme/docs", "", "", ""},

	// What would be dead if it could be deleted.
	{"acme/attic/old-site", "web.cache", KindCacheManifest, "feature-flash"},
	{"acme/labs/prototype", "app", KindCacheIndex, "cache"},
	{"acme/labs/experiment", "app", KindManifestMissing, "half-gone"},
}

// DemoWorld returns a small LEGACY instance that shows every kind of tag and
// every outcome. Its regime may be changed before it is served.
func DemoWorld() *World {
	w := NewWorld(Legacy)
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
			r.AddTag(name, row.kind)
		}
	}
	w.Project("acme/attic/old-site").Archived = true
	w.Project("acme/labs/prototype").RegistryDisabled = true
	w.Project("acme/labs/experiment").Repository("app").Status = "delete_ongoing"
	return w
}
