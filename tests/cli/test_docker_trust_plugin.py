"""docker's own options before the plugin's name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from notarypy.cli.dockertrust.program import without_dockers_own

SIGN = ["sign", "r.test/a:1"]


@pytest.mark.parametrize(
    ("before", "changed"),
    [
        ("", {}),
        ("--config /c", {"DOCKER_CONFIG": "/c"}),
        ("--config=/c -D --tlsverify -l debug", {"DOCKER_CONFIG": "/c"}),
        ("-H unix:///s", {"DOCKER_HOST": "unix:///s"}),
        ("--host=unix:///s", {"DOCKER_HOST": "unix:///s"}),
        ("--tlscacert /ca -c default", {"DOCKER_CONTEXT": "default"}),
    ],
)
def test_dockers_own_options_become_variables(before: str, changed: dict[str, str]) -> None:
    assert without_dockers_own([*before.split(), "trust", *SIGN], "trust") == (SIGN, changed)


@pytest.mark.parametrize("before", ["-c other", "--context other", "--context=other"])
def test_a_context_that_is_named_counts_before_the_host_of_the_environment(before: str) -> None:
    words, changed = without_dockers_own([*before.split(), "trust", *SIGN], "trust")
    assert words == SIGN
    assert changed == {"DOCKER_CONTEXT": "other", "DOCKER_HOST": ""}


def test_help_is_asked_of_docker_too() -> None:
    assert without_dockers_own(["help", "trust", "sign"], "trust") == (["sign", "--help"], {})
    assert without_dockers_own(["trust", "--config", "x"], "trust") == (["--config", "x"], {})
    assert without_dockers_own(["--unknown", "trust"], "trust") == (["--unknown", "trust"], {})


@pytest.mark.parametrize("before", ["-D", "--config /c", "-H unix:///s"])
def test_without_the_plugins_name_they_are_nobodys(before: str) -> None:
    words = [*before.split(), *SIGN]
    assert without_dockers_own(words, "trust") == (words, {})


def test_docker_gets_its_metadata_from_a_program_that_loads_no_completion() -> None:
    code = "import sys; from notarypy.cli.dockertrust import program; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert not {"notarypy.cli.proposals", "notarypy.storage.trustdir"} & set(done.stdout.split())
