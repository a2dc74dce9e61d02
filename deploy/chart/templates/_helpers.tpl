{{- define "tidemark.labels" -}}
app.kubernetes.io/name: tidemark
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "tidemark.selector" -}}
app.kubernetes.io/name: tidemark
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "tidemark.image" -}}
{{ .Values.image.repository }}{{ if not (contains "@" .Values.image.repository) }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* The secrets that a role mounts, and nothing else. */}}
{{- define "tidemark.secrets" -}}
{{- if eq .role "console" -}}
- { key: rpc-token, path: rpc-token }
{{- else -}}
- { key: {{ .role }}-database-url, path: database-url }
- { key: bus-url, path: bus-url }
- { key: rpc-token, path: rpc-token }
- { key: audit-key, path: audit-key }
{{- if eq .role "credentials" }}
- { key: credentials-keys, path: credentials-keys }
{{- end }}
{{- end -}}
{{- end }}

{{/* How the services talk. */}}
{{- define "tidemark.scheme" -}}
{{ .Values.tls.secret | empty | ternary "http" "https" }}
{{- end }}

{{/* The certificate, as a server's and as a caller's. */}}
{{- define "tidemark.tls" -}}
- { name: TIDEMARK_RPC__TLS__CA_FILE, value: /run/secrets/tls/ca.crt }
- { name: TIDEMARK_RPC__TLS__CLIENT_CERTIFICATE_FILE, value: /run/secrets/tls/tls.crt }
- { name: TIDEMARK_RPC__TLS__CLIENT_KEY_FILE, value: /run/secrets/tls/tls.key }
{{- if ne .role "console" }}
- { name: TIDEMARK_RPC__TLS__CERTIFICATE_FILE, value: /run/secrets/tls/tls.crt }
- { name: TIDEMARK_RPC__TLS__KEY_FILE, value: /run/secrets/tls/tls.key }
{{- if .root.Values.tls.mutual }}
- { name: TIDEMARK_RPC__TLS__CLIENT_CA_FILE, value: /run/secrets/tls/ca.crt }
{{- end }}
{{- end }}
{{- end }}

{{/* Where the services find each other. */}}
{{- define "tidemark.environment" -}}
{{- range $name, $value := .root.Values.config }}
- { name: {{ $name }}, value: {{ $value | quote }} }
{{- end }}
- { name: TIDEMARK_RPC__TOKEN_FILE, value: /run/secrets/tidemark/rpc-token }
{{- if .root.Values.tls.secret }}
{{ include "tidemark.tls" . }}
{{- else }}
- { name: TIDEMARK_RPC__PLAINTEXT, value: {{ .root.Values.plaintext | quote }} }
{{- end }}
- { name: TIDEMARK_METRICS__LISTEN, value: "0.0.0.0:9464" }
- { name: TIDEMARK_CREDENTIALS__URL, value: "{{ include "tidemark.scheme" .root }}://{{ .root.Release.Name }}-credentials:7401" }
- { name: TIDEMARK_WORKER__URL, value: "{{ include "tidemark.scheme" .root }}://{{ .root.Release.Name }}-worker:7402" }
- { name: TIDEMARK_AGGREGATOR__URL, value: "{{ include "tidemark.scheme" .root }}://{{ .root.Release.Name }}-aggregator:7403" }
{{- if eq .role "console" }}
- { name: TIDEMARK_CONSOLE__LISTEN, value: "0.0.0.0:7400" }
- { name: TIDEMARK_CONSOLE__PUBLIC_URL, value: {{ required "console.publicUrl is where people reach the console" .root.Values.console.publicUrl | quote }} }
- { name: TIDEMARK_CONSOLE__CLIENT_ADDRESS_HEADER, value: {{ .root.Values.console.clientAddressHeader | quote }} }
{{- else }}
- { name: TIDEMARK_DATABASE__URL_FILE, value: /run/secrets/tidemark/database-url }
- { name: TIDEMARK_DATABASE__ALLOW_PLAINTEXT, value: {{ .root.Values.database.allowPlaintext | quote }} }
- { name: TIDEMARK_BUS__URL_FILE, value: /run/secrets/tidemark/bus-url }
- { name: TIDEMARK_BUS__ALLOW_PLAINTEXT, value: {{ .root.Values.bus.allowPlaintext | quote }} }
- { name: TIDEMARK_LEASES__ALLOW_PLAINTEXT, value: {{ .root.Values.leases.allowPlaintext | quote }} }
- { name: TIDEMARK_AUDIT__KEY_FILE, value: /run/secrets/tidemark/audit-key }
{{- end }}
{{- if eq .role "credentials" }}
- { name: TIDEMARK_CREDENTIALS__LISTEN, value: "0.0.0.0:7401" }
- { name: TIDEMARK_CREDENTIALS__KEYS_FILE, value: /run/secrets/tidemark/credentials-keys }
- { name: TIDEMARK_CONSOLE__PUBLIC_URL, value: {{ .root.Values.console.publicUrl | quote }} }
{{- end }}
{{- if eq .role "worker" }}
- { name: TIDEMARK_WORKER__LISTEN, value: "0.0.0.0:7402" }
- { name: TIDEMARK_WORKER__CONCURRENCY, value: {{ .root.Values.worker.concurrency | quote }} }
{{- end }}
{{- if eq .role "aggregator" }}
- { name: TIDEMARK_AGGREGATOR__LISTEN, value: "0.0.0.0:7403" }
{{- end }}
{{- end }}
