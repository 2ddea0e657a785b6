"""Builds of notarypy that take turns: this checkout's, and another commit's.

Each is a folder like an installed one: a copy of the package with its compiled files, the libraries of
this virtual environment behind it, and a launcher as pip writes one. So nothing but the package differs, and
a file that is edited while measuring changes nothing.
"""

from __future__ import annotations

import compileall
import io
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
WANTED = ("notarypy", "pyproject.toml")
SCRIPT = """#!{python}
import sys
from {module} import {function}
if __name__ == '__main__':
    sys.exit({function}())
"""


@dataclass(frozen=True)
class Build:
    """A build: what it is called in tables, the commit, and its program."""

    name: str
    commit: str
    program: Path


def git(*arguments: str) -> bytes:
    """Run git in this repository and return its output."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


def known(revision: str) -> str:
    """Return a revision, if there is a commit of that name with a package that can be installed.

    Raises:
        ValueError: there is none.
    """
    # Git would read a first dash as an option, and a circumflex as what is left out.
    if revision.startswith(("-", "^")):
        raise ValueError(f"{revision!r} is no name of a commit")
    try:
        for part in ("", *(f":{name}" for name in WANTED)):
            git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}{part}")
    except (subprocess.CalledProcessError, OSError) as error:
        raise ValueError(f"{revision!r} is no commit of this repository that can be installed") from error
    return revision


def commit_of(revision: str) -> str:
    """Return a commit's short name; what is not committed shows as a plus sign for this checkout."""
    name = git("rev-parse", "--short=10", "--verify", f"{revision}^{{commit}}").decode().strip()
    changed = revision == "HEAD" and git("status", "--porcelain", "--", *WANTED)
    return f"{name}+" if changed else name


def current(directory: Path) -> Build:
    """Install this checkout as it is now."""
    tree = directory / "tree"
    shutil.copytree(ROOT / "notarypy", tree / "notarypy", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    return _install(directory, tree, "notarypy", commit_of("HEAD"))


def other(directory: Path, revision: str) -> Build:
    """Install another commit of this repository."""
    archive = git("archive", "--format=tar", revision, "--", *WANTED)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(directory / "tree", filter="data")
    return _install(directory, directory / "tree", revision, commit_of(revision))


def _install(directory: Path, tree: Path, name: str, commit: str) -> Build:
    venv.create(directory, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(directory), "platbase": str(directory)}))
    shutil.move(tree / "notarypy", packages / "notarypy")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    if not compileall.compile_dir(packages / "notarypy", quiet=1):
        raise RuntimeError(f"{name} does not compile")
    entry = tomllib.loads((tree / "pyproject.toml").read_text())["project"]["scripts"]["notarypy"]
    module, _, function = entry.partition(":")
    program = directory / "bin" / "notarypy"
    program.write_text(
        SCRIPT.format(python=directory / "bin" / Path(sys.executable).name, module=module, function=function)
    )
    program.chmod(0o755)
    return Build(name, commit, program)
