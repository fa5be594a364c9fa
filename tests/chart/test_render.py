"""Both Helms render the same, and Kubernetes takes it."""

import json
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import helm_python
import kubernetes_validate

from chart import CASES, CHART, HERE, TOOLS, VERSIONS, by_name, helm_3, helm_4


def is_custom(one: dict) -> bool:
    return one["apiVersion"].startswith("monitoring.coreos.com/")


class Rendering(unittest.TestCase):
    def test_the_values_files_cover_what_they_must(self):
        wanted = {"minimal", "workload-identity", "secret", "certificate", "managed-identity", "trial", "ha", "everything-on", "everything-off"}
        self.assertEqual(set(CASES), wanted)

    def test_both_helms_render_the_same_objects(self):
        for case, values in CASES.items():
            with self.subTest(case):
                self.assertEqual(by_name(helm_3(values)), by_name(helm_4(values)))

    def test_both_helms_lint_strictly(self):
        for case, values in CASES.items():
            with self.subTest(case):
                helm_3(values, command="lint")
                report = helm_python.lint(str(CHART), values, strict=True)
                self.assertEqual([said for said in report["messages"] if said["severity"] > 1], [])

    def test_several_versions_of_kubernetes_take_every_object(self):
        different = {json.dumps(one) for values in CASES.values() for one in helm_4(values) if not is_custom(one)}
        for one in map(json.loads, sorted(different)):
            for version in VERSIONS:
                with self.subTest(kind=one["kind"], name=one["metadata"]["name"], version=version):
                    kubernetes_validate.validate(one, version, strict=True)

    def test_a_wrong_object_would_be_noticed(self):
        deployment = next(one for one in helm_4(CASES["minimal"]) if one["kind"] == "Deployment")
        deployment["spec"]["replica"] = 1
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(deployment, "1.32", strict=True)


class CustomResources(unittest.TestCase):
    """The operator's definitions: values by class, unknown keys by type."""

    def check(self, objects: list[dict]) -> str:
        """What is wrong with them, or nothing."""
        with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
            file = Path(folder) / "objects.json"
            file.write_text(json.dumps(objects))
            script = shutil.copy(HERE / "crs.mjs", folder)
            values = subprocess.run(["node", script, file], capture_output=True, text=True)
            source = Path(folder) / "objects.mts"
            lines = []
            for number, one in enumerate(objects):
                path = f"@kubernetes-models/prometheus-operator/{one['apiVersion']}/{one['kind']}"
                lines.append(f'import type {{ I{one["kind"]} as T{number} }} from "{path}";')
                lines.append(f"export const o{number}: T{number} = {json.dumps(one, indent=1)};")
            source.write_text("\n".join(lines))
            compiler = ["node", TOOLS / "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--skipLibCheck"]
            types = subprocess.run([*compiler, "--module", "nodenext", source], capture_output=True, text=True)
        return values.stdout + values.stderr + types.stdout + types.stderr

    def test_the_operator_takes_every_custom_resource(self):
        objects = [one for values in CASES.values() for one in helm_4(values) if is_custom(one)]
        self.assertEqual({one["kind"] for one in objects}, {"ServiceMonitor", "PodMonitor", "PrometheusRule"})
        self.assertEqual(self.check(objects), "")

    def test_a_wrong_one_would_be_noticed(self):
        monitor = next(one for one in helm_4(CASES["everything-on"]) if one["kind"] == "ServiceMonitor")
        endpoint = monitor["spec"]["endpoints"][0]
        endpoint.update(porto="http", interval="30 sec")
        told = self.check([monitor])
        self.assertIn("porto", told)
        self.assertIn("interval", told)


if __name__ == "__main__":
    unittest.main()
