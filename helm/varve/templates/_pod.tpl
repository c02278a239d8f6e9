{{/* What all our pods have in common: the restricted standard, and no token of Kubernetes unless named. */}}

{{- define "varve.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.pod.runAsUser }}
runAsUser: {{ int64 . }}
runAsGroup: {{ int64 . }}
fsGroup: {{ int64 . }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "varve.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* dict root, component, serviceAccount, withToken */}}
{{- define "varve.podCommon" -}}
serviceAccountName: {{ .serviceAccount }}
automountServiceAccountToken: {{ .withToken | default false }}
# Kubernetes would tell of services by variables, some of which look like our options.
enableServiceLinks: false
securityContext: {{- include "varve.podSecurity" .root | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with .root.Values.pod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.pod.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.pod.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.pod.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* dict root, component, role */}}
{{- define "varve.podMetadata" -}}
labels: {{- include "varve.labels" . | nindent 2 }}
{{- with .root.Values.pod.labels }}
{{- toYaml . | nindent 2 }}
{{- end }}
{{- $annotations := .root.Values.pod.annotations }}
{{- if include "varve.readsPools" . }}
{{- /* They read the file when they start: another file, other pods. */}}
{{- $annotations = merge (dict "checksum/pools" (include "varve.poolSettings" .root | sha256sum)) $annotations }}
{{- end }}
{{- with $annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "varve.containerCommon" -}}
image: {{ include "varve.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: {{- include "varve.containerSecurity" . | nindent 2 }}
{{- with .Values.extraEnvFrom }}
envFrom: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
A process listens when it has started, and its start waits for Kafka, Cassandra and the bucket: the startup probe is more
patient than that. Then /livez says whether the process itself reacts, and /readyz whether it may be given work.
Takes the seconds that a start may take.
*/}}
{{- define "varve.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 2
  # A busy node is slow, and not a reason to begin again.
  timeoutSeconds: 5
  failureThreshold: {{ div (add . 1) 2 }}
livenessProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end -}}
