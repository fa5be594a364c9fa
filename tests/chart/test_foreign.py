"""Values of types that are Kubernetes' or the Prometheus operator's: a slip is refused by its
key, and nothing else is."""

import json
import unittest

import kubernetes_validate

import foreign
from chart import CASES, CHART, VERSIONS, at, containers, helm_3, helm_4, merge, pods, refusals
from test_render import is_custom

MINIMAL = CASES["minimal"]
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
OURS = SCHEMA | {"definitions": {name: inner for name, inner in SCHEMA["definitions"].items() if not foreign.is_foreign(name)}}
BOX = {"name": "box", "image": "box"}
ANTI = "affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution"
# The path of a value, what stands there, and the key that both Helms must name.
WRONG = [
    ("securityContext.readOnlyRootFileSystem", True, "readOnlyRootFileSystem"),
    ("securityContext.runAsNonRoot", "yes", "runAsNonRoot"),
    ("securityContext.capabilities.dropp", ["ALL"], "dropp"),
    ("podSecurityContext.runAsUsr", 1, "runAsUsr"),
    ("podSecurityContext.runAsUser", "root", "runAsUser"),
    ("podSecurityContext.seccompProfile", {"typ": "RuntimeDefault"}, "typ"),
    ("livenessProbe.periodSecond", 5, "periodSecond"),
    ("livenessProbe.httpGet.pth", "/livez", "pth"),
    ("livenessProbe", "off", "livenessProbe"),
    ("readinessProbe.timeoutSeconds", "6s", "timeoutSeconds"),
    ("startupProbe.failureThreshold", 1.5, "failureThreshold"),
    ("startupProbe.httpGet.port", 80.5, "port"),
    ("tolerations", [{"key": "a", "efect": "NoSchedule"}], "efect"),
    ("tolerations", [{"key": "a", "tolerationSeconds": "1m"}], "tolerationSeconds"),
    ("tolerations", ["a"], "tolerations"),
    ("affinity.nodeAfinity", {}, "nodeAfinity"),
    (ANTI, [{"weight": 1, "podAffinityTerm": {"topologykey": "a", "topologyKey": "a"}}], "topologykey"),
    (ANTI, [{"podAffinityTerm": {"topologyKey": "a"}}], "weight"),
    ("topologySpreadConstraints", [{"maxSkew": "1", "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}], "maxSkew"),
    ("topologySpreadConstraints", [{"maxSkew": 1, "topologyKey": "a"}], "whenUnsatisfiable"),
    ("resources.limit", {"memory": "1Gi"}, "limit"),
    ("resources.limits.memory", ["1Gi"], "memory"),
    ("migrations.resources.request", {}, "request"),
    ("strategy.rollingUpdate.maxSurges", 1, "maxSurges"),
    ("dnsConfig.nameserver", [], "nameserver"),
    ("dnsConfig.options", [{"name": "ndots", "value": 2}], "value"),
    ("extraEnv", [{"name": "A", "value": 1}], "value"),
    ("extraEnv", [{"value": "1"}], "name"),
    ("extraEnv", [{"name": "A", "valueFrom": {"secretKeyRef": {"nam": "a", "key": "b"}}}], "nam"),
    ("extraEnvFrom", [{"secretref": {"name": "a"}}], "secretref"),
    ("extraVolumes", [{"name": "a", "configmap": {"name": "a"}}], "configmap"),
    ("extraVolumes", [{"name": "a", "secret": {"secretname": "a"}}], "secretname"),
    ("extraVolumeMounts", [{"name": "a", "mountPath": "/a", "readonly": True}], "readonly"),
    ("extraVolumeMounts", [{"name": "a"}], "mountPath"),
    ("extraInitContainers", [{**BOX, "comand": ["a"]}], "comand"),
    ("extraContainers", [{**BOX, "ports": [{"containerPort": "80"}]}], "containerPort"),
    ("extraContainers", [{"image": "box"}], "name"),
    ("networkPolicy.scrapeFrom", [{"namespaceselector": {}}], "namespaceselector"),
    ("networkPolicy.dnsTo", [{"podSelector": {"matchLabel": {}}}], "matchLabel"),
    ("networkPolicy.databaseTo", [{"ipBlock": {"cdir": "192.0.2.0/24"}}], "cdir"),
    ("networkPolicy.httpsTo", [{"ipBlock": "192.0.2.0/24"}], "ipBlock"),
    ("networkPolicy.extraIngress", [{"to": []}], "to"),
    ("networkPolicy.extraEgress", [{"ports": [{"port": 80, "protcol": "TCP"}]}], "protcol"),
    ("serviceMonitor.relabelings", [{"targetLable": "a"}], "targetLable"),
    ("serviceMonitor.metricRelabelings", [{"sourceLabels": "a"}], "sourceLabels"),
    ("podMonitor.relabelings", [{"action": "remove"}], "action"),
    ("podMonitor.metricRelabelings", [{"modulus": "8"}], "modulus"),
]
# What must go on being taken, over the minimal values.
RIGHT = {
    "quantities are texts or numbers": at("resources", {"requests": {"cpu": 0.5, "memory": 1000000}, "limits": {"cpu": 2, "memory": "1Gi"}}),
    "ports are numbers or names": at("livenessProbe.httpGet.port", 8080),
    "another kind of probe": at("livenessProbe", {"httpGet": None, "tcpSocket": {"port": "http"}}),
    "another kind of probe, and nothing taken away": at("livenessProbe", {"tcpSocket": {"port": "http"}}),
    "no user of the chart's, as on OpenShift": at("podSecurityContext", {"runAsUser": None, "runAsGroup": None, "fsGroup": None}),
    "nothing dropped": at("securityContext.capabilities", None),
    "no limits": at("resources.limits", None),
    "null in a list": {"extraEnv": [{"name": "A", "value": None, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
    "shares of pods": at("strategy.rollingUpdate", {"maxSurge": "25%", "maxUnavailable": 0}),
    "what older ones had": {"extraVolumes": [{"name": "a", "gitRepo": {"repository": "a"}}], "extraVolumeMounts": [{"name": "a", "mountPath": "/a"}]},
    "a volume with a claim in it": {
        "extraVolumes": [
            {
                "name": "a",
                "ephemeral": {
                    "volumeClaimTemplate": {
                        "metadata": {"labels": {"a": "b"}},
                        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                    }
                },
            }
        ],
        "extraVolumeMounts": [{"name": "a", "mountPath": "/a", "subPath": "b", "mountPropagation": "None"}],
    },
    "a container with everything": {
        "extraContainers": [
            {
                **BOX,
                "lifecycle": {"preStop": {"exec": {"command": ["a"]}}},
                "livenessProbe": {"grpc": {"port": 1}},
                "env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": 1}}}],
                "ports": [{"containerPort": 1, "name": "a"}],
                "resources": {"limits": {"example.com/gpu": 1}},
            }
        ]
    },
    "pods apart": at(
        ANTI, [{"weight": 1, "podAffinityTerm": {"topologyKey": "a", "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}}]
    ),
    "peers and ports": {
        "networkPolicy": {
            "enabled": True,
            "scrapeFrom": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"a": "b"}}}],
            "extraEgress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": [{"port": "a", "protocol": "TCP"}, {"port": 1, "endPort": 2}]}],
        }
    },
    "relabelings": {
        "serviceMonitor": {
            "enabled": True,
            "relabelings": [{"action": "hashmod", "modulus": 8, "sourceLabels": ["a"], "targetLabel": "b"}],
            "metricRelabelings": [{"action": "LabelDrop", "regex": "a", "separator": None}],
        }
    },
}


class Slips(unittest.TestCase):
    def test_each_is_refused_by_its_key(self):
        for path, value, key in WRONG:
            with self.subTest(path, value=value):
                for told in refusals(merge(MINIMAL, at(path, value))):
                    self.assertRegex(told, rf"\b{key}\b")

    def test_whatever_is_right_is_taken(self):
        for what, over in RIGHT.items():
            with self.subTest(what):
                helm_3(merge(MINIMAL, over))
                for one in helm_4(merge(MINIMAL, over)):
                    if not is_custom(one):
                        kubernetes_validate.validate(one, foreign.NEWEST, strict=True)

    def test_null_takes_away_what_the_chart_sets(self):
        pod = pods(helm_4(merge(MINIMAL, RIGHT["no user of the chart's, as on OpenShift"])))["daemon"]
        self.assertEqual(pod["spec"]["securityContext"].keys(), {"runAsNonRoot", "fsGroupChangePolicy", "seccompProfile"})
        [daemon] = containers(pods(helm_4(merge(MINIMAL, RIGHT["another kind of probe"])))["daemon"])
        self.assertEqual(daemon["livenessProbe"]["tcpSocket"], {"port": "http"})
        self.assertNotIn("httpGet", daemon["livenessProbe"])


class Definitions(unittest.TestCase):
    def test_nothing_is_left_open_by_accident(self):
        # A map of the operator's or of Kubernetes', or an object of any kind.
        free = {"global", "extraObjects[]", "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1"}

        def open_ones(schema: dict, path: str):
            if "object" in schema.get("type", []) and "allOf" not in schema:
                if schema.get("additionalProperties", True) is True and path not in free:
                    yield path
            for key, inner in schema.get("properties", {}).items():
                yield from open_ones(inner, f"{path}.{key}".lstrip("."))
            if "items" in schema:
                yield from open_ones(schema["items"], f"{path}[]")

        for name, part in [("", SCHEMA), *SCHEMA["definitions"].items()]:
            self.assertEqual(list(open_ones(part, name)), [])

    def test_the_newest_knows_every_key_of_the_others(self):
        newest = foreign.definitions(OURS)
        for version in VERSIONS:
            for name, older in foreign.definitions(OURS, version).items():
                with self.subTest(name, version=version):
                    self.assertLessEqual(older.get("properties", {}).keys(), newest[name].get("properties", {}).keys())
                    self.assertLessEqual(set(newest[name].get("required", [])), set(older.get("required", [])))

    def test_only_what_is_named_is_there(self):
        wanted = foreign.definitions(OURS)
        self.assertEqual(SCHEMA["definitions"].keys() - OURS["definitions"].keys(), wanted.keys())
        self.assertNotIn("description", json.dumps(wanted))


if __name__ == "__main__":
    unittest.main()
