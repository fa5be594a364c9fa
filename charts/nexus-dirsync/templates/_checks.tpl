{{/* What the schema cannot say: values that only make sense together. Each with its remedy. */}}

{{- define "nexus-dirsync.checks" -}}
{{- $values := .Values -}}
{{- $sqlite := $values.database.sqlite.enabled -}}
{{- $postgres := not (empty $values.database.existingSecret.name) -}}
{{- if not (or $sqlite $postgres) -}}
{{- fail "\n\ndatabase.existingSecret.name is empty: the tables must live somewhere.\nName a Secret that holds the URL of the platform's PostgreSQL:\n  kubectl create secret generic nexus-dirsync-database --from-literal=url='postgres://USER:PASSWORD@HOST/NAME?sslmode=verify-full'\n  --set database.existingSecret.name=nexus-dirsync-database\nor, for a trial only, use the embedded database: --set database.sqlite.enabled=true\n" -}}
{{- end -}}
{{- if and $sqlite $postgres -}}
{{- fail "\n\ndatabase.sqlite.enabled and database.existingSecret.name are both set: choose one of the two.\n" -}}
{{- end -}}
{{- if and $sqlite (gt ($values.replicas | int64) 1) -}}
{{- fail "\n\nreplicas is more than 1, but database.sqlite.enabled is set: several pods cannot share an embedded database.\nUse PostgreSQL (database.existingSecret.name), or set replicas to 1.\n" -}}
{{- end -}}
{{- include "nexus-dirsync.instanceChecks" . -}}
{{- include "nexus-dirsync.secretChecks" . -}}
{{- include "nexus-dirsync.decidedChecks" . -}}
{{- include "nexus-dirsync.variableChecks" . -}}
{{- include "nexus-dirsync.annotationChecks" . -}}
{{- if regexMatch "^(127\\.|localhost$|\\[?::1\\]?$)" ($values.listen.address | toString) -}}
{{- fail (printf "\n\nlisten.address is %s, where neither probes nor Prometheus reach the daemon: use 0.0.0.0, or [::] for IPv6.\n" $values.listen.address) -}}
{{- end -}}
{{- if and $values.database.ca.configMap $values.database.ca.secret -}}
{{- fail "\n\ndatabase.ca.configMap and database.ca.secret are both set: choose one of the two.\n" -}}
{{- end -}}
{{- if and $sqlite $values.migrations.existingSecret.name -}}
{{- fail "\n\nmigrations.existingSecret.name is set, but database.sqlite.enabled knows no roles: leave it empty.\n" -}}
{{- end -}}
{{- if and (eq $values.migrations.mode "off") $values.migrations.existingSecret.name -}}
{{- fail "\n\nmigrations.existingSecret.name is set, but migrations.mode is off, where the chart migrates nothing: set migrations.mode to job or init, or leave it empty.\n" -}}
{{- end -}}
{{- if and $values.serviceAccount.annotations (not $values.serviceAccount.create) -}}
{{- fail "\n\nserviceAccount.annotations are set, but serviceAccount.create is false, and the chart annotates only what it makes: annotate that ServiceAccount yourself and leave them out, or set serviceAccount.create.\n" -}}
{{- end -}}
{{- include "nexus-dirsync.identityChecks" . -}}
{{- include "nexus-dirsync.objectChecks" . -}}
{{- $registries := list $values.registry.toml $values.registry.products $values.registry.existingConfigMap.name | compact -}}
{{- if gt (len $registries) 1 -}}
{{- fail "\n\nregistry.toml, registry.products and registry.existingConfigMap.name: set at most one of the three.\n" -}}
{{- end -}}
{{- $grace := include "nexus-dirsync.terminationGracePeriodSeconds" . | int64 -}}
{{- $stop := include "nexus-dirsync.stopGraceSeconds" . | int64 -}}
{{- $stopping := include "nexus-dirsync.milliseconds" (include "nexus-dirsync.stopGrace" .) | float64 -}}
{{- if le (mul $grace 1000 | float64) $stopping -}}
{{- fail (printf "\n\nterminationGracePeriodSeconds is %d, not more than config.schedule.stop_grace (%d s): a commit could be cut.\nLeave it empty, or make it at least %d.\n" $grace $stop (add $stop 15)) -}}
{{- end -}}
{{- $database := get $values.config "database" | default dict -}}
{{- $statement := get $database "statement_timeout" | default "60s" -}}
{{- if le $stopping (include "nexus-dirsync.milliseconds" $statement | float64) -}}
{{- fail (printf "\n\nconfig.schedule.stop_grace (%d s) is not longer than config.database.statement_timeout (%s): a stop could cut a commit.\nMake it longer.\n" $stop $statement) -}}
{{- end -}}
{{- /* As long as the daemon gives the database to answer; it refuses the same. */ -}}
{{- $http := get $values.config "http" | default dict -}}
{{- with get $http "request_timeout" -}}
{{- if le (include "nexus-dirsync.milliseconds" . | float64) 5000.0 -}}
{{- fail (printf "\n\nconfig.http.request_timeout is %s, but /metrics may take 5 s while PostgreSQL does not answer, and then the daemon would count as gone: make it longer, such as 10s.\n" .) -}}
{{- end -}}
{{- end -}}
{{- include "nexus-dirsync.monitorChecks" . -}}
{{- end -}}

{{- define "nexus-dirsync.monitorChecks" -}}
{{- $values := .Values -}}
{{- if and $values.serviceMonitor.enabled $values.podMonitor.enabled -}}
{{- fail "\n\nserviceMonitor.enabled and podMonitor.enabled are both set: everything would be counted twice. Choose one of the two.\n" -}}
{{- end -}}
{{- range $name := list "serviceMonitor" "podMonitor" -}}
{{- $monitor := get $values $name -}}
{{- $interval := include "nexus-dirsync.milliseconds" ($monitor.interval | toString) | float64 -}}
{{- $timeout := include "nexus-dirsync.milliseconds" ($monitor.scrapeTimeout | toString) | float64 -}}
{{- if and $monitor.enabled (gt $interval 0.0) (gt $timeout $interval) -}}
{{- fail (printf "\n\n%s.scrapeTimeout is %s, longer than %s.interval (%s), which Prometheus refuses: make it shorter, or the interval longer.\n" $name $monitor.scrapeTimeout $name $monitor.interval) -}}
{{- end -}}
{{- /* As long as the daemon gives the database to answer. */ -}}
{{- if and $monitor.enabled (le $timeout 5000.0) -}}
{{- fail (printf "\n\n%s.scrapeTimeout is %s, but /metrics may take 5 s while PostgreSQL does not answer, and then the daemon would count as gone: make it longer, such as 10s.\n" $name $monitor.scrapeTimeout) -}}
{{- end -}}
{{- if and $monitor.enabled $values.prometheusRule.enabled -}}
{{- include "nexus-dirsync.relabelChecks" (list $ $name "relabelings") -}}
{{- include "nexus-dirsync.relabelChecks" (list $ $name "metricRelabelings") -}}
{{- end -}}
{{- end -}}
{{- if and $values.serviceMonitor.enabled (not $values.service.enabled) -}}
{{- fail "\n\nserviceMonitor.enabled takes service.enabled: set it, or use podMonitor.enabled.\n" -}}
{{- end -}}
{{- end -}}

{{/* Annotations that Helm or Azure read. A hook is no part of the release: nothing upgrades it, and
     nothing takes it away. */}}
{{- define "nexus-dirsync.annotationChecks" -}}
{{- range $name := keys .Values.commonAnnotations -}}
{{- if hasPrefix "helm.sh/" $name -}}
{{- fail (printf "\n\ncommonAnnotations has %s: Helm would take the Deployment and all else for hooks, or treat them in a way of its own. Take it out.\n" $name) -}}
{{- end -}}
{{- end -}}
{{- $given := dict "deploymentAnnotations" .Values.deploymentAnnotations -}}
{{- range list "serviceAccount" "service" "serviceMonitor" "podMonitor" "prometheusRule" "dashboard" -}}
{{- $_ := set $given (printf "%s.annotations" .) (get $.Values .).annotations -}}
{{- end -}}
{{- range $path, $annotations := $given -}}
{{- range $name := keys $annotations -}}
{{- if hasPrefix "helm.sh/hook" $name -}}
{{- fail (printf "\n\n%s has %s: Helm would take the object for a hook, which is no part of the release. Take it out.\n" $path $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq .Values.identity.kind "workload_identity" -}}
{{- range $name, $key := dict "client-id" "clientId" "tenant-id" "tenantId" -}}
{{- $name = printf "azure.workload.identity/%s" $name -}}
{{- $wanted := get $.Values.identity $key -}}
{{- $given := dig $name $wanted $.Values.serviceAccount.annotations -}}
{{- if ne (lower $given) (lower $wanted) -}}
{{- fail (printf "\n\nserviceAccount.annotations has %s with another id than identity.%s: take it out, and set identity.%s.\n" $name $key $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nexus-dirsync.instanceChecks" -}}
{{- $replicas := .Values.replicas | int64 -}}
{{- if gt $replicas 1 -}}
{{- $leader := get .Values.config "leader" | default dict -}}
{{- $instance := get $leader "instance" | default "" | trim -}}
{{- if $instance -}}
{{- fail (printf "\n\nconfig.leader.instance is %q, and replicas is %d: all of them would call themselves the same, and nobody could tell which one leads.\nLeave it out: each then calls itself by its pod's name.\n" $instance $replicas) -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- /* What refers to another variable, such as the pod's name, may differ. */ -}}
{{- if and (eq (upper .name) "DIRSYNC__LEADER__INSTANCE") .value (not (contains "$(" (.value | toString))) -}}
{{- fail (printf "\n\nextraEnv gives DIRSYNC__LEADER__INSTANCE one value, and replicas is %d: all of them would call themselves the same, and nobody could tell which one leads.\nLeave it out, or take it from the pod: valueFrom.fieldRef.fieldPath: metadata.name\n" $replicas) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Secrets among the variables: the daemon's, Azure's and libpq's. What ends in _FILE names a
     file, and what refers to another variable may refer to one from a Secret. So is a URL with a
     password, such as a proxy's, whatever the variable. Shows no value. */}}
{{- define "nexus-dirsync.secretChecks" -}}
{{- $secret := "^(DIRSYNC_+DATABASE_+URL|DIRSYNC_.*(SECRET|PASSWORD|TOKEN).*|AZURE_.*(SECRET|PASSWORD).*|PGPASSWORD)$" -}}
{{- range .Values.extraEnv -}}
{{- $name := upper .name -}}
{{- $value := .value | toString -}}
{{- $secretive := and (regexMatch $secret $name) (not (hasSuffix "_FILE" $name)) -}}
{{- $secretive = or $secretive (regexMatch (ternary "^(\\w+://)?[^/?#]*:[^/?#]+@" "://[^/?#]*:[^/?#]+@" (hasSuffix "_PROXY" $name)) $value) -}}
{{- if and .value $secretive (not (contains "$(" $value)) -}}
{{- $remedy := "Take it from a Secret: valueFrom.secretKeyRef with its name and key." -}}
{{- if regexMatch "DATABASE|^PG" $name -}}
{{- $remedy = "Put the whole URL into a Secret, and name that in database.existingSecret.name." -}}
{{- else if and (contains "CLIENT_SECRET" $name) (hasPrefix "DIRSYNC" $name) -}}
{{- $remedy = "Set identity.kind to client_secret and name the Secret in identity.clientSecret.existingSecret." -}}
{{- end -}}
{{- fail (printf "\n\nextraEnv gives %s as plain text: whoever may read the Deployment, or what Helm stores of the values, reads the secret.\n%s\n" .name $remedy) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Variables of settings that other values decide: the daemon would be told twice, or the pod
     be made for another setting than it runs with. */}}
{{- define "nexus-dirsync.decidedChecks" -}}
{{- $decided := list
  (list "DIRSYNC_CONFIG" "config")
  (list "DIRSYNC__DATABASE__URL(_FILE)?" "database.existingSecret, or database.sqlite for a trial")
  (list "DIRSYNC__DATABASE__STATEMENT_TIMEOUT" "config.database.statement_timeout, which config.schedule.stop_grace must outlast")
  (list "DIRSYNC__IDENTITY__\\w+" "identity")
  (list "DIRSYNC__HTTP__LISTEN" "listen.address and listen.port")
  (list "DIRSYNC__REGISTRY__FILE" "registry")
  (list "DIRSYNC__SCHEDULE__STOP_GRACE" "config.schedule.stop_grace, which terminationGracePeriodSeconds follows")
  (list "DIRSYNC__SCHEDULE__RUN_TIMEOUT" "config.schedule.run_timeout, which the alerts follow") -}}
{{- range $variable := .Values.extraEnv -}}
{{- range $decided -}}
{{- if regexMatch (printf "^%s$" (first .)) (upper $variable.name) -}}
{{- fail (printf "\n\nextraEnv gives %s, but the chart decides that by other values: take it out, and set %s.\n" $variable.name (last .)) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $variable.name "PGSSLROOTCERT") (or $.Values.database.ca.configMap $.Values.database.ca.secret) -}}
{{- fail "\n\nextraEnv gives PGSSLROOTCERT, and database.ca names an authority as well: choose one of the two.\n" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A variable has one value. Of the daemon's own, case does not matter behind the prefix, and
     a key of `config` has the same meaning. */}}
{{- define "nexus-dirsync.variableChecks" -}}
{{- $seen := list -}}
{{- /* Later ones take any name that is printable. */ -}}
{{- $strict := semverCompare "<1.30-0" .Capabilities.KubeVersion.Version -}}
{{- range .Values.extraEnv -}}
{{- if and $strict (or (regexMatch "^([0-9]|\\.\\.|\\.$)" .name) (regexMatch "[^A-Za-z0-9_.-]" .name)) -}}
{{- fail (printf "\n\nextraEnv gives %q, which Kubernetes %s takes for no name: use letters, digits, _, - and ., and begin it with a letter or _.\n" .name $.Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- $own := hasPrefix "DIRSYNC__" .name -}}
{{- $name := ternary (upper .name) .name $own -}}
{{- if has $name $seen -}}
{{- fail (printf "\n\nextraEnv gives %s twice: take one of the two out.\n" .name) -}}
{{- end -}}
{{- $seen = append $seen $name -}}
{{- $path := splitList "__" (lower .name) | rest -}}
{{- if and $own (eq (len $path) 2) -}}
{{- if hasKey (get $.Values.config (first $path) | default dict) (last $path) -}}
{{- fail (printf "\n\nextraEnv gives %s, and config.%s as well, which would not count: choose one of the two.\n" .name (join "." $path)) -}}
{{- end -}}
{{- end -}}
{{- if kindIs "map" .valueFrom -}}
{{- if .value -}}
{{- fail (printf "\n\nextraEnv gives %s both value and valueFrom: choose one of the two.\n" .name) -}}
{{- end -}}
{{- $sources := include "nexus-dirsync.given" .valueFrom -}}
{{- if or (not $sources) (contains " and " $sources) -}}
{{- fail (printf "\n\nextraEnv gives %s a valueFrom that must name one source: secretKeyRef, configMapKeyRef, fieldRef or another.\n" .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nexus-dirsync.identityChecks" -}}
{{- with .Values.identity -}}
{{- if not .tenantId -}}
{{- fail "\n\nidentity.tenantId is empty: give the tenant's id, a GUID (Azure portal, Microsoft Entra ID, Overview).\n" -}}
{{- end -}}
{{- if and (not .clientId) (ne .kind "managed_identity") -}}
{{- fail (printf "\n\nidentity.clientId is empty, and identity.kind %s needs it: give the application's (client) id, a GUID (Azure portal, App registrations).\n" .kind) -}}
{{- end -}}
{{- if and (eq .kind "client_secret") (not .clientSecret.existingSecret) -}}
{{- fail "\n\nidentity.clientSecret.existingSecret is empty, and identity.kind client_secret needs it:\n  kubectl create secret generic nexus-dirsync-identity --from-file=client-secret=FILE\n  --set identity.clientSecret.existingSecret=nexus-dirsync-identity\nBetter still, use workload_identity, which needs no secret.\n" -}}
{{- end -}}
{{- if and (eq .kind "certificate") (not .certificate.existingSecret) -}}
{{- fail "\n\nidentity.certificate.existingSecret is empty, and identity.kind certificate needs it:\n  kubectl create secret tls nexus-dirsync-identity --cert=FILE --key=FILE\n  --set identity.certificate.existingSecret=nexus-dirsync-identity\n" -}}
{{- end -}}
{{- $kind := .kind -}}
{{- range $other, $secret := dict "client_secret" (list "clientSecret" .clientSecret) "certificate" (list "certificate" .certificate) -}}
{{- if and (ne $kind $other) (last $secret).existingSecret -}}
{{- fail (printf "\n\nidentity.%s.existingSecret is set, but identity.kind is %s, which does not use it: set identity.kind to %s, or leave it empty.\n" (first $secret) $kind $other) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
