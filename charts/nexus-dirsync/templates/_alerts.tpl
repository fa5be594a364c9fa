{{/* The alerts: a list in YAML. docs/runbook.md has a section for each, tests/chart/alerts a
     file. Whatever only the leader knows is taken from the leader: a standby's numbers are
     those of the day it stood by. Times are the newest that any replica knows. A run that
     is the first excuses that none succeeded, but not for longer than two may take: runs that
     time out one after the other are each "in progress" nearly always. How long nothing may
     happen follows from the schedule: a slow one is no fault, and "off" is meant. */}}

{{/* On one line: it stands in the middle of others. */}}
{{- define "nexus-dirsync.selector" -}}
{{- include "prometheusRule.selector" . -}}
{{- $given := regexReplaceAll "[\\r\\n]+" .Values.prometheusRule.selector " " | trim -}}
{{- $given | default (printf "namespace=%q,job=%q" .Release.Namespace (include "nexus-dirsync.fullname" .)) -}}
{{- end -}}

{{/* What the schema cannot say of the matchers. Helm names this template where a regular
     expression is none, hence its name. */}}
{{- define "prometheusRule.selector" -}}
{{- $text := "(\"([^\"\\\\]|\\\\.)*\"|'([^'\\\\]|\\\\.)*'|`[^`]*`)" -}}
{{- range regexFindAll (printf "\\w+\\s*(=~|!~|!=|=)\\s*%s" $text) .Values.prometheusRule.selector -1 -}}
{{- if eq (regexFind "^\\w+" .) "__name__" -}}
{{- fail "\n\nprometheusRule.selector names __name__, but each alert names its metric itself: take it out.\n" -}}
{{- end -}}
{{- if regexMatch "^\\w+\\s*[=!]~" . -}}
{{- $quoted := regexFind (printf "%s$" $text) . -}}
{{- $expression := substr 1 (sub (len $quoted) 1 | int) $quoted -}}
{{- if not (hasPrefix "`" $quoted) -}}
{{- $expression = regexReplaceAll "\\\\([\\\\\"'])" $expression "${1}" -}}
{{- end -}}
{{- $_ := mustRegexMatch (printf "^(?:%s)$" $expression) "" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nexus-dirsync.alerts" -}}
{{- $s := include "nexus-dirsync.selector" . -}}
{{- $firstRun := include "nexus-dirsync.firstRunSeconds" . -}}
{{- $leads := printf "and on (instance) (dirsync_leader{%s} == 1)" $s -}}
{{- with .Values.prometheusRule -}}
- alert: NexusDirsyncDeltaStale
  expr: |-
    time() - (max(dirsync_last_success_timestamp_seconds{ {{- $s -}} }) > 0)
      > clamp_min(4 * min(dirsync_schedule_gap_seconds{ {{- $s -}} } > 0), {{ toJson .thresholds.deltaStaleSeconds }})
    or
    (
      max(dirsync_last_success_timestamp_seconds{ {{- $s -}} }) == 0
      and max(dirsync_last_attempt_timestamp_seconds{ {{- $s -}} }) > 0
      unless max(dirsync_database_up{ {{- $s -}} }) == 0
      unless
      (
        max(dirsync_run_in_progress{ {{- $s -}} }) == 1
        unless max(max_over_time(dirsync_last_success_timestamp_seconds{ {{- $s -}} }[10m] offset {{ $firstRun }}s)) == 0
      )
    )
  for: 10m
  severity: critical
  summary: The platform no longer follows the directory.
  description: >-
    The last run that succeeded ended {{`{{ $value | humanizeDuration }}`}} ago (0s: never).
    Whoever left or was disabled since then still has access.
- alert: NexusDirsyncFullStale
  expr: |-
    time() - (max(dirsync_last_success_timestamp_seconds{ {{- $s -}} ,mode="full"}) > 0)
      > clamp_min(1.5 * max(dirsync_schedule_gap_seconds{ {{- $s -}} ,mode="full"} > 0), {{ toJson .thresholds.fullStaleSeconds }})
  for: 15m
  severity: warning
  summary: The directory has not been read in full for too long.
  description: >-
    The last full run that succeeded ended {{`{{ $value | humanizeDuration }}`}} ago. Drift is
    not found and nothing is purged until the next one.
- alert: NexusDirsyncFailing
  expr: |-
    max(dirsync_consecutive_failures{ {{- $s -}} } {{ $leads }}) >= {{ toJson .thresholds.consecutiveFailures }}
  for: 1m
  severity: warning
  summary: Runs fail one after the other.
  description: >-
    {{`{{ $value }}`}} runs in a row failed. A failed run writes nothing and takes nothing away.
- alert: NexusDirsyncDown
  expr: |-
    absent(dirsync_build_info{ {{- $s -}} })
  for: 5m
  severity: critical
  summary: No replica of nexus-dirsync can be scraped.
  description: >-
    Prometheus sees no replica, so nobody follows the directory or nobody can tell.
{{- if gt ($.Values.replicas | int64) 1 }}
- alert: NexusDirsyncReplicasMissing
  expr: |-
    count(count by (instance) (dirsync_build_info{ {{- $s -}} })) < {{ $.Values.replicas | int64 }}
  for: 30m
  severity: warning
  summary: Some replicas of nexus-dirsync are gone.
  description: >-
    Only {{`{{ $value }}`}} of {{ $.Values.replicas | int64 }} replicas can be scraped. The
    directory is followed, but there are fewer to take over, or none.
{{- end }}
- alert: NexusDirsyncNoLeader
  expr: |-
    sum(dirsync_leader{ {{- $s -}} }) == 0
    unless max(dirsync_database_up{ {{- $s -}} }) == 0
{{- if gt ($.Values.replicas | int64) 1 }}
    unless count(count by (instance) (dirsync_build_info{ {{- $s -}} })) < {{ $.Values.replicas | int64 }}
{{- end }}
  for: 2m
  severity: critical
  summary: No replica leads.
  description: >-
    Replicas are up, but none holds the leader's lock, though the database is
    there: nothing is synchronised.
- alert: NexusDirsyncTwoLeaders
  expr: |-
    sum(dirsync_leader{ {{- $s -}} }) > 1
  for: 3m
  severity: critical
  summary: More than one replica leads.
  description: >-
    {{`{{ $value }}`}} replicas say that they lead. On one database the epoch refuses what the
    older one writes; on two databases nothing does.
- alert: NexusDirsyncDatabaseDown
  expr: |-
    max(dirsync_database_up{ {{- $s -}} }) == 0
  for: 5m
  severity: critical
  summary: No replica reaches the database.
  description: >-
    The daemon stays alive and tries again; nothing is lost, and nothing is synchronised.
- alert: NexusDirsyncConfigRefused
  expr: |-
    min by (instance) (dirsync_config_last_reload_successful{ {{- $s -}} }) == 0
  for: 5m
  severity: warning
  summary: A changed configuration was refused.
  description: >-
    {{`{{ $labels.instance }}`}} goes on with the configuration from before, and would not
    start with the new one.
- alert: NexusDirsyncRemovalsWithheld
  expr: |-
    sum(max by (unit) (dirsync_withheld_removals{ {{- $s -}} ,unit!="access"} {{ $leads }})) > 0
    unless
    (
      max(dirsync_plan_pending{ {{- $s -}} } {{ $leads }}) == 0
      and max(dirsync_findings{ {{- $s -}} ,kind="removals_rejected"} {{ $leads }}) > 0
    )
  for: 15m
  severity: warning
  summary: The guard withholds removals.
  description: >-
    {{`{{ $value }}`}} removals are more than the limits allow and wait for a person. Until
    then these people keep their access.
- alert: NexusDirsyncPlanHeldTooLong
  expr: |-
    time() - (max(dirsync_plan_oldest_timestamp_seconds{ {{- $s -}} } {{ $leads }}) > 0) > {{ toJson .thresholds.planHeldSeconds }}
  for: 5m
  severity: critical
  summary: A held plan waits for a person for too long.
  description: >-
    The oldest held plan was made {{`{{ $value | humanizeDuration }}`}} ago. Time never
    releases it; somebody must approve or reject it.
- alert: NexusDirsyncDeltaTokenOld
  expr: |-
    time() - (max by (stream) (dirsync_delta_token_timestamp_seconds{ {{- $s -}} }) > 0)
      > on () group_left () clamp_min(1.5 * min(dirsync_schedule_gap_seconds{ {{- $s -}} } > 0), {{ toJson .thresholds.deltaTokenSeconds }})
  for: 15m
  severity: warning
  summary: A delta link grows old.
  description: >-
    The link of the stream {{`{{ $labels.stream }}`}} was received {{`{{ $value | humanizeDuration }}`}}
    ago. Microsoft keeps links for seven days; then everything must be read again.
- alert: NexusDirsyncResetStorm
  expr: |-
    sum(increase(dirsync_cursor_resets_total{ {{- $s -}} }[6h])) > {{ toJson .thresholds.cursorResets }}
  for: 1m
  severity: warning
  summary: The cursor is lost again and again.
  description: >-
    {{`{{ $value | humanize }}`}} times in six hours a delta run had to read everything.
- alert: NexusDirsyncThrottled
  expr: |-
    sum(rate(dirsync_graph_requests_total{ {{- $s -}} ,status="429"}[30m]))
    / sum(rate(dirsync_graph_requests_total{ {{- $s -}} }[30m])) > {{ toJson .thresholds.throttledRatio }}
  for: 30m
  severity: warning
  summary: Microsoft Graph throttles.
  description: >-
    {{`{{ $value | humanizePercentage }}`}} of the requests were answered with 429. Runs take
    longer, and other applications of the tenant may suffer.
- alert: NexusDirsyncDrift
  expr: |-
    max(dirsync_drift_changes{ {{- $s -}} } {{ $leads }}) > {{ toJson .thresholds.driftChanges }}
  for: 5m
  severity: warning
  summary: A full run found what delta runs had missed.
  description: >-
    The last full run found {{`{{ $value }}`}} differences that delta runs should have applied.
    They are mended; why they were missed is not known.
- alert: NexusDirsyncAuditDiverged
  expr: |-
    max(dirsync_audit_differences{ {{- $s -}} } {{ $leads }}) > {{ toJson .thresholds.auditDifferences }}
    or
    (
      max(dirsync_findings{ {{- $s -}} ,kind="audit_diverged"} {{ $leads }}) > 0
      and max(dirsync_audit_verified_timestamp_seconds{ {{- $s -}} } {{ $leads }}) == 0
      and max(dirsync_audit_verification_due_timestamp_seconds{ {{- $s -}} } {{ $leads }}) > 0
    )
  for: 5m
  severity: critical
  summary: Audit and tables do not tell the same.
  description: >-
    In {{`{{ $value }}`}} places at least. Somebody wrote to the daemon's rows or to the audit past the
    daemon, or one of the two was restored without the other.
- alert: NexusDirsyncAuditUnverified
  expr: |-
    time() - (max(dirsync_audit_verification_due_timestamp_seconds{ {{- $s -}} } {{ $leads }}) > 0) > {{ toJson .thresholds.auditOverdueSeconds }}
  for: 15m
  severity: warning
  summary: The audit could not be verified.
  description: >-
    It was due {{`{{ $value | humanizeDuration }}`}} ago. Whether somebody tampered with it is
    not known.
- alert: NexusDirsyncFindingCritical
  expr: |-
    max by (kind) (dirsync_findings{ {{- $s -}} ,kind=~"{{ join "|" .criticalFindings }}"} {{ $leads }}) > 0
  for: 5m
  severity: critical
  summary: A finding must be looked at now.
  description: >-
    {{`{{ $value }}`}} open findings of the kind {{`{{ $labels.kind }}`}}.
- alert: NexusDirsyncLinkedGroupMissing
  expr: |-
    max(dirsync_linked_groups{ {{- $s -}} ,state="missing"} {{ $leads }}) > 0
  for: 30m
  severity: warning
  summary: A group that gives access is gone.
  description: >-
    {{`{{ $value }}`}} groups that a product is linked to are not in the directory. Nobody has
    access through them.
- alert: NexusDirsyncLinkedGroupEmpty
  expr: |-
    max(dirsync_linked_groups{ {{- $s -}} ,state="empty"} {{ $leads }}) > 0
  for: 1h
  severity: warning
  summary: A group that gives access has no members.
  description: >-
    {{`{{ $value }}`}} groups that a product is linked to have no members. Nobody has access
    through them.
- alert: NexusDirsyncCredentialExpiring
  expr: |-
    min(dirsync_credential_expiry_timestamp_seconds{ {{- $s -}} } > 0 {{ $leads }}) - time() < {{ toJson .thresholds.credentialWarningSeconds }}
  for: 15m
  severity: warning
  summary: The client certificate ends soon.
  description: >-
    It ends in {{`{{ $value | humanizeDuration }}`}}.
- alert: NexusDirsyncCredentialExpiringSoon
  expr: |-
    min(dirsync_credential_expiry_timestamp_seconds{ {{- $s -}} } > 0 {{ $leads }}) - time() < {{ toJson .thresholds.credentialCriticalSeconds }}
  for: 5m
  severity: critical
  summary: The client certificate ends any day.
  description: >-
    It ends in {{`{{ $value | humanizeDuration }}`}}; then every run fails.
{{- end -}}
{{- end -}}
