{{/* Names and labels. Names leave room for the longest suffix within 63 characters. Wherever
     one is written it is quoted: YAML reads some as numbers and truths. */}}

{{- define "nexus-dirsync.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | regexFind "^.*[a-z0-9]" -}}
{{- end -}}

{{/* Also the Service's name, which begins with a letter and holds no dot. */}}
{{- define "nexus-dirsync.fullname" -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
{{- $name = default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- $name = .Release.Name -}}
{{- else -}}
{{- $name = printf "%s-%s" .Release.Name $name -}}
{{- end -}}
{{- end -}}
{{- if regexMatch "^[0-9]" $name -}}
{{- $name = printf "n%s" $name -}}
{{- end -}}
{{- $name | replace "." "-" | trunc 52 | regexFind "^.*[a-z0-9]" -}}
{{- end -}}

{{/* What the objects of this release have in common; never changes. */}}
{{- define "nexus-dirsync.releaseLabels" -}}
app.kubernetes.io/name: {{ include "nexus-dirsync.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* The daemon's pods, and neither the migration's nor the test's. Never changes. */}}
{{- define "nexus-dirsync.selectorLabels" -}}
{{ include "nexus-dirsync.releaseLabels" . }}
app.kubernetes.io/component: daemon
{{- end -}}

{{/* Labels of an object: `(list $ .Values.service.labels)`. Later ones win. */}}
{{- define "nexus-dirsync.labels" -}}
{{- $root := index . 0 -}}
{{- $chart := printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- $own := include "nexus-dirsync.releaseLabels" $root | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" ($root.Chart.AppVersion | toString) -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- $_ := set $own "app.kubernetes.io/part-of" "nexus-platform" -}}
{{- $_ := set $own "helm.sh/chart" $chart -}}
{{- $more := mergeOverwrite (dict) $root.Values.commonLabels (index . 1) -}}
{{- toYaml (merge $own $more) -}}
{{- end -}}

{{/* Labels of a pod: `(list $ "daemon" .Values.podLabels)`. The selector's always win. */}}
{{- define "nexus-dirsync.podLabels" -}}
{{- $root := index . 0 -}}
{{- $own := include "nexus-dirsync.releaseLabels" $root | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/component" (index . 1) -}}
{{- if and (eq $root.Values.identity.kind "workload_identity") (ne (index . 1) "migration") -}}
{{- $_ := set $own "azure.workload.identity/use" "true" -}}
{{- end -}}
{{- toYaml (merge $own (mergeOverwrite (dict) $root.Values.commonLabels (index . 2))) -}}
{{- end -}}

{{/* A new line `annotations:` with what there is, if anything: `(list $ INDENT map map …)`.
     Later ones win. */}}
{{- define "nexus-dirsync.annotations" -}}
{{- $root := first . -}}
{{- $all := mergeOverwrite (dict) $root.Values.commonAnnotations -}}
{{- range slice . 2 -}}
{{- $all = mergeOverwrite $all (. | default dict) -}}
{{- end -}}
{{- if $all -}}
{{- printf "annotations:\n%s" (toYaml $all | indent 2) | nindent (index . 1) -}}
{{- end -}}
{{- end -}}

{{- define "nexus-dirsync.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "nexus-dirsync.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "nexus-dirsync.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end -}}
