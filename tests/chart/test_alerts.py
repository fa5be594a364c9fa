"""The rendered alerts fire when they should and are silent otherwise, and each has its runbook."""

import json
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml

import metrics
from chart import CASES, CHART, HERE, ROOT, at, by_name, helm_3, helm_4, merge, one, refusals

RUNBOOK = (ROOT / "docs/runbook.md").read_text()
TESTS = {path.stem: path for path in sorted((HERE / "alerts").glob("*.yml"))}
# Matchers that Prometheus takes, and what it does not. One that ends in a comma it would take
# alone; alerts go on after it.
MATCHERS = [
    'app="x"',
    "app='x'",
    "app=`x`",
    ' app = "x" , zone!="y" ',
    'app="x",\n  zone="y"\n',
    'app=~"x|y",zone!~"a.+"',
    r'app=~"x\\.y\\d+"',
    r"app=~`x\.y\d+`",
    r"""app=~'it\'s|"x"'""",
    r'path="C:\\(x",app="\""',
    'by="x"',
    'app="=~\'(\'",team="é # {} %s $1"',
    'app=""',
]
NO_MATCHERS = [
    'app="x',
    'app="x",',
    ',app="x"',
    "app",
    "app=x",
    'app=="x"',
    'app>"x"',
    '{app="x"}',
    'app="x"}',
    'app="x" or zone="y"',
    'app="x" zone="y"',
    'app="x";zone="y"',
    'app="x"#',
    '1app="x"',
    'example.com/app="x"',
    'app:x="y"',
    r'app="\d"',
    r'app=~"\."',
    r'app="\'"',
    'app="x\ny"',
    'app=~"("',
    "zone=\"y\",app!~'*'",
    r"app=~`\`",
    r'app=~"\\"',
    '__name__="x"',
    'app="x",__name__=~"y"',
    " ",
]
# Renders the alerts with every default.
VALUES = CASES["ha"]


def alerts(values: dict) -> dict[str, dict]:
    """The rendered alerts by name."""
    [group] = one(helm_4(values), "PrometheusRule")["spec"]["groups"]
    named = {rule["alert"]: rule for rule in group["rules"]}
    assert len(named) == len(group["rules"])
    return named


ALERTS = alerts(VALUES)


def promtool(command: list[str], rules: list[dict], *others: Path) -> subprocess.CompletedProcess:
    """Runs it in a folder with these rules and copies of these files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "rules", "rules": rules}]}))
        for other in others:
            shutil.copy(other, folder)
        return subprocess.run(["promtool", *command], cwd=folder, capture_output=True, text=True)


def tried(name: str, **changed: str) -> subprocess.CompletedProcess:
    """Runs the tests of one alert on it, or on what became of it."""
    return promtool(["test", "rules", TESTS[name].name], [{**ALERTS[name], **changed}], TESTS[name])


class Alerts(unittest.TestCase):
    def test_prometheus_takes_them(self):
        done = promtool(["check", "rules", "rules.yml"], [*ALERTS.values()])
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_each_fires_and_is_silent_as_its_tests_say(self):
        for name in TESTS:
            with self.subTest(name):
                done = tried(name)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_one_that_never_or_always_fires_would_be_noticed(self):
        for expression in ("vector(0) > 1", "vector(1)"):
            self.assertNotEqual(tried("NexusDirsyncDown", expr=expression).returncode, 0, expression)

    def test_each_has_tests_in_which_it_fires_and_in_which_it_is_silent(self):
        self.assertEqual(set(TESTS), set(ALERTS))
        for name, path in TESTS.items():
            expected = {True: 0, False: 0}
            for test in yaml.safe_load(path.read_text())["tests"]:
                asked = test["alert_rule_test"]
                self.assertEqual({each["alertname"] for each in asked}, {name}, "each file is about one alert")
                expected[any(each["exp_alerts"] for each in asked)] += 1
            with self.subTest(name):
                self.assertTrue(all(expected.values()), "one test at least that fires, one that is silent throughout")

    def test_each_says_what_is_wrong_and_how_urgent_it_is(self):
        for name, rule in ALERTS.items():
            with self.subTest(name):
                self.assertIn(rule["labels"]["severity"], {"critical", "warning"})
                self.assertEqual(rule["annotations"].keys(), {"summary", "description", "runbook_url"})
                self.assertTrue(all(text.strip() for text in rule["annotations"].values()))
                self.assertRegex(rule["annotations"]["summary"], r"^[A-Z].*\.$")
                self.assertIn("for", rule)

    def test_each_asks_for_what_the_daemon_has_and_for_one_release(self):
        for name, rule in ALERTS.items():
            with self.subTest(name):
                self.assertEqual(metrics.wrong(rule["expr"]), [])
                for _, matchers in metrics.USED.findall(rule["expr"]):
                    self.assertTrue(matchers.startswith('namespace="nexus",job="nexus-dirsync"'))

    def test_what_only_the_leader_knows_is_asked_of_the_leader(self):
        known_by_leader = "consecutive_failures|audit_\\w+|withheld_removals|plan_\\w+|drift_changes|findings|linked_groups|credential_\\w+"
        for name, rule in ALERTS.items():
            for _ in re.findall(rf"dirsync_(?:{known_by_leader})\b", rule["expr"]):
                self.assertIn("and on (instance) (dirsync_leader", rule["expr"], name)


class Values(unittest.TestCase):
    def test_each_can_be_tuned(self):
        tuned = alerts(CASES["everything-on"])
        self.assertNotIn("NexusDirsyncThrottled", tuned)
        drift = tuned["NexusDirsyncDrift"]
        self.assertEqual((drift["for"], drift["labels"]), ("1h", {"severity": "critical", "team": "platform"}))
        self.assertEqual(drift["annotations"]["runbook_url"], "https://example.com/runbook#nexusdirsyncdrift")
        schema = json.loads((CHART / "values.schema.json").read_text())
        offered = schema["properties"]["prometheusRule"]["properties"]["alerts"]["properties"]
        self.assertEqual(set(offered), set(ALERTS))

    def test_each_threshold_is_used(self):
        thresholds = yaml.safe_load((CHART / "values.yaml").read_text())["prometheusRule"]["thresholds"]
        for key, default in thresholds.items():
            over = at(f"prometheusRule.thresholds.{key}", 0.4242 if default and default < 1 else 4242424)
            with self.subTest(key):
                changed = [name for name, rule in alerts(merge(VALUES, over)).items() if rule["expr"] != ALERTS[name]["expr"]]
                self.assertEqual(len(changed), 1)
                self.assertIn("4242", alerts(merge(VALUES, over))[changed[0]]["expr"])

    def test_missing_replicas_are_counted_where_there_are_several(self):
        for replicas in (0, 1, 2, 7):
            with self.subTest(replicas):
                rule = alerts(merge(VALUES, {"replicas": replicas})).get("NexusDirsyncReplicasMissing")
                self.assertEqual(rule is not None, replicas > 1)
                if rule:
                    self.assertTrue(rule["expr"].endswith(f"< {replicas}"))
                    self.assertIn(f" of {replicas} replicas", rule["annotations"]["description"])

    def test_other_ways_to_scrape_are_selected(self):
        for rule in alerts(merge(VALUES, at("prometheusRule.selector", 'app="x"'))).values():
            self.assertIn('{app="x"', rule["expr"])
            self.assertNotIn("namespace=", rule["expr"])

    def taken_by_prometheus(self, rules: dict[str, dict]) -> subprocess.CompletedProcess:
        return promtool(["check", "rules", "rules.yml"], [*rules.values()])

    def test_what_is_taken_as_selector_prometheus_takes_in_every_rule(self):
        for selector in MATCHERS:
            with self.subTest(selector):
                values = merge(VALUES, at("prometheusRule.selector", selector))
                rules = alerts(values)
                self.assertEqual(by_name(helm_3(values)), by_name(helm_4(values)))
                done = self.taken_by_prometheus(rules)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_what_prometheus_would_not_take_as_selector_is_refused(self):
        ours = 'namespace="nexus",job="nexus-dirsync"'
        for selector in NO_MATCHERS:
            with self.subTest(selector):
                for told in refusals(merge(VALUES, at("prometheusRule.selector", selector))):
                    self.assertRegex(told, r"prometheusRule[./]selector")
                broken = {name: {**rule, "expr": rule["expr"].replace(ours, selector)} for name, rule in ALERTS.items()}
                self.assertNotEqual(self.taken_by_prometheus(broken).returncode, 0, "refused without need")

    def test_labels_and_durations_that_prometheus_would_not_take_are_refused(self):
        drift = "prometheusRule.alerts.NexusDirsyncDrift"
        wrong = [
            ("prometheusRule.alertLabels", {"example.com/team": "a"}, "example.com/team", {"labels": {"example.com/team": "a"}}),
            ("prometheusRule.alertLabels", {"__name__": "a"}, "__name__", {"labels": {"__name__": "a"}}),
            (f"{drift}.severity", "{{ page", "severity", {"labels": {"severity": "{{ page"}}),
            (f"{drift}.for", "30s5m", "for", {"for": "30s5m"}),
            (f"{drift}.for", "5", "for", {"for": "5"}),
            (f"{drift}.for", "", "for", {"for": "x"}),
        ]
        for path, value, key, changed in wrong:
            with self.subTest(path, value=value):
                for told in refusals(merge(VALUES, at(path, value))):
                    self.assertRegex(told, rf"\b{re.escape(key)}\b")
                broken = {"one": {**ALERTS["NexusDirsyncDrift"], **changed}}
                self.assertNotEqual(self.taken_by_prometheus(broken).returncode, 0, "refused without need")
        right = {"alertLabels": {"team": "a", "_x": "b"}, "alerts": {"NexusDirsyncDrift": {"for": "1d12h", "severity": "P1 page"}}}
        done = self.taken_by_prometheus(alerts(merge(VALUES, {"prometheusRule": right})))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Runbook(unittest.TestCase):
    def sections(self) -> dict[str, str]:
        parts = re.split(r"^## (.+)$", RUNBOOK, flags=re.M)
        return dict(zip(parts[1::2], parts[2::2]))

    def test_each_alert_has_a_section_and_its_address(self):
        sections = self.sections()
        self.assertEqual({name for name in sections if name.startswith("NexusDirsync")}, set(ALERTS))
        for name, rule in ALERTS.items():
            with self.subTest(name):
                self.assertEqual(rule["annotations"]["runbook_url"], f"docs/runbook.md#{name.lower()}")
                for part in ("**Cause", "**Look.**", "**Do.**"):
                    self.assertIn(part, sections[name])

    def test_links_within_the_runbook_lead_somewhere(self):
        anchors = {name.lower().replace(" ", "-") for name in self.sections()}
        self.assertLessEqual(set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK)), anchors)

    def test_commands_exist(self):
        helps = {path.stem.removeprefix("nexus-dirsync-") for path in (ROOT / "tests/golden/help").glob("*-*.txt")}
        commands = {word.split("-")[0] for word in helps} | {"plans"}
        used = set(re.findall(r"^(?:.*`)?(?:dirsync|-- nexus-dirsync) ([a-z]+)", RUNBOOK, re.M))
        self.assertTrue(used)
        self.assertLessEqual(used, commands)


if __name__ == "__main__":
    unittest.main()
