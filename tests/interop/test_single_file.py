"""The single file of `scripts/single-file`, built without a network, under a Python that has no packages."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import notarypy
from docs import pages
from interop.harness import programs

if TYPE_CHECKING:
    from interop.harness.images import Repository
    from interop.harness.once import Once
    from interop.harness.people import Person
    from interop.harness.programs import Run

CHECKOUT = Path(__file__).parents[2]
WHEELS = Path(sys.prefix, "wheels")
PYTHON = str(Path(sys.executable).resolve())
NAME = "notarypy.pyz"
# scripts/setup brings them.
LATER = {
    name: Path(sys.prefix, "servers", "pythons", name, "usr/bin", f"python{name}")
    for name in ("3.13", "3.14")
}


def make(folder: Path) -> None:
    given = {
        "PATH": os.defpath,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(WHEELS),
        "PIP_CONFIG_FILE": os.devnull,
    }
    command = [sys.executable, str(CHECKOUT / "scripts" / "single-file"), "--output", str(folder / NAME)]
    done = subprocess.run(command, env=given, capture_output=True, encoding="utf-8", check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def file(once: Once) -> Path:
    return once.made("single-file", make) / NAME


def run(file: Path, alice: Person, *words: str, python: str = PYTHON) -> Run:
    """Run the file with a Python that finds no installed packages."""
    return programs.run([python, "-I", "-S", str(file), *words], alice.environment)


@pytest.mark.parametrize("version", LATER)
def test_later_pythons_start_it_too(version: str, file: Path, alice: Person) -> None:
    python = str(LATER[version])
    run(file, alice, "key", "generate", "alice", "--dir", str(alice.home), python=python).expect(0)
    assert "alice" in run(file, alice, "key", "list", python=python).expect(0).stdout
    (unpacked,) = (alice.home / ".cache" / "notarypy").iterdir()
    assert f"-cp{version.replace('.', '')}-linux-" in unpacked.name


def test_each_wheel_is_for_what_it_is_listed_for(file: Path) -> None:
    with zipfile.ZipFile(file) as whole:
        listed = [line.split() for line in whole.read("wheels.txt").decode().splitlines()]
    kinds = {f"cp3{minor}-linux-{machine}" for minor in (11, 12, 13, 14) for machine in ("x86_64", "aarch64")}
    assert {kind for kind, _ in listed} == kinds
    for kind, name in listed:
        python, _, machine = kind.partition("-linux-")
        tags = name.removesuffix(".whl").split("-")[-3:]
        assert tags[2] == "any" or machine in tags[2]
        assert "py3" in tags[0] or tags[0] == python or tags[1] == "abi3"
    assert len({kind.partition("-")[0] + name.partition("-")[0] for kind, name in listed}) * 2 == len(listed)


def test_it_signs_and_verifies(file: Path, alice: Person, repository: Repository) -> None:
    assert run(file, alice, "--version").expect(0).stdout == f"notarypy {notarypy.__version__}\n"
    digest = repository.push("1").digest
    run(file, alice, "init", repository.name).expect(0)
    run(file, alice, "sign", f"{repository.name}:1").expect(0)
    verified = run(file, alice, "verify", f"{repository.name}:1").expect(0).stdout
    assert (
        verified == f"{repository.name}@{digest}\n" == alice.notarypy("verify", f"{repository.name}:1").stdout
    )
    (unpacked,) = (alice.home / ".cache" / "notarypy").iterdir()
    assert unpacked.stat().st_mode & 0o777 == 0o700


def test_it_is_dockers_plugin_too(file: Path, alice: Person) -> None:
    run(file, alice, "install-plugin").expect(0)
    plugin = alice.docker_config / "cli-plugins" / "docker-trust"
    said = programs.run([str(plugin), "docker-cli-plugin-metadata"], alice.environment).expect(0).document
    assert said["Version"] == notarypy.__version__
    assert "Usage:" in programs.run([str(plugin), "trust", "--help"], alice.environment).expect(0).text


def test_it_is_no_larger_than_the_page_says(file: Path, alice: Person) -> None:
    whole, unpacked = pages.megabytes("docs/installing.md", "`notarypy.pyz`", "what this Python needs")
    assert file.stat().st_size < whole
    run(file, alice, "--version").expect(0)
    there = [path.lstat().st_size for path in (alice.home / ".cache" / "notarypy").rglob("*")]
    assert sum(there) < unpacked
