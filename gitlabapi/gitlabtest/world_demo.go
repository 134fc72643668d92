package gitlabtest

import (
	"fmt"
)

// DemoWorld returns a small LEGACY instance that shows every kind of tag and
// every outcome. Its regime may be changed before it is served.
func DemoWorld() *World {
	w := NewWorld(Legacy)
	demoStorefront(w.AddProject("acme/shop/storefront"))
	demoCheckout(w.AddProject("acme/shop/checkout"))
	demoPlatform(w)
	w.AddProject("acme/docs")
	demoOutOfReach(w)
	return w
}

// tags adds tags of one kind.
func (r *Repository) tags(kind Kind, names ...string) {
	for _, name := range names {
		r.AddTag(name, kind)
	}
}

// demoStorefront is the plain case: images, and caches some of which have
// lost the branch that they were for.
func demoStorefront(p *Project) {
	root := p.AddRepository("")
	root.tags(KindImage, "latest", "v1.0.0", "nightly")

	web := p.AddRepository("web")
	web.tags(KindImage, "main", "v2.3.0", "v2.3.1", "feature-cart", "feature-search")
	web.tags(KindAttestedImage, "feature-login")
	web.tags(KindMultiArch, "release-candidate")

	cache := p.AddRepository("web.cache")
	cache.tags(KindCacheManifest, "main", "feature-cart", "feature-search", "feature-login")
	cache.tags(KindCacheManifest, "feature-banner", "fix-typo", "renovate-go-1.x", "1")
	cache.tags(KindCacheIndex, "feature-2022-redesign", "hotfix-2022")
	cache.tags(KindImage, "pushed-by-mistake")
}

// demoCheckout has a cache whose counterpart was never pushed, and one whose
// counterpart is empty.
func demoCheckout(p *Project) {
	service := p.AddRepository("service")
	service.tags(KindDockerImage, "latest", "main", "v0.9.0", "load-test")
	service.tags(KindDockerList, "windows-trial")

	worker := p.AddRepository("worker.cache")
	worker.tags(KindCacheManifest, "main", "feature-queue", "feature-retry", "spike_1")
	worker.tags(KindImage, "kept-by-hand")

	p.AddRepository("jobs/mailer")
	mailer := p.AddRepository("jobs/mailer.cache")
	mailer.tags(KindCacheManifest, "latest", "feature-templates")
}

// demoPlatform holds what is not an application: base images, charts, and
// tags whose manifests are gone.
func demoPlatform(w *World) {
	base := w.AddProject("acme/platform/base-images").AddRepository("go")
	base.tags(KindMultiArch, "v1.26.0", "1.26", "1.25")
	base.tags(KindAttestedImage, "latest", "trial")
	base.tags(KindManifestMissing, "broken-upload", "v1.19.0")
	base.tags(KindCacheList, "buildcache")

	charts := w.AddProject("acme/platform/charts").AddRepository("app")
	charts.tags(KindArtifact, "1.4.2", "1.4.3", "1.5.0-rc.1")

	runner := w.AddProject("acme/platform/runner")
	image := runner.AddRepository("image")
	image.tags(KindImage, "main")
	for n := 1; n <= 6; n++ {
		image.tags(KindImage, fmt.Sprintf("build-%d", n))
	}
	cache := runner.AddRepository("image.cache")
	for n := 4; n <= 9; n++ {
		cache.tags(KindCacheManifest, fmt.Sprintf("build-%d", n))
	}
}

// demoOutOfReach holds tags that would be dead if they could be deleted.
func demoOutOfReach(w *World) {
	site := w.AddProject("acme/attic/old-site")
	site.Archived = true
	site.AddRepository("web.cache").tags(KindCacheManifest, "feature-flash")

	lab := w.AddProject("acme/labs/prototype")
	lab.RegistryDisabled = true
	lab.AddRepository("app").tags(KindCacheIndex, "cache")

	leaving := w.AddProject("acme/labs/experiment").AddRepository("app")
	leaving.Status = "delete_ongoing"
	leaving.tags(KindManifestMissing, "half-gone")
}
