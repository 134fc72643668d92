// Package deploy_test renders the Helm chart and the kustomize overlays with Helm's and
// kustomize's own code, decodes what comes out strictly, and holds it against the program
// and against each other. It does the same with the CI/CD component, as far as that can be
// done without GitLab. It is a module of its own, so that the program does not carry what
// only its deployment is tested with.
package deploy_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const (
	moduleRoot = "../.."
	chartDir   = "../helm/registry-gc"
	manifests  = "../kubernetes"
)

// resources are what a chart or an overlay asks the cluster for.
type resources struct {
	job     *batchv1.CronJob
	secret  *corev1.Secret
	account *corev1.ServiceAccount
	claim   *corev1.PersistentVolumeClaim
	policy  *networkingv1.NetworkPolicy
	alerts  *monitoringv1.PrometheusRule
	notes   string
	text    map[string]string // by kind
}

// decode reads one document. What the API does not know, and a kind that is not expected
// or comes twice, is an error.
func (r *resources) decode(document string) error {
	object, kind, err := strict.Decode([]byte(document), nil, nil)
	if err != nil {
		return fmt.Errorf("decoding a manifest: %w\n%s", err, document)
	}
	if _, twice := r.text[kind.Kind]; twice {
		return fmt.Errorf("there is a second %s", kind.Kind)
	}
	r.text[kind.Kind] = document
	switch object := object.(type) {
	case *batchv1.CronJob:
		r.job = object
	case *corev1.Secret:
		r.secret = object
	case *corev1.ServiceAccount:
		r.account = object
	case *corev1.PersistentVolumeClaim:
		r.claim = object
	case *networkingv1.NetworkPolicy:
		r.policy = object
	case *monitoringv1.PrometheusRule:
		r.alerts = object
	default:
		return fmt.Errorf("nobody expects a %s", kind.Kind)
	}
	return nil
}

// strict decodes the kinds above and refuses fields that they do not have.
var strict = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{batchv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, monitoringv1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}()

// releaseName is the name of the release that render renders.
const releaseName = "nightly"

// render returns what `helm template` makes of the chart with some values in YAML.
func render(values string) (*resources, error) {
	given := make(map[string]any)
	if err := yaml.Unmarshal([]byte(values), &given); err != nil {
		return nil, fmt.Errorf("reading values: %w", err)
	}
	chart, err := loader.Load(chartDir)
	if err != nil {
		return nil, fmt.Errorf("loading the chart: %w", err)
	}
	release := common.ReleaseOptions{Name: releaseName, Namespace: "tools", Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(chart, given, release, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		return nil, err
	}
	r := &resources{text: make(map[string]string)}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		switch text := files[name]; {
		case strings.HasSuffix(name, "NOTES.txt"):
			r.notes = text
		case strings.TrimSpace(text) == "":
		default:
			if err := r.decode(text); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return r, nil
}

// required are the three values that have to be given.
const required = `
image: {repository: registry.example.com/tools/registry-gc}
config: {GITLAB_URL: "https://gitlab.example.com"}
token: {existingSecret: registry-gc}
`

// mustRender renders the chart with the required values and some more, which replace them
// from the top.
func mustRender(t *testing.T, values string) *resources {
	t.Helper()
	r, err := render(overlay(t, values))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// overlay lays values over the required ones, as a second file on Helm's command line does.
func overlay(t *testing.T, values string) string {
	t.Helper()
	base, over := make(map[string]any), make(map[string]any)
	for text, target := range map[string]*map[string]any{required: &base, values: &over} {
		if err := yaml.Unmarshal([]byte(text), target); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
	}
	text, err := yaml.Marshal(loader.MergeMaps(base, over))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// buildWithVolume returns what `kubectl kustomize` makes of a folder of the manifests once the # before
// its components is taken away.
func buildWithVolume(t *testing.T, dir string) *resources {
	t.Helper()
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(manifests)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(copied, dir, "kustomization.yaml")
	text := strings.Replace(readText(t, file), "\n# components:", "\ncomponents:", 1)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return build(t, filepath.Join(copied, dir))
}

// build returns what `kubectl kustomize` makes of a folder.
func build(t *testing.T, dir string) *resources {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatalf("building %s: %v", dir, err)
	}
	r := &resources{text: make(map[string]string)}
	for _, resource := range made.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.decode(string(text)); err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
	}
	return r
}

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pod returns the pods' specification, and container their only container.
func (r *resources) pod() *corev1.PodSpec { return &r.job.Spec.JobTemplate.Spec.Template.Spec }

func (r *resources) container() *corev1.Container { return &r.pod().Containers[0] }

// env returns the variables as the program gets them: Kubernetes replaces references to
// other variables, of which there are none here, and makes one $ of two.
func (r *resources) env() map[string]string {
	env := make(map[string]string)
	for _, variable := range r.container().Env {
		env[variable.Name] = expand(variable.Value)
	}
	return env
}

// expand does what Kubernetes does with $$ and $(NAME).
func expand(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "$$"):
			i++
		case strings.HasPrefix(text[i:], "$(") && strings.Contains(text[i:], ")"):
			out.WriteString("<replaced>")
			i += strings.Index(text[i:], ")")
			continue
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

// checkSchema holds some values, laid over those of values.yaml, against the chart's schema.
func checkSchema(t *testing.T, values map[string]any) error {
	t.Helper()
	chart := loadChart(t)
	all := loader.MergeMaps(chart.Values, values)
	return util.ValidateAgainstSingleSchema(all, chart.Schema)
}

// loadChart reads the chart once.
func loadChart(t *testing.T) *chartv2.Chart {
	t.Helper()
	chart, err := theChart()
	if err != nil {
		t.Fatal(err)
	}
	return chart
}

var theChart = sync.OnceValues(func() (*chartv2.Chart, error) { return loader.Load(chartDir) })

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
