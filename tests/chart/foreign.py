"""Types that others own, as JSON Schema: Kubernetes' own and the Prometheus operator's.

Values of such a type are passed on as they are. values.schema.json holds these types as far
as values reach them, so that a misspelt key is refused before anything is installed: the API
server would drop it in silence.
"""

import functools
import json
import re
from pathlib import Path

import kubernetes_validate

from chart import TOOLS, VERSIONS

# The newest knows every key of the older ones; test_values.py holds that.
NEWEST = VERSIONS[-1]
OPERATOR = TOOLS / "node_modules/@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1"
# The operator's types by the names under which an API server publishes them.
CUSTOM = "com.coreos.monitoring.v1."
KEPT = ("type", "required", "properties", "items", "additionalProperties")

WORD = "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
LETTERS = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"


def qualified(letters: str) -> dict:
    """A name that may have a domain before it, of 253 characters at most."""
    return {"pattern": rf"^({letters}(\.{letters})*/)?{WORD}$", "not": {"pattern": "^[^/]{254}"}}


LABEL = qualified(LETTERS)
# An API server takes capitals before the slash here, and here alone.
ANNOTATION = qualified(LETTERS.replace("a-z", "A-Za-z"))
LABEL_VALUE = {"pattern": f"^({WORD})?$"}
# Maps that are the operator's own, by the names of our definitions.
MAPS = {
    "labels": {"type": "object", "propertyNames": LABEL, "additionalProperties": {"type": "string"} | LABEL_VALUE},
    "annotations": {"type": "object", "propertyNames": ANNOTATION, "additionalProperties": {"type": "string"}},
}

DNS_LABEL = {"pattern": f"^{LETTERS}$", "maxLength": 63}
# One letter at least, and no two hyphens in a row.
PORT_NAME = "([0-9]+-)*[0-9]*[a-z][a-z0-9]*(-[a-z0-9]+)*"
PORT = {"minimum": 1, "maximum": 65535}
ID = {"minimum": 0, "maximum": 2**31 - 1}
MODE = {"minimum": 0, "maximum": 0o777}
NOT_NEGATIVE, POSITIVE, PERCENT = {"minimum": 0}, {"minimum": 1}, {"minimum": 1, "maximum": 100}
# By type and key; under no key what holds for the type itself.
BOUNDS = {
    "io.k8s.api.core.v1.ConfigMapVolumeSource": {"defaultMode": MODE},
    "io.k8s.api.core.v1.Container": {"name": DNS_LABEL},
    "io.k8s.api.core.v1.ContainerPort": {
        "containerPort": PORT,
        "hostPort": PORT | NOT_NEGATIVE,
        "name": {"pattern": f"^({PORT_NAME})?$", "maxLength": 15},
    },
    "io.k8s.api.core.v1.DownwardAPIVolumeFile": {"mode": MODE},
    "io.k8s.api.core.v1.DownwardAPIVolumeSource": {"defaultMode": MODE},
    "io.k8s.api.core.v1.EnvFromSource": {"prefix": {"pattern": "^[ -<>-~]*$"}},
    "io.k8s.api.core.v1.EnvVar": {"name": {"pattern": "^[ -<>-~]+$"}},
    "io.k8s.api.core.v1.GRPCAction": {"port": PORT},
    "io.k8s.api.core.v1.KeyToPath": {"mode": MODE},
    "io.k8s.api.core.v1.NodeSelectorRequirement": {"key": LABEL},
    "io.k8s.api.core.v1.PodAffinityTerm": {"topologyKey": LABEL},
    "io.k8s.api.core.v1.PodSecurityContext": {
        "fsGroup": ID,
        "runAsGroup": ID,
        "runAsUser": ID,
        "supplementalGroups": {"items": {"type": ["integer", "null"]} | ID},
    },
    "io.k8s.api.core.v1.PreferredSchedulingTerm": {"weight": PERCENT},
    # Zero means the default.
    "io.k8s.api.core.v1.Probe": {
        "failureThreshold": NOT_NEGATIVE,
        "initialDelaySeconds": NOT_NEGATIVE,
        "periodSeconds": NOT_NEGATIVE,
        "successThreshold": NOT_NEGATIVE,
        "terminationGracePeriodSeconds": POSITIVE,
        "timeoutSeconds": NOT_NEGATIVE,
    },
    "io.k8s.api.core.v1.ProjectedVolumeSource": {"defaultMode": MODE},
    "io.k8s.api.core.v1.SecretVolumeSource": {"defaultMode": MODE},
    "io.k8s.api.core.v1.SecurityContext": {"runAsGroup": ID, "runAsUser": ID},
    "io.k8s.api.core.v1.ServiceAccountTokenProjection": {"expirationSeconds": {"minimum": 600, "maximum": 2**32}},
    "io.k8s.api.core.v1.Toleration": {"key": LABEL | {"pattern": LABEL["pattern"].replace("^", "^(").replace("$", ")?$")}},
    "io.k8s.api.core.v1.TopologySpreadConstraint": {"maxSkew": POSITIVE, "minDomains": POSITIVE, "topologyKey": LABEL},
    "io.k8s.api.core.v1.Volume": {"name": DNS_LABEL},
    "io.k8s.api.core.v1.WeightedPodAffinityTerm": {"weight": PERCENT},
    "io.k8s.api.networking.v1.NetworkPolicyPort": {"endPort": PORT},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {
        "": {"minimum": 0, "pattern": r"^\s*(\+?([0-9]+\.?[0-9]*|\.[0-9]+)(n|u|m|k|[KMGTPE]i|[MGTPE]|[eE][+-]?[0-9]+)?|-0+)\s*$"}
    },
    "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector": {
        "matchLabels": {"propertyNames": LABEL, "additionalProperties": {"type": ["string", "null"]} | LABEL_VALUE}
    },
    "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement": {"key": LABEL},
    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": {
        "annotations": {"propertyNames": ANNOTATION},
        "labels": {"propertyNames": LABEL, "additionalProperties": {"type": ["string", "null"]} | LABEL_VALUE},
    },
    # Where values reach it, it is a port or its name.
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"": PORT | {"pattern": f"^{PORT_NAME}$", "maxLength": 15}},
}


@functools.cache
def published(version: str) -> dict[str, dict]:
    """Kubernetes' definitions in one version, by name; strict, and null where it is taken."""
    folder = Path(kubernetes_validate.__file__).parent / f"kubernetes-json-schema/v{version}.0-local-strict"
    return json.loads((folder / "_definitions.json").read_text())["$defs"]


def is_foreign(name: str) -> bool:
    """Names of ours have no dots."""
    return "." in name


def pruned(schema: dict) -> dict:
    """A published schema without what only people and code generators read."""
    if "$ref" in schema:
        return {"$ref": "#/definitions/" + schema["$ref"].rsplit("/", 1)[1]}
    if "oneOf" in schema:
        # A text or a number, each or null: null would be both, and so be refused.
        return {"type": sorted({word for choice in schema["oneOf"] for word in choice["type"]})}
    kept = {key: schema[key] for key in KEPT if key in schema}
    if "properties" in kept:
        kept["properties"] = {key: pruned(inner) for key, inner in kept["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(kept.get(key), dict):
            kept[key] = pruned(kept[key])
    return kept


def bounded(name: str, schema: dict) -> dict:
    """A definition with what is checked beyond the published schema."""
    for key, bounds in BOUNDS.get(name, {}).items():
        part = schema["properties"].get(key) if key else schema
        # An older version may lack the key.
        if part is not None:
            part |= bounds
    return schema


def custom(kind: str) -> dict:
    """One of the operator's types, read from its declaration in TypeScript."""
    text = (OPERATOR / f"{kind}.d.ts").read_text()
    [body] = re.findall(rf"^export interface I{kind} \{{\n(.*?)^\}}", text, re.M | re.S)
    keys = re.findall(r'^    "(\w+)"(\??): (.+);$', body, re.M)
    schema = {"type": ["object", "null"], "additionalProperties": False, "properties": {}}
    for key, optional, written in keys:
        schema["properties"][key] = declared(f"{kind}.{key}", written)
        if not optional:
            schema.setdefault("required", []).append(key)
    return schema


def declared(path: str, written: str) -> dict:
    if words := re.findall(r'"(\w+)"', written):
        return {"enum": [*words, None]}
    match written:
        case "string":
            return {"type": ["string", "null"]}
        # TypeScript has one kind of number; the operator's are whole.
        case "number":
            return {"type": ["integer", "null"]}
        case str() if re.fullmatch(r"Array<I\w+LabelName>", written):
            return {"type": ["array", "null"], "items": {"type": "string"}}
    raise SystemExit(f"foreign.py: {path}: no schema for {written}")


def named(schema: object) -> set[str]:
    """The foreign definitions that a schema names."""
    found = re.findall(r'"#/definitions/([^"]+)"', json.dumps(schema))
    return {name for name in found if is_foreign(name)}


def definitions(schema: object, version: str = NEWEST) -> dict[str, dict]:
    """What a schema names, and what that names, by name and sorted."""
    known: dict[str, dict] = {}
    wanted = named(schema)
    while wanted:
        name = wanted.pop()
        if name.startswith(CUSTOM):
            known[name] = custom(name.removeprefix(CUSTOM))
        else:
            known[name] = bounded(name, pruned(published(version)[name]))
        wanted |= named(known[name]) - known.keys()
    return dict(sorted(known.items()))
