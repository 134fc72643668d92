{{/*
The name of the resources, of 48 characters at most: a CronJob adds eleven for the name of a Job,
an Indexed Job up to four for the host name of a pod, and that may have 63.
*/}}
{{- define "registry-gc.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 48 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 48 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What tells this release's resources from others. */}}
{{- define "registry-gc.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "registry-gc.labels" -}}
{{ include "registry-gc.selector" . }}
{{- if not .Values.image.digest }}
app.kubernetes.io/version: {{ include "registry-gc.tag" . | trunc 63 | trimAll "-_." | quote }}
{{- end }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- end }}

{{/* The image's tag: each release's chart has the release's own image for its default. */}}
{{- define "registry-gc.tag" -}}
{{- default .Chart.AppVersion .Values.image.tag }}
{{- end }}

{{- define "registry-gc.image" -}}
{{- $repository := required "image.repository is not set. Give the name of the image without its tag, such as registry.example.com/tools/registry-gc." .Values.image.repository }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (include "registry-gc.tag" .) }}
{{- end }}
{{- end }}

{{- define "registry-gc.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "registry-gc.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* The Secret with the token: one that is there, or the chart's, and never both. */}}
{{- define "registry-gc.secret" -}}
{{- if and .Values.token.existingSecret .Values.token.value }}
{{- fail "token.existingSecret and token.value are both set. Give one of them: the name of a Secret, or the token itself." }}
{{- else if .Values.token.value }}
{{- include "registry-gc.fullname" . }}
{{- else }}
{{- required "token.existingSecret is not set. Give the name of the Secret that holds the access token, or for a first try the token itself as token.value." .Values.token.existingSecret }}
{{- end }}
{{- end }}

{{/* Whether reports are kept in a volume: one that is named is meant to be used. */}}
{{- define "registry-gc.persistent" -}}
{{- if or .Values.reports.persistent .Values.reports.existingClaim }}true{{ end }}
{{- end }}

{{- define "registry-gc.claim" -}}
{{- default (include "registry-gc.fullname" .) .Values.reports.existingClaim }}
{{- end }}

{{/*
A time in seconds. Templates cannot read a duration, but can add one to a date, one without
days: a day is counted as 24 hours on its own.
*/}}
{{- define "registry-gc.seconds" -}}
{{- $start := mustToDate "2006-01-02" "2000-01-01" }}
{{- $days := regexFind `^[0-9.]+d` . | trimSuffix "d" | default "0" }}
{{- $rest := regexReplaceAll `^[0-9.]+d` . "" | default "0s" }}
{{- $seconds := sub (mustDateModify $rest $start | unixEpoch | int64) (unixEpoch $start | int64) }}
{{- add $seconds (mulf (float64 $days) 86400 | int64) }}
{{- end }}

{{/*
When Kubernetes ends a run: ten minutes after MAX_RUNTIME, so that the program ends by
itself before.
*/}}
{{- define "registry-gc.deadline" -}}
{{- $limit := toString (default 0 .Values.config.MAX_RUNTIME) }}
{{- if not (kindIs "invalid" .Values.activeDeadlineSeconds) }}
{{- int64 .Values.activeDeadlineSeconds }}
{{- else if ne $limit "0" }}
{{- $seconds := include "registry-gc.seconds" $limit | int64 }}
{{- if gt $seconds 0 }}
{{- add $seconds 600 }}
{{- end }}
{{- end }}
{{- end }}

{{/*
The ports that have to be reached: those that are listed, and those in addresses. Of an
address in a Secret the port is not known: it is taken for the Pushgateway's own.
*/}}
{{- define "registry-gc.ports" -}}
{{- $ports := list }}
{{- range .Values.networkPolicy.ports }}
{{- $ports = append $ports (int .) }}
{{- end }}
{{- range list .Values.config.GITLAB_URL .Values.config.REGISTRY_URL .Values.pushgateway.url .Values.proxy.http .Values.proxy.https }}
{{- with . }}
{{- $port := regexReplaceAll `^(?:https?://)?[^/]*:([0-9]+)(?:/.*)?$` . "$1" }}
{{- if regexMatch `^[0-9]+$` $port }}
{{- $ports = append $ports (int $port) }}
{{- else if hasPrefix "http://" . }}
{{- $ports = append $ports 80 }}
{{- else }}
{{- $ports = append $ports 443 }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.pushgateway.existingSecret }}
{{- $ports = append $ports 9091 }}
{{- end }}
{{- uniq $ports | toJson }}
{{- end }}

{{/*
The schedule. The schema has looked at fields and numbers; whether a range runs forwards is not
a question for a pattern.
*/}}
{{- define "registry-gc.schedule" -}}
{{- $schedule := .Values.schedule }}
{{- if not (contains "@" $schedule) }}
{{- $names := dict "jan" 1 "feb" 2 "mar" 3 "apr" 4 "may" 5 "jun" 6 "jul" 7 "aug" 8 "sep" 9 "oct" 10 "nov" 11 "dec" 12
  "sun" 0 "mon" 1 "tue" 2 "wed" 3 "thu" 4 "fri" 5 "sat" 6 }}
{{- range $item := regexFindAll `[0-9A-Za-z]+-[0-9A-Za-z]+` $schedule -1 }}
{{- $ends := list }}
{{- range splitList "-" $item }}
{{- $ends = append $ends (hasKey $names (lower .) | ternary (get $names (lower .)) (regexReplaceAll `^0+([0-9])` . "${1}") | toString | atoi) }}
{{- end }}
{{- if gt (index $ends 0) (index $ends 1) }}
{{- fail (printf "schedule: %q has the range %s, which ends before it begins. Write it as two ranges, such as 22-23,0-2 for hours." $schedule $item) }}
{{- end }}
{{- end }}
{{- end }}
{{- $schedule }}
{{- end }}

{{/*
The labels by which metrics of this release's runs are known, as the program gives them to a
Pushgateway: another release may walk another part of the instance, or be a dry run.
*/}}
{{- define "registry-gc.runs" -}}
{{- $instance := regexReplaceAll `^https?://` .Values.config.GITLAB_URL "" | trimSuffix "/" | trimSuffix "/api/v4" }}
{{- $scope := list }}
{{- range list .Values.config.GITLAB_GROUPS .Values.config.GITLAB_PROJECTS }}
{{- $entries := kindIs "slice" . | ternary . (list .) }}
{{- range $entries }}
{{- range (kindIs "string" . | ternary . (toJson .) | splitList ",") }}
{{- $scope = append $scope (trim .) }}
{{- end }}
{{- end }}
{{- end }}
{{- $scope = without $scope "" "null" | uniq | sortAlpha | join "," }}
{{- printf "{instance=%q,scope=%q,mode=%q,shard%s\"\"}" $instance $scope (ternary "dry-run" "" (eq (toString .Values.config.DRY_RUN) "true")) (gt (int .Values.shards) 1 | ternary "!=" "=") }}
{{- end }}

{{/* Of a selector of runs: the tags that they leave for another run. */}}
{{- define "registry-gc.left" -}}
{{- printf "%s,outcome=~\"undecided|failed\"}" (trimSuffix "}" .) }}
{{- end }}
