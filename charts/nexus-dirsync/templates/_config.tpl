{{/* The daemon's two files. Values are written as JSON, which TOML reads as it is. */}}

{{- define "nexus-dirsync.config" -}}
{{- $sections := deepCopy .Values.config -}}
{{- $_ := set $sections "http" (mergeOverwrite (dict "listen" (printf "%s:%v" .Values.listen.address .Values.listen.port)) (get $sections "http" | default dict)) -}}
{{- $_ := set $sections "identity" (include "nexus-dirsync.identity" . | fromYaml) -}}
{{- if eq (include "nexus-dirsync.hasRegistry" .) "true" -}}
{{- $_ := set $sections "registry" (dict "file" "/etc/nexus-dirsync/registry/registry.toml") -}}
{{- end -}}
{{- range $section := keys $sections | sortAlpha }}
[{{ $section }}]
{{- $keys := get $sections $section }}
{{- range $key := keys $keys | sortAlpha }}
{{ $key }} = {{ get $keys $key | toJson }}
{{- end }}
{{ end -}}
{{- end -}}

{{- define "nexus-dirsync.identity" -}}
{{- with .Values.identity -}}
kind: {{ .kind }}
authority: {{ .authority | quote }}
tenant_id: {{ .tenantId | quote }}
{{- with .clientId }}
client_id: {{ . | quote }}
{{- end }}
{{- if eq .kind "client_secret" }}
client_secret_file: /etc/nexus-dirsync/identity/client-secret
{{- else if eq .kind "certificate" }}
certificate_file: /etc/nexus-dirsync/identity/tls.crt
private_key_file: /etc/nexus-dirsync/identity/tls.key
{{- end }}
{{- end -}}
{{- end -}}

{{/* The registry, if values hold it. */}}
{{- define "nexus-dirsync.registry" -}}
{{- with .Values.registry.toml -}}
{{ . }}
{{- end -}}
{{- range .Values.registry.products }}
[[product]]
{{- $product := . }}
{{- range $key := list "name" "description" "environment" "groups" "owner" }}
{{- if hasKey $product $key }}
{{ $key }} = {{ get $product $key | toJson }}
{{- end }}
{{- end }}
{{ end -}}
{{- end -}}

{{- define "nexus-dirsync.hasOwnRegistry" -}}
{{- or (not (empty .Values.registry.toml)) (not (empty .Values.registry.products)) -}}
{{- end -}}

{{- define "nexus-dirsync.hasRegistry" -}}
{{- or (eq (include "nexus-dirsync.hasOwnRegistry" .) "true") (not (empty .Values.registry.existingConfigMap.name)) -}}
{{- end -}}

{{/* A duration such as "1m 15s" in whole seconds, rounded up. */}}
{{- define "nexus-dirsync.seconds" -}}
{{- $milliseconds := 0 -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 "w" 604800000 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h|d|w)" . -1 -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- $milliseconds = add $milliseconds (mul (trimSuffix $unit . | int64) (get $units $unit)) -}}
{{- end -}}
{{- div (add $milliseconds 999) 1000 -}}
{{- end -}}

{{- define "nexus-dirsync.stopGraceSeconds" -}}
{{- $schedule := get .Values.config "schedule" | default dict -}}
{{- include "nexus-dirsync.seconds" (get $schedule "stop_grace" | default "75s") -}}
{{- end -}}

{{- define "nexus-dirsync.terminationGracePeriodSeconds" -}}
{{- $least := add (include "nexus-dirsync.stopGraceSeconds" . | int64) 15 -}}
{{- if kindIs "invalid" .Values.terminationGracePeriodSeconds -}}
{{- $least -}}
{{- else -}}
{{- .Values.terminationGracePeriodSeconds | int64 -}}
{{- end -}}
{{- end -}}

{{/* How long a first run may take: twice, because it may be tried again. */}}
{{- define "nexus-dirsync.firstRunSeconds" -}}
{{- $schedule := get .Values.config "schedule" | default dict -}}
{{- mul 2 (include "nexus-dirsync.seconds" (get $schedule "run_timeout" | default "30m") | int64) -}}
{{- end -}}

{{/* How migrations really happen: a volume of one pod is not the Job's. */}}
{{- define "nexus-dirsync.migrations" -}}
{{- if and .Values.database.sqlite.enabled (eq .Values.migrations.mode "job") -}}
init
{{- else -}}
{{- .Values.migrations.mode -}}
{{- end -}}
{{- end -}}
