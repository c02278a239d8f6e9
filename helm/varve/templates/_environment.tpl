{{/* Variables and mounts of a program. What an option's variable is called is in files/options.yaml, which
     is made from the table of options in the code. */}}

{{/* Numbers of values are floating-point: a large one would be written with an exponent. */}}
{{- define "varve.optionText" -}}
{{- if kindIs "slice" . -}}{{ join "," . }}
{{- else if kindIs "float64" . -}}{{ int64 . }}
{{- else -}}{{ . }}
{{- end -}}
{{- end -}}

{{/* dict root, except: names that the caller sets itself */}}
{{- define "varve.optionVariables" -}}
{{- $table := (.root.Files.Get "files/options.yaml" | fromYaml).options -}}
{{- $except := .except | default list -}}
{{- range $name, $value := .root.Values.options }}
{{- if not (has $name $except) }}
- name: {{ (get $table $name).env }}
  value: {{ include "varve.optionText" $value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Secrets are files: variables are inherited by children and shown by debuggers. */}}
{{- define "varve.serverSecretVariables" -}}
{{- with .Values.secrets.server }}
{{- if .existingSecret }}
- name: VARVE_TOKEN_FILE
  value: /etc/varve/server/{{ .keys.token }}
- name: VARVE_CLUSTER_SECRET_FILE
  value: /etc/varve/server/{{ .keys.clusterSecret }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "varve.dependencyVariables" -}}
{{- with .Values.secrets.kafka }}
{{- if .existingSecret }}
- name: VARVE_KAFKA_CONFIG
  value: /etc/varve/kafka/{{ .keys.config }}
{{- end }}
{{- end }}
{{- with .Values.secrets.cassandra }}
{{- if .existingSecret }}
{{- if .keys.username }}
- name: VARVE_CASSANDRA_USERNAME
  valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: {{ .keys.username }}}}
{{- end }}
{{- if .keys.password }}
- name: VARVE_CASSANDRA_PASSWORD_FILE
  value: /etc/varve/cassandra/{{ .keys.password }}
{{- end }}
{{- if .keys.ca }}
- name: VARVE_CASSANDRA_CA
  value: /etc/varve/cassandra/{{ .keys.ca }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.secrets.s3 }}
{{- if .existingSecret }}
- name: VARVE_S3_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: {{ .keys.accessKey }}}}
- name: VARVE_S3_SECRET_KEY_FILE
  value: /etc/varve/s3/{{ .keys.secretKey }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "varve.extraVariables" -}}
{{- if .Values.trustedCertificates.existingConfigMap }}
- name: NODE_EXTRA_CA_CERTS
  value: /etc/varve/trusted/{{ .Values.trustedCertificates.key }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* All of them, by dict root, program, except. */}}
{{- define "varve.variables" -}}
{{- $all := list (include "varve.optionVariables" .) (include "varve.serverSecretVariables" .root) -}}
{{- if eq .program "serve" -}}
{{- $all = append $all (include "varve.dependencyVariables" .root) -}}
{{- end -}}
{{- append $all (include "varve.extraVariables" .root) | join "" | trim -}}
{{- end -}}

{{/* Which secrets a pod mounts, as `folder: secret`, by dict root, program (serve, dev, test), role. */}}
{{- define "varve.secretFolders" -}}
{{- $secrets := .root.Values.secrets -}}
{{- with $secrets.server.existingSecret }}
server: {{ . }}
{{- end }}
{{- if eq .program "serve" }}
{{- range $folder := list "kafka" "cassandra" "s3" }}
{{- with (get $secrets $folder).existingSecret }}
{{ $folder }}: {{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- if or (eq .program "dev") (has .role (list "spouts" "egress")) }}
{{- range .root.Values.connectorSecrets }}
connectors/{{ . }}: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Of the option `pools`: the scheduler keeps them, the API says of a pipeline which is its own. By dict root, role. */}}
{{- define "varve.readsPools" -}}
{{- if and (has .role (list "api" "scheduler")) (include "varve.keepsPools" .root) }}yes{{ end -}}
{{- end -}}

{{- define "varve.volumes" -}}
- name: tmp
  emptyDir: {}
{{- if include "varve.readsPools" . }}
- name: pools
  configMap: {name: {{ include "varve.fullname" .root }}-pools}
{{- end }}
{{- range $folder, $secret := include "varve.secretFolders" . | fromYaml }}
- name: {{ $folder | replace "/" "-" | replace "." "-" | trunc 63 | trimSuffix "-" }}
  secret: {secretName: {{ $secret }}, defaultMode: 0440}
{{- end }}
{{- with .root.Values.trustedCertificates.existingConfigMap }}
- name: trusted
  configMap: {name: {{ . }}}
{{- end }}
{{- with .root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "varve.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if include "varve.readsPools" . }}
- {name: pools, mountPath: /etc/varve/pools, readOnly: true}
{{- end }}
{{- range $folder, $secret := include "varve.secretFolders" . | fromYaml }}
- name: {{ $folder | replace "/" "-" | replace "." "-" | trunc 63 | trimSuffix "-" }}
  mountPath: /etc/varve/{{ $folder }}
  readOnly: true
{{- end }}
{{- if .root.Values.trustedCertificates.existingConfigMap }}
- {name: trusted, mountPath: /etc/varve/trusted, readOnly: true}
{{- end }}
{{- with .root.Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}
