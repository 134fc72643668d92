package deploy_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestChartAgreesWithManifests holds the chart against the manifests, so that what is said
// of the manifests here is true of the chart, too.

const unprivileged = 65532 // the user of the image and of the pod

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

func TestManifestSchedule(t *testing.T) {
	r := build(t, manifests)
	spec := r.job.Spec
	zone := "nowhere"
	if spec.TimeZone != nil {
		zone = *spec.TimeZone
	}
	if _, err := time.LoadLocation(zone); err != nil || spec.Schedule == "" {
		t.Errorf("the schedule is %q in time zone %q: %v", spec.Schedule, zone, err)
	}
	wantValue(t, "concurrencyPolicy", &spec.ConcurrencyPolicy, batchv1.ForbidConcurrent)
	wantValue(t, "backoffLimit", spec.JobTemplate.Spec.BackoffLimit, 0)
	wantValue(t, "restartPolicy", &r.pod().RestartPolicy, corev1.RestartPolicyNever)
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
	r := build(t, manifests)
	limit, err := time.ParseDuration(r.env()["MAX_RUNTIME"])
	if err != nil || limit <= 0 {
		t.Fatalf("MAX_RUNTIME does not bound the run: %v, %v", limit, err)
	}
	if deadline := r.job.Spec.JobTemplate.Spec.ActiveDeadlineSeconds; deadline == nil {
		t.Error("activeDeadlineSeconds is not set")
	} else if time.Duration(*deadline)*time.Second < limit+time.Minute {
		t.Errorf("activeDeadlineSeconds is %d, which leaves no time after MAX_RUNTIME=%v", *deadline, limit)
	}
	if grace := r.pod().TerminationGracePeriodSeconds; grace == nil || *grace <= 10 {
		t.Error("terminationGracePeriodSeconds must be above the 10 seconds that the program may take to end")
	}
}

func TestManifestSecurity(t *testing.T) {
	r := build(t, manifests)
	pod, container := r.pod(), r.container()
	if len(pod.Containers) != 1 || len(pod.InitContainers)+len(pod.EphemeralContainers) > 0 {
		t.Error("the pod must have one container and no other")
	}
	wantValue(t, "the pod's automountServiceAccountToken", pod.AutomountServiceAccountToken, false)
	wantValue(t, "the account's automountServiceAccountToken", r.account.AutomountServiceAccountToken, false)
	wantValue(t, "serviceAccountName", &pod.ServiceAccountName, r.account.Name)
	if len(r.account.Secrets)+len(r.account.ImagePullSecrets) > 0 {
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

// TestImageUser: Kubernetes refuses to start a pod whose image runs as another user than
// it says, or as root.
func TestImageUser(t *testing.T) {
	want := fmt.Sprintf("\nUSER %d:%d\n", unprivileged, unprivileged)
	if !strings.Contains(readText(t, moduleRoot+"/Dockerfile"), want) {
		t.Errorf("the Dockerfile has no line %q", strings.TrimSpace(want))
	}
}

// TestReader: the pod that hands out reports may read what the program's user wrote, and
// can do nothing else.
func TestReader(t *testing.T) {
	const file = manifests + "/reader.yaml"
	var pod corev1.Pod
	if err := yaml.UnmarshalStrict([]byte(readText(t, file)), &pod); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
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
	if got, want := volume.PersistentVolumeClaim.ClaimName, buildWithVolume(t, "").claim.Name; got != want {
		t.Errorf("it reads from the claim %s, the runs write to %s", got, want)
	}
}

func TestManifestResources(t *testing.T) {
	container := build(t, manifests).container()
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		request, limit := container.Resources.Requests[name], container.Resources.Limits[name]
		if request.Sign() <= 0 || limit.Cmp(request) < 0 {
			t.Errorf("%s: the request is %v and the limit %v", name, &request, &limit)
		}
	}
}

// TestManifestToken: the token comes as a file that only the program can read, from a
// Secret as the example has it. TestVolumes looks where it is mounted.
func TestManifestToken(t *testing.T) {
	r := build(t, manifests)
	example := &resources{text: make(map[string]string)}
	if err := example.decode(readText(t, manifests+"/base/secret.example.yaml")); err != nil {
		t.Fatal(err)
	}
	for _, volume := range r.pod().Volumes {
		if volume.Secret == nil {
			continue
		}
		if volume.Secret.SecretName != example.secret.Name {
			t.Errorf("the pod wants secret %q, the example is %q", volume.Secret.SecretName, example.secret.Name)
		}
		wantValue(t, "the mode of the token's file", volume.Secret.DefaultMode, 0o440)
		if key := volume.Secret.Items[0].Key; example.secret.StringData[key] == "" {
			t.Errorf("the example has no key %q", key)
		}
	}
}

// TestManifestVariables: each variable of the CronJob exists, together they are a
// configuration that the program accepts, and the token is not among them.
func TestManifestVariables(t *testing.T) {
	r := build(t, manifests)
	if len(r.container().EnvFrom) > 0 || len(r.env()) != len(r.container().Env) {
		t.Error("envFrom hides which variables are set, or one is set twice")
	}
	if r.env()["GITLAB_TOKEN_FILE"] == "" || r.env()["GITLAB_TOKEN"] != "" {
		t.Error("the token must come as a file: variables of a pod are shown to whoever may read pods")
	}
	checkVariables(t, r.env())
}

// TestKustomization: the base has all manifests but the examples, a namespace of its own,
// and an image with a name and a tag that can be replaced.
func TestKustomization(t *testing.T) {
	files, err := filepath.Glob(manifests + "/base/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r := build(t, manifests+"/base")
	for _, file := range files {
		kind := regexp.MustCompile(`(?m)^kind: (\w+)$`).FindStringSubmatch(readText(t, file))[1]
		_, built := r.text[kind]
		if want := !strings.Contains(file, ".example."); built != want && kind != "Kustomization" {
			t.Errorf("%s is part of the kustomization: %t; want %t", file, built, want)
		}
	}
	if r.job.Namespace == "" || r.account.Namespace != r.job.Namespace {
		t.Errorf("the namespaces are %q and %q", r.job.Namespace, r.account.Namespace)
	}
	if name := r.container().Image; !regexp.MustCompile(`^[^:]+/registry-gc:\w+$`).MatchString(name) {
		t.Errorf("the image is %q; want one with a registry and a tag", name)
	}
}
