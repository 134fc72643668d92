package deploy_test

import (
	"encoding/base64"
	"encoding/xml"
	"io"
	"regexp"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"sigs.k8s.io/yaml"
)

// TestChartVersions: the chart is that of the newest version in CHANGELOG.md, installs its image, and
// names both as the jobs of a release do.
func TestChartVersions(t *testing.T) {
	chart, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	newest := regexp.MustCompile(`(?m)^## ([0-9]+\.[0-9]+\.[0-9]+)`).FindStringSubmatch(readText(t, moduleRoot+"/CHANGELOG.md"))
	if m := chart.Metadata; newest == nil || m.Version != newest[1] || m.AppVersion != "v"+newest[1] {
		t.Errorf("the chart is version %s with appVersion %s; the newest version is %v", m.Version, m.AppVersion, newest)
	}
	pipeline := readText(t, moduleRoot+"/.gitlab-ci.yml")
	for _, line := range []string{
		`helm package deploy/helm/registry-gc --version "${CI_COMMIT_TAG#v}" --app-version "$CI_COMMIT_TAG"`,
		"VERSION: $CI_COMMIT_TAG\n", `--tag "$CI_REGISTRY_IMAGE:$VERSION"`,
	} {
		if !strings.Contains(pipeline, line) {
			t.Errorf(".gitlab-ci.yml does not have %q, on which the image's tag rests", line)
		}
	}
	for values, want := range map[string]string{
		"": chart.Metadata.AppVersion, `image: {tag: "7"}`: "7", `image: {tag: ""}`: chart.Metadata.AppVersion,
	} {
		r := mustRender(t, values)
		if image := r.container().Image; image != "registry.example.com/tools/registry-gc:"+want || r.job.Labels["app.kubernetes.io/version"] != want {
			t.Errorf("with %q the image is %s, the label %s; want %s", values, image, r.job.Labels["app.kubernetes.io/version"], want)
		}
	}
}

// TestChartMetadata: what catalogues of charts show. Nothing in it is of another host than the project's.
func TestChartMetadata(t *testing.T) {
	text := readText(t, chartDir+"/Chart.yaml")
	chart, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	m := chart.Metadata
	if m.Home == "" || len(m.Sources) == 0 || len(m.Maintainers) == 0 || m.KubeVersion == "" {
		t.Errorf("Chart.yaml lacks something: %+v", m)
	}
	for _, address := range regexp.MustCompile(`https?://[^\s]+`).FindAllString(text, -1) {
		if !strings.HasPrefix(address+"/", "https://gitlab.com/registry-gc/registry-gc/") {
			t.Errorf("Chart.yaml names %s", address)
		}
	}
	if license := m.Annotations["artifacthub.io/license"]; license != "Apache-2.0" {
		t.Errorf("the licence is %q", license)
	}
	var links []struct{ Name, URL string }
	if err := yaml.UnmarshalStrict([]byte(m.Annotations["artifacthub.io/links"]), &links); err != nil || len(links) == 0 {
		t.Errorf("the links are %v: %v", links, err)
	}
	for _, link := range links {
		path := regexp.MustCompile(`/-/(?:tree|blob)/HEAD/(.*)$`).FindStringSubmatch(link.URL)
		if path != nil && !exists(moduleRoot+"/"+path[1]) {
			t.Errorf("the link %s has nothing behind it", link.URL)
		}
	}
	encoded, isSVG := strings.CutPrefix(m.Icon, "data:image/svg+xml;base64,")
	icon, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !isSVG || string(icon) != readText(t, chartDir+"/icon.svg") {
		t.Fatalf("the icon is not icon.svg: %v; base64 -w0 icon.svg prints what it has to be", err)
	}
	for decoder := xml.NewDecoder(strings.NewReader(string(icon))); ; {
		if _, err := decoder.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("icon.svg: %v", err)
		}
	}
}
