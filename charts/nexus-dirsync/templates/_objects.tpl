{{/* What the API server or the node would refuse, and no schema says: each with its remedy. */}}

{{- define "nexus-dirsync.objectChecks" -}}
{{- include "nexus-dirsync.probeChecks" . -}}
{{- include "nexus-dirsync.volumeChecks" . -}}
{{- include "nexus-dirsync.mountChecks" . -}}
{{- include "nexus-dirsync.containerChecks" . -}}
{{- include "nexus-dirsync.securityChecks" . -}}
{{- include "nexus-dirsync.strategyChecks" . -}}
{{- include "nexus-dirsync.resourceChecks" (list "resources" .Values.resources) -}}
{{- include "nexus-dirsync.resourceChecks" (list "migrations.resources" .Values.migrations.resources) -}}
{{- include "nexus-dirsync.peerChecks" . -}}
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

{{/* No container may both gain no rights and have them all, which the API server refuses, or both
     be root and not, which the node does: the pod would wait for ever. What a container leaves
     out its pod decides. */}}
{{- define "nexus-dirsync.securityChecks" -}}
{{- $pod := list "podSecurityContext" .Values.podSecurityContext -}}
{{- $all := list (list "securityContext" .Values.securityContext) -}}
{{- range $key := list "extraInitContainers" "extraContainers" -}}
{{- range get $.Values $key -}}
{{- $all = append $all (list (printf "%s %s: securityContext" $key .name) (.securityContext | default dict)) -}}
{{- end -}}
{{- end -}}
{{- range $all -}}
{{- $where := first . -}}
{{- $own := last . -}}
{{- if eq ($own.allowPrivilegeEscalation | toString) "false" -}}
{{- if $own.privileged -}}
{{- fail (printf "\n\n%s.privileged is true, but allowPrivilegeEscalation there is false: leave privileged out, or set allowPrivilegeEscalation to true.\n" $where) -}}
{{- end -}}
{{- if has "CAP_SYS_ADMIN" (($own.capabilities | default dict).add | default list) -}}
{{- fail (printf "\n\n%s.capabilities.add has CAP_SYS_ADMIN, but allowPrivilegeEscalation there is false: take it out, or set allowPrivilegeEscalation to true.\n" $where) -}}
{{- end -}}
{{- end -}}
{{- $user := ternary $pod . (kindIs "invalid" $own.runAsUser) -}}
{{- $nonRoot := ternary $pod . (kindIs "invalid" $own.runAsNonRoot) -}}
{{- $id := (last $user).runAsUser -}}
{{- if and (not (kindIs "invalid" $id)) (eq ($id | int64) 0) (last $nonRoot).runAsNonRoot -}}
{{- $container := trimSuffix ": securityContext" $where | replace "securityContext" "the daemon" -}}
{{- fail (printf "\n\n%s.runAsUser is 0, which is root, but %s.runAsNonRoot is true, so that no node would start %s: take another user, or set that runAsNonRoot to false.\n" (first $user) (first $nonRoot) $container) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nexus-dirsync.strategyChecks" -}}
{{- with .Values.strategy -}}
{{- $rolling := .rollingUpdate | default (dict "maxSurge" 1) -}}
{{- $none := "^0+%?$" -}}
{{- if and (eq .type "RollingUpdate") (regexMatch $none ($rolling.maxSurge | toString)) (regexMatch $none ($rolling.maxUnavailable | toString)) -}}
{{- fail "\n\nstrategy.rollingUpdate has maxSurge and maxUnavailable 0, so that no pod could ever be replaced: make one of them at least 1.\n" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A quantity such as "1.5Gi" or "1e3" as a number; empty where it has no unit that is known. */}}
{{- define "nexus-dirsync.quantity" -}}
{{- $units := dict "n" 1e-9 "u" 1e-6 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18
  "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 -}}
{{- $text := toString . -}}
{{- $unit := regexFind "[A-Za-z]+$" $text -}}
{{- $number := trimSuffix $unit $text -}}
{{- if and (regexMatch "^[0-9.]+([eE][+-]?[0-9]+)?$" $number) (or (not $unit) (hasKey $units $unit)) -}}
{{- mulf (float64 $number) (get $units $unit | default 1 | float64) -}}
{{- end -}}
{{- end -}}

{{/* Nothing asks for more than its limit: `(list "resources" RESOURCES)`. */}}
{{- define "nexus-dirsync.resourceChecks" -}}
{{- $where := first . -}}
{{- $limits := (last .).limits | default dict -}}
{{- range $name, $request := (last .).requests | default dict -}}
{{- if hasKey $limits $name -}}
{{- $limit := get $limits $name -}}
{{- $asked := include "nexus-dirsync.quantity" $request -}}
{{- $most := include "nexus-dirsync.quantity" $limit -}}
{{- if and $asked $most (gt (float64 $asked) (float64 $most)) -}}
{{- fail (printf "\n\n%s.requests.%s is %s, more than %s.limits.%s (%s): ask for less, or raise the limit.\n" $where $name (toYaml $request) $where $name (toYaml $limit)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nexus-dirsync.peerChecks" -}}
{{- $peers := dict -}}
{{- range $key := list "scrapeFrom" "dnsTo" "databaseTo" "httpsTo" -}}
{{- $_ := set $peers $key (get $.Values.networkPolicy $key) -}}
{{- end -}}
{{- range $key, $side := dict "extraIngress" "from" "extraEgress" "to" -}}
{{- range get $.Values.networkPolicy $key -}}
{{- $_ := set $peers $key (concat (get $peers $key | default list) (get . $side | default list)) -}}
{{- end -}}
{{- end -}}
{{- range $key, $all := $peers -}}
{{- range $all -}}
{{- $given := include "nexus-dirsync.given" . -}}
{{- if not $given -}}
{{- fail (printf "\n\nnetworkPolicy.%s has an empty peer: name whom it means. Every pod of the cluster is namespaceSelector: {}\n" $key) -}}
{{- end -}}
{{- if and (contains "ipBlock" $given) (contains " and " $given) -}}
{{- fail (printf "\n\nnetworkPolicy.%s has a peer with %s: make the ipBlock a peer of its own.\n" $key $given) -}}
{{- end -}}
{{- with .ipBlock -}}
{{- range prepend (.except | default list) .cidr -}}
{{- if not (regexMatch "^[0-9a-fA-F.:]+/[0-9]{1,3}$" .) -}}
{{- fail (printf "\n\nnetworkPolicy.%s has the ipBlock %s, which is no range: end it with the length of its prefix, such as %s for one address.\n" $key . (ternary "/128" "/32" (contains ":" .))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
