"""Values: what is refused, and what the daemon is given."""

import json
import os
import re
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

import yaml

import generate
from chart import CASES, CHART, ROOT, Refused, at, daemon, helm_3, helm_4, merge, one, refusals

MINIMAL = CASES["minimal"]
TENANT = MINIMAL["identity"]["tenantId"]
# Where the values are right by themselves, and wrong for the schema: what, value, and the key
# that both Helms must name.
WRONG = [
    ("repicas", 2, "repicas"),
    ("replicas", "two", "replicas"),
    ("replicas", -1, "replicas"),
    ("replicas", 1.5, "replicas"),
    ("image.tags", "x", "tags"),
    ("image.pullPolicy", "Sometimes", "pullPolicy"),
    ("image.digest", "sha256:abc", "digest"),
    ("database.url", "postgres://u:p@h/d", "url"),
    ("database.existingSecret.name", "Not A Name", "name"),
    ("database.sqlite.enabled", "yes", "enabled"),
    *(("database.sqlite.size", size, "size") for size in ("0Gi", "00Mi", "0.0Gi", ".Gi", "-1Gi", "1.5", "1.5.1Gi", "1 Gi", "1gb", "")),
    *(("listen.address", address, "address") for address in ("999.1.1.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "[1::2::3]", "[12345::]", "[1:2:3]", "[:]", "::")),
    ("migrations.mode", "hook", "mode"),
    ("identity.kind", "azure_cli", "kind"),
    ("identity.tenantId", "contoso.onmicrosoft.com", "tenantId"),
    ("identity.authority", "http://login.example.com", "authority"),
    ("identity.clientSecret.value", "s3cret", "value"),
    ("serviceAccount.annotations.a", 1, "a"),
    ("config.gaurd", {}, "gaurd"),
    ("config.guard.user_max", 1, "user_max"),
    ("config.guard.users_max", "many", "users_max"),
    ("config.schedule.stop_grace", 75, "stop_grace"),
    ("config.schedule.stop_grace", "soon", "stop_grace"),
    ("config.scope.groups", "some", "groups"),
    ("config.log.level", "loud", "level"),
    ("config.roles.admin_groups", "one", "admin_groups"),
    ("config.database.url", "postgres://u:p@h/d", "url"),
    ("config.identity", {"kind": "certificate"}, "identity"),
    ("config.registry", {"file": "x"}, "registry"),
    ("config.http.listen", "0.0.0.0:1", "listen"),
    ("registry.products", [{"name": "a"}], "description"),
    ("registry.products", [{"name": "a", "description": "", "environment": "prod", "groups": []}], "environment"),
    ("registry.products", [{"name": "a", "description": "", "environment": "production", "groups": [], "owners": ""}], "owners"),
    ("terminationGracePeriodSeconds", "90s", "terminationGracePeriodSeconds"),
    ("minReadySeconds", 600, "minReadySeconds"),
    ("strategy.rollingUpdate.maxSurge", "1", "maxSurge"),
    ("strategy.rollingUpdate.maxUnavailable", -1, "maxUnavailable"),
    ("podDisruptionBudget.maxUnavailable", "half", "maxUnavailable"),
    ("podLabels.a", "not a label", "a"),
    ("listen.port", 80, "port"),
    ("service.type", "Headless", "type"),
    ("networkPolicy.databasePort", "5432", "databasePort"),
    ("serviceMonitor.interval", "30 sec", "interval"),
    ("prometheusRule.alerts.NexusDirsyncDirft", {}, "NexusDirsyncDirft"),
    ("prometheusRule.alerts.NexusDirsyncDrift.severty", "x", "severty"),
    ("prometheusRule.thresholds.throttledRatio", 10, "throttledRatio"),
    ("prometheusRule.criticalFindings", ["nonsense"], "criticalFindings"),
    ("config.http.connections_max", 0, "connections_max"),
    ("config.database.pool_size", 65, "pool_size"),
    ("dashboard.label", {}, "label"),
]
# What is close to that, and right.
RIGHT = [
    *(("database.sqlite.size", size) for size in ("1Gi", "500Mi", "1.5Gi", "0.5Ti", ".5G", "10M", "01Gi", "1.0Gi")),
    *(("listen.address", address) for address in ("0.0.0.0", "255.249.199.99", "[::]", "[2001:db8::1]", "[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7::]", "[::2:3:4:5:6:7:8]", "[FE80::A:0]")),
]
# What may be set to null; it takes the default away.
NULLABLE = ["terminationGracePeriodSeconds", "strategy.rollingUpdate", "livenessProbe", "readinessProbe", "startupProbe"]
# What only makes sense together: the values over the minimal ones, and what must be told.
TOGETHER = [
    (at("database.existingSecret.name", ""), ["database.existingSecret.name", "create secret", "database.sqlite.enabled=true"]),
    (at("database.sqlite.enabled", True), ["database.sqlite.enabled", "choose one"]),
    (
        {"database": {"existingSecret": {"name": ""}, "sqlite": {"enabled": True}}, "replicas": 2},
        ["replicas", "database.sqlite.enabled", "set replicas to 1"],
    ),
    (at("database.ca", {"configMap": "a", "secret": "b"}), ["database.ca.configMap", "database.ca.secret"]),
    (
        {"database": {"existingSecret": {"name": ""}, "sqlite": {"enabled": True}}, "migrations": {"existingSecret": {"name": "a"}}},
        ["migrations.existingSecret.name"],
    ),
    (at("identity.tenantId", ""), ["identity.tenantId"]),
    (at("identity.clientId", ""), ["identity.clientId", "workload_identity"]),
    (at("identity.kind", "client_secret"), ["identity.clientSecret.existingSecret", "create secret"]),
    (at("identity.kind", "certificate"), ["identity.certificate.existingSecret", "create secret tls"]),
    (
        at("identity.clientSecret.existingSecret", "a"),
        ["identity.clientSecret.existingSecret", "identity.kind is workload_identity", "set identity.kind to client_secret"],
    ),
    (
        at("identity", {"kind": "certificate", "certificate": {"existingSecret": "a"}, "clientSecret": {"existingSecret": "b"}}),
        ["identity.clientSecret.existingSecret", "identity.kind is certificate", "leave it empty"],
    ),
    (
        at("identity", {"kind": "client_secret", "certificate": {"existingSecret": "a"}, "clientSecret": {"existingSecret": "b"}}),
        ["identity.certificate.existingSecret", "identity.kind is client_secret", "leave it empty"],
    ),
    (
        at("identity", {"kind": "managed_identity", "certificate": {"existingSecret": "a"}}),
        ["identity.certificate.existingSecret", "identity.kind is managed_identity", "set identity.kind to certificate"],
    ),
    (
        at("migrations", {"mode": "off", "existingSecret": {"name": "a"}}),
        ["migrations.existingSecret.name", "migrations.mode is off", "job or init", "leave it empty"],
    ),
    (
        at("serviceAccount", {"create": False, "name": "a", "annotations": {"example.com/a": "b"}}),
        ["serviceAccount.annotations", "serviceAccount.create is false", "leave them out", "set serviceAccount.create"],
    ),
    (at("registry", {"toml": "x", "existingConfigMap": {"name": "a"}}), ["registry.toml", "at most one"]),
    (at("terminationGracePeriodSeconds", 60), ["terminationGracePeriodSeconds", "75 s", "at least 90"]),
    (at("config.database.statement_timeout", "2m"), ["config.schedule.stop_grace", "config.database.statement_timeout", "longer"]),
    ({"replicas": 2, "config": {"leader": {"instance": "a"}}}, ["config.leader.instance", '"a"', "replicas is 2", "Leave it out"]),
    (
        {"replicas": 2, "extraEnv": [{"name": "DIRSYNC__LEADER__INSTANCE", "value": "a"}]},
        ["DIRSYNC__LEADER__INSTANCE", "replicas is 2", "metadata.name"],
    ),
    ({"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}, ["serviceMonitor.enabled", "podMonitor.enabled"]),
    ({"serviceMonitor": {"enabled": True}, "service": {"enabled": False}}, ["serviceMonitor.enabled", "service.enabled"]),
    (at("commonAnnotations", {"helm.sh/hook": "test"}), ["commonAnnotations", "helm.sh/hook", "Take it out"]),
    (at("serviceMonitor", {"enabled": True, "interval": "5s"}), ["serviceMonitor.scrapeTimeout", "10s", "5s"]),
    (at("podMonitor", {"enabled": True, "scrapeTimeout": "1m"}), ["podMonitor.scrapeTimeout", "1m", "30s"]),
    (at("listen.address", "127.0.0.1"), ["listen.address", "127.0.0.1", "0.0.0.0"]),
    (at("listen.address", "[::1]"), ["listen.address", "[::]"]),
]

# Annotations of the objects themselves.
ANNOTATED = ["deploymentAnnotations", *(f"{key}.annotations" for key in ("serviceAccount", "service", "serviceMonitor", "podMonitor", "prometheusRule", "dashboard"))]
TOGETHER += [(at(path, {"helm.sh/hook": "test"}), [path, "helm.sh/hook", "Take it out"]) for path in ANNOTATED]
TOGETHER += [
    (
        at("serviceAccount.annotations", {"azure.workload.identity/client-id": TENANT}),
        ["serviceAccount.annotations", "azure.workload.identity/client-id", "identity.clientId"],
    ),
    (
        at("serviceAccount.annotations", {"azure.workload.identity/tenant-id": ""}),
        ["serviceAccount.annotations", "azure.workload.identity/tenant-id", "identity.tenantId"],
    ),
]

# What the API server would refuse.
PROBES = ["livenessProbe", "readinessProbe", "startupProbe"]
TOGETHER += [(at(f"{probe}.httpGet", None), [probe, "no handler", "set it to null"]) for probe in PROBES]
TOGETHER += [(at(probe, {"exec": {"command": ["a"]}, "grpc": {"port": 1}}), [probe, "exec and grpc", "one of them"]) for probe in PROBES]
TOGETHER += [
    (at(probe, {"exec": {}, "httpGet": {"path": "/mine", "port": "http"}}), [probe, "exec and httpGet", "one of them"]) for probe in PROBES
]
TOGETHER += [
    (at("livenessProbe.successThreshold", 2), ["livenessProbe.successThreshold is 2", "leave it out"]),
    (at("startupProbe.successThreshold", 2), ["startupProbe.successThreshold is 2", "leave it out"]),
]
VOLUME, MOUNT, BESIDE = {"name": "a", "emptyDir": {}}, {"name": "a", "mountPath": "/a"}, {"name": "a", "image": "a"}
TOGETHER += [
    ({"extraVolumes": [{"name": "config", "emptyDir": {}}]}, ["extraVolumes", "config", "the chart", "another"]),
    ({"extraVolumes": [VOLUME, VOLUME]}, ["extraVolumes", "name a is there twice"]),
    ({"extraVolumes": [{**VOLUME, "secret": {"secretName": "a"}}]}, ["extraVolumes", "emptyDir and secret", "one of them"]),
    (
        {"extraVolumes": [{"name": "database-owner"}], "migrations": {"existingSecret": {"name": "a"}}},
        ["extraVolumes", "database-owner", "the chart"],
    ),
    ({"extraVolumeMounts": [MOUNT]}, ["extraVolumeMounts", "volume a", "extraVolumes"]),
    ({"extraVolumeMounts": [{"name": "config", "mountPath": "/a"}]}, ["extraVolumeMounts", "volume config", "migration", "extraVolumes"]),
    ({"extraVolumes": [VOLUME], "extraVolumeMounts": [MOUNT, {**MOUNT, "mountPath": "/a/"}]}, ["extraVolumeMounts", "mountPath /a/ is there twice"]),
    (
        {"extraVolumes": [VOLUME], "extraVolumeMounts": [{**MOUNT, "mountPath": "/etc/nexus-dirsync/database"}]},
        ["extraVolumeMounts", "mountPath /etc/nexus-dirsync/database", "the chart", "another"],
    ),
    ({"extraContainers": [{**BESIDE, "name": "nexus-dirsync"}]}, ["extraContainers", "nexus-dirsync", "the chart", "another"]),
    ({"extraInitContainers": [BESIDE], "extraContainers": [BESIDE]}, ["extraInitContainers and extraContainers", "name a is there twice"]),
    (
        {"extraInitContainers": [{**BESIDE, "name": "migrate"}], "migrations": {"mode": "init"}},
        ["extraInitContainers", "migrate", "the chart"],
    ),
    ({"extraContainers": [{**BESIDE, "volumeMounts": [MOUNT]}]}, ["extraContainers a", "volume a", "extraVolumes"]),
    (
        {"extraVolumes": [VOLUME], "extraInitContainers": [{**BESIDE, "volumeMounts": [MOUNT, MOUNT]}]},
        ["extraInitContainers a", "mountPath /a is there twice"],
    ),
]
TOGETHER += [
    (at("strategy.rollingUpdate.maxSurge", 0), ["strategy.rollingUpdate", "maxSurge", "maxUnavailable", "at least 1"]),
    (at("strategy.rollingUpdate", {"maxSurge": "0%", "maxUnavailable": "00%"}), ["strategy.rollingUpdate", "at least 1"]),
    (at("resources.limits.memory", "64Mi"), ["resources.requests.memory", "128Mi", "resources.limits.memory", "64Mi"]),
    (at("resources.limits.cpu", 0.05), ["resources.requests.cpu", "100m", "resources.limits.cpu", "0.05"]),
    (
        at("resources", {"requests": {"memory": 1000000001}, "limits": {"memory": "1G"}}),
        ["resources.requests.memory", "1000000001", "resources.limits.memory", "1G"],
    ),
    (at("migrations.resources.requests.memory", "1e9"), ["migrations.resources.requests.memory", "1e9", "128Mi"]),
]
ROOT_USER, CALM = {"runAsUser": 0}, {"allowPrivilegeEscalation": False}
TOGETHER += [
    (at("securityContext.privileged", True), ["securityContext.privileged is true", "leave privileged out", "set allowPrivilegeEscalation to true"]),
    (at("securityContext.capabilities.add", ["CAP_SYS_ADMIN"]), ["securityContext.capabilities.add has CAP_SYS_ADMIN", "take it out", "to true"]),
    (
        {"extraContainers": [{**BESIDE, "securityContext": {**CALM, "privileged": True}}]},
        ["extraContainers a: securityContext.privileged is true", "leave privileged out"],
    ),
    (
        {"extraInitContainers": [{**BESIDE, "securityContext": {**CALM, "capabilities": {"add": ["KILL", "CAP_SYS_ADMIN"]}}}]},
        ["extraInitContainers a: securityContext.capabilities.add has CAP_SYS_ADMIN", "take it out"],
    ),
    (
        {"podSecurityContext": ROOT_USER},
        ["podSecurityContext.runAsUser is 0", " securityContext.runAsNonRoot is true", "the daemon", "another user", "to false"],
    ),
    ({"securityContext": ROOT_USER}, ["\nsecurityContext.runAsUser is 0", " securityContext.runAsNonRoot is true"]),
    (
        {"securityContext": {**ROOT_USER, "runAsNonRoot": None}},
        ["\nsecurityContext.runAsUser is 0", "podSecurityContext.runAsNonRoot is true"],
    ),
    (
        {"podSecurityContext": ROOT_USER, "securityContext": {"runAsUser": 1}, "extraContainers": [{**BESIDE, "securityContext": None}]},
        ["podSecurityContext.runAsUser is 0", "podSecurityContext.runAsNonRoot is true", "start extraContainers a:"],
    ),
    (
        {"extraInitContainers": [{**BESIDE, "securityContext": {**ROOT_USER, "runAsNonRoot": None}}]},
        ["extraInitContainers a: securityContext.runAsUser is 0", "podSecurityContext.runAsNonRoot is true", "start extraInitContainers a:"],
    ),
]
PEERS = [f"networkPolicy.{key}" for key in ("scrapeFrom", "dnsTo", "databaseTo", "httpsTo")]
BLOCK = {"cidr": "192.0.2.0/24"}
TOGETHER += [(at(path, [{"podSelector": {}}, {}]), [path, "empty", "namespaceSelector: {}"]) for path in PEERS]
TOGETHER += [
    (at("networkPolicy.extraIngress", [{"from": [{"podSelector": None}]}]), ["networkPolicy.extraIngress", "empty"]),
    (
        at("networkPolicy.extraEgress", [{"ports": [{"port": 1}]}, {"to": [{"ipBlock": {"cidr": "192.0.2.1"}}]}]),
        ["networkPolicy.extraEgress", "192.0.2.1", "/32"],
    ),
    (at("networkPolicy.dnsTo", [{"ipBlock": {"cidr": "2001:db8::1"}}]), ["networkPolicy.dnsTo", "2001:db8::1", "/128"]),
    (at("networkPolicy.httpsTo", [{"ipBlock": {**BLOCK, "except": ["192.0.2.1"]}}]), ["networkPolicy.httpsTo", "192.0.2.1", "/32"]),
    (at("networkPolicy.databaseTo", [{"ipBlock": BLOCK, "podSelector": {}}]), ["networkPolicy.databaseTo", "ipBlock", "podSelector", "of its own"]),
]
RULES = {"prometheusRule": {"enabled": True}}
TOGETHER += [
    (
        RULES | at(monitor, {"enabled": True, key: [{"targetLabel": "cluster"}, {"targetLabel": label, "replacement": "a"}]}),
        [f"{monitor}.{key} sets the label {label}", "take that out", remedy],
    )
    for monitor in ("serviceMonitor", "podMonitor")
    for key in ("relabelings", "metricRelabelings")
    for label, remedy in [("job", "prometheusRule.selector"), ("namespace", "prometheusRule.selector"), ("instance", "give each pod its own")]
]
# Relabelings that drop, keep or map labels, by where they stand, and the label that they touch.
TOUCHING = [
    ("metricRelabelings", {"action": "labeldrop", "regex": "job|pod"}, "drops the label job"),
    ("metricRelabelings", {"action": "LabelDrop", "regex": "inst.*"}, "drops the label instance"),
    ("metricRelabelings", {"action": "labeldrop", "regex": "__name__"}, "drops the label __name__"),
    ("metricRelabelings", {"action": "labeldrop"}, "drops the label __name__"),
    ("relabelings", {"action": "labeldrop", "regex": "(name|work)space"}, "drops the label namespace"),
    ("relabelings", {"action": "labeldrop", "regex": "__.+"}, "drops the label __address__"),
    ("metricRelabelings", {"action": "labelkeep", "regex": "__name__|job|namespace"}, "drops the label instance"),
    ("metricRelabelings", {"action": "labelkeep", "regex": "job|namespace|instance"}, "drops the label __name__"),
    ("metricRelabelings", {"action": "LabelKeep", "regex": "__name__|instance|namespace|jobs"}, "drops the label job"),
    ("relabelings", {"action": "labelkeep", "regex": "__.*|job"}, "drops the label namespace"),
    ("relabelings", {"action": "labelkeep", "regex": "job|namespace|instance"}, "drops the label __address__"),
    ("relabelings", {"action": "labelmap", "regex": "__meta_kubernetes_node_label_zone", "replacement": "instance"}, "sets the label instance"),
    ("relabelings", {"action": "labelmap", "regex": "__meta_kubernetes_pod_label_(job|team)"}, "sets the label job"),
    ("relabelings", {"action": "labelmap", "regex": "__meta_kubernetes_(service|pod)_label_(.+)", "replacement": "$2"}, "sets the label instance"),
    ("metricRelabelings", {"action": "LabelMap", "regex": "exported_(instance|pod)", "replacement": "${1}"}, "sets the label instance"),
    ("metricRelabelings", {"action": "labelmap", "regex": "(app)_name", "replacement": "job"}, "sets the label job"),
]
TOGETHER += [
    (RULES | {"podLabels": {"instance": "a"}} | at(monitor, {"enabled": True, key: [rule]}), [f"{monitor}.{key}", rule.get("regex", "(.*)"), told, ": let "])
    for monitor in ("serviceMonitor", "podMonitor")
    for key, rule, told in TOUCHING
]
# A selector finds the series by other labels, but does not tell replicas apart.
SELECTED = {"prometheusRule": {"enabled": True, "selector": 'app="a"'}}
TOGETHER += [
    (SELECTED | at("podMonitor", {"enabled": True, key: [rule]}), [f"podMonitor.{key}", "the label instance", "replicas"])
    for key, rule in [
        ("relabelings", {"targetLabel": "instance", "replacement": "a"}),
        ("relabelings", {"targetLabel": "instance", "sourceLabels": ["pod"], "replacement": "a"}),
        ("relabelings", {"targetLabel": "instance", "sourceLabels": ["namespace"]}),
        ("metricRelabelings", {"action": "labeldrop", "regex": "job|instance"}),
    ]
]
TOGETHER += [
    (at(monitor, {"enabled": True, "scrapeTimeout": timeout}), [f"{monitor}.scrapeTimeout is {timeout}", "PostgreSQL", "10s"])
    for monitor in ("serviceMonitor", "podMonitor")
    for timeout in ("5s", "4900ms")
]
TOGETHER += [
    (at("config.http.request_timeout", timeout), [f"config.http.request_timeout is {timeout}", "/metrics", "PostgreSQL", "longer, such as 10s"])
    for timeout in ("3s", "5s", "4s 1000ms", "0")
]

# What is close to that, and right.
NAME, POD = "DIRSYNC__LEADER__INSTANCE", {"fieldRef": {"fieldPath": "metadata.name"}}
RECONCILED = [
    {"identity": {"kind": "client_secret", "clientSecret": {"existingSecret": "a"}}},
    {"identity": {"kind": "certificate", "certificate": {"existingSecret": "a"}}},
    {"migrations": {"mode": "init", "existingSecret": {"name": "a"}}},
    {"migrations": {"mode": "off"}},
    {"serviceAccount": {"create": False, "name": "a"}},
    {"serviceAccount": {"annotations": {"example.com/a": "b"}}},
    {"replicas": 1, "config": {"leader": {"instance": "a"}}},
    {"replicas": 2, "config": {"leader": {"instance": "", "lease": "10s"}}},
    {"replicas": 2, "extraEnv": [{"name": NAME, "valueFrom": POD}]},
    # The chart has a volume of that name for SQLite, and a container in mode init.
    {"extraVolumes": [{"name": "tmp", "emptyDir": {}}], "extraVolumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "tmp", "mountPath": "/var/tmp"}]},
    {"extraInitContainers": [{**BESIDE, "name": "migrate"}]},
    {"migrations": {"mode": "init"}, "extraVolumeMounts": [{"name": "config", "mountPath": "/a"}]},
    {"database": {"ca": {"secret": "a"}}, "extraVolumeMounts": [{"name": "database-ca", "mountPath": "/a"}]},
    {"extraVolumes": [{**VOLUME, "secret": None}, {"name": "b"}], "extraVolumeMounts": [MOUNT], "extraContainers": [{**BESIDE, "volumeMounts": [MOUNT]}]},
    {"extraContainers": [{**BESIDE, "volumeMounts": [{"name": "config", "mountPath": "/a"}]}]},
    {"securityContext": {"privileged": True, "allowPrivilegeEscalation": True}},
    {"securityContext": {"privileged": True, "allowPrivilegeEscalation": None, "capabilities": None}},
    {"securityContext": {"privileged": False, "capabilities": {"add": ["NET_BIND_SERVICE"]}}},
    {"securityContext": {"allowPrivilegeEscalation": True, "capabilities": {"add": ["CAP_SYS_ADMIN"]}}},
    # Of this spelling the API server says nothing.
    {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}},
    {"extraContainers": [{**BESIDE, "securityContext": {"privileged": True}}, {"name": "b", "image": "b", "securityContext": CALM}]},
    {"podSecurityContext": ROOT_USER, "securityContext": {"runAsNonRoot": False}},
    {"podSecurityContext": {**ROOT_USER, "runAsNonRoot": False}, "securityContext": {"runAsNonRoot": None}},
    {"podSecurityContext": ROOT_USER, "securityContext": {"runAsUser": 1000}},
    {"podSecurityContext": {"runAsUser": None}},
    {"extraContainers": [{**BESIDE, "securityContext": {**ROOT_USER, "runAsNonRoot": False}}, {"name": "b", "image": "b"}]},
    {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 0}}},
    {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "1%"}}},
    {"resources": {"requests": {"cpu": "1500m", "memory": "1e9"}, "limits": {"cpu": 1.5, "memory": "1G", "example.com/gpu": 1}}},
    {"resources": {"requests": {"memory": "1048576k"}, "limits": {"memory": "1Gi"}}},
    {"resources": {"requests": None, "limits": {"memory": 1000000}}},
    {
        "networkPolicy": {
            "enabled": True,
            "scrapeFrom": [{"namespaceSelector": {}}, {"podSelector": {}, "ipBlock": None}],
            "dnsTo": [{"ipBlock": {"cidr": "2001:db8::/32", "except": ["2001:db8::/64"]}}],
            "extraEgress": [{"to": None}, {}],
        }
    },
    RULES | at("serviceMonitor", {"enabled": True, "relabelings": [{"targetLabel": "job", "action": "keepequal", "sourceLabels": ["a"]}]}),
    {
        "prometheusRule": {"enabled": True, "selector": 'job="a"'},
        "podMonitor": {"enabled": True, "relabelings": [{"targetLabel": "job", "replacement": "a"}]},
    },
    at("podMonitor", {"enabled": True, "relabelings": [{"targetLabel": "job", "replacement": "a"}]}),
    *(
        RULES | at("serviceMonitor", {"enabled": True, key: [rule]})
        for key, rule in [
            ("relabelings", {"targetLabel": "instance", "sourceLabels": ["__meta_kubernetes_pod_name"]}),
            ("relabelings", {"targetLabel": "instance", "sourceLabels": ["namespace", "pod"], "separator": "/", "regex": "(.+)", "replacement": "$1"}),
            ("metricRelabelings", {"targetLabel": "instance", "sourceLabels": ["instance"], "regex": r"(.+):\d+"}),
            ("metricRelabelings", {"action": "labeldrop", "regex": "pod|container|job_.*|.*_namespace|instances?_id"}),
            # Prometheus gives targets their instance later.
            ("relabelings", {"action": "labeldrop", "regex": "pod|instance"}),
            ("relabelings", {"action": "labelkeep", "regex": "__.*|job|namespace|pod"}),
            ("metricRelabelings", {"action": "labelkeep", "regex": "__name__|job|namespace|instance|kind|mode"}),
            ("metricRelabelings", {"action": "labelkeep", "regex": ".+"}),
            ("relabelings", {"action": "labelmap", "regex": "__meta_kubernetes_pod_label_(.+)"}),
            ("relabelings", {"action": "labelmap", "regex": "__meta_kubernetes_namespace_label_(.+)"}),
            ("relabelings", {"action": "labelmap", "regex": "__meta_kubernetes_pod_label_(.+)", "replacement": "pod_$1"}),
            ("relabelings", {"action": "labelmap", "regex": "__meta_kubernetes_pod_label_app_kubernetes_io_(instance)", "replacement": "release"}),
            ("metricRelabelings", {"action": "drop", "sourceLabels": ["__name__"], "regex": "job|process_.*"}),
        ]
    ),
    SELECTED | at("podMonitor", {"enabled": True, "metricRelabelings": [{"action": "labeldrop", "regex": "job|namespace"}]}),
    SELECTED | at("podMonitor", {"enabled": True, "metricRelabelings": [{"action": "labelkeep", "regex": "__name__|app|instance"}]}),
    at("podMonitor", {"enabled": True, "metricRelabelings": [{"action": "labeldrop", "regex": "job|instance"}]}),
    RULES | at("podMonitor", {"enabled": False, "scrapeTimeout": "1s", "relabelings": [{"targetLabel": "job", "replacement": "a"}]}),
    at("serviceMonitor", {"enabled": True, "interval": "6s", "scrapeTimeout": "6s"}),
    at("config.http", {"request_timeout": "5s 1ms", "header_timeout": "1s"}),
    {"livenessProbe": {"successThreshold": 1}, "startupProbe": None, "readinessProbe": {"successThreshold": 2}},
    at("migrations.annotations", {"helm.sh/hook-output-log-policy": "hook-failed"}),
    at("serviceAccount.annotations", {"helm.sh/resource-policy": "keep", "azure.workload.identity/client-id": MINIMAL["identity"]["clientId"].upper()}),
    {
        "identity": {"kind": "managed_identity"},
        "serviceAccount": {"annotations": {"azure.workload.identity/client-id": TENANT}},
    },
    {"replicas": 2, "extraEnv": [{"name": "POD", "valueFrom": POD}, {"name": NAME, "value": "eu-$(POD)"}]},
]

# Variables that hold secrets, beside the keys that src/config reads as such, and their remedy.
SECRETS = {
    "DIRSYNC__DATABASE__URL": "database.existingSecret.name",
    "DIRSYNC__IDENTITY__CLIENT_SECRET": "identity.clientSecret.existingSecret",
    "DIRSYNC__identity__client_secret": "identity.clientSecret.existingSecret",
    "DIRSYNC_DATABASE_URL": "database.existingSecret.name",
    "DIRSYNC__IDENTITY__TOKEN": "valueFrom.secretKeyRef",
    "AZURE_CLIENT_SECRET": "valueFrom.secretKeyRef",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD": "valueFrom.secretKeyRef",
    "PGPASSWORD": "database.existingSecret.name",
}
# Whatever the variable is called.
SECRET_URLS = {
    "HTTPS_PROXY": "http://us3r:s3cret@proxy.example.com:3128",
    "http_proxy": "us3r:s3cret@proxy.example.com:3128",
    "ALL_PROXY": "http://:s3cret@proxy.example.com",
    "MIRROR": "https://us3r:s3cret@mirror.example.com/path",
}
NO_SECRETS = [
    *({"name": name, "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}} for name in SECRETS if "__" not in name),
    {"name": "AZURE_CLIENT_SECRET", "value": "$(FROM_A_SECRET)"},
    {"name": "AZURE_FEDERATED_TOKEN_FILE", "value": "/run/secrets/token"},
    {"name": "AZURE_TOKEN_CREDENTIALS", "value": "prod"},
    {"name": "DIRSYNC__DATABASE__POOL_SIZE", "value": "4"},
    {"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"},
    {"name": "TOKEN_ISSUER", "value": "https://example.com"},
    {"name": "HTTP_PROXY", "value": "http://us3r:$(PASSWORD)@proxy.example.com:3128"},
    {"name": "MIRROR", "value": "https://mirror.example.com:8443/people?of=ada@example.com"},
    {"name": "CONTACT", "value": "mailto:ada@example.com"},
]

# Variables of settings that other values decide, and those values.
DECIDED = [
    ({"name": "DIRSYNC__DATABASE__URL", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}, "database.existingSecret"),
    ({"name": "DIRSYNC__DATABASE__URL_FILE", "value": "/run/url"}, "database.existingSecret"),
    ({"name": "DIRSYNC__IDENTITY__CLIENT_SECRET", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}, "set identity"),
    ({"name": "DIRSYNC__IDENTITY__CLIENT_SECRET_FILE", "value": "/run/secrets/graph"}, "set identity"),
    ({"name": "dirsync__http__listen", "value": "0.0.0.0:9999"}, "listen.port"),
    ({"name": "DIRSYNC__REGISTRY__FILE", "value": "/registry.toml"}, "set registry"),
    ({"name": "DIRSYNC__SCHEDULE__STOP_GRACE", "value": "10m"}, "config.schedule.stop_grace"),
    ({"name": "DIRSYNC__SCHEDULE__RUN_TIMEOUT", "value": "1h"}, "config.schedule.run_timeout"),
    ({"name": "DIRSYNC__DATABASE__STATEMENT_TIMEOUT", "value": "5m"}, "config.database.statement_timeout"),
    ({"name": "DIRSYNC_CONFIG", "value": "/mine.toml"}, "set config"),
]
# Variables that exclude each other, or a key of `config` (over the minimal values), and what is told.
AMBIGUOUS = [
    ({"extraEnv": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}, {"name": "A", "value": "2"}]}, ["extraEnv gives A twice"]),
    (
        {"extraEnv": [{"name": "DIRSYNC__LOG__LEVEL", "value": "info"}, {"name": "DIRSYNC__log__level", "value": "warn"}]},
        ["extraEnv gives DIRSYNC__log__level twice"],
    ),
    (
        {"extraEnv": [{"name": "DIRSYNC__LOG__LEVEL", "value": "info"}], "config": {"log": {"level": "warn"}}},
        ["extraEnv gives DIRSYNC__LOG__LEVEL", "config.log.level", "choose one"],
    ),
    (
        {"extraEnv": [{"name": "DIRSYNC__database__connect_timeout", "value": "5s"}], "config": {"database": {"connect_timeout": "9s"}}},
        ["extraEnv gives DIRSYNC__database__connect_timeout", "config.database.connect_timeout"],
    ),
    ({"extraEnv": [{"name": "A", "value": "1", "valueFrom": POD}]}, ["extraEnv gives A", "value and valueFrom", "choose one"]),
    ({"extraEnv": [{"name": "A", "valueFrom": {**POD, "secretKeyRef": {"name": "a", "key": "b"}}}]}, ["extraEnv gives A", "one source"]),
    ({"extraEnv": [{"name": "A", "valueFrom": {}}]}, ["extraEnv gives A", "one source"]),
]
UNAMBIGUOUS = [
    [{"name": "HTTPS_PROXY", "value": "http://proxy"}, {"name": "https_proxy", "value": "http://proxy"}],
    [{"name": "A", "value": "", "valueFrom": POD}, {"name": "B"}],
    [{"name": "A", "valueFrom": {**POD, "secretKeyRef": None}}],
    [{"name": "DIRSYNC__LOG__LEVEL", "value": "info"}, {"name": "DIRSYNC__LOG__FORMAT", "value": "text"}],
]
# Names of variables that Kubernetes takes since 1.30 only, and those that it always took.
LATER = ["A B", "1A", "..", "..a", ".", "a/b", "a(b)"]
ALWAYS = ["A", "a.b-c", "_1", ".a", "-a", "A1"]


class Refusals(unittest.TestCase):
    def test_a_wrong_key_or_type_is_refused_by_name(self):
        for path, value, key in WRONG:
            with self.subTest(path, value=value):
                for told in refusals(merge(MINIMAL, at(path, value))):
                    self.assertRegex(told, rf"\b{key}\b")

    def test_what_is_close_to_that_is_taken(self):
        for path, value in RIGHT:
            with self.subTest(path, value=value):
                for render in (helm_3, helm_4):
                    render(merge(MINIMAL, at(path, value)))

    def test_null_takes_no_default_away(self):
        def ours(values: dict, path: str = ""):
            for key, value in values.items():
                here = f"{path}.{key}".lstrip(".")
                if here in NULLABLE:
                    continue
                yield here
                # What is below these is Kubernetes' or the operator's own.
                if isinstance(value, dict) and key not in {"resources", "labels", "podSecurityContext", "securityContext"}:
                    yield from ours(value, here)

        paths = list(ours(yaml.safe_load((CHART / "values.yaml").read_text())))
        self.assertGreater(len(paths), 140)
        for path in paths:
            with self.subTest(path):
                for told in refusals(merge(MINIMAL, at(path, None))):
                    self.assertRegex(told, rf"\b{path.split('.')[-1]}\b")

    def test_null_is_taken_where_the_values_say_so(self):
        for path in NULLABLE:
            with self.subTest(path):
                over = at(path, None) if path != "strategy.rollingUpdate" else at("strategy", {"type": "Recreate", "rollingUpdate": None})
                for render in (helm_3, helm_4):
                    render(merge(MINIMAL, over))

    def test_a_secret_in_a_wrong_place_is_not_shown(self):
        for told in refusals(merge(MINIMAL, at("identity.clientSecret.value", "s3cret"))):
            self.assertNotIn("s3cret", told)

    def test_values_that_contradict_each_other_are_refused_with_the_remedy(self):
        for over, parts in TOGETHER:
            with self.subTest(over):
                for told in refusals(merge(MINIMAL, over)):
                    for part in parts:
                        self.assertIn(part, told)

    def test_a_secret_as_plain_text_is_refused_with_the_remedy(self):
        source = "".join(path.read_text() for path in (ROOT / "src/config").glob("*.rs"))
        keys = re.findall(r'from\.get\("([a-z_.]+)", secret\)', source)
        self.assertGreater(len(keys), 1)
        for key in keys:
            self.assertIn("DIRSYNC__" + key.upper().replace(".", "__"), SECRETS)
        for name, remedy in SECRETS.items():
            with self.subTest(name):
                for told in refusals(merge(MINIMAL, {"extraEnv": [{"name": "A", "value": "b"}, {"name": name, "value": "s3cret"}]})):
                    self.assertIn(f"extraEnv gives {name} as plain text", told)
                    self.assertIn(remedy, told)
                    self.assertNotIn("s3cret", told)

    def test_a_url_with_a_password_as_plain_text_is_refused(self):
        for name, url in SECRET_URLS.items():
            with self.subTest(name):
                for told in refusals(merge(MINIMAL, {"extraEnv": [{"name": name, "value": url}]})):
                    self.assertIn(f"extraEnv gives {name} as plain text", told)
                    self.assertIn("valueFrom.secretKeyRef", told)
                    self.assertNotIn("s3cret", told)

    def test_a_setting_that_other_values_decide_is_refused_as_a_variable(self):
        for variable, value in DECIDED:
            with self.subTest(variable):
                for told in refusals(merge(MINIMAL, {"extraEnv": [variable]})):
                    self.assertIn(f"extraEnv gives {variable['name']}", told)
                    self.assertIn(value, told)
        both = {"extraEnv": [{"name": "PGSSLROOTCERT", "value": "/mine.pem"}], "database": {"ca": {"secret": "mine"}}}
        for told in refusals(merge(MINIMAL, both)):
            self.assertIn("database.ca", told)

    def test_a_variable_has_one_value_from_one_place(self):
        for over, parts in AMBIGUOUS:
            with self.subTest(over):
                for told in refusals(merge(MINIMAL, over)):
                    for part in parts:
                        self.assertIn(part, told)
        for variables in UNAMBIGUOUS:
            with self.subTest(variables):
                for render in (helm_3, helm_4):
                    render(merge(MINIMAL, {"extraEnv": variables}))

    def test_a_name_that_the_clusters_kubernetes_does_not_take_is_refused(self):
        for name in LATER + ALWAYS:
            values = merge(MINIMAL, {"extraEnv": [{"name": name, "value": "a"}]})
            with self.subTest(name):
                for version in ("1.30.0", "1.37.0") if name in LATER else ("1.25.0", "1.29.9-gke.1", "1.37.0"):
                    helm_3(values, kubernetes=version)
                for version in ("1.25.0", "1.29.9-gke.1") if name in LATER else ():
                    with self.assertRaises(Refused) as refused:
                        helm_3(values, kubernetes=version)
                    for part in (f'extraEnv gives "{name}"', f"Kubernetes v{version}", "use letters, digits"):
                        self.assertIn(part, str(refused.exception))

    def test_what_is_no_secret_or_comes_from_one_is_taken(self):
        for variable in NO_SECRETS:
            with self.subTest(variable):
                for render in (helm_3, helm_4):
                    render(merge(MINIMAL, {"extraEnv": [variable]}))

    def test_what_only_looks_like_a_contradiction_is_taken(self):
        for over in RECONCILED:
            with self.subTest(over):
                for render in (helm_3, helm_4):
                    render(merge(MINIMAL, over))

    def test_without_any_values_the_remedy_is_told(self):
        for told in refusals({}):
            self.assertIn("database.existingSecret.name", told)


class Documents(unittest.TestCase):
    def test_readme_and_schema_are_not_stale(self):
        wanted = {"README.md": generate.readme(), "values.schema.json": generate.schema()}
        for name, text in wanted.items():
            self.assertEqual((CHART / name).read_text(), text, "run tests/chart/generate.py and commit it")

    def test_the_schema_is_strict_wherever_keys_are_ours(self):
        def loose(schema: dict, path: str = ""):
            if schema.get("type") == "object" and "properties" in schema and schema.get("additionalProperties") is not False:
                yield path or "the root"
            for key, inner in schema.get("properties", {}).items():
                yield from loose(inner, f"{path}.{key}")

        whole = json.loads((CHART / "values.schema.json").read_text())
        for part in [whole, *whole["definitions"].values()]:
            self.assertEqual(list(loose(part)), [])
        values = yaml.safe_load((CHART / "values.yaml").read_text())
        self.assertEqual(set(whole["properties"]) - {"global"}, set(values))

    def test_versions_follow_the_project(self):
        version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        self.assertEqual((chart["version"], chart["appVersion"]), (version, version))

    def test_the_image_that_the_documents_build_is_the_one_that_the_chart_runs(self):
        version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
        for path, pushes in [(ROOT / "README.md", True), (CHART / "README.md", True), (ROOT / "Dockerfile", False)]:
            text = re.sub(r"\s*\\\n[#\s]*", " ", path.read_text())
            with self.subTest(path.name, folder=path.parent.name):
                [(given, built)] = re.findall(r"docker build .*VERSION=(\S+) .*-t (\S+) \.$", text, re.M)
                self.assertEqual(given, version)
                self.assertEqual(re.findall(r"docker push (\S+)$", text, re.M), [built] * pushes)
                installed = re.findall(r"helm install .*--set image\.repository=(\S+)", text)
                self.assertEqual(len(installed), 1 if pushes else 0)
                values = merge(MINIMAL, at("image.repository", installed[0])) if installed else MINIMAL
                [container] = one(helm_4(values), "Deployment")["spec"]["template"]["spec"]["containers"]
                self.assertEqual(container["image"], built)

    def test_the_defaults_that_the_chart_counts_with_are_the_daemons(self):
        defaults = tomllib.loads((ROOT / "config/default.toml").read_text())
        templates = (CHART / "templates/_config.tpl").read_text() + (CHART / "templates/_checks.tpl").read_text()
        for section, key in [("schedule", "stop_grace"), ("schedule", "run_timeout"), ("database", "statement_timeout")]:
            self.assertIn(f'"{key}" | default "{defaults[section][key]}"', templates)


    def test_what_the_chart_counts_with_cannot_be_a_variable(self):
        templates = "".join(path.read_text() for path in (CHART / "templates").glob("*.tpl"))
        counted = re.findall(r'get \$(\w+) "(\w+)" \| default "', templates)
        self.assertGreater(len(counted), 3)
        told = "".join(variable["name"] for variable, _ in DECIDED) + NAME
        for section, key in counted:
            self.assertIn(f"DIRSYNC__{section}__{key}".upper(), told)


class Configuration(unittest.TestCase):
    def files(self, values: dict) -> tuple[dict, dict | None]:
        """What is in config.toml and registry.toml."""
        objects = helm_4(values)
        texts = {key: text for each in objects if each["kind"] == "ConfigMap" for key, text in each["data"].items()}
        registry = texts.get("registry.toml")
        return tomllib.loads(texts["config.toml"]), registry and tomllib.loads(registry)

    def test_values_arrive_as_they_are(self):
        values = CASES["everything-on"]
        config, registry = self.files(values)
        for section, keys in values["config"].items():
            for key, value in keys.items():
                self.assertEqual(config[section][key], value)
                self.assertIs(type(config[section][key]), type(value), f"{section}.{key}")
        self.assertEqual(config["identity"]["kind"], "workload_identity")
        self.assertEqual(config["http"]["listen"], "0.0.0.0:8080")
        self.assertEqual(registry["product"], values["registry"]["products"])

    def test_odd_texts_survive(self):
        odd = 'quote " backslash \\ tab \t newline \n <é> & \u2028 日本'
        product = {"name": "a", "description": odd, "environment": "production", "groups": [odd.strip()], "owner": "'"}
        _, registry = self.files(merge(MINIMAL, at("registry.products", [product])))
        self.assertEqual(registry["product"], [product])

    def test_the_clients_registry_passes_through_as_text(self):
        text = (ROOT / "config/registry.toml").read_text()
        _, registry = self.files(merge(MINIMAL, at("registry.toml", text)))
        self.assertEqual(registry, tomllib.loads(text))

    def test_a_registry_that_exists_is_mounted(self):
        config, registry = self.files(CASES["ha"])
        self.assertIsNone(registry)
        self.assertEqual(config["registry"]["file"], "/etc/nexus-dirsync/registry/registry.toml")

    @unittest.skipUnless(daemon(), "the daemon is not built: cargo build")
    def test_the_daemon_takes_every_configuration(self):
        for case, values in CASES.items():
            with self.subTest(case), tempfile.TemporaryDirectory() as name:
                self.take(values, Path(name))

    def take(self, values: dict, folder: Path):
        objects = helm_4(values)
        data = [each["data"] for each in objects if each["kind"] == "ConfigMap"]
        for file, text in [pair for each in data for pair in each.items() if pair[0].endswith(".toml")]:
            (folder / file).write_text(text)
        if not (folder / "registry.toml").exists():
            (folder / "registry.toml").write_text((ROOT / "config/registry.toml").read_text())
        # What the pod mounts is not here; a file of the kind stands in for it.
        stand_in = folder / "file"
        stand_in.write_text("-")
        stand_in.chmod(0o440)
        config = tomllib.loads((folder / "config.toml").read_text())
        variables = {"PATH": os.environ["PATH"], "DIRSYNC__DATABASE__URL": f"sqlite://{folder}/test.db"}
        for key in config["identity"]:
            if key.endswith("_file"):
                variables[f"DIRSYNC__IDENTITY__{key.upper()}"] = str(stand_in)
        if config["identity"]["kind"] == "workload_identity":
            variables["AZURE_FEDERATED_TOKEN_FILE"] = str(stand_in)
        if "registry" in config:
            variables["DIRSYNC__REGISTRY__FILE"] = str(folder / "registry.toml")

        def run(*arguments):
            command = [daemon(), "--config", folder / "config.toml", *arguments]
            return subprocess.run(command, env=variables, capture_output=True, text=True)

        checked = run("migrate", "--check")
        self.assertEqual(checked.returncode, 1, checked.stderr)
        self.assertIn("there is no database at", checked.stderr)
        if "registry" in config:
            registry = run("registry", "check", folder / "registry.toml")
            # Configuration and file are taken; what comes next is a database that nobody has made.
            self.assertIn("there is no database at", registry.stderr)

    @unittest.skipUnless(daemon(), "the daemon is not built: cargo build")
    def test_the_migration_needs_what_its_container_has(self):
        for case in ("everything-on", "minimal"):
            [container] = one(helm_4(CASES[case]), "Job")["spec"]["template"]["spec"]["containers"]
            with self.subTest(case), tempfile.TemporaryDirectory() as folder:
                url = Path(folder) / "url"
                url.write_text(f"sqlite://{folder}/test.db")
                variables = {each["name"]: each["value"] for each in container["env"]}
                variables["DIRSYNC__DATABASE__URL_FILE"] = str(url)
                done = subprocess.run([daemon(), *container["args"]], env=variables, capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
