#!/usr/bin/env python3
"""Runs every query of the Grafana dashboard on a real Prometheus, as its panels would.

    dashboard.py URL [DASHBOARD.json] [--namespace NAME] [--job NAME] [--seconds N]

Fails if a query is an error, or has no value at all and its panel is not in
dashboard_empty.txt. Namespace and job are those of the scraped daemon unless given.
Needs Python alone.
"""

import argparse
import json
import math
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
DASHBOARD = HERE.parents[1] / "charts/nexus-dirsync/dashboards/nexus-dirsync.json"
STEP_SECONDS = 5


def panels(of: list[dict]):
    for panel in of:
        yield panel
        yield from panels(panel.get("panels", []))


def may_be_empty() -> dict[str, str]:
    """Panels by title, each with the reason why it may be."""
    lines = (HERE / "dashboard_empty.txt").read_text().splitlines()
    pairs = [line.split(" # ", 1) for line in lines if line.strip() and not line.startswith("#")]
    return {title.strip(): reason for title, reason in pairs}


def fill(expression: str, variables: dict[str, str]) -> str:
    """The query as Grafana sends it. Longest names first: one may begin another."""
    for name in sorted(variables, key=len, reverse=True):
        expression = expression.replace(f"${{{name}}}", variables[name]).replace(f"${name}", variables[name])
    return expression


def ask(base: str, path: str, **parameters: object) -> dict:
    url = f"{base.rstrip('/')}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def scraped(base: str) -> dict[str, str]:
    """Labels of a daemon that this Prometheus has scraped."""
    found = ask(base, "query", query="dirsync_build_info")["data"]["result"]
    if not found:
        sys.exit("dashboard.py: this Prometheus has no dirsync_build_info: it scraped no daemon")
    return found[0]["metric"]


def has_values(result: list[dict]) -> bool:
    return any(not math.isnan(float(value)) for series in result for _, value in series["values"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("dashboard", nargs="?", type=Path, default=DASHBOARD)
    parser.add_argument("--namespace")
    parser.add_argument("--job")
    parser.add_argument("--seconds", type=int, default=120, help="how far back to look")
    arguments = parser.parse_args()
    labels = scraped(arguments.url)
    variables = {
        "namespace": labels.get("namespace", "") if arguments.namespace is None else arguments.namespace,
        "job": labels.get("job", "") if arguments.job is None else arguments.job,
        "__rate_interval": "30s",
        "__interval": f"{STEP_SECONDS}s",
        "__range": f"{arguments.seconds}s",
    }
    allowed = may_be_empty()
    seen, bad = set(), 0
    for panel in panels(json.loads(arguments.dashboard.read_text())["panels"]):
        seen.add(panel["title"])
        for target in panel.get("targets", []):
            query = fill(target["expr"], variables)
            end = time.time()
            answer = ask(arguments.url, "query_range", query=query, start=end - arguments.seconds, end=end, step=STEP_SECONDS)
            if answer["status"] != "success":
                word, detail = "ERROR", answer["error"]
            elif has_values(answer["data"]["result"]):
                word, detail = "ok", f"{len(answer['data']['result'])} series"
            elif panel["title"] in allowed:
                word, detail = "empty", allowed[panel["title"]]
            else:
                word, detail = "EMPTY", query
            bad += word.isupper()
            print(f"{word:<6}{panel['title']}: {detail}")
    for title in sorted(allowed.keys() - seen):
        bad += 1
        print(f"STALE {title}: in dashboard_empty.txt, and no panel of the dashboard")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
