"""Values of types that are Kubernetes' or the Prometheus operator's: a slip is refused by its
key, and nothing else is."""

import json
import re
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
# What the API server refuses by itself, beside the nearest that it takes: the path, both, and
# what both Helms must name.
LONG = f"{'a' * 63}.{'a' * 63}.{'a' * 63}.{'a' * 61}"
MAPS = [
    *("nodeSelector", "commonLabels", "podLabels", "service.labels", "commonAnnotations", "podAnnotations", "deploymentAnnotations"),
    *("migrations.podLabels", "migrations.podAnnotations", "serviceAccount.annotations", "serviceMonitor.labels", "dashboard.annotations"),
]
EDGES = [
    *((path, {wrong: "a"}, {right: "a"}, wrong) for path in MAPS for wrong, right in [("a/b/c", "a.b/c"), ("bad key!", "bad-key_1.x")]),
    *(
        ("podLabels", {wrong: "a"}, {right: "a"}, wrong)
        for wrong, right in [
            ("/a", "a"),
            ("a/", "a/a"),
            ("A.b/c", "a.b/C"),
            ("a..b/c", "a-b.c/d"),
            ("a_b/c", "app.kubernetes.io/a_b"),
            ("-a", "a-b"),
            ("a" * 64, "a" * 63),
            (f"{LONG}a/b", f"{LONG}/{'b' * 63}"),
        ]
    ),
    ("podLabels", {"a": "b" * 64}, {"a": "b" * 63}, "a"),
    ("podLabels", {"a": "b-"}, {"a": "", "b": "B_c.d-e"}, "a"),
    ("podAnnotations", {"Exa_mple.com/a": "b"}, {"Example.com/A": "any text, {} and\nall " * 9}, "Exa_mple.com/a"),
    ("extraEnv", [{"name": "A=B"}], [{"name": "a.b-c_D1"}], "name"),
    ("extraEnv", [{"name": ""}], [{"name": "_"}], "name"),
    ("extraEnv", [{"name": "A\nB"}], [{"name": ".a"}], "name"),
    ("extraEnvFrom", [{"prefix": "A=", "secretRef": {"name": "a"}}], [{"prefix": "A_", "secretRef": {"name": "a"}}, {"prefix": ""}], "prefix"),
    *(
        ("extraVolumes", [{"name": wrong, "emptyDir": {}}], [{"name": right, "emptyDir": {}}], "name")
        for wrong, right in [("Bad_Name", "good-name"), ("a.b", "1a"), ("a-", "a-1"), ("", "a"), ("a" * 64, "a" * 63)]
    ),
    *(
        (path, [{**BOX, "name": wrong}], [{**BOX, "name": right}], "name")
        for path in ("extraContainers", "extraInitContainers")
        for wrong, right in [("Bad_Name", "good-name"), ("a.b", "1a"), ("a" * 64, "a" * 63)]
    ),
    *(
        ("extraContainers", [{**BOX, "ports": [{"containerPort": 1, key: wrong}]}], [{**BOX, "ports": [{"containerPort": 1, key: right}]}], key)
        for key, wrong, right in [
            *[("containerPort", 0, 1), ("containerPort", 99999, 65535), ("hostPort", -1, 0), ("hostPort", 65536, 65535)],
            *[("name", "1-2", "1-a2"), ("name", "a--b", "a-b"), ("name", "Http", "http"), ("name", "a" * 16, "a" * 15)],
        ]
    ),
    *(
        ("livenessProbe.httpGet.port", wrong, right, "port")
        for wrong, right in [(0, 1), (65536, 65535), ("8080", "http-8080"), ("", "h"), ("a_b", "a-b-c"), ("-a", "8080-a")]
    ),
    ("livenessProbe", {"tcpSocket": {"port": -1}}, {"tcpSocket": {"port": "http"}}, "port"),
    ("livenessProbe", {"grpc": {"port": 65536}}, {"grpc": {"port": 65535}}, "port"),
    *(
        (f"{probe}.{key}", -1, right, key)
        for probe in ("livenessProbe", "readinessProbe", "startupProbe")
        for key in ("timeoutSeconds", "periodSeconds", "initialDelaySeconds", "failureThreshold", "successThreshold")
        # Zero means the default.
        for right in (0, 1)
    ),
    ("livenessProbe.terminationGracePeriodSeconds", 0, 1, "terminationGracePeriodSeconds"),
    ("extraContainers", [{**BOX, "readinessProbe": {"timeoutSeconds": -1}}], [{**BOX, "readinessProbe": {"timeoutSeconds": 9}}], "timeoutSeconds"),
    *((f"podSecurityContext.{key}", -1, 1, key) for key in ("runAsUser", "runAsGroup", "fsGroup")),
    ("podSecurityContext.runAsUser", 2147483648, 2147483647, "runAsUser"),
    ("podSecurityContext.supplementalGroups", [-1], [0], "supplementalGroups"),
    ("securityContext.runAsUser", -1, 1000, "runAsUser"),
    *(
        ("resources.limits.memory", wrong, right, "memory")
        for wrong, right in [("-1Gi", "1.5Gi"), (-1, 1e9), ("1 Gi", " 1Gi "), ("1GB", "1G"), ("many", "1000000k"), ("1.2.3Gi", "+512Mi"), ("1e3Mi", "1e9")]
    ),
    ("resources.limits.cpu", "2 cores", "2500m", "cpu"),
    ("extraVolumes", [{"name": "a", "emptyDir": {"sizeLimit": "-1Mi"}}], [{"name": "a", "emptyDir": {"sizeLimit": "500Mi"}}], "sizeLimit"),
    ("extraVolumes", [{"name": "a", "secret": {"secretName": "a", "defaultMode": 512}}], [{"name": "a", "secret": {"secretName": "a", "defaultMode": 0o777}}], "defaultMode"),
    ("tolerations", [{"key": "a/b/c", "operator": "Exists"}], [{"key": "a.b/c", "operator": "Exists"}, {"key": "", "operator": "Exists"}], "key"),
    *(
        ("topologySpreadConstraints", [spread | {key: wrong}], [spread | {key: right}], key)
        for spread in [{"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}]
        for key, wrong, right in [("maxSkew", 0, 1), ("minDomains", 0, 1), ("topologyKey", "a/b/c", "topology.kubernetes.io/zone")]
    ),
    *(
        (ANTI, [{"weight": wrong, "podAffinityTerm": {"topologyKey": "a"}}], [{"weight": right, "podAffinityTerm": {"topologyKey": "a"}}], "weight")
        for wrong, right in [(0, 1), (101, 100)]
    ),
    (ANTI, [{"weight": 1, "podAffinityTerm": {"topologyKey": ""}}], [{"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname"}}], "topologyKey"),
    ("networkPolicy.scrapeFrom", [{"podSelector": {"matchLabels": {"a/b/c": "d"}}}], [{"podSelector": {"matchLabels": {"a.b/c": "d"}}}], "a/b/c"),
    ("networkPolicy.dnsTo", [{"podSelector": {"matchLabels": {"a": "b c"}}}], [{"podSelector": {"matchLabels": {"a": ""}}}], "matchLabels"),
    (
        "networkPolicy.databaseTo",
        [{"podSelector": {"matchExpressions": [{"key": "a b", "operator": "Exists"}]}}],
        [{"podSelector": {"matchExpressions": [{"key": "a/b", "operator": "Exists"}]}}],
        "key",
    ),
    ("networkPolicy.extraEgress", [{"ports": [{"port": 65536}]}], [{"ports": [{"port": 65535}, {"port": "https"}, {"port": None}]}], "port"),
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

    def take(self, over: dict):
        helm_3(merge(MINIMAL, over))
        for one in helm_4(merge(MINIMAL, over)):
            if not is_custom(one):
                kubernetes_validate.validate(one, foreign.NEWEST, strict=True)

    def test_whatever_is_right_is_taken(self):
        for what, over in RIGHT.items():
            with self.subTest(what):
                self.take(over)

    def test_what_the_api_server_refuses_is_refused_and_its_neighbour_taken(self):
        for path, wrong, right, key in EDGES:
            with self.subTest(path, value=wrong):
                for told in refusals(merge(MINIMAL, at(path, wrong))):
                    self.assertIn("don't meet the specifications of the schema", told)
                    self.assertRegex(told, rf"(?<!\w){re.escape(key)}(?!\w)")
            with self.subTest(path, value=right):
                self.take(at(path, right))

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

    def test_nothing_is_bounded_that_is_not_there(self):
        for name, keys in foreign.BOUNDS.items():
            self.assertIn(name, SCHEMA["definitions"])
            self.assertLessEqual(keys.keys() - {""}, SCHEMA["definitions"][name].get("properties", {}).keys(), name)

    def test_only_what_is_named_is_there(self):
        wanted = foreign.definitions(OURS)
        self.assertEqual(SCHEMA["definitions"].keys() - OURS["definitions"].keys(), wanted.keys())
        self.assertNotIn("description", json.dumps(wanted))


if __name__ == "__main__":
    unittest.main()
