package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// The contract is written down in several places: the Config struct, --help, the README,
// doc.go, the manifests and the Dockerfile. Here they are held against each other.

const (
	moduleRoot   = "../.."
	manifests    = moduleRoot + "/deploy/kubernetes/base"
	unprivileged = 65532 // the user of the image and of the pod
)

// manifest is the example of how to run the program on Kubernetes.
type manifest struct {
	job     batchv1.CronJob
	secret  corev1.Secret
	account corev1.ServiceAccount
}

// kustomization is kustomization.yaml as far as it is used here. Kustomize's own types
// would bring a dozen modules along.
type kustomization struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Namespace  string   `json:"namespace"`
	Resources  []string `json:"resources"`
	Images     []struct {
		Name    string `json:"name"`
		NewName string `json:"newName"`
		NewTag  string `json:"newTag"`
	} `json:"images"`
}

// readManifests decodes every manifest of the folder. A field that the API does not have,
// a kind that is not expected, or a kind that comes twice or not at all, is an error.
func readManifests(t *testing.T) *manifest {
	t.Helper()
	m := new(manifest)
	kinds := map[string]any{
		"batch/v1 CronJob":  &m.job,
		"v1 Secret":         &m.secret,
		"v1 ServiceAccount": &m.account,
	}
	for _, file := range manifestFiles(t) {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		for _, document := range regexp.MustCompile(`(?m)^---\s*$`).Split(readText(t, file), -1) {
			kind := kindOf(t, file, document)
			target, expected := kinds[kind]
			if !expected {
				t.Fatalf("%s: another %s is not expected here", file, kind)
			}
			decodeStrictly(t, file, document, target)
			delete(kinds, kind)
		}
	}
	if len(kinds) > 0 {
		t.Fatalf("%s lacks %v", manifests, slices.Sorted(maps.Keys(kinds)))
	}
	return m
}

func manifestFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(manifests + "/*.y*ml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests in %s: %v", manifests, err)
	}
	return files
}

func kindOf(t *testing.T, file, document string) string {
	t.Helper()
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := yaml.Unmarshal([]byte(document), &head); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return head.APIVersion + " " + head.Kind
}

func decodeStrictly(t *testing.T, file, document string, target any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(document), target); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// wantValue compares what a pointer of the API points to; nil is no value at all.
func wantValue[T comparable](t *testing.T, what string, got *T, want T) {
	t.Helper()
	switch {
	case got == nil:
		t.Errorf("%s is not set; want %v", what, want)
	case *got != want:
		t.Errorf("%s is %v; want %v", what, *got, want)
	}
}

func (m *manifest) pod() *corev1.PodSpec { return &m.job.Spec.JobTemplate.Spec.Template.Spec }

// container returns the only container.
func (m *manifest) container(t *testing.T) *corev1.Container {
	t.Helper()
	pod := m.pod()
	if len(pod.Containers) != 1 || len(pod.InitContainers)+len(pod.EphemeralContainers) > 0 {
		t.Fatal("the pod must have one container and no other")
	}
	return &pod.Containers[0]
}

// variables returns the container's variables.
func (m *manifest) variables(t *testing.T) map[string]string {
	t.Helper()
	container := m.container(t)
	if len(container.EnvFrom) > 0 {
		t.Fatal("envFrom hides which variables are set")
	}
	variables := make(map[string]string)
	for _, variable := range container.Env {
		if _, twice := variables[variable.Name]; twice {
			t.Errorf("%s is set twice", variable.Name)
		}
		variables[variable.Name] = variable.Value
	}
	return variables
}

func TestManifestSchedule(t *testing.T) {
	m := readManifests(t)
	spec, job := m.job.Spec, m.job.Spec.JobTemplate.Spec
	if spec.Schedule == "" {
		t.Error("there is no schedule")
	}
	zone := "nowhere"
	if spec.TimeZone != nil {
		zone = *spec.TimeZone
	}
	if _, err := time.LoadLocation(zone); err != nil {
		t.Errorf("timeZone: %v", err)
	}
	wantValue(t, "concurrencyPolicy", &spec.ConcurrencyPolicy, batchv1.ForbidConcurrent)
	wantValue(t, "backoffLimit", job.BackoffLimit, 0)
	wantValue(t, "restartPolicy", &m.pod().RestartPolicy, corev1.RestartPolicyNever)
	for what, set := range map[string]bool{
		"startingDeadlineSeconds":    spec.StartingDeadlineSeconds != nil,
		"successfulJobsHistoryLimit": spec.SuccessfulJobsHistoryLimit != nil,
		"failedJobsHistoryLimit":     spec.FailedJobsHistoryLimit != nil,
	} {
		if !set {
			t.Errorf("%s is not set", what)
		}
	}
}

// TestManifestTimes: the program ends by itself, with a summary, before it is ended.
func TestManifestTimes(t *testing.T) {
	m := readManifests(t)
	limit, err := time.ParseDuration(m.variables(t)["MAX_RUNTIME"])
	if err != nil || limit <= 0 {
		t.Fatalf("MAX_RUNTIME does not bound the run: %v, %v", limit, err)
	}
	if deadline := m.job.Spec.JobTemplate.Spec.ActiveDeadlineSeconds; deadline == nil {
		t.Error("activeDeadlineSeconds is not set")
	} else if time.Duration(*deadline)*time.Second < limit+time.Minute {
		t.Errorf("activeDeadlineSeconds is %d, which leaves no time after MAX_RUNTIME=%v", *deadline, limit)
	}
	if grace := m.pod().TerminationGracePeriodSeconds; grace == nil || *grace <= 10 {
		t.Error("terminationGracePeriodSeconds must be above the 10 seconds that the program may take to end")
	}
}

func TestManifestSecurity(t *testing.T) {
	m := readManifests(t)
	pod, container := m.pod(), m.container(t)
	wantValue(t, "the pod's automountServiceAccountToken", pod.AutomountServiceAccountToken, false)
	wantValue(t, "the account's automountServiceAccountToken", m.account.AutomountServiceAccountToken, false)
	wantValue(t, "serviceAccountName", &pod.ServiceAccountName, m.account.Name)
	if len(m.account.Secrets)+len(m.account.ImagePullSecrets) > 0 {
		t.Error("the account must have no secrets")
	}
	if pod.HostNetwork || pod.HostPID || pod.HostIPC {
		t.Error("the pod must not share the node's namespaces")
	}
	all, own := pod.SecurityContext, container.SecurityContext
	if all == nil || own == nil {
		t.Fatal("pod and container need a securityContext each")
	}
	wantValue(t, "the pod's runAsNonRoot", all.RunAsNonRoot, true)
	wantValue(t, "the pod's runAsUser", all.RunAsUser, unprivileged)
	wantValue(t, "the pod's runAsGroup", all.RunAsGroup, unprivileged)
	wantValue(t, "the pod's fsGroup", all.FSGroup, unprivileged)
	wantValue(t, "runAsNonRoot", own.RunAsNonRoot, true)
	wantValue(t, "runAsUser", own.RunAsUser, unprivileged)
	wantValue(t, "readOnlyRootFilesystem", own.ReadOnlyRootFilesystem, true)
	wantValue(t, "allowPrivilegeEscalation", own.AllowPrivilegeEscalation, false)
	wantValue(t, "privileged", own.Privileged, false)
	if got := own.Capabilities; got == nil || len(got.Add) > 0 || !slices.Equal(got.Drop, []corev1.Capability{"ALL"}) {
		t.Errorf("capabilities are %v; want all of them dropped", got)
	}
	for what, profile := range map[string]*corev1.SeccompProfile{"the pod's": all.SeccompProfile, "the container's": own.SeccompProfile} {
		if profile == nil || profile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s seccompProfile is %v; want RuntimeDefault", what, profile)
		}
	}
}

// TestReader: the pod that hands out reports may read what the program's user wrote, and
// can do nothing else.
func TestReader(t *testing.T) {
	const file = moduleRoot + "/deploy/kubernetes/reader.yaml"
	var pod corev1.Pod
	decodeStrictly(t, file, readText(t, file), &pod)
	all, container := pod.Spec.SecurityContext, pod.Spec.Containers[0]
	wantValue(t, "automountServiceAccountToken", pod.Spec.AutomountServiceAccountToken, false)
	wantValue(t, "runAsNonRoot", all.RunAsNonRoot, true)
	wantValue(t, "runAsUser", all.RunAsUser, unprivileged)
	wantValue(t, "fsGroup", all.FSGroup, unprivileged)
	wantValue(t, "seccompProfile", &all.SeccompProfile.Type, corev1.SeccompProfileTypeRuntimeDefault)
	wantValue(t, "allowPrivilegeEscalation", container.SecurityContext.AllowPrivilegeEscalation, false)
	wantValue(t, "readOnlyRootFilesystem", container.SecurityContext.ReadOnlyRootFilesystem, true)
	if drop := container.SecurityContext.Capabilities.Drop; !slices.Equal(drop, []corev1.Capability{"ALL"}) {
		t.Errorf("it drops %v, want all capabilities", drop)
	}
	mount, volume := container.VolumeMounts[0], pod.Spec.Volumes[0]
	if mount.Name != volume.Name || !mount.ReadOnly || volume.PersistentVolumeClaim == nil {
		t.Fatalf("it mounts %+v of %+v, want a claim to read from", mount, volume)
	}
	if claim := "claimName: " + volume.PersistentVolumeClaim.ClaimName; !strings.Contains(readText(t, moduleRoot+"/deploy/kubernetes/README.md"), claim+"\n") {
		t.Errorf("deploy/kubernetes/README.md does not give the runs the volume %s", claim)
	}
}

func TestManifestResources(t *testing.T) {
	container := readManifests(t).container(t)
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		request, limit := container.Resources.Requests[name], container.Resources.Limits[name]
		if request.Sign() <= 0 || limit.Cmp(request) < 0 {
			t.Errorf("%s: the request is %v and the limit %v", name, &request, &limit)
		}
	}
}

// TestManifestVolumes: the token comes as a file that only the program can read, reports
// go where something can be written, and nothing else is mounted.
func TestManifestVolumes(t *testing.T) {
	m := readManifests(t)
	variables, mounted := m.variables(t), make(map[string]corev1.VolumeMount)
	for _, mount := range m.container(t).VolumeMounts {
		mounted[mount.Name] = mount
	}
	for _, volume := range m.pod().Volumes {
		mount, ok := mounted[volume.Name]
		delete(mounted, volume.Name)
		switch {
		case !ok:
			t.Errorf("volume %s is not mounted", volume.Name)
		case volume.Secret != nil:
			m.checkToken(t, volume.Secret, mount, variables["GITLAB_TOKEN_FILE"])
		case volume.EmptyDir != nil:
			if mount.MountPath != variables["REPORT_DIR"] || mount.ReadOnly {
				t.Errorf("REPORT_DIR is %q, and %s is mounted at %q", variables["REPORT_DIR"], volume.Name, mount.MountPath)
			}
			if size := volume.EmptyDir.SizeLimit; size == nil || size.Sign() <= 0 {
				t.Errorf("emptyDir %s has no sizeLimit", volume.Name)
			}
		default:
			t.Errorf("volume %s is neither the token nor the reports", volume.Name)
		}
	}
	for name := range mounted {
		t.Errorf("there is no volume %s", name)
	}
}

// checkToken holds the mounted token against the variable and against the example.
func (m *manifest) checkToken(t *testing.T, source *corev1.SecretVolumeSource, mount corev1.VolumeMount, file string) {
	t.Helper()
	if source.SecretName != m.secret.Name {
		t.Errorf("the pod wants secret %q, the example is %q", source.SecretName, m.secret.Name)
	}
	wantValue(t, "the mode of the token's file", source.DefaultMode, 0o440)
	if len(source.Items) != 1 {
		t.Fatalf("the secret has %d items, want the token alone", len(source.Items))
	}
	item := source.Items[0]
	if m.secret.StringData[item.Key] == "" {
		t.Errorf("the example has no key %q", item.Key)
	}
	if path := mount.MountPath + "/" + item.Path; path != file || !mount.ReadOnly {
		t.Errorf("the token is mounted as %q, GITLAB_TOKEN_FILE is %q", path, file)
	}
}

// TestManifestVariables: each variable of the manifest exists, and together they are a
// configuration that the program accepts.
func TestManifestVariables(t *testing.T) {
	variables := readManifests(t).variables(t)
	known := configVariables()
	for name := range variables {
		if _, ok := known[name]; !ok {
			t.Errorf("the CronJob sets %s, which the program does not know", name)
		}
	}
	if variables["GITLAB_TOKEN_FILE"] == "" || variables["GITLAB_TOKEN"] != "" {
		t.Error("the token must come as a file: variables of a pod are shown to whoever may read pods")
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("glpat-x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	variables["GITLAB_TOKEN_FILE"] = file
	if _, err := loadConfig(t.Context(), envconfig.MapLookuper(variables)); err != nil {
		t.Errorf("the program refuses the CronJob's variables: %v", err)
	}
}

func TestKustomization(t *testing.T) {
	var k kustomization
	file := manifests + "/kustomization.yaml"
	decodeStrictly(t, file, readText(t, file), &k)
	if k.APIVersion != "kustomize.config.k8s.io/v1beta1" || k.Kind != "Kustomization" || k.Namespace == "" {
		t.Errorf("%s is %s %s in namespace %q", file, k.APIVersion, k.Kind, k.Namespace)
	}
	var want []string
	for _, other := range manifestFiles(t) {
		if name := filepath.Base(other); name != "kustomization.yaml" && !strings.Contains(name, ".example.") {
			want = append(want, name)
		}
	}
	if slices.Sort(k.Resources); !slices.Equal(k.Resources, want) {
		t.Errorf("resources are %v; want %v, all but the examples", k.Resources, want)
	}
	image := readManifests(t).container(t).Image
	if len(k.Images) != 1 || k.Images[0].Name != image || k.Images[0].NewName == "" || k.Images[0].NewTag == "" {
		t.Errorf("images are %v; want a name and a tag for the CronJob's %q", k.Images, image)
	}
}

// TestImageUser: Kubernetes refuses to start a pod whose image runs as another user than
// it says, or as root.
func TestImageUser(t *testing.T) {
	want := fmt.Sprintf("\nUSER %d:%d\n", unprivileged, unprivileged)
	if !strings.Contains(readText(t, moduleRoot+"/Dockerfile"), want) {
		t.Errorf("the Dockerfile has no line %q", strings.TrimSpace(want))
	}
}

// configVariables returns the variables of Config with their defaults.
func configVariables() map[string]string {
	variables := make(map[string]string)
	for field := range reflect.TypeFor[Config]().Fields() {
		name, value := variableOf(field)
		if value == "" {
			value = field.Tag.Get("default")
		}
		variables[name] = value
	}
	return variables
}

// helpText returns what --help prints, before and after "exit codes:".
func helpText(t *testing.T) (variables, codes string) {
	t.Helper()
	var out bytes.Buffer
	if err := writeHelp(&out); err != nil {
		t.Fatal(err)
	}
	variables, codes, ok := strings.Cut(out.String(), "\nexit codes:\n")
	if !ok {
		t.Fatal("--help says nothing about exit codes")
	}
	return variables, codes
}

func TestHelpVariables(t *testing.T) {
	text, _ := helpText(t)
	got := make(map[string]string)
	// A name, then the default, if there is one, at two blanks or more from it and from
	// what follows.
	row := regexp.MustCompile(`(?m)^  ([A-Z][A-Z0-9_]+) {2,}(?:(\S+) {2,})?\S`)
	for _, match := range row.FindAllStringSubmatch(text, -1) {
		got[match[1]] = match[2]
	}
	compareVariables(t, "--help", got, configVariables())
	for line := range strings.Lines(text) {
		if len(line) > helpWidth+1 {
			t.Errorf("--help is wider than a terminal: %s", line)
		}
	}
}

// TestReadmeVariables: the table whose first column is headed "variable". A cell may name
// several variables, separated by commas; its default is then that of each, in order, or
// one that all share, or that of those among them that have one.
func TestReadmeVariables(t *testing.T) {
	want := configVariables()
	got := make(map[string]string)
	for _, row := range readmeTable(t, "variable") {
		names, defaults := codeSpans(row[0]), codeSpans(row[1])
		if len(names) == 0 || len(defaults) > 1 && len(defaults) != len(names) {
			t.Errorf("README.md: cannot tell the defaults of %s: %s", row[0], row[1])
			continue
		}
		for i, name := range names {
			if _, twice := got[name]; twice {
				t.Errorf("README.md names %s twice", name)
			}
			switch {
			case len(defaults) == len(names):
				got[name] = defaults[i]
			case len(defaults) == 1 && (want[name] != "" || i == 0):
				got[name] = defaults[0]
			default:
				got[name] = ""
			}
		}
	}
	compareVariables(t, "README.md", got, want)
}

// compareVariables holds a list of variables and defaults against those of Config, both ways.
func compareVariables(t *testing.T, where string, got, want map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		value, ok := got[name]
		switch {
		case !ok:
			t.Errorf("%s does not name %s", where, name)
		case value != want[name]:
			t.Errorf("%s says that %s is %q by default; it is %q", where, name, value, want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			t.Errorf("%s names %s, which the program does not know", where, name)
		}
	}
}

// TestExitCodes: the constants, --help, doc.go and the README's table, whose first column
// is headed "code", name the same codes.
func TestExitCodes(t *testing.T) {
	want := exitConstants(t)
	for _, needed := range []int{exitDone, exitError, exitUsage, exitIncomplete, exitGuard, exitSignal} {
		if !slices.Contains(want, codeName(needed)) {
			t.Errorf("exit.go was misread: no %d in %v", needed, want)
		}
	}
	_, inHelp := helpText(t)
	_, inDoc, _ := strings.Cut(readText(t, "doc.go"), "# Exit codes")
	found := map[string][]string{
		"--help": codesIn(inHelp, `(?m)^  (\d\S*) {2,}\S`),
		"doc.go": codesIn(inDoc, `(?m)^//\t(\d\S*) {2,}\S`),
	}
	for where, got := range found {
		compareCodes(t, where, got, want)
	}
	t.Run("README", func(t *testing.T) {
		var got []string
		for _, row := range readmeTable(t, "code") {
			got = append(got, codeSpans(row[0])...)
		}
		compareCodes(t, "README.md", got, want)
	})
}

func compareCodes(t *testing.T, where string, got, want []string) {
	t.Helper()
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("%s names the exit codes %v; exit.go has %v", where, got, want)
	}
}

func codesIn(text, pattern string) (codes []string) {
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		codes = append(codes, match[1])
	}
	return codes
}

// codeName is how a code is written down: 128 stands for all that signals add to it.
func codeName(code int) string {
	if code == exitSignal {
		return "128+n"
	}
	return strconv.Itoa(code)
}

// exitConstants reads the constants of exit.go from its source, so that a new one cannot
// be forgotten here.
func exitConstants(t *testing.T) (codes []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "exit.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for node := range ast.Preorder(file) {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "exit") {
			continue
		}
		literal, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			t.Fatalf("%s is not a plain number", spec.Names[0].Name)
		}
		code, err := strconv.Atoi(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		codes = append(codes, codeName(code))
	}
	slices.Sort(codes)
	return codes
}

// TestReadmeReasons: the table whose first column is headed "reason" says of each code
// what the summary says becomes of its tags.
func TestReadmeReasons(t *testing.T) {
	becomes := map[string]report.Outcome{
		"stays": report.Kept, "goes": report.Deleted, "undecided": report.Undecided, "failed": report.Failed,
	}
	got, want := make(map[string]report.Outcome), make(map[string]report.Outcome)
	for _, row := range readmeTable(t, "reason") {
		word := regexp.MustCompile(`^\w+`).FindString(row[1])
		got[strings.Join(codeSpans(row[0]), " ")] = becomes[word]
	}
	for _, e := range report.Explanations() {
		want[string(e.Reason)] = e.Outcome
	}
	if !maps.Equal(got, want) {
		t.Errorf("README.md says %v; want %v", got, want)
	}
}

// TestReadmeKinds: the table whose first column is headed "kind" has every kind that a line
// of decisions.jsonl can name, and no other.
func TestReadmeKinds(t *testing.T) {
	source := readText(t, moduleRoot+"/pipeline/policy/facts.go")
	var got, want []string
	for _, match := range regexp.MustCompile(`(?m)^\tKind\w+ +Kind = "([^"]+)"`).FindAllStringSubmatch(source, -1) {
		want = append(want, match[1])
	}
	for _, row := range readmeTable(t, "kind") {
		got = append(got, codeSpans(row[0])...)
	}
	slices.Sort(got)
	if slices.Sort(want); len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("README.md names the kinds %v; want %v", got, want)
	}
}

// readmeTable returns the rows of the README's table whose first column has a heading.
func readmeTable(t *testing.T, heading string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile(moduleRoot + "/README.md")
	if err != nil {
		t.Fatalf("there is no README to hold the contract: %v", err)
	}
	inside := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			inside = false
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case inside && len(cells) < 2:
			t.Fatalf("README.md: a row of one cell: %s", line)
		case inside && strings.Trim(cells[0], ":-") != "":
			rows = append(rows, cells)
		case strings.EqualFold(cells[0], heading):
			inside = true
		}
	}
	if len(rows) == 0 {
		t.Fatalf("README.md has no table whose first column is headed %q", heading)
	}
	return rows
}

// codeSpans returns what stands between backquotes in a cell, or its text if nothing does
// and it is not a dash.
func codeSpans(cell string) (spans []string) {
	for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		spans = append(spans, match[1])
	}
	if text := strings.Trim(cell, "–—- "); len(spans) == 0 && text != "" {
		spans = append(spans, text)
	}
	return spans
}
