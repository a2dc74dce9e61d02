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

{{/* The secrets that a role mounts, and nothing else: as a JSON list of key and file name. */}}
{{- define "tidemark.secretItems" -}}
{{- $items := list }}
{{- if eq .role "migrate" }}
{{- $items = list (list "migrate-database-url" "database-url") (list "audit-key" "audit-key") }}
{{- range list "worker-token" "console-token" "operator-token" }}
{{- $items = append $items (list . .) }}
{{- end }}
{{- else if eq .role "console" }}
{{- $items = list (list "console-token" "console-token") }}
{{- else if eq .role "operator" }}
{{- $items = list (list "migrate-database-url" "database-url") (list "worker-bus-url" "bus-url") (list "worker-leases-url" "leases-url") }}
{{- range list "operator-token" "audit-key" "credentials-keys" }}
{{- $items = append $items (list . .) }}
{{- end }}
{{- else }}
{{- range list "database-url" "bus-url" "leases-url" }}
{{- $items = append $items (list (printf "%s-%s" $.role .) .) }}
{{- end }}
{{- $items = append $items (list "audit-key" "audit-key") }}
{{- if eq .role "worker" }}
{{- $items = append $items (list "worker-token" "worker-token") }}
{{- end }}
{{- if eq .role "credentials" }}
{{- $items = append $items (list "credentials-keys" "credentials-keys") }}
{{- if .root.Values.mail.enabled }}
{{- $items = append $items (list "smtp-url" "smtp-url") }}
{{- end }}
{{- if .root.Values.oauth.clientId }}
{{- $items = append $items (list "oauth-client-secret" "oauth-client-secret") }}
{{- end }}
{{- if and .root.Values.oauth.clientId .root.Values.oauth.assertion }}
{{- $items = append $items (list "oauth-assertion-key" "oauth-assertion-key") }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $items }}
{{- end }}

{{- define "tidemark.secrets" -}}
{{- range include "tidemark.secretItems" . | fromJsonArray }}
- { key: {{ index . 0 }}, path: {{ index . 1 }} }
{{- end }}
{{- end }}

{{/* The keys of all roles. */}}
{{- define "tidemark.secretKeys" -}}
{{- $keys := list }}
{{- range $role := list "migrate" "credentials" "worker" "aggregator" "console" }}
{{- range include "tidemark.secretItems" (dict "root" $ "role" $role) | fromJsonArray }}
{{- $keys = append $keys (index . 0) }}
{{- end }}
{{- end }}
{{- $keys | uniq | toJson }}
{{- end }}

{{/* Without a user of its own, a pod has the image's, or the one that the cluster gives it. */}}
{{- define "tidemark.podSecurity" -}}
runAsNonRoot: true
seccompProfile: { type: RuntimeDefault }
{{- with .Values.podSecurityContext }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tidemark.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
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

{{/* Where a service is; its address is one of each replica. */}}
{{- define "tidemark.url" -}}
- { name: TIDEMARK_{{ .service | upper }}__URL, value: "{{ include "tidemark.scheme" .root }}://{{ .root.Release.Name }}-{{ .service }}:{{ .port }}" }
{{- end }}

{{/* What a role reads, and no other. */}}
{{- define "tidemark.environment" -}}
{{- $listen := .root.Values.listenAddress }}
{{- range $name, $value := merge (dict) (index .root.Values .role).config .root.Values.config }}
- { name: {{ $name }}, value: {{ $value | quote }} }
{{- end }}
{{- if .root.Values.tls.secret }}
{{ include "tidemark.tls" . }}
{{- else }}
- { name: TIDEMARK_RPC__PLAINTEXT, value: {{ .root.Values.plaintext | quote }} }
{{- end }}
- { name: TIDEMARK_METRICS__LISTEN, value: "{{ $listen }}:9464" }
- { name: TIDEMARK_SHUTDOWN__LAME_DUCK_MS, value: "{{ mul .root.Values.lameDuckSeconds 1000 }}" }
{{- if has .role (list "worker" "console" "operator") }}
{{ include "tidemark.url" (dict "root" .root "service" "credentials" "port" 7401) }}
{{- end }}
{{- if has .role (list "console" "operator") }}
{{ include "tidemark.url" (dict "root" .root "service" "worker" "port" 7402) }}
{{ include "tidemark.url" (dict "root" .root "service" "aggregator" "port" 7403) }}
{{- end }}
{{- if eq .role "operator" }}
- { name: TIDEMARK_RPC__TOKEN_FILE, value: /run/secrets/tidemark/operator-token }
- { name: TIDEMARK_CREDENTIALS__KEYS_FILE, value: /run/secrets/tidemark/credentials-keys }
{{- end }}
{{- if eq .role "console" }}
- { name: TIDEMARK_CONSOLE__LISTEN, value: "{{ $listen }}:7400" }
- { name: TIDEMARK_CONSOLE__TOKEN_FILE, value: /run/secrets/tidemark/console-token }
- { name: TIDEMARK_CONSOLE__CLIENT_ADDRESS_HEADER, value: {{ .root.Values.console.clientAddressHeader | quote }} }
{{- else }}
- { name: TIDEMARK_DATABASE__URL_FILE, value: /run/secrets/tidemark/database-url }
- { name: TIDEMARK_DATABASE__ALLOW_PLAINTEXT, value: {{ .root.Values.database.allowPlaintext | quote }} }
- { name: TIDEMARK_BUS__URL_FILE, value: /run/secrets/tidemark/bus-url }
- { name: TIDEMARK_BUS__ALLOW_PLAINTEXT, value: {{ .root.Values.bus.allowPlaintext | quote }} }
- { name: TIDEMARK_BUS__PREFIX, value: {{ .root.Values.bus.prefix | quote }} }
- { name: TIDEMARK_LEASES__URL_FILE, value: /run/secrets/tidemark/leases-url }
- { name: TIDEMARK_LEASES__ALLOW_PLAINTEXT, value: {{ .root.Values.leases.allowPlaintext | quote }} }
- { name: TIDEMARK_AUDIT__KEY_FILE, value: /run/secrets/tidemark/audit-key }
{{- end }}
{{- if has .role (list "credentials" "console") }}
- { name: TIDEMARK_CONSOLE__PUBLIC_URL, value: {{ required "console.publicUrl is where people reach the console" .root.Values.console.publicUrl | quote }} }
{{- with .root.Values.oauth.clientId }}
- { name: TIDEMARK_OAUTH__CLIENT_ID, value: {{ . | quote }} }
- { name: TIDEMARK_OAUTH__REDIRECT_URL, value: {{ $.root.Values.oauth.redirectUrl | default (printf "%s/oauth/callback" (trimSuffix "/" $.root.Values.console.publicUrl)) | quote }} }
{{- end }}
{{- end }}
{{- if eq .role "credentials" }}
- { name: TIDEMARK_CREDENTIALS__LISTEN, value: "{{ $listen }}:7401" }
- { name: TIDEMARK_CREDENTIALS__KEYS_FILE, value: /run/secrets/tidemark/credentials-keys }
{{- if .root.Values.mail.enabled }}
- { name: TIDEMARK_MAIL__SMTP_URL_FILE, value: /run/secrets/tidemark/smtp-url }
- { name: TIDEMARK_MAIL__FROM, value: {{ required "mail.from is whom the mails are from" .root.Values.mail.from | quote }} }
{{- end }}
{{- if .root.Values.oauth.clientId }}
- { name: TIDEMARK_OAUTH__CLIENT_SECRET_FILE, value: /run/secrets/tidemark/oauth-client-secret }
{{- if .root.Values.oauth.assertion }}
- { name: TIDEMARK_OAUTH__ASSERTION_KEY_FILE, value: /run/secrets/tidemark/oauth-assertion-key }
{{- end }}
{{- end }}
{{- end }}
{{- if eq .role "worker" }}
- { name: TIDEMARK_WORKER__LISTEN, value: "{{ $listen }}:7402" }
- { name: TIDEMARK_WORKER__CONCURRENCY, value: {{ .root.Values.worker.concurrency | quote }} }
- { name: TIDEMARK_RPC__TOKEN_FILE, value: /run/secrets/tidemark/worker-token }
{{- end }}
{{- if eq .role "aggregator" }}
- { name: TIDEMARK_AGGREGATOR__LISTEN, value: "{{ $listen }}:7403" }
{{- end }}
{{- end }}

{{/* Ports of a policy, as a flow list. */}}
{{- define "tidemark.ports" -}}
[{{ range $i, $port := . }}{{ if $i }}, {{ end }}{ port: {{ $port }} }{{ end }}]
{{- end }}

{{/* To the name service of the cluster, and no other. */}}
{{- define "tidemark.toNames" -}}
- to: {{ toYaml .Values.networkPolicy.dns.peers | nindent 4 }}
  ports: [{{ range $i, $port := .Values.networkPolicy.dns.ports }}{{ if $i }}, {{ end }}{ port: {{ $port }}, protocol: UDP }, { port: {{ $port }}, protocol: TCP }{{ end }}]
{{- end }}

{{/* To the servers that a role stands on. */}}
{{- define "tidemark.toServers" -}}
{{- range .Values.networkPolicy.servers }}
- to: [{ ipBlock: { cidr: {{ .cidr | quote }} } }]
  ports: {{ include "tidemark.ports" .ports }}
{{- end }}
{{- end }}

{{/* To the public internet, of both families: what is private or this machine's own is left out, also behind NAT64. */}}
{{- define "tidemark.toInternet" -}}
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: [0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]
    - ipBlock:
        cidr: "::/0"
        except: ["::/128", "::1/128", "fc00::/7", "fe80::/10", "64:ff9b::/104", "64:ff9b::a00:0/104", "64:ff9b::6440:0/106", "64:ff9b::7f00:0/104", "64:ff9b::a9fe:0/112", "64:ff9b::ac10:0/108", "64:ff9b::c0a8:0/112"]
  ports: {{ include "tidemark.ports" .ports }}
{{- end }}
