"""The dashboard is one that Grafana takes. That its panels show something is for dashboard.py."""

import itertools
import json
import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

import dashboard
import metrics
from chart import CASES, helm_4, one

ROWS = ["Overview", "Access changes", "Guard and plans", "Microsoft Graph", "Database and replicas", "Findings"]
BOARD = json.loads(dashboard.DASHBOARD.read_text())
PANELS = list(dashboard.panels(BOARD["panels"]))
CHARTS = [panel for panel in PANELS if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in CHARTS for target in panel["targets"]]
VARIABLES = {"namespace": "nexus", "job": "nexus-dirsync", "__rate_interval": "2m", "__interval": "1m", "__range": "1h"}


def lost(before: object, after: object, path: str = "") -> list[str]:
    """Keys that Grafana's model does not know."""
    if isinstance(before, dict):
        gone = [f"{path}.{key}" for key in before if not isinstance(after, dict) or key not in after]
        kept = before.keys() & after.keys() if isinstance(after, dict) else ()
        return gone + [each for key in kept for each in lost(before[key], after[key], f"{path}.{key}")]
    if isinstance(before, list):
        pairs = itertools.zip_longest(before, after if isinstance(after, list) else [])
        return [each for number, (old, new) in enumerate(pairs) for each in lost(old, new, f"{path}[{number}]")]
    return []


class Form(unittest.TestCase):
    def test_grafanas_model_knows_every_key(self):
        register_default_plugins()
        again = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(BOARD)))
        self.assertEqual(lost(BOARD, again), [])

    def test_rows_are_in_the_order_in_which_people_look(self):
        self.assertEqual([panel["title"] for panel in PANELS if panel["type"] == "row"], ROWS)

    def test_panels_do_not_overlap_and_fit_the_grid(self):
        taken = set()
        for panel in PANELS:
            at = panel["gridPos"]
            cells = set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
            self.assertLessEqual(at["x"] + at["w"], 24, panel["title"])
            self.assertFalse(cells & taken, panel["title"])
            taken |= cells

    def test_every_panel_says_what_it_shows(self):
        for key in ("id", "title"):
            found = [panel[key] for panel in PANELS]
            self.assertEqual(len(found), len(set(found)), key)
        for panel in CHARTS:
            with self.subTest(panel["title"]):
                self.assertTrue(panel["description"].endswith("."))
                self.assertEqual(panel["datasource"], {"type": "prometheus", "uid": "${datasource}"})
                self.assertTrue(panel["fieldConfig"]["defaults"]["unit"])
                references = [target["refId"] for target in panel["targets"]]
                self.assertEqual(len(references), len(set(references)))

    def test_every_query_asks_for_one_release(self):
        for title, query in QUERIES:
            with self.subTest(title):
                for _, matchers in metrics.USED.findall(query):
                    self.assertTrue(matchers.startswith('namespace="$namespace",job="$job"'), query)

    def test_every_query_asks_for_what_the_daemon_has(self):
        for title, query in QUERIES:
            with self.subTest(title):
                self.assertEqual(metrics.wrong(query), [])

    def test_prometheus_understands_every_query(self):
        rules = [
            {"record": f"panel:{number}", "expr": dashboard.fill(query, VARIABLES)}
            for number, (_, query) in enumerate(QUERIES)
        ]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "rules.yml"
            file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
            done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertFalse([rule["expr"] for rule in rules if "$" in rule["expr"]], "a variable that nobody fills")

    def test_panels_that_may_be_empty_exist_and_have_a_reason(self):
        allowed = dashboard.may_be_empty()
        self.assertLessEqual(allowed.keys(), {panel["title"] for panel in CHARTS})
        self.assertTrue(all(reason.strip() for reason in allowed.values()))

    def test_the_chart_ships_it_as_it_is(self):
        shipped = one(helm_4(CASES["everything-on"]), "ConfigMap", "-dashboard")
        self.assertEqual(json.loads(shipped["data"]["nexus-dirsync.json"]), BOARD)
        self.assertEqual(shipped["metadata"]["labels"]["grafana_dashboard"], "1")
        self.assertEqual(shipped["metadata"]["annotations"]["grafana_folder"], "Nexus")


if __name__ == "__main__":
    unittest.main()
