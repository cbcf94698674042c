{{- define "conferencing-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "conferencing-exporter.fullname" -}}
{{- $name := include "conferencing-exporter.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "conferencing-exporter.selector" -}}
app.kubernetes.io/name: {{ include "conferencing-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "conferencing-exporter.labels" -}}
{{ include "conferencing-exporter.selector" . }}
app.kubernetes.io/part-of: conferencing-exporter
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "conferencing-exporter.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "conferencing-exporter.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "conferencing-exporter.secret" -}}
{{- default (include "conferencing-exporter.fullname" .) .Values.existingSecret }}
{{- end }}

{{- define "conferencing-exporter.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- /* http, or https where the web configuration has TLS. */ -}}
{{- define "conferencing-exporter.scheme" -}}
{{- if .Values.web.config.tls_server_config }}https{{ else }}http{{ end }}
{{- end }}

{{- /* The exporter's options, one an item. */ -}}
{{- define "conferencing-exporter.args" -}}
{{- if .Values.web.config }}
- --web.config.file=/run/secrets/web/web.yaml
{{- end }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Not empty where a client without a certificate is turned away. */ -}}
{{- define "conferencing-exporter.wantsCertificate" -}}
{{- $tls := default (dict) .Values.web.config.tls_server_config }}
{{- if has $tls.client_auth_type (list "RequireAnyClientCert" "RequireClientCert" "RequireAndVerifyClientCert") }}true{{ end }}
{{- end }}

{{- /*
How the kubelet asks; takes the path as well. The kubelet has no certificate: where one is wanted, the exporter asks itself,
with the options it runs with. It listens only with a valid configuration, so to be healthy is to be ready.
*/ -}}
{{- define "conferencing-exporter.probe" -}}
{{- $root := index . 0 }}
{{- if include "conferencing-exporter.wantsCertificate" $root -}}
exec:
  command:
    - /usr/bin/conferencing_exporter
    - healthcheck
    {{- include "conferencing-exporter.args" $root | trim | nindent 4 }}
{{- else -}}
httpGet:
  path: {{ index . 1 }}
  port: http
  {{- if eq (include "conferencing-exporter.scheme" $root) "https" }}
  scheme: HTTPS
  {{- end }}
{{- end }}
{{- end }}

{{- /* How Prometheus asks: what a ServiceMonitor's endpoint and a Probe have in common. */ -}}
{{- define "conferencing-exporter.access" -}}
{{- with .Values.serviceMonitor.tlsConfig }}
tlsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.serviceMonitor.basicAuth }}
basicAuth:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
