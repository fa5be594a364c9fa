"""Which metrics there are: the golden file that the daemon's own tests hold."""

import re
from pathlib import Path

from chart import ROOT

GOLDEN = ROOT / "tests/golden/metrics.txt"

METRIC = re.compile(r"^(dirsync_[a-z_]+)(?:\{([^}]*)\})?$")
USED = re.compile(r"\b(dirsync_[a-z_]+)\s*(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
# Labels that come with the scrape.
OF_TARGETS = {"namespace", "job", "instance", "pod"}
# What values or variables fill in.
FREE = {"le"}


def declared(paths: tuple[Path, ...] = (GOLDEN,)) -> dict[str, dict[str, set[str]]]:
    """Labels and their values by metric; a label without known values has none."""
    known: dict[str, dict[str, set[str]]] = {}
    for path in paths:
        for line in path.read_text().splitlines():
            if not (found := METRIC.match(line)):
                continue
            labels = known.setdefault(found[1], {})
            for label in filter(None, (found[2] or "").split(",")):
                name, _, value = label.partition("=")
                labels.setdefault(name, set()).update({value.strip('"')} - {""})
    return known


def wrong(query: str) -> list[str]:
    """What a query asks for that nobody declares."""
    known, problems = declared(), []
    for metric, matchers in USED.findall(query):
        if metric not in known:
            problems.append(f"no metric {metric}")
            continue
        for label, operator, value in MATCHER.findall(matchers):
            values = known[metric].get(label)
            if label in OF_TARGETS:
                continue
            if values is None:
                problems.append(f"{metric} has no label {label}")
            elif label not in FREE:
                asked = set(value.split("|")) if "~" in operator else {value}
                problems += [f'{metric} has no {label}="{one}"' for one in sorted(asked - values)]
    return problems
