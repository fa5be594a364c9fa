{{/* What the daemon's, the migration's and the test's pods share. */}}

{{/* Settings of any pod, its containers and volumes apart. */}}
{{- define "nexus-dirsync.podSettings" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Settings of any container that runs our image. */}}
{{- define "nexus-dirsync.containerSettings" -}}
image: {{ include "nexus-dirsync.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A probe of the daemon. Another handler takes the place of the default one, which Helm merges
     with what is given. */}}
{{- define "nexus-dirsync.probe" -}}
{{- $others := false -}}
{{- range pick . "exec" "grpc" "tcpSocket" | values -}}
{{- $others = or $others (kindIs "map" .) -}}
{{- end -}}
{{- toYaml (ternary (omit . "httpGet") . $others) -}}
{{- end -}}

{{- define "nexus-dirsync.databaseEnv" -}}
{{- if .Values.database.sqlite.enabled -}}
- name: DIRSYNC__DATABASE__URL
  value: sqlite:///var/lib/nexus-dirsync/dirsync.db
{{- else -}}
- name: DIRSYNC__DATABASE__URL_FILE
  value: /etc/nexus-dirsync/database/url
{{- end }}
{{- $own := false }}
{{- range .Values.extraEnv }}{{ if eq .name "PGSSLROOTCERT" }}{{ $own = true }}{{ end }}{{ end }}
{{- if or .Values.database.ca.configMap .Values.database.ca.secret }}
- name: PGSSLROOTCERT
  value: /etc/nexus-dirsync/database-ca/ca.crt
{{- else if not (or $own .Values.database.sqlite.enabled) }}
{{- /* libpq looks for a file in the home folder otherwise, and the image has none. */}}
- name: PGSSLROOTCERT
  value: /etc/ssl/certs/ca-certificates.crt
{{- end }}
{{- end -}}

{{- define "nexus-dirsync.databaseMounts" -}}
{{- if .Values.database.sqlite.enabled -}}
- name: data
  mountPath: /var/lib/nexus-dirsync
- name: tmp
  mountPath: /tmp
{{- else -}}
- name: database
  mountPath: /etc/nexus-dirsync/database
  readOnly: true
{{- end }}
{{- if or .Values.database.ca.configMap .Values.database.ca.secret }}
- name: database-ca
  mountPath: /etc/nexus-dirsync/database-ca
  readOnly: true
{{- end }}
{{- end -}}

{{/* A volume with one key of a Secret: `(list NAME SECRET KEY PATH)`. Readable by the group. */}}
{{- define "nexus-dirsync.secretVolume" -}}
- name: {{ index . 0 }}
  secret:
    secretName: {{ index . 1 | quote }}
    defaultMode: 0440
    items:
      - key: {{ index . 2 | quote }}
        path: {{ index . 3 }}
{{- end -}}

{{- define "nexus-dirsync.databaseVolumes" -}}
{{- with .Values.database -}}
{{- if .sqlite.enabled -}}
- name: data
  persistentVolumeClaim:
    claimName: {{ .sqlite.existingClaim | default (include "nexus-dirsync.fullname" $) | quote }}
- name: tmp
  emptyDir:
    sizeLimit: 256Mi
{{- else -}}
{{ include "nexus-dirsync.secretVolume" (list "database" .existingSecret.name .existingSecret.key "url") }}
{{- end }}
{{- if .ca.secret }}
{{ include "nexus-dirsync.secretVolume" (list "database-ca" .ca.secret .ca.key "ca.crt") }}
{{- else if .ca.configMap }}
- name: database-ca
  configMap:
    name: {{ .ca.configMap | quote }}
    items:
      - key: {{ .ca.key | quote }}
        path: ca.crt
{{- end }}
{{- end -}}
{{- end -}}

{{/* What a container needs that reads the whole configuration. */}}
{{- define "nexus-dirsync.daemonEnv" -}}
- name: DIRSYNC_CONFIG
  value: /etc/nexus-dirsync/config/config.toml
{{ include "nexus-dirsync.databaseEnv" . }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "nexus-dirsync.daemonMounts" -}}
{{ include "nexus-dirsync.ownMounts" . }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "nexus-dirsync.ownMounts" -}}
- name: config
  mountPath: /etc/nexus-dirsync/config
  readOnly: true
{{- if eq (include "nexus-dirsync.hasRegistry" .) "true" }}
- name: registry
  mountPath: /etc/nexus-dirsync/registry
  readOnly: true
{{- end }}
{{- if has .Values.identity.kind (list "client_secret" "certificate") }}
- name: identity
  mountPath: /etc/nexus-dirsync/identity
  readOnly: true
{{- end }}
{{ include "nexus-dirsync.databaseMounts" . }}
{{- end -}}

{{- define "nexus-dirsync.daemonVolumes" -}}
{{ include "nexus-dirsync.ownVolumes" . }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "nexus-dirsync.ownVolumes" -}}
{{- $fullname := include "nexus-dirsync.fullname" . -}}
- name: config
  configMap:
    name: {{ $fullname | quote }}
{{- if eq (include "nexus-dirsync.hasOwnRegistry" .) "true" }}
- name: registry
  configMap:
    name: {{ printf "%s-registry" $fullname | quote }}
{{- else if .Values.registry.existingConfigMap.name }}
- name: registry
  configMap:
    name: {{ .Values.registry.existingConfigMap.name | quote }}
    items:
      - key: {{ .Values.registry.existingConfigMap.key | quote }}
        path: registry.toml
{{- end }}
{{- with .Values.identity }}
{{- if eq .kind "client_secret" }}
{{ include "nexus-dirsync.secretVolume" (list "identity" .clientSecret.existingSecret .clientSecret.key "client-secret") }}
{{- else if eq .kind "certificate" }}
- name: identity
  secret:
    secretName: {{ .certificate.existingSecret | quote }}
    defaultMode: 0440
    items:
      - key: {{ .certificate.certificateKey | quote }}
        path: tls.crt
      - key: {{ .certificate.privateKeyKey | quote }}
        path: tls.key
{{- end }}
{{- end }}
{{ include "nexus-dirsync.databaseVolumes" . }}
{{- end -}}

{{/* The migration's container. Needs the database alone: no credential of Azure is near it,
     and it runs before anything else of the release exists. */}}
{{- define "nexus-dirsync.migrateContainer" -}}
- name: migrate
  {{- include "nexus-dirsync.containerSettings" . | nindent 2 }}
  command: ["nexus-dirsync"]
  args: ["migrate"]
  env:
    {{- include "nexus-dirsync.databaseEnv" . | nindent 4 }}
    - name: DIRSYNC__IDENTITY__KIND
      value: azure_cli
    - name: DIRSYNC__IDENTITY__TENANT_ID
      value: {{ .Values.identity.tenantId | quote }}
    {{- with get (get .Values.config "database" | default dict) "connect_timeout" }}
    - name: DIRSYNC__DATABASE__CONNECT_TIMEOUT
      value: {{ . | quote }}
    {{- end }}
    {{- with .Values.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  resources:
    {{- toYaml .Values.migrations.resources | nindent 4 }}
  volumeMounts:
    {{- if .Values.migrations.existingSecret.name }}
    - name: database-owner
      mountPath: /etc/nexus-dirsync/database
      readOnly: true
    {{- range include "nexus-dirsync.databaseMounts" . | fromYamlArray }}
    {{- if ne .name "database" }}
    {{- toYaml (list .) | nindent 4 }}
    {{- end }}
    {{- end }}
    {{- else }}
    {{- include "nexus-dirsync.databaseMounts" . | nindent 4 }}
    {{- end }}
    {{- with .Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "nexus-dirsync.ownerVolume" -}}
{{- with .Values.migrations.existingSecret -}}
{{- if .name -}}
{{ include "nexus-dirsync.secretVolume" (list "database-owner" .name .key "url") }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The volumes of the Job's pod, but for those of values. */}}
{{- define "nexus-dirsync.migrationVolumes" -}}
{{- if .Values.migrations.existingSecret.name -}}
{{ include "nexus-dirsync.ownerVolume" . }}
{{- range include "nexus-dirsync.databaseVolumes" . | fromYamlArray }}
{{- if ne .name "database" }}
{{ toYaml (list .) }}
{{- end }}
{{- end }}
{{- else -}}
{{ include "nexus-dirsync.databaseVolumes" . }}
{{- end }}
{{- end -}}
