#!/usr/bin/env python3
"""Makes what follows from other files: the chart's README.md from the comments in values.yaml
and the keys in src/config.rs, and in values.schema.json `config` from config/default.toml and
src/config, `required` from the keys of values.yaml, the findings that may page from
tests/golden/metrics.txt, and the definitions of labels, annotations and types that are not
ours from foreign.py.

    generate.py            writes both
    generate.py --check    says what is stale, and fails
"""

import json
import re
import sys
import tomllib
from pathlib import Path

import yaml

import foreign
import forms
import metrics

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/nexus-dirsync"
DEFAULTS = ROOT / "config/default.toml"

# Keys that other values of the chart decide, or that are secrets and belong into one.
DECIDED = {
    "database.url",
    "database.url_file",
    "identity.*",
    "registry.*",
    "http.listen",
}


def is_decided(section: str, key: str) -> bool:
    return f"{section}.{key}" in DECIDED or f"{section}.*" in DECIDED


def config_schema() -> dict:
    sections = {}
    for section, keys in tomllib.loads(DEFAULTS.read_text()).items():
        left = [key for key in keys if not is_decided(section, key)]
        if lacking := [key for key in left if f"{section}.{key}" not in forms.FORMS]:
            raise SystemExit(f"generate.py: src/config names no form that is known for {lacking} of [{section}]")
        known = {key: forms.FORMS[f"{section}.{key}"] for key in left}
        if known:
            sections[section] = {"type": "object", "additionalProperties": False, "properties": known}
    return {"type": "object", "additionalProperties": False, "properties": sections}


def is_nullable(schema: dict) -> bool:
    """A type of others takes null wherever it is named alone, without `type` beside it."""
    return "null" in schema.get("type", []) or bool(foreign.named(schema.get("$ref", "")))


def require(schema: dict, values: dict):
    """Every key with a default must be there: Helm takes one out that is set to null, and
    templates would go on without it. Maps that are the operator's own are left alone."""
    properties = schema.get("properties", {})
    if not properties or not values:
        return
    schema["required"] = [key for key in values if not is_nullable(properties[key])]
    for key, default in values.items():
        if isinstance(default, dict):
            require(properties[key], default)


def define(schema: dict):
    """Replaces the definitions of the daemon's forms, of labels and annotations, and of types
    that are not ours by those that are named now."""
    ours = {name: inner for name, inner in schema["definitions"].items() if not foreign.is_foreign(name)}
    schema["definitions"] = ours | forms.DEFINITIONS | foreign.MAPS
    schema["definitions"] |= foreign.definitions(schema)


def write(schema: dict) -> str:
    """As text: what people write is indented, and a type that is not ours is one line."""
    lines = {f"@{name}": inner for name, inner in schema["definitions"].items() if foreign.is_foreign(name)}
    ours = {name: inner for name, inner in schema["definitions"].items() if not foreign.is_foreign(name)}
    marked = schema | {"definitions": ours | {mark[1:]: mark for mark in lines}}
    text = json.dumps(marked, indent=2, ensure_ascii=False)
    for mark, inner in lines.items():
        text = text.replace(json.dumps(mark), json.dumps(inner, separators=(",", ":")))
    return text + "\n"


def schema() -> str:
    whole = json.loads((CHART / "values.schema.json").read_text())
    whole["properties"]["config"] = config_schema()
    findings = sorted(metrics.declared()["dirsync_findings"]["kind"])
    whole["properties"]["prometheusRule"]["properties"]["criticalFindings"]["items"] = {"enum": findings}
    require(whole, yaml.safe_load((CHART / "values.yaml").read_text()))
    define(whole)
    return write(whole)


def documented() -> tuple[dict[str, list[str]], dict[str, str]]:
    """Paths by heading, and what each means: the comments `# --` of values.yaml."""
    headings: dict[str, list[str]] = {}
    meaning: dict[str, str] = {}
    current, comment, stack = "", "", []
    for line in (CHART / "values.yaml").read_text().splitlines():
        if heading := re.match(r"^# == (.*)$", line):
            current = heading[1]
            headings[current] = []
        elif said := re.match(r"^ *# -- (.*)$", line):
            comment = said[1]
        elif key := re.match(r"^( *)([A-Za-z]\w*):", line):
            depth = len(key[1]) // 2
            stack[depth:] = [key[2]]
            if comment:
                path = ".".join(stack)
                headings[current].append(path)
                meaning[path] = comment
                comment = ""
    return headings, meaning


def leaves(values: object, path: str = "") -> list[str]:
    if not isinstance(values, dict) or not values:
        return [path]
    return [leaf for key, value in values.items() for leaf in leaves(value, f"{path}.{key}".lstrip("."))]


def lookup(values: dict, path: str) -> object:
    for part in path.split("."):
        values = values[part]
    return values


def table() -> str:
    headings, meaning = documented()
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for leaf in leaves(values):
        if not any(leaf == path or leaf.startswith(f"{path}.") for path in meaning):
            raise SystemExit(f"generate.py: values.yaml says nothing about {leaf}: write a comment '# --' above it")
    lines = []
    for heading, paths in headings.items():
        lines += [f"### {heading}", "", "| value | default | meaning |", "|---|---|---|"]
        for path in paths:
            default = json.dumps(lookup(values, path), ensure_ascii=False).replace("|", "\\|")
            lines.append(f"| `{path}` | `{default}` | {meaning[path].replace('|', chr(92) + '|')} |")
        lines.append("")
    return "\n".join(lines)


def restart_keys() -> str:
    """What a running daemon does not take over, as `Config::restart_needed` names it."""
    keys = re.findall(r'^ +\("([a-z_.]+)", ', (ROOT / "src/config.rs").read_text(), re.M)
    if not keys:
        raise SystemExit("generate.py: src/config.rs names no key that takes a restart")
    return ", ".join(f"`{key}`" if "." in key else f"`{key}.*`" for key in keys)


def readme() -> str:
    text = (CHART / "README.md.in").read_text()
    text = text.replace("@RESTART_KEYS@", restart_keys()).replace("@KUBERNETES@", foreign.NEWEST)
    text = text.replace("@VERSION@", yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"])
    return text.replace("@VALUES@\n", table())


def main() -> int:
    wanted = {CHART / "README.md": readme(), CHART / "values.schema.json": schema()}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run tests/chart/generate.py and commit it")
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted[path])
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
