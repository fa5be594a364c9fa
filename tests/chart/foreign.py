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
            known[name] = pruned(published(version)[name])
        wanted |= named(known[name]) - known.keys()
    return dict(sorted(known.items()))
