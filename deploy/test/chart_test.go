package deploy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// everything sets what the other tests leave alone.
const everything = `
nameOverride: cleaner
image:
  digest: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
  pullPolicy: Always
imagePullSecrets: [{name: pull}]
schedule: "0 1 * * 0"
timeZone: Europe/Berlin
suspend: true
startingDeadlineSeconds: 60
successfulJobsHistoryLimit: 0
failedJobsHistoryLimit: 1
shards: 3
activeDeadlineSeconds: 7200
terminationGracePeriodSeconds: 60
token: {existingSecret: mine, key: api}
pushgateway: {url: "http://push:9091"}
prometheusRule: {enabled: true, labels: {release: prometheus}}
reports: {persistent: true, size: 2Gi, storageClassName: shared}
caBundle: {configMap: authorities, key: bundle.pem}
files: {configMap: rules}
proxy: {http: "http://proxy:3128", https: "http://proxy:3129", noProxy: ".svc,10.0.0.0/8"}
extraEnv:
  - {name: NO_COLOR, value: "1"}
  - name: NODE
    valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
serviceAccount: {name: cleaner, annotations: {a: b}}
resources: {limits: {memory: 256Mi}}
podLabels: {team: platform}
podAnnotations: {note: "yes"}
nodeSelector: {disk: ssd}
tolerations: [{key: batch, operator: Exists}]
affinity: {nodeAffinity: {}}
priorityClassName: low
`

// TestChartIsClean: `helm lint` has nothing to say, whatever is set.
func TestChartIsClean(t *testing.T) {
	for _, text := range []string{"{}", overlay(t, ""), overlay(t, everything), overlay(t, "networkPolicy: {enabled: false}")} {
		var values map[string]any
		if err := yaml.Unmarshal([]byte(text), &values); err != nil {
			t.Fatal(err)
		}
		for _, message := range lint.RunAll(chartDir, values, "tools").Messages {
			if message.Severity >= support.InfoSev {
				t.Errorf("%v\nwith\n%s", message, text)
			}
		}
	}
}

// TestEverythingSet: the values that say where and when a pod runs reach it.
func TestEverythingSet(t *testing.T) {
	r := mustRender(t, everything)
	spec, pod, container := r.job.Spec, r.pod(), r.container()
	for what, pair := range map[string][2]any{
		"name":              {r.job.Name, "nightly-cleaner"},
		"namespace":         {r.job.Namespace, "tools"},
		"schedule":          {spec.Schedule, "0 1 * * 0"},
		"time zone":         {*spec.TimeZone, "Europe/Berlin"},
		"suspend":           {*spec.Suspend, true},
		"starting deadline": {*spec.StartingDeadlineSeconds, int64(60)},
		"successful":        {*spec.SuccessfulJobsHistoryLimit, int32(0)},
		"failed":            {*spec.FailedJobsHistoryLimit, int32(1)},
		"active deadline":   {*spec.JobTemplate.Spec.ActiveDeadlineSeconds, int64(7200)},
		"grace":             {*pod.TerminationGracePeriodSeconds, int64(60)},
		"image":             {container.Image, "registry.example.com/tools/registry-gc@sha256:" + strings.Repeat("0123456789abcdef", 4)},
		"pull policy":       {container.ImagePullPolicy, corev1.PullAlways},
		"pull secrets":      {pod.ImagePullSecrets, []corev1.LocalObjectReference{{Name: "pull"}}},
		"account":           {pod.ServiceAccountName, r.account.Name},
		"account's name":    {r.account.Name, "cleaner"},
		"memory":            {container.Resources.Limits.Memory().String(), "256Mi"},
		"label":             {spec.JobTemplate.Spec.Template.Labels["team"], "platform"},
		"annotation":        {spec.JobTemplate.Spec.Template.Annotations["note"], "yes"},
		"node":              {pod.NodeSelector, map[string]string{"disk": "ssd"}},
		"tolerations":       {pod.Tolerations, []corev1.Toleration{{Key: "batch", Operator: corev1.TolerationOpExists}}},
		"affinity":          {pod.Affinity, &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}}},
		"priority":          {pod.PriorityClassName, "low"},
		"SSL_CERT_FILE":     {r.env()["SSL_CERT_FILE"], "/etc/registry-gc/ca.crt"},
		"HTTP_PROXY":        {r.env()["HTTP_PROXY"], "http://proxy:3128"},
		"HTTPS_PROXY":       {r.env()["HTTPS_PROXY"], "http://proxy:3129"},
		"NO_PROXY":          {r.env()["NO_PROXY"], ".svc,10.0.0.0/8"},
		"NO_COLOR":          {r.env()["NO_COLOR"], "1"},
		"class":             {*r.claim.Spec.StorageClassName, "shared"},
		"size":              {r.claim.Spec.Resources.Requests.Storage().String(), "2Gi"},
	} {
		if diff := cmp.Diff(pair[1], pair[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	if last := container.Env[len(container.Env)-1]; last.ValueFrom == nil || last.ValueFrom.FieldRef.FieldPath != "spec.nodeName" {
		t.Errorf("the last variable is %v; want the node's name", last)
	}
}

// TestVolumes: everything that is mounted is there, and the program finds it where its
// variables say.
func TestVolumes(t *testing.T) {
	for _, r := range []*resources{mustRender(t, ""), mustRender(t, everything), build(t, manifests), buildWithVolume(t, "")} {
		mounts := make(map[string]corev1.VolumeMount)
		for _, mount := range r.container().VolumeMounts {
			mounts[mount.Name] = mount
		}
		for _, volume := range r.pod().Volumes {
			mount, mounted := mounts[volume.Name]
			if !mounted {
				t.Errorf("volume %s is not mounted", volume.Name)
			}
			delete(mounts, volume.Name)
			switch source := volume.VolumeSource; {
			case source.Secret != nil:
				wantFile(t, mount, source.Secret.Items, r.env()["GITLAB_TOKEN_FILE"])
			case volume.Name == "files": // all keys, whatever they are called
				if mount.MountPath != "/etc/registry-gc-files" || !mount.ReadOnly || source.ConfigMap.Name != "rules" || len(source.ConfigMap.Items) > 0 {
					t.Errorf("the files of %v are mounted as %v", source.ConfigMap, mount)
				}
			case source.ConfigMap != nil:
				wantFile(t, mount, source.ConfigMap.Items, r.env()["SSL_CERT_FILE"])
			case source.PersistentVolumeClaim == nil || source.PersistentVolumeClaim.ClaimName != r.claim.Name:
				t.Errorf("reports go to %v, the claim is %v", source, r.claim)
			case mount.MountPath != r.env()["REPORT_DIR"] || mount.ReadOnly:
				t.Errorf("reports are mounted at %q and written to %q", mount.MountPath, r.env()["REPORT_DIR"])
			}
		}
		if len(mounts) > 0 {
			t.Errorf("there is nothing to mount as %v", mounts)
		}
	}
}

func wantFile(t *testing.T, mount corev1.VolumeMount, items []corev1.KeyToPath, file string) {
	t.Helper()
	if len(items) != 1 || mount.MountPath+"/"+items[0].Path != file || !mount.ReadOnly {
		t.Errorf("%s is mounted as %v with %v; want the one file %s", mount.Name, mount.MountPath, items, file)
	}
}

// TestToken: the token is in a Secret and nowhere else, and one way to give it excludes
// the other.
func TestToken(t *testing.T) {
	const token = "glpat-hidden"
	given := mustRender(t, `token: {existingSecret: "", value: `+token+`}`)
	if given.secret == nil || string(given.secret.Data["token"]) != token {
		t.Fatalf("the Secret holds %v", given.secret)
	}
	for kind, text := range given.text {
		if kind != "Secret" && strings.Contains(text, token) {
			t.Errorf("the token is in the %s", kind)
		}
	}
	if strings.Contains(given.notes, token) {
		t.Error("the token is in the notes")
	}
	if source := given.pod().Volumes[0].Secret; source.SecretName != given.secret.Name || source.Items[0].Key != "token" {
		t.Errorf("the pod mounts %v", source)
	}
	existing := mustRender(t, `token: {existingSecret: mine, key: api}`)
	if source := existing.pod().Volumes[0].Secret; source.SecretName != "mine" || source.Items[0].Key != "api" {
		t.Errorf("the pod mounts %v", source)
	}
	if existing.secret != nil {
		t.Error("the chart makes a Secret beside the one that is there")
	}
}

// TestAddressesInSecrets: an address with a password in it stays out of the pod.
func TestAddressesInSecrets(t *testing.T) {
	env := mustRender(t, `pushgateway: {existingSecret: push, key: address}`).container().Env
	variable := env[len(env)-1]
	if source := variable.ValueFrom; variable.Name != "PUSHGATEWAY_URL" || source == nil ||
		source.SecretKeyRef.Name != "push" || source.SecretKeyRef.Key != "address" {
		t.Errorf("the last variable is %v", variable)
	}
	env = mustRender(t, `extraEnv: [{name: HTTPS_PROXY, valueFrom: {secretKeyRef: {name: proxy, key: address}}}]`).container().Env
	if variable := env[len(env)-1]; variable.Name != "HTTPS_PROXY" || variable.ValueFrom.SecretKeyRef.Name != "proxy" {
		t.Errorf("the last variable is %v", variable)
	}
}

// TestNoUser: where the cluster chooses users, as OpenShift does, the chart names none.
func TestNoUser(t *testing.T) {
	pod := mustRender(t, `{podSecurityContext: {runAsUser: null, fsGroup: null}, securityContext: {runAsUser: null}}`).pod()
	own := pod.Containers[0].SecurityContext
	if pod.SecurityContext.RunAsUser != nil || pod.SecurityContext.FSGroup != nil || own.RunAsUser != nil {
		t.Errorf("the pod still wants %v and %v", pod.SecurityContext, own)
	}
	if !*pod.SecurityContext.RunAsNonRoot || !*own.ReadOnlyRootFilesystem {
		t.Error("the rest of the security context is gone")
	}
}

// TestShards: one pod is an ordinary Job. Several are an Indexed one, and may share a
// volume, in which the program gives each shard a folder of its own.
func TestShards(t *testing.T) {
	one, three := mustRender(t, "reports: {persistent: true}"), mustRender(t, everything)
	if job := one.job.Spec.JobTemplate.Spec; job.CompletionMode != nil || job.Completions != nil || *job.BackoffLimit != 0 {
		t.Errorf("without shards the Job is %v", job)
	}
	if _, set := one.env()["SHARD_COUNT"]; set {
		t.Error("without shards the program is told of shards")
	}
	checkIndexed(t, three, 3)
	for r, want := range map[*resources]corev1.PersistentVolumeAccessMode{one: corev1.ReadWriteOnce, three: corev1.ReadWriteMany} {
		mount, mode := r.container().VolumeMounts[1], r.claim.Spec.AccessModes[0]
		if mount.SubPathExpr != "" || mount.SubPath != "" || mode != want {
			t.Errorf("reports go to %q of a volume that is %s; want %v", mount.SubPathExpr+mount.SubPath, mode, want)
		}
		if claim := r.pod().Volumes[1].PersistentVolumeClaim; claim == nil || claim.ClaimName != r.claim.Name {
			t.Errorf("the pod wants the claim %v, the chart makes %s", claim, r.claim.Name)
		}
	}
}

// TestDeadline: a run ends by itself, with a summary, before Kubernetes ends it.
func TestDeadline(t *testing.T) {
	for values, want := range map[string]int64{
		`config: {MAX_RUNTIME: 4h}`:                                4*3600 + 600,
		`config: {MAX_RUNTIME: 1h30m}`:                             5400 + 600,
		`config: {MAX_RUNTIME: 20h}`:                               20*3600 + 600,
		`config: {MAX_RUNTIME: 1d}`:                                86400 + 600,
		`config: {MAX_RUNTIME: 1d12h30m}`:                          86400 + 45000 + 600,
		`config: {MAX_RUNTIME: 1.5d}`:                              86400 + 43200 + 600,
		`config: {MAX_RUNTIME: 5000h}`:                             5000*3600 + 600,
		`config: {MAX_RUNTIME: 0}`:                                 0,
		`config: {MAX_RUNTIME: 0s}`:                                0,
		`config: {MAX_RUNTIME: null}`:                              0,
		`{activeDeadlineSeconds: 90, config: {MAX_RUNTIME: 1m}}`:   90,
		`{activeDeadlineSeconds: 90, config: {MAX_RUNTIME: null}}`: 90,
	} {
		var got int64
		if deadline := mustRender(t, values).job.Spec.JobTemplate.Spec.ActiveDeadlineSeconds; deadline != nil {
			got = *deadline
		}
		if got != want {
			t.Errorf("with %s activeDeadlineSeconds is %d; want %d", values, got, want)
		}
	}
}

// TestClaimIsKept: the journals outlive the release. Helm deletes no claim with this annotation, and takes one
// that is there for its own by the label; the annotations that it asks for besides it writes itself.
func TestClaimIsKept(t *testing.T) {
	claim := mustRender(t, "reports: {persistent: true}").claim
	if claim.Annotations["helm.sh/resource-policy"] != "keep" {
		t.Errorf("the claim goes with the release: %v", claim.Annotations)
	}
	if claim.Labels["app.kubernetes.io/managed-by"] != "Helm" {
		t.Errorf("a release does not take the claim of one before it: %v", claim.Labels)
	}
	if claim.Name != "nightly-registry-gc" {
		t.Errorf("the claim is called %s, and the next release of this name looks for another one", claim.Name)
	}
}

// TestReportsNeedAVolume: reports are written where there is a volume for them, and one that is named is used.
func TestReportsNeedAVolume(t *testing.T) {
	for values, want := range map[string]string{
		"":                               "",
		"reports: {path: /r}":            "",
		"reports: {persistent: true}":    "nightly-registry-gc",
		"reports: {existingClaim: mine}": "mine",
		"reports: {persistent: true, existingClaim: mine}": "mine",
	} {
		r := mustRender(t, values)
		var claim string
		for _, volume := range r.pod().Volumes {
			if volume.PersistentVolumeClaim != nil {
				claim = volume.PersistentVolumeClaim.ClaimName
			} else if volume.Secret == nil {
				t.Errorf("with %q there is the volume %v", values, volume)
			}
		}
		if claim != want || (r.env()["REPORT_DIR"] != "") != (want != "") || (r.claim != nil) != (want == "nightly-registry-gc") {
			t.Errorf("with %q the pod has the claim %q and REPORT_DIR=%q", values, claim, r.env()["REPORT_DIR"])
		}
	}
}
