package deploy_test

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestMistakesAreRefused: a value that does not exist, or cannot be meant, stops the
// installation and is named in the message.
func TestMistakesAreRefused(t *testing.T) {
	for values, named := range map[string]string{
		`scheduel: "0 1 * * *"`:                             "scheduel",
		`config: {GITLAB_GRUOPS: a}`:                        "GITLAB_GRUOPS",
		`token: {existing: a}`:                              "existing",
		`networkPolicy: {enable: false}`:                    "enable",
		`image: {tag: 1.5}`:                                 "tag",
		`image: {digest: latest}`:                           "digest",
		`shards: 0`:                                         "shards",
		`shards: "3"`:                                       "shards",
		`config: {DRY_RUN: maybe}`:                          "DRY_RUN",
		`config: {DRY_RUN: null}`:                           "DRY_RUN", // a run that deletes, by the program's default
		`config: {DRY_RUN: ""}`:                             "DRY_RUN",
		`config: {GITLAB_GROUPS: ""}`:                       "GITLAB_GROUPS",
		`config: {EXCLUDE: ""}`:                             "EXCLUDE",
		`config: {PROTECTED_TAGS_REGEX: ""}`:                "PROTECTED_TAGS_REGEX",
		`extraEnv: [{name: REGISTRY_GC_DRY_RUN, value: a}]`: "REGISTRY_GC_DRY_RUN is set by the chart already",
		`config: {MAX_RUNTIME: 4}`:                          "MAX_RUNTIME",
		`config: {MAX_RUNTIME: soon}`:                       "MAX_RUNTIME",
		`config: {CONCURRENCY: many}`:                       "CONCURRENCY",
		`config: {ORPHANS: off}`:                            "ORPHANS", // YAML reads that as false
		`terminationGracePeriodSeconds: 5`:                  "terminationGracePeriodSeconds",
		`reports: {path: reports}`:                          "path",
		`fullnameOverride: "123"`:                           "fullnameOverride",
		`nameOverride: "a\nb: c"`:                           "nameOverride",
		`config: {GITLAB_URL: ""}`:                          "config.GITLAB_URL is not set. Give",
		`image: {repository: ""}`:                           "image.repository is not set. Give",
		`image: {tag: null}`:                                "tag",
		`token: {existingSecret: ""}`:                       "token.existingSecret is not set. Give",
		`token: {existingSecret: a, value: b}`:              "token.existingSecret and token.value are both set. Give one",
		`pushgateway: {url: "http://a", existingSecret: b}`: "pushgateway.url and pushgateway.existingSecret are both set. Give one",
		`pushgateway: {url: "http://user:s3cret@a:9091"}`:   "/pushgateway/url",
		`pushgateway: {url: "https://s3cret@a"}`:            "/pushgateway/url",
		`proxy: {http: "user:s3cret@a:3128"}`:               "/proxy/http",
		`proxy: {https: "http://user:s3cret@a:3128"}`:       "/proxy/https",
		`extraEnv: [{name: GITLAB_URL, value: a}]`:          "GITLAB_URL is set by the chart already",
		`{shards: 2, extraEnv: [{name: SHARD_COUNT}]}`:      "SHARD_COUNT would be the same in every pod",
		`{shards: 3, extraEnv: [{name: SHARD_INDEX}]}`:      "SHARD_INDEX would be the same in every pod",
		`extraEnv: [{name: JOB_COMPLETION_INDEX}]`:          "JOB_COMPLETION_INDEX would be the same in every pod",
		`podLabels: {app.kubernetes.io/name: other}`:        "podLabels",
		`podLabels: {helm.sh/chart: other}`:                 "podLabels",
		`config: {INCOMPLETE_EXIT_CODE: 4}`:                 "INCOMPLETE_EXIT_CODE': value must be one of 0, 3",
		`prometheusRule: {enabled: true}`:                   "prometheusRule.enabled is true, but there is no Pushgateway",
		`prometheusRule: {labels: {helm.sh/chart: other}}`:  "/prometheusRule/labels",
		`prometheusRule: {maxAge: 2}`:                       "/prometheusRule/maxAge",
		`prometheusRule: {maxAge: 0d}`:                      "/prometheusRule/maxAge",
		`prometheusRule: {alertLabels: {a-b: c}}`:           "additional properties 'a-b' not allowed",
	} {
		_, err := render(overlay(t, values))
		if err == nil || !strings.Contains(err.Error(), named) {
			t.Errorf("with %s: %v; want an error that names %q", values, err, named)
		}
	}
}

// TestNamesThatAreNumbers: what YAML would read as a number stays a name.
func TestNamesThatAreNumbers(t *testing.T) {
	r := mustRender(t, `{image: {tag: "1.20"}, token: {existingSecret: "1"}, priorityClassName: "2", serviceAccount: {name: "3"},
		caBundle: {configMap: "4"}, files: {configMap: "6"}, reports: {persistent: true, existingClaim: "5"}}`)
	if version := r.job.Labels["app.kubernetes.io/version"]; version != "1.20" || !strings.HasSuffix(r.container().Image, ":1.20") {
		t.Errorf("the version is %q, the image %s", version, r.container().Image)
	}
	if r.account.Name != "3" || r.pod().ServiceAccountName != "3" || r.pod().PriorityClassName != "2" {
		t.Errorf("the account is %q, the pod's %q and %q", r.account.Name, r.pod().ServiceAccountName, r.pod().PriorityClassName)
	}
}

// TestHostileValues: whatever a value holds, it arrives as it was written and does not
// become a part of the manifest.
func TestHostileValues(t *testing.T) {
	for _, value := range []string{
		`"`, `'`, `\`, "a\nb: c", "a\n---\nkind: Secret", `{{ .Values.token }}`, `{{ fail "x" }}`, `# no comment`, `: {}[]&*!|>%@`,
		`$(GITLAB_TOKEN_FILE)`, `$$(A)`, `$$`, `$`, `a$`, `$(`, `^v$|^$$|\$(x)$`, "true", "0123", "1e3", "null", "~", "\u2028 ü \x01",
	} {
		quoted, err := yaml.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.TrimSpace(string(quoted))
		if strings.Contains(text, "\n") {
			text = fmt.Sprintf("%q", value)
		}
		r := mustRender(t, `{config: {PROTECTED_TAGS_REGEX: `+text+`, PROTECTED_TAGS: [`+text+`]}, podAnnotations: {a: `+text+`}}`)
		for what, got := range map[string]string{
			"a variable":    r.env()["PROTECTED_TAGS_REGEX"],
			"a list":        r.env()["PROTECTED_TAGS"],
			"an annotation": r.job.Spec.JobTemplate.Spec.Template.Annotations["a"],
		} {
			if got != value {
				t.Errorf("%s arrives as %q; want %q", what, got, value)
			}
		}
	}
}
