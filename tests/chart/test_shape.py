"""What the rendered objects are: hardened, connected, named, and changed when they must be."""

import re
import unittest

import kubernetes_validate
import yaml

from chart import CASES, CHART, NAMESPACE, OURS, RELEASE, ROOT, at, by_name, container, containers, env, helm_3, helm_4, kinds, merge, notes, one, pods

MINIMAL = CASES["minimal"]
SHORT = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
LABEL = re.compile(r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$")


def every_case(test):
    """Runs a test for the objects of each values file."""

    def run(self):
        for case, values in CASES.items():
            with self.subTest(case):
                test(self, values, helm_4(values))

    return run


def selects(selector: dict, labels: dict) -> bool:
    return selector.items() <= labels.items()


class Hardening(unittest.TestCase):
    @every_case
    def test_pods_pass_the_restricted_standard(self, values, objects):
        for component, pod in pods(objects).items():
            spec = pod["spec"]
            self.assertFalse({"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), component)
            self.assertTrue(spec["securityContext"]["runAsNonRoot"])
            self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
            for volume in spec["volumes"]:
                self.assertLessEqual(volume.keys() - {"name"}, {"configMap", "secret", "emptyDir", "persistentVolumeClaim"})
            for each in containers(pod):
                context = each["securityContext"]
                self.assertIs(context["allowPrivilegeEscalation"], False, each["name"])
                self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
                self.assertFalse({"privileged", "procMount"} & context.keys())
                self.assertTrue(all("hostPort" not in port for port in each.get("ports", [])))

    @every_case
    def test_our_containers_are_harder_still(self, values, objects):
        for pod in pods(objects).values():
            spec = pod["spec"]
            ids = [spec["securityContext"][key] for key in ("runAsUser", "runAsGroup", "fsGroup")]
            self.assertEqual(ids, [65532] * 3)
            self.assertIs(spec["automountServiceAccountToken"], False)
            self.assertIs(spec["enableServiceLinks"], False)
            for each in containers(pod):
                if each["name"] in OURS:
                    self.assertIs(each["securityContext"]["readOnlyRootFilesystem"], True)
                    self.assertEqual(each["command"], ["nexus-dirsync"], "the image has no shell")
                    if values.get("resources") != {}:
                        self.assertIn("memory", each["resources"]["limits"])

    @every_case
    def test_secrets_are_named_and_never_rendered(self, values, objects):
        self.assertNotIn("Secret", kinds(objects))
        for pod in pods(objects).values():
            for volume in pod["spec"]["volumes"]:
                if "secret" in volume:
                    self.assertEqual(volume["secret"]["defaultMode"], 0o440, "not for every user of the node")

    def test_the_migration_is_given_no_credential_of_azure(self):
        for case in ("secret", "certificate", "everything-on"):
            for pod in pods(helm_4(CASES[case])).values():
                for each in containers(pod):
                    if each["name"] == "migrate":
                        mounts = {mount["mountPath"] for mount in each["volumeMounts"]}
                        self.assertNotIn("/etc/nexus-dirsync/identity", mounts)
        job = pods(helm_4(CASES["secret"]))["migration"]
        self.assertNotIn("identity", {volume["name"] for volume in job["spec"]["volumes"]})

    def test_the_schema_owners_url_reaches_the_migration_alone(self):
        for case in ("certificate", "everything-on"):
            for pod in pods(helm_4(CASES[case])).values():
                for each in containers(pod):
                    mounted = {mount["name"] for mount in each.get("volumeMounts", [])}
                    self.assertEqual("database-owner" in mounted, each["name"] == "migrate", each["name"])


class Connections(unittest.TestCase):
    @every_case
    def test_selectors_match_the_daemon_and_nothing_else(self, values, objects):
        deployment = one(objects, "Deployment")
        labels = {component: pod["metadata"]["labels"] for component, pod in pods(objects).items()}
        selectors = [deployment["spec"]["selector"]["matchLabels"]]
        for each in objects:
            if each["kind"] == "Service":
                selectors.append(each["spec"]["selector"])
            if each["kind"] in {"PodDisruptionBudget", "PodMonitor"}:
                selectors.append(each["spec"]["selector"]["matchLabels"])
            if each["kind"] == "ServiceMonitor":
                self.assertTrue(selects(each["spec"]["selector"]["matchLabels"], one(objects, "Service")["metadata"]["labels"]))
            if each["kind"] == "NetworkPolicy":
                everybody = each["spec"]["podSelector"]["matchLabels"]
                self.assertTrue(all(selects(everybody, own) for own in labels.values()))
        for selector in selectors:
            self.assertEqual([name for name, own in labels.items() if selects(selector, own)], ["daemon"])

    def test_values_cannot_loosen_a_selector(self):
        stolen = {"app.kubernetes.io/name": "other", "app.kubernetes.io/component": "other"}
        values = merge(CASES["everything-on"], {"podLabels": stolen, "commonLabels": stolen})
        labels = one(helm_4(values), "Deployment")["spec"]["template"]["metadata"]["labels"]
        self.assertEqual(labels["app.kubernetes.io/name"], "nexus-dirsync")
        self.assertEqual(labels["app.kubernetes.io/component"], "daemon")

    @every_case
    def test_mounts_volumes_ports_and_objects_exist(self, values, objects):
        names = by_name(objects)
        for pod in pods(objects).values():
            volumes = [volume["name"] for volume in pod["spec"]["volumes"]]
            self.assertEqual(len(volumes), len(set(volumes)))
            mounted = set()
            for each in containers(pod):
                mounts = each.get("volumeMounts", [])
                mounted |= {mount["name"] for mount in mounts}
                paths = [mount["mountPath"] for mount in mounts]
                self.assertEqual(len(paths), len(set(paths)))
                self.assertFalse(any("subPath" in mount for mount in mounts), "such a file never changes")
                variables = [variable["name"] for variable in each.get("env", [])]
                self.assertEqual(len(variables), len(set(variables)))
            self.assertEqual(set(volumes), mounted, "each volume is mounted")
            for volume in pod["spec"]["volumes"]:
                named = volume.get("configMap", {}).get("name", "")
                if named.startswith(RELEASE):
                    self.assertIn(("ConfigMap", named), names)
        daemon = container(pods(objects)["daemon"], "nexus-dirsync")
        self.assertEqual([port["name"] for port in daemon["ports"]], ["http"])
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if values.get(probe, {}) is not None:
                self.assertEqual(daemon[probe]["httpGet"]["port"], "http")

    @every_case
    def test_every_object_says_whose_it_is(self, values, objects):
        for each in objects:
            metadata = each["metadata"]
            if metadata["name"].endswith("-extra"):
                continue
            self.assertEqual(metadata["namespace"], NAMESPACE)
            self.assertEqual(metadata["labels"]["app.kubernetes.io/instance"], RELEASE)
            self.assertEqual(metadata["labels"]["app.kubernetes.io/managed-by"], "Helm")
            self.assertLessEqual(values.get("commonLabels", {}).items(), metadata["labels"].items())
            self.assertLessEqual(values.get("commonAnnotations", {}).items(), metadata.get("annotations", {}).items())

    def test_a_probe_waits_longer_than_the_daemon_asks_the_database(self):
        daemon = container(pods(helm_4(MINIMAL))["daemon"], "nexus-dirsync")
        self.assertGreater(daemon["readinessProbe"]["timeoutSeconds"], 5)
        self.assertEqual(daemon["livenessProbe"]["httpGet"]["path"], "/livez")
        self.assertEqual(daemon["readinessProbe"]["httpGet"]["path"], "/readyz")


class Names(unittest.TestCase):
    def test_names_and_labels_fit_whatever_the_release_is_called(self):
        longest = "a" * 53
        long_override = {"fullnameOverride": "b" * 63}
        for release, over in [(longest, {}), ("x", {}), (longest, {"nameOverride": "c" * 60}), ("x", long_override)]:
            values = merge(merge(CASES["everything-on"], over), {"extraObjects": []})
            for case in (values, merge(CASES["trial"], over), merge(CASES["ha"], over)):
                with self.subTest(release=release, over=over):
                    objects = helm_4(case, release)
                    by_name(objects)
                    for each in objects:
                        self.assertRegex(each["metadata"]["name"], SHORT)
                        for value in each["metadata"]["labels"].values():
                            self.assertRegex(value, LABEL)
                    for pod in pods(objects).values():
                        for value in pod["metadata"]["labels"].values():
                            self.assertRegex(value, LABEL)

    def test_names_stay_texts_that_kubernetes_takes(self):
        service = re.compile(r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")
        odd = ["123", "1e5", "0x1", "true", "on", "null", "a.b", "1.5", "no"]
        cases = [(name, {}) for name in odd]
        for name in odd:
            cases += [("x", {key: name}) for key in ("fullnameOverride", "nameOverride", "priorityClassName")]
            cases += [("x", {"serviceAccount": {"create": create, "name": name}}) for create in (True, False)]
        cases += [("x", {"nameOverride": "c" * 51 + ".d"}), ("x", {"fullnameOverride": "c" * 50 + ".-d"}), ("9" * 53, {})]
        for release, over in cases:
            for case in ("everything-on", "trial"):
                with self.subTest(case, release=release, over=over):
                    values = merge(merge(CASES[case], over), {"extraObjects": []})
                    if not values.get("serviceAccount", {}).get("create", True):
                        # One that is not made has no annotations.
                        values["serviceAccount"].pop("annotations", None)
                    objects = helm_4(values, release)
                    by_name(objects)
                    for each in objects:
                        if not each["apiVersion"].startswith("monitoring.coreos.com/"):
                            kubernetes_validate.validate(each, "1.32", strict=True)
                        self.assertIsInstance(each["metadata"]["name"], str)
                        for value in each["metadata"]["labels"].values():
                            self.assertIsInstance(value, str)
                            self.assertRegex(value, LABEL)
                        if each["kind"] == "Service":
                            self.assertRegex(each["metadata"]["name"], service)
                        if each["kind"] == "ServiceMonitor":
                            [endpoint] = each["spec"]["endpoints"]
                            self.assertIsInstance(endpoint["relabelings"][0]["replacement"], str)
                    self.assertEqual(one(objects, "Deployment")["metadata"]["labels"]["app.kubernetes.io/instance"], release)

    def test_both_helms_render_the_same_odd_names(self):
        for release in ("123", "true", "a.b"):
            self.assertEqual(by_name(helm_3(CASES["minimal"], release)), by_name(helm_4(CASES["minimal"], release)))

    def test_a_release_that_is_called_like_the_chart_is_not_called_twice(self):
        self.assertEqual(one(helm_4(MINIMAL), "Deployment")["metadata"]["name"], "nexus-dirsync")
        self.assertEqual(one(helm_4(MINIMAL, "sync"), "Deployment")["metadata"]["name"], "sync-nexus-dirsync")


class Rollout(unittest.TestCase):
    def annotations(self, *over: dict) -> dict:
        values = MINIMAL
        for each in over:
            values = merge(values, each)
        return one(helm_4(values), "Deployment")["spec"]["template"]["metadata"].get("annotations", {})

    def test_the_pods_change_with_configuration_and_registry(self):
        before = self.annotations()
        self.assertNotEqual(self.annotations(at("config.log.level", "debug")), before)
        self.assertNotEqual(self.annotations(at("identity.authority", "https://login.microsoftonline.us")), before)
        product = {"name": "a", "description": "A", "environment": "production", "groups": []}
        with_registry = self.annotations(at("registry.products", [product]))
        self.assertNotEqual(with_registry, before)
        renamed = self.annotations(at("registry.products", [{**product, "description": "B"}]))
        self.assertEqual(renamed["checksum/config"], with_registry["checksum/config"])
        self.assertNotEqual(renamed["checksum/registry"], with_registry["checksum/registry"])

    def test_the_pods_do_not_change_with_anything_else(self):
        before = self.annotations()
        for path, value in [("service.port", 80), ("prometheusRule.enabled", True), ("commonLabels.team", "a")]:
            self.assertEqual(self.annotations(at(path, value)), before, path)

    def test_a_rollout_can_be_left_to_hup(self):
        self.assertEqual(self.annotations(at("rollout.onConfigChange", False)), {})

    def test_a_stop_has_the_time_that_a_commit_may_take(self):
        odd = [("1hr", 3615), ("1.5minutes", 105), ("90000000us", 105), ("1 000ms 500 ms", 17), (" 1min15sec ", 90), ("1200ms", 17)]
        for stop, seconds in [(None, 90), ("2m 30s", 165), ("1h", 3615), ("1500ms", 17), *odd]:
            over = at("config", {"schedule": {"stop_grace": stop}, "database": {"statement_timeout": "1100ms"}}) if stop else {}
            with self.subTest(stop):
                pod = one(helm_4(merge(MINIMAL, over)), "Deployment")["spec"]["template"]["spec"]
                self.assertEqual(pod["terminationGracePeriodSeconds"], seconds)

    def test_another_handler_takes_the_place_of_the_probes_own(self):
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            for handler in ({"exec": {"command": ["nexus-dirsync", "status"]}}, {"tcpSocket": {"port": "http"}}, {"grpc": {"port": 8080}}):
                with self.subTest(probe, handler=handler):
                    values = merge(MINIMAL, {probe: handler})
                    told = container(pods(helm_4(values))["daemon"], "nexus-dirsync")[probe]
                    self.assertLessEqual(handler.items(), told.items())
                    self.assertNotIn("httpGet", told)
                    self.assertIn("periodSeconds", told, "the rest stays")
                    self.assertEqual(by_name(helm_3(values)), by_name(helm_4(values)))

    def test_large_numbers_stay_whole(self):
        large = {"replicas": 2000000, "revisionHistoryLimit": 3000000, "podDisruptionBudget": {"maxUnavailable": 1000000}, "migrations": {"backoffLimit": 4000000}}
        for render in (helm_3, helm_4):
            objects = render(merge(MINIMAL, large))
            deployment, job = one(objects, "Deployment")["spec"], one(objects, "Job")["spec"]
            self.assertEqual((deployment["replicas"], deployment["revisionHistoryLimit"]), (2000000, 3000000))
            self.assertIs(type(deployment["replicas"]), int)
            self.assertEqual(job["backoffLimit"], 4000000)
            self.assertEqual(one(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"], 1000000)
        share = merge(MINIMAL, {"replicas": 2, "podDisruptionBudget": {"maxUnavailable": "50%"}})
        self.assertEqual(one(helm_4(share), "PodDisruptionBudget")["spec"]["maxUnavailable"], "50%")

    def test_another_strategy_leaves_nothing_of_the_default(self):
        deployment = one(helm_4(merge(MINIMAL, at("strategy.type", "Recreate"))), "Deployment")
        self.assertEqual(deployment["spec"]["strategy"], {"type": "Recreate"})

    def test_the_migration_runs_before_the_pods_change(self):
        job = one(helm_4(MINIMAL), "Job")
        annotations = job["metadata"]["annotations"]
        self.assertEqual(annotations["helm.sh/hook"], "pre-install,pre-upgrade")
        self.assertEqual(annotations["helm.sh/hook-delete-policy"], "before-hook-creation,hook-succeeded")
        pod = job["spec"]["template"]["spec"]
        self.assertNotIn("serviceAccountName", pod, "it does not exist yet")
        made = {each["metadata"]["name"] for each in helm_4(MINIMAL) if each["kind"] == "ConfigMap"}
        used = {volume.get("configMap", {}).get("name") for volume in pod["volumes"]}
        self.assertFalse(made & used, "they do not exist yet")

    def test_the_job_ends_before_helm_gives_up(self):
        # Helm's own --timeout.
        helm = 5 * 60
        self.assertLess(one(helm_4(MINIMAL), "Job")["spec"]["activeDeadlineSeconds"], helm)
        for deadline, mode, told in [(2000000, "job", True), (299, "job", False), (helm, "job", True), (900, "job", True), (900, "init", False)]:
            with self.subTest(deadline, mode=mode):
                values = merge(MINIMAL, {"migrations": {"mode": mode, "activeDeadlineSeconds": deadline}})
                self.assertEqual(f"--timeout {deadline + 60}s" in notes(values), told)

    def test_migrations_follow_their_mode(self):
        for mode, job, init in [("job", True, False), ("init", False, True), ("off", False, False)]:
            objects = helm_4(merge(MINIMAL, at("migrations.mode", mode)))
            names = [each["name"] for each in pods(objects)["daemon"]["spec"].get("initContainers", [])]
            with self.subTest(mode):
                self.assertEqual("Job" in kinds(objects), job)
                self.assertEqual("migrate" in names, init)

    def test_the_jobs_pod_can_be_marked_alone(self):
        over = {"podAnnotations": {"sidecar.istio.io/inject": "false"}, "podLabels": {"team": "a"}}
        marked = pods(helm_4(merge(MINIMAL, {"migrations": over})))
        self.assertEqual(marked["migration"]["metadata"]["annotations"], over["podAnnotations"])
        self.assertEqual(marked["migration"]["metadata"]["labels"]["team"], "a")
        plain = pods(helm_4(MINIMAL))
        for component in ("daemon", "test"):
            self.assertEqual(marked[component]["metadata"], plain[component]["metadata"])

    def test_helm_test_runs_check_with_all_that_the_daemon_has(self):
        for case in ("everything-on", "secret", "trial"):
            objects = helm_4(CASES[case])
            test = one(objects, "Pod")
            self.assertEqual(test["metadata"]["annotations"]["helm.sh/hook"], "test")
            policy = test["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
            self.assertEqual(policy, "before-hook-creation", "the logs are read after it has ended")
            check, daemon = container(test, "check"), container(pods(objects)["daemon"], "nexus-dirsync")
            self.assertEqual(check["args"], ["check"])
            self.assertEqual((check["env"], check["volumeMounts"]), (daemon["env"], daemon["volumeMounts"]))
            self.assertEqual(test["spec"]["serviceAccountName"], pods(objects)["daemon"]["spec"]["serviceAccountName"])


class Credentials(unittest.TestCase):
    def test_workload_identity_is_told_on_pod_and_account(self):
        objects = helm_4(MINIMAL)
        for component, pod in pods(objects).items():
            used = pod["metadata"]["labels"].get("azure.workload.identity/use")
            self.assertEqual(used, None if component == "migration" else "true", component)
        annotations = one(objects, "ServiceAccount")["metadata"]["annotations"]
        self.assertEqual(annotations["azure.workload.identity/client-id"], MINIMAL["identity"]["clientId"])
        self.assertEqual(annotations["azure.workload.identity/tenant-id"], MINIMAL["identity"]["tenantId"])

    def test_other_credentials_leave_workload_identity_alone(self):
        for case in ("secret", "certificate", "managed-identity"):
            objects = helm_4(CASES[case])
            for pod in pods(objects).values():
                self.assertNotIn("azure.workload.identity/use", pod["metadata"]["labels"])
            self.assertNotIn("annotations", one(objects, "ServiceAccount")["metadata"])

    def test_an_account_that_exists_is_used_and_not_made(self):
        objects = helm_4(CASES["workload-identity"])
        self.assertNotIn("ServiceAccount", kinds(objects))
        accounts = {pod["spec"]["serviceAccountName"] for pod in pods(objects).values()}
        self.assertEqual(accounts, {"dirsync"})


class Database(unittest.TestCase):
    def test_the_trial_is_one_pod_on_a_volume_that_stays(self):
        objects = helm_4(CASES["trial"])
        deployment = one(objects, "Deployment")
        self.assertEqual(deployment["spec"]["replicas"], 1)
        self.assertEqual(deployment["spec"]["strategy"], {"type": "Recreate"})
        self.assertNotIn("Job", kinds(objects), "two pods cannot share the volume")
        claim = one(objects, "PersistentVolumeClaim")
        self.assertEqual(claim["metadata"]["annotations"]["helm.sh/resource-policy"], "keep")
        daemon = container(pods(objects)["daemon"], "nexus-dirsync")
        self.assertEqual(env(daemon)["DIRSYNC__DATABASE__URL"], "sqlite:///var/lib/nexus-dirsync/dirsync.db")
        self.assertIn("/var/lib/nexus-dirsync", {mount["mountPath"] for mount in daemon["volumeMounts"]})

    def test_a_claim_that_exists_is_used(self):
        objects = helm_4(merge(CASES["trial"], at("database.sqlite.existingClaim", "mine")))
        self.assertNotIn("PersistentVolumeClaim", kinds(objects))
        volumes = pods(objects)["daemon"]["spec"]["volumes"]
        self.assertIn({"name": "data", "persistentVolumeClaim": {"claimName": "mine"}}, volumes)

    def test_the_url_is_a_file_from_the_secret(self):
        pod = pods(helm_4(CASES["workload-identity"]))["daemon"]
        self.assertEqual(env(container(pod, "nexus-dirsync"))["DIRSYNC__DATABASE__URL_FILE"], "/etc/nexus-dirsync/database/url")
        volume = next(volume for volume in pod["spec"]["volumes"] if volume["name"] == "database")
        self.assertEqual(volume["secret"]["secretName"], "platform-postgres")
        self.assertEqual(volume["secret"]["items"], [{"key": "dirsync-url", "path": "url"}])

    def authorities(self, values: dict) -> set[str | None]:
        """The file of authorities for the database, in each container of ours."""
        ours = [each for pod in pods(helm_4(values)).values() for each in containers(pod) if each["name"] in OURS]
        self.assertGreater(len(ours), 1)
        return {env(each).get("PGSSLROOTCERT") for each in ours}

    def test_the_servers_certificate_can_be_checked_without_more_in_the_url(self):
        bundle = "/etc/ssl/certs/ca-certificates.crt"
        self.assertIn(f"/image{bundle}\n", (ROOT / "Dockerfile").read_text().replace(" \\\n", "\n"))
        for mode in ("job", "init"):
            self.assertEqual(self.authorities(merge(MINIMAL, at("migrations.mode", mode))), {bundle})
        for key in ("configMap", "secret"):
            given = self.authorities(merge(MINIMAL, at(f"database.ca.{key}", "mine")))
            self.assertEqual(given, {"/etc/nexus-dirsync/database-ca/ca.crt"})
        own = [{"name": "PGSSLROOTCERT", "value": "/mine.pem"}]
        self.assertEqual(self.authorities(merge(MINIMAL, {"extraEnv": own})), {"/mine.pem"})
        self.assertEqual(self.authorities(CASES["trial"]), {None})

    def test_notes_say_that_a_trial_is_a_trial(self):
        self.assertIn("FOR A TRIAL ONLY", notes(CASES["trial"]))
        self.assertNotIn("TRIAL", notes(MINIMAL))
        self.assertIn("helm test nexus-dirsync -n nexus", notes(MINIMAL))
        self.assertIn("logs -l app.kubernetes.io/instance=nexus-dirsync,app.kubernetes.io/component=daemon --prefix", notes(MINIMAL))
        self.assertIn("nexus-dirsync migrate", notes(CASES["everything-off"]))
        self.assertNotIn("helm test", notes(CASES["everything-off"]))


class Optional(unittest.TestCase):
    def test_everything_off_is_a_deployment_and_its_configuration(self):
        self.assertEqual(kinds(helm_4(CASES["everything-off"])), {"Deployment", "ConfigMap"})

    def test_everything_on_leaves_nothing_out(self):
        templates = "\n".join(path.read_text() for path in (CHART / "templates").rglob("*.yaml"))
        offered = set(re.findall(r"^kind: (\w+)$", templates, re.M)) | {"ServiceMonitor", "PodMonitor"}
        shown = kinds(helm_4(CASES["everything-on"])) | kinds(helm_4(CASES["ha"])) | kinds(helm_4(CASES["trial"]))
        self.assertEqual(offered, shown)

    def test_a_budget_never_blocks_a_single_pod(self):
        self.assertNotIn("PodDisruptionBudget", kinds(helm_4(MINIMAL)))
        self.assertEqual(one(helm_4(CASES["ha"]), "PodDisruptionBudget")["spec"]["maxUnavailable"], 1)

    def test_several_pods_spread_over_nodes_unless_told_otherwise(self):
        spread = pods(helm_4(merge(MINIMAL, {"replicas": 2})))["daemon"]["spec"]["topologySpreadConstraints"]
        self.assertEqual([each["topologyKey"] for each in spread], ["kubernetes.io/hostname"])
        zones = pods(helm_4(CASES["ha"]))["daemon"]["spec"]["topologySpreadConstraints"]
        self.assertEqual([each["topologyKey"] for each in zones], ["topology.kubernetes.io/zone"])

    def ports(self, case: dict) -> set[tuple[int, str]]:
        rules = one(helm_4(case), "NetworkPolicy")["spec"]["egress"]
        return {(port["port"], port["protocol"]) for rule in rules for port in rule.get("ports", [])}

    def test_the_network_policy_lets_out_what_is_needed(self):
        dns, https, postgres, metadata = {(53, "UDP"), (53, "TCP")}, (443, "TCP"), (5432, "TCP"), (80, "TCP")
        on = at("networkPolicy.enabled", True)
        self.assertEqual(self.ports(merge(MINIMAL, on)), dns | {https, postgres})
        self.assertEqual(self.ports(merge(CASES["trial"], on)), dns | {https})
        self.assertEqual(self.ports(CASES["managed-identity"]), dns | {https, postgres, metadata})
        pooler = merge(on, at("networkPolicy.databasePort", 6432))
        self.assertEqual(self.ports(merge(MINIMAL, pooler)), dns | {https, (6432, "TCP")})

    def test_both_monitors_set_the_job_that_the_alerts_ask_for(self):
        for case, kind, key in [("everything-on", "ServiceMonitor", "endpoints"), ("ha", "PodMonitor", "podMetricsEndpoints")]:
            objects = helm_4(CASES[case])
            [endpoint] = one(objects, kind)["spec"][key]
            self.assertEqual(endpoint["relabelings"][0], {"targetLabel": "job", "replacement": "nexus-dirsync", "action": "replace"})
            rules = yaml.safe_dump(one(objects, "PrometheusRule"))
            self.assertIn('job="nexus-dirsync"', rules)

    def test_objects_of_values_are_templates(self):
        extra = one(helm_4(CASES["everything-on"]), "ConfigMap", "-extra")
        self.assertEqual(extra["metadata"]["name"], "nexus-dirsync-extra")
        self.assertEqual(extra["data"], {"release": "nexus-dirsync"})


if __name__ == "__main__":
    unittest.main()
