{{/* Relabelings leave the labels alone that the alerts go by: `(list $ "podMonitor" "relabelings")`.
     A selector takes the place of `job` and `namespace`, and nothing that of `instance`. */}}
{{- define "nexus-dirsync.relabelChecks" -}}
{{- $values := (index . 0).Values -}}
{{- $key := index . 2 -}}
{{- $where := printf "%s.%s" (index . 1) $key -}}
{{- $labels := dict "instance" "by which the alerts tell replicas apart" -}}
{{- if not (trim $values.prometheusRule.selector) -}}
{{- range $label := list "job" "namespace" -}}
{{- $_ := set $labels $label "by which the alerts find their series" -}}
{{- end -}}
{{- end -}}
{{- /* What can be dropped. Prometheus gives targets their instance after all relabelings. */ -}}
{{- $droppable := merge (dict "__name__" "without which no series has a name") $labels -}}
{{- if eq $key "relabelings" -}}
{{- $droppable = merge (dict "__address__" "without which nothing is scraped") (omit $labels "instance") -}}
{{- end -}}
{{- range index $values (index . 1) $key -}}
{{- $action := .action | default "replace" | lower -}}
{{- $regex := .regex | default "(.*)" -}}
{{- $replacement := .replacement | default "$1" -}}
{{- $touched := list -}}
{{- $does := "" -}}
{{- $remedy := "" -}}
{{- if has $action (list "labeldrop" "labelkeep") -}}
{{- $does = printf "has %s with the regex %s, which drops" $action $regex -}}
{{- $remedy = ternary "let the regex match others alone" "let the regex match that as well" (eq $action "labeldrop") -}}
{{- range $label := keys $droppable -}}
{{- if eq (eq $action "labeldrop") (regexMatch (printf "^(?:%s)$" $regex) $label) -}}
{{- $touched = append $touched $label -}}
{{- end -}}
{{- end -}}
{{- else if eq $action "labelmap" -}}
{{- $does = printf "has labelmap with the regex %s, which sets" $regex -}}
{{- $remedy = "let regex and replacement give others alone" -}}
{{- range $label := keys $labels -}}
{{- if include "nexus-dirsync.mapsTo" (list $values $regex $replacement $label) -}}
{{- $touched = append $touched $label -}}
{{- end -}}
{{- end -}}
{{- else if and (has $action (list "replace" "lowercase" "uppercase" "hashmod")) (hasKey $labels (.targetLabel | default "")) -}}
{{- $does = "sets" -}}
{{- $remedy = "take that out" -}}
{{- /* What each pod has of its own tells replicas apart as well. */ -}}
{{- $own := false -}}
{{- range .sourceLabels -}}
{{- $own = or $own (regexMatch "^(pod|instance|__address__|__meta_kubernetes_pod_(name|uid|ip))$" .) -}}
{{- end -}}
{{- if not (and $own (eq .targetLabel "instance") (contains "$" $replacement)) -}}
{{- $touched = append $touched .targetLabel -}}
{{- end -}}
{{- end -}}
{{- range $label := sortAlpha $touched -}}
{{- $otherwise := "" -}}
{{- if has $label (list "job" "namespace") -}}
{{- $otherwise = ", or say how to find them in prometheusRule.selector" -}}
{{- else if eq $does "sets" -}}
{{- $otherwise = ", or give each pod its own: sourceLabels: [pod]" -}}
{{- end -}}
{{- fail (printf "\n\n%s %s the label %s, %s: %s%s.\n" $where $does $label (get (merge (dict) $labels $droppable) $label) $remedy $otherwise) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Not empty if a labelmap gives a label: `(list VALUES REGEX REPLACEMENT LABEL)`. A regex that takes
     whatever stands behind a prefix gives what values have there; one that spells it out is meant so. */}}
{{- define "nexus-dirsync.mapsTo" -}}
{{- $values := index . 0 -}}
{{- $regex := printf "^(?:%s)$" (index . 1) -}}
{{- $replacement := index . 2 -}}
{{- $label := index . 3 -}}
{{- if eq $replacement $label -}}
yes
{{- end -}}
{{- $behind := dict
  "exported_" (dict)
  "__meta_kubernetes_pod_label_" (merge (dict) $values.podLabels $values.commonLabels)
  "__meta_kubernetes_pod_annotation_" (merge (dict) $values.podAnnotations $values.commonAnnotations)
  "__meta_kubernetes_service_label_" (merge (dict) $values.service.labels $values.commonLabels)
  "__meta_kubernetes_service_annotation_" (merge (dict) $values.service.annotations $values.commonAnnotations) -}}
{{- range $prefix, $there := $behind -}}
{{- $spelt := not (regexMatch $regex (print $prefix "other")) -}}
{{- if and (regexMatch $regex (print $prefix $label)) (or $spelt (hasKey $there $label)) -}}
{{- if eq (regexReplaceAll $regex (print $prefix $label) $replacement) $label -}}
yes
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
