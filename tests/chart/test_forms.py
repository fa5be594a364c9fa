"""The schema and the daemon judge `config` alike: forms and ranges are refused before anything
is installed, and nothing is that the daemon would take."""

import json
import re
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

import forms
import generate
from chart import CASES, ROOT, Refused, daemon, helm_3, helm_4, merge

MINIMAL = CASES["minimal"]
TENANT = MINIMAL["identity"]["tenantId"]
# By key: what both take, what both refuse, and what the daemon alone can refuse.
ROWS = {
    "removal.retention": (
        ["30d", "1 month", "1M", "1.5h", "1h30m", "2weeks 3wk 1yr", " 30 days ", "1 000 s", "86400000millis", "5000000µs", "1. 5min"],
        ["", "30", "soon", "1.h", ".5h", "-1d", "30D", "5 minutess", "1d, 2h", "1d-2h", "00", "d", 30, True, ["1d"]],
        ["1ms", "20y", "99999999999999999999s", "0"],
    ),
    "http.request_timeout": (["5001ms", "10s", "1h"], ["10", "", 10], ["61m"]),
    "schedule.full_jitter": (["0", " 0 ", "0s", "12h"], ["0 0"], ["13h"]),
    "schedule.full": (
        [
            *("0 3 * * *", "*/5 * * * *", "0 30 3 * * *", "0 3 1,15 * MON-FRI", "0 3 * JAN-JUN sun", "5/20 8-18/2 * * 1-7", "0 3 ? * ?"),
            *("0 3 L * *", "0 3 15W * *", "0 3 * * 5L", "0 3 * * 1#2", "0 3 1 * +MON", "00 03 * * 07", "1,,2 3 * * *", "0  3\t* * *"),
            *("@daily", "@Hourly", " off ", "off"),
        ],
        [
            *("", "0 3 * *", "0 3 * * * * *", "60 3 * * *", "0 24 * * *", "0 3 0 * *", "0 3 32 * *", "0 3 * 13 *", "0 3 * * 8"),
            *("*/0 * * * *", "*,5 * * * *", "5- * * * *", "1-2-3 * * * *", "0 3 * * 1#6", "0 3 * L *", "? 3 * * *", "0;3 * * *"),
            *("@midnight", "OFF", "daily", "0 3 * * MO", 5, False),
        ],
        ["0 3 31 2 *", "5-1 * * * *", "0 3 * * FOO", "0 3 * * SAT-MON"],
    ),
    "schedule.time_zone": (
        ["UTC", "Europe/Berlin", "Etc/GMT+5", "America/Argentina/Buenos_Aires", " UTC "],
        ["", "Europe/New York", "+02:00", "UTC+02:00", 1],
        ["Mars/Phobos", "CEST"],
    ),
    "graph.endpoint": (
        ["https://graph.microsoft.us", "HTTPS://graph.example.com/", "http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:1"],
        ["", "graph.microsoft.com", "ftp://a", "https://a?b=c", "https://a#b", "http://graph.example.com", 1],
        ["https://u:p@a", "http://192.0.2.1", "https://a b"],
    ),
    "leader.instance": (["", "a", "a b/c:1", "é" * 100, " " + "a" * 200], ["a\nb", "a" * 201, 1], ["é" * 101]),
    "roles.admin_groups": (
        [[], [TENANT, TENANT.upper(), TENANT.replace("-", ""), f"{{{TENANT}}}", f" urn:uuid:{TENANT} "]],
        [["GRP-ADMINS"], [""], [TENANT[:-1]], [1], 1],
        [],
    ),
    "schedule.startup": ([True, False], ["yes", 1], []),
    "log.level": (["debug"], ["loud", "INFO", "", 1], []),
    "scope.users": (["all", "members"], ["linked"], []),
    "guard.users_percent": ([5, 2.5, 0.01, 100], [0, -1, 100.5, "many", True], []),
    "guard.gain_percent": ([10000], [10000.5], []),
    "guard.users_max": ([0, 4294967295], [-1, 4294967296, 2.5, "many"], []),
    "database.pool_size": ([1, 64], [0, 65, 1.5], []),
}
# What the daemon takes for the environment's sake, where everything is text.
TEXTS = [
    ("guard.users_max", "20"),
    ("guard.users_percent", "2.5"),
    ("schedule.startup", "true"),
    ("roles.admin_groups", f"{TENANT},{TENANT}"),
    ("log.level", " info "),
]


def nested(flat: dict[str, object]) -> dict[str, dict]:
    sections: dict[str, dict] = {}
    for path, value in flat.items():
        section, key = path.split(".")
        sections.setdefault(section, {})[key] = value
    return sections


def by_daemon(flat: dict[str, object]) -> set[str]:
    """The keys that the daemon refuses."""
    with tempfile.TemporaryDirectory() as folder:
        lines = []
        for section, keys in nested(flat).items():
            lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
        file = Path(folder) / "config.toml"
        file.write_text("\n".join(lines))
        variables = {
            "DIRSYNC__DATABASE__URL": f"sqlite://{folder}/test.db",
            "DIRSYNC__IDENTITY__KIND": "azure_cli",
            "DIRSYNC__IDENTITY__TENANT_ID": TENANT,
        }
        command = [daemon(), "--config", file, "registry", "check", ROOT / "config/registry.toml"]
        done = subprocess.run(command, env=variables, capture_output=True, text=True)
    # It gets no further than to a database that nobody has migrated.
    assert "there is no database at" in done.stderr or "the configuration has" in done.stderr, done.stderr
    return set(re.findall(r"^  ([a-z_.]+) \(", done.stderr, re.M))


def by_helm(render, flat: dict[str, object]) -> set[str]:
    """The keys that the schema refuses."""
    try:
        render(merge(MINIMAL, {"config": nested(flat)}))
    except Refused as refused:
        assert "don't meet the specifications of the schema" in str(refused), refused
        return {f"{section}.{key}" for section, key in re.findall(r"\bconfig[./](\w+)[./](\w+)", str(refused))}
    return set()


@unittest.skipUnless(daemon(), "the daemon is not built: cargo build")
class Verdicts(unittest.TestCase):
    def agree(self, flat: dict[str, object], refused: set[str]):
        for judge, told in [("Helm 3", by_helm(helm_3, flat)), ("Helm 4", by_helm(helm_4, flat)), ("the daemon", by_daemon(flat))]:
            self.assertEqual(told, refused, judge)

    def test_what_the_daemon_takes_is_taken(self):
        for key, (right, _, _) in ROWS.items():
            for value in right:
                with self.subTest(key, value=value):
                    self.agree({key: value}, set())

    def test_what_has_no_form_is_refused_before_the_daemon_sees_it(self):
        for key, (_, wrong, _) in ROWS.items():
            for value in wrong:
                with self.subTest(key, value=value):
                    self.agree({key: value}, {key})

    def test_what_takes_more_than_a_schema_is_left_to_the_daemon(self):
        for key, (_, _, left) in ROWS.items():
            for value in left:
                with self.subTest(key, value=value):
                    self.assertEqual((by_helm(helm_3, {key: value}), by_helm(helm_4, {key: value})), (set(), set()))
                    self.assertEqual(by_daemon({key: value}), {key})

    def test_numbers_truths_and_lists_are_no_texts_here(self):
        for key, value in TEXTS:
            with self.subTest(key):
                self.assertEqual((by_helm(helm_3, {key: value}), by_helm(helm_4, {key: value})), ({key}, {key}))
                self.assertEqual(by_daemon({key: value}), set())

    def test_the_ends_of_every_range_are_the_daemons(self):
        whole = {key: (form["minimum"], form["maximum"]) for key, form in forms.FORMS.items() if form.get("type") == "integer"}
        share = {key: form["maximum"] for key, form in forms.FORMS.items() if form.get("type") == "number"}
        self.assertGreater((len(whole), len(share)), (20, 10))
        self.agree({key: least for key, (least, _) in whole.items()}, set())
        self.agree({key: most for key, (_, most) in whole.items()} | share, set())
        self.agree({key: least - 1 for key, (least, _) in whole.items()} | dict.fromkeys(share, 0), whole.keys() | share.keys())
        self.agree({key: most + 1 for key, (_, most) in whole.items()}, set(whole))
        self.agree({key: most + 0.5 for key, most in share.items()}, set(share))


class Forms(unittest.TestCase):
    def test_every_key_has_one_that_its_default_fits(self):
        for section, keys in tomllib.loads((ROOT / "config/default.toml").read_text()).items():
            for key, default in keys.items():
                if generate.is_decided(section, key):
                    continue
                form = forms.FORMS[f"{section}.{key}"]
                form = forms.DEFINITIONS[form["$ref"].rsplit("/", 1)[1]] if "$ref" in form else form
                with self.subTest(f"{section}.{key}"):
                    match default:
                        case str() if "enum" in form:
                            self.assertIn(default, form["enum"])
                        case str():
                            self.assertRegex(default, form["pattern"])
                        case bool() | list():
                            self.assertEqual(form["type"], {bool: "boolean", list: "array"}[type(default)])
                        case _:
                            self.assertLessEqual(form.get("minimum", 0), default)
                            self.assertLessEqual(default, form["maximum"])


if __name__ == "__main__":
    unittest.main()
