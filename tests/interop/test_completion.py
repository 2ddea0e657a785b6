"""Completion as people meet it: keys are pressed in a real bash, zsh and fish, and in docker's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interop.harness import programs
from interop.harness.shells import Shell
from support.known import add_key, add_repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APP, OTHER = "registry.example.com/team/app", "registry.example.com/team/other"
HOSTILE = "evil.example.com/$(touch ran)`touch ran`;'x"


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    """Return a shell in a folder with files, whose user has trust data and keys."""
    trust_dir = tmp_path / ".docker" / "trust"
    add_repository(trust_dir, APP, ["1.0", "1.1", "v2"], ["ann"])
    add_repository(trust_dir, OTHER, ["9"])
    add_repository(trust_dir, HOSTILE, ["$(touch ran)"])
    add_key(trust_dir, "ab" * 32, "jeff")
    add_key(trust_dir, "cd" * 32, "targets", APP)
    (tmp_path / "Dockerfile.txt").write_text("")
    (tmp_path / "an image").mkdir()
    with Shell(request.param, tmp_path) as started:
        yield started


def test_what_is_typed_is_completed(shell: Shell, tmp_path: Path) -> None:
    for keys, line in (
        ("notarypy ver\t", "notarypy verify "),
        ("notarypy verify --no-reg\t", "notarypy verify --no-registry "),
        ("notarypy key generate --alg r\t", "notarypy key generate --alg rsa "),
        ("notarypy key generate --alg=r\t", "notarypy key generate --alg=rsa "),
        (f"notarypy status {APP[:-2]}\t", f"notarypy status {APP} "),
        (f"notarypy verify {APP}:v\t", f"notarypy verify {APP}:v2 "),
        (f"notarypy verify '{OTHER}:\t", f"notarypy verify '{OTHER}:9' "),
        ("notarypy signer remove j\t", "notarypy signer remove jeff "),
        ("notarypy pin Dock\t", "notarypy pin Dockerfile.txt "),
        ("notarypy pin --policy=Dock\t", "notarypy pin --policy=Dockerfile.txt "),
        ("notarypy pin ~/Dock\t", "notarypy pin ~/Dockerfile.txt "),
        ("notarypy push oci-a\t", "notarypy push oci-archive:"),
        ("notarypy push oci:an\t", r"notarypy push oci:an\ image/"),
        ("notarypy -d /nowhere verify reg\t", "notarypy -d /nowhere verify reg"),
        ("docker-trust insp\t", "docker-trust inspect "),
        (f"docker-trust sign {OTHER}:\t", f"docker-trust sign {OTHER}:9 "),
        ("notary -v deleg\t", "notary -v delegation "),
        (f"notary -d ~/.docker/trust lookup {OTHER} \t", f"notary -d ~/.docker/trust lookup {OTHER} 9 "),
    ):
        assert shell.typed(keys)[0] == line
    assert not (tmp_path / "ran").exists()


def test_where_there_is_a_choice_it_is_shown(shell: Shell) -> None:
    line, shown = shell.typed("notarypy si\t")
    assert line == "notarypy sign"
    assert "signer" in shown
    assert ("Sign tags with the digests" in shown) == (shell.name != "bash")
    line, shown = shell.typed(f"notarypy verify {APP}:1\t")
    assert line == f"notarypy verify {APP}:1."
    assert "1.0" in shown
    line, shown = shell.typed("notarypy key passwd \t")
    assert line == "notarypy key passwd "
    assert "jeff" in shown
    assert "cdcdcdcdcdcd" in shown


def test_a_hostile_name_is_a_word_and_runs_nothing(shell: Shell, tmp_path: Path) -> None:
    line, _ = shell.typed("notarypy forget evil\t")
    assert line.startswith("notarypy forget evil.example.com/")
    assert line != "notarypy forget evil"
    shell.press("\x15notarypy forget evil\t --nothing\r")
    assert "no such option: --nothing" in shell.until("[usage]")
    shell.press("\x15notarypy verify evil\t")
    shell.typed("")
    assert not list(tmp_path.rglob("ran"))


def complete_files(shell: Shell) -> None:
    """Complete hostile names of files: each is one word, or there is nothing where a quote is open."""
    hostile, blank = "zz$(touch ran)`touch ran`;touch ran;'x.pem", "yy y"
    for name in (hostile, blank):
        (shell.home / name).write_text("")
    places = {"zz": hostile, "~/zz": f"~/{hostile}", '"zz': hostile, "yy\\ ": blank, "'yy": blank}
    for typed, name in places.items():
        line, _ = shell.typed(f"notarypy pin {typed}\t")
        if typed[0] in "'\"" and line == f"notarypy pin {typed}":
            continue
        words = [shell.name, "-c", f"cd; {line.replace('notarypy pin', 'printf %s')}"]
        read = programs.run(words, shell.environment).expect(0)
        assert read.stdout == name.replace("~", str(shell.home))
        assert not (shell.home / "ran").exists()


def test_a_hostile_name_of_a_file_is_a_word(shell: Shell) -> None:
    complete_files(shell)


@pytest.mark.parametrize("shell", ["bash"], indirect=True)
def test_a_bash_without_compopt_quotes_names_of_files_all_the_same(shell: Shell) -> None:
    shell.press("compopt() { return 1; }\r")
    complete_files(shell)


def test_no_program_is_run_for_standing_on_the_line(shell: Shell) -> None:
    program = shell.home / "notarypy"
    program.write_text("#!/bin/sh\ntouch ran\n")
    program.chmod(0o755)
    assert shell.typed("./notarypy ver\t")[0] == "./notarypy verify "
    assert not (shell.home / "ran").exists()


def test_docker_completes_the_words_of_its_plugin(tmp_path: Path) -> None:
    add_repository(tmp_path / ".docker" / "trust", APP, ["1"])
    environment = {"HOME": str(tmp_path), "PATH": programs.newer_path()}
    programs.run(["notarypy", "install-plugin", "--name", "dct"], environment).expect(0)
    docker = programs.run(["docker", "__complete", "dct", "sign", "registry"], environment).expect(0)
    assert docker.stdout.splitlines()[:2] == [APP, f"{APP}:1"]
