{{- define "registry-gc.pod" -}}
serviceAccountName: {{ include "registry-gc.serviceAccount" . | quote }}
automountServiceAccountToken: false
# Else every Service of the namespace would show up as variables.
enableServiceLinks: false
restartPolicy: Never
terminationGracePeriodSeconds: {{ int64 .Values.terminationGracePeriodSeconds }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
containers:
  - name: registry-gc
    image: {{ include "registry-gc.image" . | quote }}
    {{- with .Values.image.pullPolicy }}
    imagePullPolicy: {{ . }}
    {{- end }}
    env:
      {{- include "registry-gc.env" . | trim | nindent 6 }}
    resources:
      {{- toYaml .Values.resources | nindent 6 }}
    securityContext:
      {{- toYaml .Values.securityContext | nindent 6 }}
    volumeMounts:
      - name: token
        mountPath: /run/registry-gc
        readOnly: true
      {{- if include "registry-gc.persistent" . }}
      - name: reports
        mountPath: {{ .Values.reports.path | quote }}
      {{- end }}
      {{- if .Values.caBundle.configMap }}
      - name: ca
        mountPath: /etc/registry-gc
        readOnly: true
      {{- end }}
      {{- if .Values.files.configMap }}
      - name: files
        mountPath: /etc/registry-gc-files
        readOnly: true
      {{- end }}
volumes:
  - name: token
    secret:
      secretName: {{ include "registry-gc.secret" . | quote }}
      defaultMode: 0440 # for the group, which fsGroup makes the program's
      items:
        - key: {{ ternary "token" .Values.token.key (ne .Values.token.value "") | quote }}
          path: token
  {{- if include "registry-gc.persistent" . }}
  - name: reports
    persistentVolumeClaim:
      claimName: {{ include "registry-gc.claim" . | quote }}
  {{- end }}
  {{- if .Values.caBundle.configMap }}
  - name: ca
    configMap:
      name: {{ .Values.caBundle.configMap | quote }}
      items:
        - key: {{ .Values.caBundle.key | quote }}
          path: ca.crt
  {{- end }}
  {{- if .Values.files.configMap }}
  - name: files
    configMap:
      name: {{ .Values.files.configMap | quote }}
  {{- end }}
{{- end }}
