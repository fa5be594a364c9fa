{{/* What the API server would refuse, and no schema says: each with its remedy. */}}

{{- define "nexus-dirsync.objectChecks" -}}
{{- include "nexus-dirsync.probeChecks" . -}}
{{- end -}}

{{/* The keys of a map that are there, and not null: sorted, "a and b". */}}
{{- define "nexus-dirsync.given" -}}
{{- $given := list -}}
{{- range $key, $value := . -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $given = append $given $key -}}
{{- end -}}
{{- end -}}
{{- join " and " $given -}}
{{- end -}}

{{/* A probe has one handler. The chart's own is there whether or not another is given, so that
     only one that differs from it was given as well. */}}
{{- define "nexus-dirsync.probeChecks" -}}
{{- range $name, $path := dict "livenessProbe" "/livez" "readinessProbe" "/readyz" "startupProbe" "/livez" -}}
{{- with get $.Values $name -}}
{{- $all := pick . "exec" "grpc" "httpGet" "tcpSocket" -}}
{{- $own := dict "path" $path "port" "http" -}}
{{- $given := include "nexus-dirsync.given" $all -}}
{{- if and (contains " and " $given) (deepEqual .httpGet $own) -}}
{{- $given = include "nexus-dirsync.given" (omit $all "httpGet") -}}
{{- end -}}
{{- if not $given -}}
{{- fail (printf "\n\n%s has no handler: give it httpGet, tcpSocket, grpc or exec, or, to do without, set it to null.\n" $name) -}}
{{- end -}}
{{- if contains " and " $given -}}
{{- fail (printf "\n\n%s has %s: give it one of them.\n" $name $given) -}}
{{- end -}}
{{- if and (ne $name "readinessProbe") (gt (.successThreshold | int64) 1) -}}
{{- fail (printf "\n\n%s.successThreshold is %v, but only a readinessProbe may have more than 1: leave it out.\n" $name .successThreshold) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
