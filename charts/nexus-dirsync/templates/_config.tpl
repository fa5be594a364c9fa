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

{{/* A duration such as "1m 15s" or "1.5 hours" in milliseconds, in whatever way the daemon
     takes it. Of the units that fit the last one counts. */}}
{{- define "nexus-dirsync.milliseconds" -}}
{{- $units := list
  (list "^y" 31557600000) (list "^w" 604800000) (list "^d" 86400000) (list "^h" 3600000)
  (list "^m" 60000) (list "^(M|mo)" 2630016000) (list "^m(s|illis)" 1) (list "^s" 1000)
  (list "^[uµ]" 0.001) (list "^n" 0.000001) -}}
{{- $sum := 0.0 -}}
{{- range regexFindAll "[0-9][0-9.\\s]*[A-Za-zµ]+" . -1 -}}
{{- $name := regexFind "[A-Za-zµ]+" . -}}
{{- $number := regexReplaceAll "[A-Za-zµ\\s]" . "" | float64 -}}
{{- $factor := 0.0 -}}
{{- range $units -}}
{{- if regexMatch (first .) $name -}}
{{- $factor = last . -}}
{{- end -}}
{{- end -}}
{{- $sum = addf $sum (mulf $number $factor) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}

{{/* The same in whole seconds, rounded up. */}}
{{- define "nexus-dirsync.seconds" -}}
{{- divf (include "nexus-dirsync.milliseconds" . | float64) 1000 | ceil | int64 -}}
{{- end -}}

{{- define "nexus-dirsync.stopGrace" -}}
{{- $schedule := get .Values.config "schedule" | default dict -}}
{{- get $schedule "stop_grace" | default "75s" -}}
{{- end -}}

{{- define "nexus-dirsync.stopGraceSeconds" -}}
{{- include "nexus-dirsync.seconds" (include "nexus-dirsync.stopGrace" .) -}}
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
