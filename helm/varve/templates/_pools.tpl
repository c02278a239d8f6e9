{{/* How pools are kept: what the option `pools` names a file of. The values say it in the words of that file
     (src/config/pool-settings.ts); what follows from the rest of the chart is added. */}}

{{- define "varve.keepsPools" -}}
{{- if and .Values.pools.enabled (not .Values.embedded.enabled) }}yes{{ end -}}
{{- end -}}

{{- define "varve.poolNamespace" -}}
{{- .Values.pools.namespace | default .Release.Namespace -}}
{{- end -}}

{{/* Owns all that the scheduler makes: it goes with the release, and Kubernetes takes the rest away. */}}
{{- define "varve.poolAnchor" -}}
{{- include "varve.fullname" . }}-pools-anchor
{{- end -}}

{{- define "varve.poolSettings" -}}
{{- $namespace := include "varve.poolNamespace" . -}}
{{- /* Workers go to the pod that gave them work: pods are named, not the Service before them. */}}
{{- $to := dict "pods" (include "varve.selector" (dict "root" . "component" "api") | fromYaml) -}}
{{- if ne $namespace .Release.Namespace -}}
{{- $_ := set $to "namespace" (dict "kubernetes.io/metadata.name" .Release.Namespace) -}}
{{- end -}}
{{- $api := dict "url" (include "varve.url" .) "to" $to "port" 7070 -}}
{{- /* Not the labels of our own pods, whose policies and selectors are not for workers. */}}
{{- $labels := dict "app.kubernetes.io/managed-by" "varve" "varve.dev/installation" (include "varve.fullname" .) -}}
{{- $set := dict "namespace" $namespace "image" (include "varve.image" .) "owner" (include "varve.poolAnchor" .) "api" $api "labels" $labels -}}
{{- with .Values.image.pullSecrets -}}
{{- $_ := set $set "pullSecrets" . -}}
{{- end -}}
{{- merge $set (omit .Values.pools "enabled" "namespace") | toPrettyJson -}}
{{- end -}}
