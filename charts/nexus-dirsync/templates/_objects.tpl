{{/* What the API server would refuse, and no schema says: each with its remedy. */}}

{{- define "nexus-dirsync.objectChecks" -}}
{{- include "nexus-dirsync.probeChecks" . -}}
{{- include "nexus-dirsync.volumeChecks" . -}}
{{- include "nexus-dirsync.mountChecks" . -}}
{{- include "nexus-dirsync.containerChecks" . -}}
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

{{/* What may be there once: `(list "extraVolumes" "name" VOLUMES OURS)`. */}}
{{- define "nexus-dirsync.onceChecks" -}}
{{- $where := index . 0 -}}
{{- $key := index . 1 -}}
{{- $ours := list -}}
{{- range index . 3 -}}
{{- $ours = append $ours (get . $key) -}}
{{- end -}}
{{- $seen := list -}}
{{- range index . 2 -}}
{{- $given := get . $key -}}
{{- if has (clean $given) $ours -}}
{{- fail (printf "\n\n%s: the chart itself uses the %s %s: choose another.\n" $where $key $given) -}}
{{- end -}}
{{- if has (clean $given) $seen -}}
{{- fail (printf "\n\n%s: the %s %s is there twice: choose another for one of the two.\n" $where $key $given) -}}
{{- end -}}
{{- $seen = append $seen (clean $given) -}}
{{- end -}}
{{- end -}}

{{- define "nexus-dirsync.volumeChecks" -}}
{{- $ours := concat (include "nexus-dirsync.ownVolumes" . | fromYamlArray) (include "nexus-dirsync.ownerVolume" . | fromYamlArray) -}}
{{- include "nexus-dirsync.onceChecks" (list "extraVolumes" "name" .Values.extraVolumes $ours) -}}
{{- range .Values.extraVolumes -}}
{{- $sources := include "nexus-dirsync.given" (omit . "name") -}}
{{- if contains " and " $sources -}}
{{- fail (printf "\n\nextraVolumes has %s with %s: give it one of them.\n" .name $sources) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A volume that is mounted is there: `(list "extraVolumeMounts" MOUNTS VOLUMES POD)`. */}}
{{- define "nexus-dirsync.mountedChecks" -}}
{{- $where := index . 0 -}}
{{- $pod := index . 3 -}}
{{- $known := list -}}
{{- range index . 2 -}}
{{- $known = append $known .name -}}
{{- end -}}
{{- range index . 1 -}}
{{- if not (has .name $known) -}}
{{- fail (printf "\n\n%s mounts the volume %s, which the %s pod has not: name it in extraVolumes.\n" $where .name $pod) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nexus-dirsync.mountChecks" -}}
{{- $mounts := .Values.extraVolumeMounts -}}
{{- include "nexus-dirsync.onceChecks" (list "extraVolumeMounts" "mountPath" $mounts (include "nexus-dirsync.ownMounts" . | fromYamlArray)) -}}
{{- $daemon := include "nexus-dirsync.daemonVolumes" . | fromYamlArray -}}
{{- include "nexus-dirsync.mountedChecks" (list "extraVolumeMounts" $mounts $daemon "daemon's") -}}
{{- if eq (include "nexus-dirsync.migrations" .) "job" -}}
{{- $migration := concat (include "nexus-dirsync.migrationVolumes" . | fromYamlArray) .Values.extraVolumes -}}
{{- include "nexus-dirsync.mountedChecks" (list "extraVolumeMounts" $mounts $migration "migration's") -}}
{{- end -}}
{{- range $key := list "extraInitContainers" "extraContainers" -}}
{{- range get $.Values $key -}}
{{- $where := printf "%s %s" $key .name -}}
{{- $own := .volumeMounts | default list -}}
{{- include "nexus-dirsync.onceChecks" (list $where "mountPath" $own list) -}}
{{- include "nexus-dirsync.mountedChecks" (list $where $own $daemon "daemon's") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nexus-dirsync.containerChecks" -}}
{{- $ours := list (dict "name" "nexus-dirsync") -}}
{{- if eq (include "nexus-dirsync.migrations" .) "init" -}}
{{- $ours = append $ours (dict "name" "migrate") -}}
{{- end -}}
{{- $given := concat .Values.extraInitContainers .Values.extraContainers -}}
{{- include "nexus-dirsync.onceChecks" (list "extraInitContainers and extraContainers" "name" $given $ours) -}}
{{- end -}}
