{{/*
A value as a variable of a container: lists are joined, numbers keep all their digits.
Kubernetes replaces $(NAME) and makes $$ one $;
where a value has either, each $ is doubled, so that it arrives as it was written.
*/}}
{{- define "registry-gc.value" -}}
{{- $text := "" }}
{{- if kindIs "slice" . }}
{{- $entries := list }}
{{- range . }}
{{- $entries = append $entries (kindIs "string" . | ternary . (toJson .)) }}
{{- end }}
{{- $text = join "," $entries }}
{{- else }}
{{- $text = kindIs "string" . | ternary . (toJson .) }}
{{- end }}
{{- if regexMatch `\$[$(]` $text }}
{{- $text = replace "$" "$$" $text }}
{{- end }}
{{- $text | quote }}
{{- end }}

{{/* The variables that are set, by name. Null and "" mean the program's default. */}}
{{- define "registry-gc.variables" -}}
{{- $_ := required "config.GITLAB_URL is not set. Give the address of your GitLab, such as https://gitlab.example.com." .Values.config.GITLAB_URL }}
{{- $all := dict
  "GITLAB_TOKEN_FILE" "/run/registry-gc/token"
  "REPORT_DIR" (ternary .Values.reports.path "" (eq (include "registry-gc.persistent" .) "true"))
  "PUSHGATEWAY_URL" .Values.pushgateway.url
  "HTTP_PROXY" .Values.proxy.http
  "HTTPS_PROXY" .Values.proxy.https
  "NO_PROXY" .Values.proxy.noProxy }}
{{- range $name, $value := .Values.config }}
{{- $_ := set $all $name $value }}
{{- end }}
{{- if gt (int .Values.shards) 1 }}
{{- /* Which shard a pod has, Kubernetes says in JOB_COMPLETION_INDEX; how many, it does not. */}}
{{- $_ := set $all "SHARD_COUNT" .Values.shards }}
{{- end }}
{{- if .Values.caBundle.configMap }}
{{- $_ := set $all "SSL_CERT_FILE" "/etc/registry-gc/ca.crt" }}
{{- end }}
{{- $given := dict }}
{{- range $name, $value := $all }}
{{- if not (or (kindIs "invalid" $value) (has $value (list "" list))) }}
{{- $_ := set $given $name $value }}
{{- end }}
{{- end }}
{{- toJson $given }}
{{- end }}

{{- define "registry-gc.env" -}}
{{- $given := include "registry-gc.variables" . | fromJson }}
{{- range $name, $value := $given }}
- name: {{ $name }}
  value: {{ include "registry-gc.value" $value }}
{{- end }}
{{- if .Values.pushgateway.existingSecret }}
{{- if .Values.pushgateway.url }}
{{- fail "pushgateway.url and pushgateway.existingSecret are both set. Give one of them: the address, or the name of a Secret that holds it." }}
{{- end }}
- name: PUSHGATEWAY_URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.pushgateway.existingSecret | quote }}
      key: {{ .Values.pushgateway.key | quote }}
{{- end }}
{{- range .Values.extraEnv }}
{{- /* With the prefix the program takes it for the same, and for the stronger one. */}}
{{- $name := trimPrefix "REGISTRY_GC_" .name }}
{{- if has $name (list "SHARD_INDEX" "SHARD_COUNT" "JOB_COMPLETION_INDEX") }}
{{- /* The same for every pod, so that some projects would be nobody's. */}}
{{- fail (printf "extraEnv: %s would be the same in every pod, and some projects would be in none. Set shards to the number of pods that share a run." .name) }}
{{- end }}
{{- if hasKey $given $name }}
{{- fail (printf "extraEnv: %s is set by the chart already. Use its own value, such as one under config; values.yaml lists them." .name) }}
{{- end }}
- {{ toYaml . | nindent 2 | trim }}
{{- end }}
{{- end }}
