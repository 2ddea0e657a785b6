"""The sdist and the wheel: the same bytes wherever they are built, and what is in them; uvx and pipx."""

from __future__ import annotations

import email
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from packaging.requirements import Requirement

import notarypy
from docs import pages
from interop.harness import programs

if TYPE_CHECKING:
    from email.message import Message

    from interop.harness.once import Once
    from interop.harness.programs import Run

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]
RUNNERS = Path(sys.prefix, "runners", "bin")
WHEELS = Path(sys.prefix, "wheels")
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(WHEELS), "UV_OFFLINE": "1", "UV_NO_INDEX": "1"}
OFFLINE |= {"UV_FIND_LINKS": str(WHEELS), "UV_PYTHON_DOWNLOADS": "never"}
LATEST, PACKAGES = Path(sys.prefix, "servers/pythons/3.14/usr/bin/python3.14"), sysconfig.get_path("purelib")
# What the examples of RELEASING.md release.
VERSION = "0.2.0"
WHEEL, SDIST = f"notarypy-{VERSION}-py3-none-any.whl", f"notarypy-{VERSION}.tar.gz"
GITCONFIG = """[user]
name = Jo
email = jo@example.com
signingkey = {home}/key.pub
[gpg]
format = ssh
[url "{home}/public"]
insteadOf = https://github.com/notarypy/notarypy
"""
# In the place of the two that build.
BUILDERS = {
    "packages": 'cp -r {built} "$1"; [ "$2" = v1 ]; cd "$1"; sha256sum *',
    "single-file": '[ "$1" = --wheel ]; [ -e "$2" ]; cp "$2" "$4"; sha256sum "$4"',
}
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
print(JsonStrictValidator(SchemaVersion.V1_7).validate_str(sys.stdin.read()))
"""


class Sources:
    """A repository with what is in this checkout now, committed or not, and where it is pushed to."""

    def __init__(self, home: Path) -> None:
        self.home, self.folder = home, home / "checkout"
        shown = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(shown, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
        self.names = {name for name in listed.split("\0") if name and (CHECKOUT / name).is_file()}
        path = os.pathsep.join((str(RUNNERS), programs.SEARCH_PATH))
        self.environment = {"PATH": path, "HOME": str(home), **OFFLINE}

    def make(self) -> None:
        """Make it, and a release of it as RELEASING.md says, which is pushed."""
        for name in self.names:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, self.folder / name)
        self.run("ssh-keygen -q -t ed25519 -N '' -f ../key", self.folder)
        (self.home / ".gitconfig").write_text(GITCONFIG.format(home=self.home))
        self.run("git init -q -b main && git add -A && git commit -q -m 'as it is'", self.folder)
        self.run("git init -q --bare ../public && git remote add origin ../public", self.folder)
        *before, after = sessions("Each time")
        assert {line.split()[0] for line in after.splitlines()} == {"gh", "pipx"}  # the world has to have it
        assert before[0].startswith(f"version={VERSION}\n")
        elsewhere = r"^scripts/(test|single-file) ?.*\n"
        said = self.run(re.sub(elsewhere, "", "".join(before), flags=re.MULTILINE), self.folder).stdout
        assert f'+__version__ = "{VERSION}"\n' in said
        assert re.search(rf"^\+## \[{VERSION}\] - \d{{4}}-\d\d-\d\d$", said, re.MULTILINE)
        assert said.splitlines()[-1] == f"notarypy {VERSION}"

    def run(self, script: str, folder: Path, **variables: str) -> Run:
        """Run a script as a step of a workflow is run."""
        words = ["bash", "--noprofile", "--norc", "-euo", "pipefail", "-c", f"cd {folder}\n{script}"]
        started = programs.start(words, {**self.environment, **variables})
        return programs.collect(started, timeout=600).expect(0)


def sessions(heading: str) -> list[str]:
    """Return the blocks of RELEASING.md below a heading."""
    text = pages.read("RELEASING.md").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [block.text for block in pages.blocks(text, "sh")]


def jobs() -> dict[str, Any]:
    """Return the jobs that release."""
    found: dict[str, Any] = yaml.safe_load(pages.read(".github/workflows/release.yml"))["jobs"]
    return found


def steps(job: str) -> list[str]:
    """Return the scripts of a job that releases."""
    return [step["run"] for step in jobs()[job]["steps"] if "run" in step]


def is_approved(name: str) -> bool:
    """Tell whether a job waits until somebody approves."""
    return jobs()[name].get("environment") == "release" or any(
        map(is_approved, jobs()[name].get("needs", ()))
    )


@pytest.fixture(scope="module")
def sources(once: Once) -> Sources:
    return Sources(once.made("sources", lambda home: Sources(home).make()))


@pytest.fixture(scope="module")
def built(sources: Sources) -> Path:
    """Return the folder with both packages."""
    return sources.folder / "dist"


@pytest.fixture
def wheel(built: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(built / WHEEL)


def metadata(wheel: zipfile.ZipFile) -> Message:
    return email.message_from_bytes(wheel.read(f"notarypy-{VERSION}.dist-info/METADATA"))


def bill(wheel: zipfile.ZipFile) -> str:
    """Return the one bill of materials."""
    (name,) = [each for each in wheel.namelist() if ".dist-info/sboms/" in each]
    return wheel.read(name).decode()


def test_what_was_released_can_be_checked_by_anybody(sources: Sources, built: Path, tmp_path: Path) -> None:
    (script,) = sessions("What anybody can check")
    sources.run(script, tmp_path, version=VERSION)
    for name in (WHEEL, SDIST):
        assert (tmp_path / "checked" / name).read_bytes() == (built / name).read_bytes(), name


@pytest.mark.parametrize("later", [False, True])
def test_in_another_folder_years_later_or_with_a_later_python_the_bytes_are_the_same(
    sources: Sources, built: Path, tmp_path: Path, *, later: bool
) -> None:
    elsewhere = tmp_path / "else" / "where"
    ignored = shutil.ignore_patterns(".git", "dist", "SHA256SUMS")
    shutil.copytree(sources.folder, elsewhere, ignore=ignored)
    (elsewhere / "notarypy" / "__pycache__").mkdir()
    (elsewhere / "notarypy" / "__pycache__" / "left.pyc").write_text("of somebody's Python")
    clock = {"LD_PRELOAD": programs.faketime_library(), "FAKETIME": "+1000d"}
    python, given = (LATEST, {"PYTHONPATH": PACKAGES}) if later else (sys.executable, clock)
    sources.run(f"{python} -m hatchling build -d {tmp_path}", elsewhere, **given)
    for name in (WHEEL, SDIST):
        assert (tmp_path / name).read_bytes() == (built / name).read_bytes(), name


def test_a_tag_is_the_version(sources: Sources, built: Path, tmp_path: Path) -> None:
    sources.run("git tag v9.9.9", sources.folder)
    program = str(sources.folder / "scripts" / "packages")
    done = programs.run([program, str(tmp_path), "v9.9.9"], sources.environment)
    assert done.code != 0
    assert done.stderr.strip().endswith(f"the tag is v9.9.9, and the version {VERSION}")
    assert list(tmp_path.iterdir()) == []
    assert built.exists()


@pytest.mark.parametrize("differ", [False, True])
def test_the_workflow_goes_on_only_if_two_machines_built_the_same(
    sources: Sources, built: Path, tmp_path: Path, *, differ: bool
) -> None:
    (build,), (compare,) = steps("build"), steps("compare")
    for machine in ("one", "another"):
        place = tmp_path / f"packages-of-{machine}"
        scripts = place / f"sources-on-{machine}" / "scripts"
        scripts.mkdir(parents=True)
        for name, text in BUILDERS.items():
            (scripts / name).write_text(f"#!/bin/sh -e\n{text.format(built=built)}\n")
            (scripts / name).chmod(0o755)
        sources.run(build, place, TAG="v1", MACHINE=machine)
        shutil.rmtree(scripts.parent)
    if differ:
        with (place / "dist" / WHEEL).open("ab") as file:
            file.write(b"more")
    summary = tmp_path / "summary"
    words = ["bash", "-euo", "pipefail", "-c", f"cd {tmp_path}\n{compare}"]
    done = programs.run(words, {**sources.environment, "GITHUB_STEP_SUMMARY": str(summary)})
    assert (done.code != 0, summary.exists()) == (differ, not differ)
    if not differ:
        said = summary.read_text()
        assert said.startswith((sources.folder / "SHA256SUMS").read_text())
        assert said.endswith("  notarypy.pyz\n")


def test_without_an_approval_nothing_is_written() -> None:
    rights = {name: {*job["permissions"].values()} for name, job in jobs().items()}
    assert {name for name in rights if not is_approved(name)} == {"test", "build", "compare"}
    assert {name for name, given in rights.items() if given - {"read"}} == {"publish", "attest", "announce"}


def test_the_workflows_are_safe() -> None:
    paths = [str(CHECKOUT / name) for name in (".github", "action.yml")]
    found = programs.run([str(RUNNERS / "zizmor"), "--offline", *paths], {})
    assert "No findings to report" in found.expect(0).text


def test_the_version_stands_in_one_place() -> None:
    for name in ("Containerfile", "hatch_build.py", "pyproject.toml", *map(pages.name, pages.PAGES)):
        assert notarypy.__version__ not in re.split(r"[^\w.]+", pages.read(name)), name


def test_every_page_names_the_address_of_the_project() -> None:
    links = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["urls"]
    address = links["Source"].removeprefix("https://")
    named = {
        match for page in pages.PAGES for match in re.findall(r"[\w.]+/[\w-]*/notarypy\b", page.read_text())
    }
    assert {each for each in named if each.startswith("github.com/")} == {address}
    assert f"--repo {address.removeprefix('github.com/')}" in pages.read("RELEASING.md")
    assert f"insteadOf = {links['Source']}\n" in GITCONFIG


def test_a_wheel_has_the_package_and_nothing_else(sources: Sources, wheel: zipfile.ZipFile) -> None:
    about, pages = (f"notarypy-{VERSION}.{end}/" for end in ("dist-info", "data"))
    package = {name for name in wheel.namelist() if not name.startswith((about, pages))}
    assert package == {name for name in sources.names if name.startswith("notarypy/")}
    assert "notarypy/py.typed" in package
    others = {name.removeprefix(about) for name in wheel.namelist() if name.startswith(about)}
    written = {"METADATA", "RECORD", "WHEEL", "entry_points.txt"}
    assert others == {*written, "licenses/LICENSE", "sboms/notarypy.cdx.json"}
    shared = {name.removeprefix(pages) for name in wheel.namelist() if name.startswith(pages)}
    assert {name for name in shared if not re.fullmatch(r"data/share/man/man1/[\w-]+\.1", name)} == set()
    assert {
        f"data/share/man/man1/{name}.1"
        for name in ("notarypy", "notarypy-key-load", "docker-trust", "notary")
    } <= shared
    assert f'"notarypy {VERSION}"' in wheel.read(f"{pages}data/share/man/man1/notarypy.1").decode()
    declared = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["scripts"]
    points = wheel.read(f"{about}entry_points.txt").decode()
    assert dict(re.findall(r"^(\S+) = (\S+)$", points, re.MULTILINE)) == declared


def test_an_sdist_has_what_is_committed(sources: Sources, built: Path) -> None:
    with tarfile.open(built / SDIST) as files:
        names = {each.name.partition("/")[2] for each in files.getmembers()}
        assert {(each.uid, each.gid, each.uname) for each in files.getmembers()} == {(0, 0, "")}
    assert names - {"PKG-INFO"} == {name for name in sources.names if not name.startswith(".ci/")}


def test_the_metadata_is_what_an_index_shows(sources: Sources, wheel: zipfile.ZipFile) -> None:
    read = metadata(wheel)
    assert read["Version"] == VERSION
    assert read["License-Expression"] == "Apache-2.0"
    shown = read.get_all("Classifier", [])
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in range(11, 15)} <= set(shown)
    links = dict(each.split(", ") for each in read.get_all("Project-URL", []))
    assert links.keys() == {"Source", "Documentation", "Changelog", "Issues", "Security"}
    assert {url for url in links.values() if not url.startswith(links["Source"])} == set()
    text = read.get_payload()
    assert isinstance(text, str)
    here = f"{links['Source']}/blob/v{VERSION}/"
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert [each for each in targets if not each.startswith(("#", "https://"))] == []
    inside = {each.removeprefix(here).partition("#")[0] for each in targets if each.startswith(here)}
    assert "docs/cli.md" in inside
    assert {name for name in inside if not (sources.folder / name).exists()} == set()


def test_the_bill_of_materials_is_valid(wheel: zipfile.ZipFile) -> None:
    done = programs.run([str(RUNNERS / "python"), "-c", VALIDATE], {}, text=bill(wheel))
    assert done.expect(0).stdout.strip() == "None"


def test_the_bill_of_materials_is_what_the_metadata_needs(wheel: zipfile.ZipFile) -> None:
    read: dict[str, Any] = json.loads(bill(wheel))
    assert read["metadata"]["component"]["purl"] == f"pkg:pypi/notarypy@{VERSION}"
    needed = [Requirement(text) for text in metadata(wheel).get_all("Requires-Dist", [])]
    wanted = {
        each.name: ("optional" if each.marker else "required", {str(one) for one in each.specifier})
        for each in needed
    }
    listed = {
        each["name"]: (each["scope"], set(each["versionRange"].removeprefix("vers:pypi/").split("|")))
        for each in read["components"]
    }
    assert listed == wanted
    assert len(listed) == len(needed)
    assert {each["isExternal"] for each in read["components"]} == {True}
    # Nothing that differs from build to build.
    assert not {"serialNumber", "timestamp"} & {*read, *read["metadata"]}


def test_pipx_runs_it_from_the_wheel(sources: Sources, built: Path, tmp_path: Path) -> None:
    done = sources.run(f"pipx run --spec {built / WHEEL} notarypy --version", tmp_path, HOME=str(tmp_path))
    assert done.stdout == f"notarypy {VERSION}\n"
