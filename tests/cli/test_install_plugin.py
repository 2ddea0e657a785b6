"""`install-plugin`: a file that docker runs, and no other file touched."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.commands import written
from support.schema import problems

if TYPE_CHECKING:
    from support.commands import Run

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "notarypy.json").read_text())


def plugin(home: Path, name: str = "trust") -> Path:
    return home / ".docker" / "cli-plugins" / f"docker-{name}"


HELP = """Usage:  docker COMMAND

Common Commands:
  ps          List

Management Commands:
  buildx*     Build
"""


def docker(home: Path, monkeypatch: pytest.MonkeyPatch, *own: str) -> None:
    """Put a docker on PATH that has these commands besides."""
    (home / "bin").mkdir()
    lines = HELP + "".join(f"  {name}       Manage\n" for name in own)
    program = written(home / "bin" / "docker", f"#!/bin/sh\ncat << 'END'\n{lines}\nEND\n".encode())
    Path(program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{home / 'bin'}:/usr/bin:/bin")


def test_a_docker_with_a_command_of_this_name_does_not_run_it(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(home, monkeypatch, "trust")
    told = run("install-plugin").expect(0).out
    assert "runs its own docker trust, and this from version 29 on; or use --name" in told
    assert plugin(home).exists()
    assert (
        run("install-plugin", "--name", "buildx").expect(0).out.endswith("docker buildx runs notarypy now\n")
    )
    assert "docker has a command ps of its own" in run("install-plugin", "--name", "ps").expect(2).err
    assert not plugin(home, "ps").exists()


def test_without_docker_nothing_is_said_of_now(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home))
    assert run("install-plugin").expect(0).out == f"installed {plugin(home)}: docker trust runs notarypy\n"


def test_it_writes_a_program_that_answers_docker(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(home, monkeypatch)
    path = plugin(home)
    for _ in range(2):
        assert run("install-plugin").expect(0).out == f"installed {path}: docker trust runs notarypy now\n"
    assert path.stat().st_mode & 0o777 == 0o755
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    answer = subprocess.run(
        [path, "docker-cli-plugin-metadata"], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(answer.stdout)["SchemaVersion"] == "0.1.0"


def test_a_plugin_imports_nothing_from_where_it_is_run(run: Run, home: Path) -> None:
    run("install-plugin", "--name", "dct").expect(0)
    for name in ("notarypy", "json"):
        (home / f"{name}.py").write_text("raise SystemExit('imported from here')")
    done = subprocess.run(
        [plugin(home, "dct"), "dct", "sign"], cwd=home, env={}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("docker: 'docker dct sign' requires 1 argument\n")


def test_the_folder_is_dockers_or_the_one_named(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("install-plugin", "--dir", home / "plugins").expect(0)
    assert (home / "plugins" / "docker-trust").exists()
    monkeypatch.setenv("DOCKER_CONFIG", str(home / "config"))
    document = run("install-plugin", "--json").expect(0).document
    assert document["results"][0]["path"] == str(home / "config" / "cli-plugins" / "docker-trust")
    assert problems(document, SCHEMA) == []
    assert problems(run("install-plugin", "--json", "--uninstall").expect(0).document, SCHEMA) == []
    assert not (home / ".docker").exists()


@pytest.mark.parametrize("argv", [(), ("--uninstall",)])
def test_a_file_of_somebody_else_stays(run: Run, home: Path, argv: tuple[str, ...]) -> None:
    path = plugin(home)
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    assert "it is not of notarypy install-plugin" in run("install-plugin", *argv).expect(1).err
    assert path.read_text() == "#!/bin/sh\n"
    path.unlink()
    (home / "target").write_text("# Written by notarypy install-plugin, which may overwrite or remove it.")
    path.symlink_to(home / "target")
    run("install-plugin", *argv).expect(1)
    assert path.is_symlink()


def test_it_removes_what_it_wrote(run: Run, home: Path) -> None:
    run("install-plugin").expect(0)
    assert run("install-plugin", "--uninstall").expect(0).out == f"removed {plugin(home)}\n"
    assert not plugin(home).exists()
    assert run("install-plugin", "--uninstall").expect(0).out == f"there is no {plugin(home)}\n"


@pytest.mark.parametrize("name", ["Trust", "a-b", "", "../x", "1"])
def test_names_that_docker_does_not_take(run: Run, home: Path, name: str) -> None:
    run("install-plugin", "--name", name).expect(2)
    assert not (home / ".docker").exists()
