"""What others read of ours who watch, and what runs without people: checked by their own programs."""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import xmlschema
import yaml

from docs import pages
from interop.harness import programs
from interop.harness.people import REPOSITORY_PASSPHRASE

if TYPE_CHECKING:
    from interop.harness.cluster import Cluster
    from interop.harness.images import Repository
    from interop.harness.people import Person

FOLDER = pages.ROOT / "docs" / "monitoring"
UNITS = ("notarypy-renew.service", "notarypy-renew.timer", "notarypy-status.service", "notarypy-status.timer")
RELEASES = ("1.28", "1.34")
NEVER = "registry.invalid/team/never"


@pytest.fixture
def owned(alice: Person, repository: Repository) -> Repository:
    """A repository of alice's, and a list of it and of one that is nowhere."""
    alice.own(repository.name)
    (alice.home / "repositories").write_text(f"{repository.name}  # ours\n{NEVER}\n")
    return repository


def test_prometheus_reads_the_metrics(alice: Person, owned: Repository) -> None:
    printed = alice.notarypy("status", "--format", "prometheus", "--from-file", alice.home / "repositories")
    assert printed.code in {3, 4, 8}
    assert f'notarypy_repository_up{{repository="{owned.name}"}} 1' in printed.stdout
    assert f'notarypy_repository_up{{repository="{NEVER}"}} 0' in printed.stdout
    checked = programs.run(["promtool", "check", "metrics"], {}, text=printed.stdout).expect(0)
    assert checked.text == ""


def test_the_xml_is_as_jenkins_wants_it(alice: Person, owned: Repository) -> None:
    target = alice.home / "trust.xml"
    arguments = (
        "--within",
        "4000d",
        "--format",
        "junit",
        "-o",
        target,
        "--from-file",
        alice.home / "repositories",
    )
    assert alice.notarypy("status", *arguments).code in {3, 4, 8}
    schema = xmlschema.XMLSchema(programs.UNPACKED.parent / "junit-10.xsd")
    schema.validate(str(target))
    text = target.read_text()
    assert f'<testcase classname="{owned.name}" name="targets/jeff">' in text
    assert '<failure type="trust.expired"' in text
    assert '<error type="' in text


def test_prometheus_takes_the_rules_and_they_fire_when_they_should() -> None:
    environment = {"HOME": "/nonexistent"}
    programs.run(["promtool", "check", "rules", str(FOLDER / "alerts.yml")], environment).expect(0)
    programs.run(["promtool", "test", "rules", str(FOLDER / "alerts-test.yml")], environment).expect(0)
    names = {
        rule["alert"]
        for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
        for rule in group["rules"]
    }
    tests = yaml.safe_load((FOLDER / "alerts-test.yml").read_text())["tests"]
    fired = {
        case["alertname"] for test in tests for case in test["alert_rule_test"] if case.get("exp_alerts")
    }
    assert fired == names


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for name in UNITS:
        text = (FOLDER / name).read_text()
        (tmp_path / name).write_text(text.replace("/usr/local/bin/notarypy", programs.find("notarypy")))
    argv = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in UNITS)]
    assert programs.run(argv, {"HOME": str(tmp_path)}).expect(0).text == ""


def test_the_unit_renews_with_what_it_is_given(alice: Person, owned: Repository, tmp_path: Path) -> None:
    line = next(
        line for line in (FOLDER / UNITS[0]).read_text().splitlines() if line.startswith("ExecStart=")
    )
    _runs_as_written(shlex.split(line.removeprefix("ExecStart="))[1:], alice, owned, tmp_path)


def test_the_cron_job_renews_with_what_it_is_given(alice: Person, owned: Repository, tmp_path: Path) -> None:
    container = _cron_job()["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    arguments = [part for word in container["args"] for part in word.split("=", 1)]
    _runs_as_written(arguments, alice, owned, tmp_path)


def _runs_as_written(arguments: list[str], alice: Person, owned: Repository, tmp_path: Path) -> None:
    """Run a command line of an example with files of ours in place of those that it names, once it is due."""
    (tmp_path / "config.toml").write_text(
        f'[registry."{owned.registry.host}"]\nserver = "{alice.server.url}"\n'
    )
    (tmp_path / "list").write_text(f"{owned.name}\n")
    (tmp_path / "passphrases").write_text(
        f"root={alice.environment['DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE']}\n"
        f"targets={REPOSITORY_PASSPHRASE}\njeff={REPOSITORY_PASSPHRASE}\n"
    )
    ours = {
        "--trust-dir": str(alice.trust_dir),
        "--config": str(tmp_path / "config.toml"),
        "--passphrase-file": str(tmp_path / "passphrases"),
        "--from-file": str(tmp_path / "list"),
    }
    pairs = itertools.pairwise(["", *arguments])
    line = [ours.get(before, word) for before, word in pairs]
    assert set(ours.values()) < set(line)
    for name in ("SERVER", "ROOT_PASSPHRASE", "REPOSITORY_PASSPHRASE"):
        del alice.environment[f"DOCKER_CONTENT_TRUST_{name}"]
    assert alice.notarypy(*line).expect(0).text == ""  # nothing is due
    done = alice.notarypy(*line, "--within", "1200d").expect(0)
    assert "renewed targets of" in done.stdout
    assert done.stderr == ""
    assert alice.notary("list", owned.name).code == 0


def _cron_job() -> Any:  # noqa: ANN401 - a document
    return next(
        each for each in yaml.safe_load_all((FOLDER / "cronjob.yml").read_text()) if each["kind"] == "CronJob"
    )


@pytest.mark.parametrize("release", RELEASES)
def test_the_cron_job_fits_the_published_schemas(release: str) -> None:
    for document in yaml.safe_load_all((FOLDER / "cronjob.yml").read_text()):
        kubernetes_validate.validate(document, release, strict=True)


def test_a_cluster_takes_the_cron_job(cluster: Cluster, tmp_path: Path) -> None:
    text = (FOLDER / "cronjob.yml").read_text()
    if not cluster.has_cronjobs:
        text = text.replace("apiVersion: batch/v1\n", "apiVersion: batch/v1beta1\n")
    # A key's id is as long as names of keys in a Secret may be.
    text, namespace = text.replace("KEY-ID", "a" * 64), cluster.namespace().name
    for kind, name, data in (("generic", "notarypy-keys", {f"{'a' * 64}.key": "x", "passphrases": "x"}),):
        given = [f"--from-literal={key}={value}" for key, value in data.items()]
        cluster.kubectl("-n", namespace, "create", "secret", kind, name, *given).expect(0)
    (tmp_path / "cronjob.yml").write_text(text)
    cluster.kubectl("-n", namespace, "apply", "-f", tmp_path / "cronjob.yml").expect(0)
    cluster.kubectl("-n", namespace, "create", "job", "--from=cronjob/notarypy-renew", "first").expect(0)


def test_the_plugin_says_what_nagios_understands(alice: Person, owned: Repository) -> None:
    def asked(*arguments: str) -> tuple[int, str]:
        path = os.pathsep.join((str(Path(programs.find("notarypy")).parent), os.defpath))
        environment = {**alice.environment, "PATH": path}
        plugin = str(FOLDER / "check_notarypy")
        done = subprocess.run(
            [plugin, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        return done.returncode, done.stdout

    assert asked("60d", "14d", owned.name) == (0, "OK: nothing ends within 60d\n")
    code, said = asked("4000d", "14d", owned.name)
    assert (code, said.splitlines()[0].startswith("WARNING: root, targets")) == (1, True)
    code, said = asked("4000d", "4000d", owned.name)
    assert (code, said.startswith("CRITICAL: root, targets")) == (2, True)
    code, said = asked("60d", "14d", "--server", "https://localhost:1", owned.name)
    assert (code, said.startswith("UNKNOWN: cannot connect")) == (3, True)
    assert asked("60d")[0] == 3


def test_every_example_is_on_the_page() -> None:
    linked = {
        link for link in pages.links(pages.read("docs/monitoring.md")) if link.startswith("monitoring/")
    }
    assert linked == {f"monitoring/{path.name}" for path in FOLDER.iterdir()}
