"""Fixtures: the command line in this process, and clients for it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy import testing
from notarypy.cli import run as cli_run
from notarypy.cli.dockertrust import program, shell
from notarypy.cli.dockertrust.shell import DockersWording
from notarypy.cli.gonotary import entry, notaryshell
from notarypy.cli.main import run as run_command_line
from notarypy.cli.text import terminal
from notarypy.cli.text.advice import TEXTS
from notarypy.client.api import Client
from notarypy.devserver.core import NOTARY_HOST
from notarypy.errors import Advice
from notarypy.keys.passphrases import standard_chain
from notarypy.storage.settings import gosettings
from support.author import NOW
from support.commands import Outcome, StubClient
from support.fakes import make_fake

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.devserver.core import Fake
    from support.commands import Run

fake_kms = testing.fake_kms


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home directory; nobody can be asked, and roots may be trusted on first use."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", "root passphrase")
    monkeypatch.setenv("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "repository passphrase")
    monkeypatch.setenv("NOTARYPY_FIRST_USE", "1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(terminal, "present", lambda: False)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs one command line."""

    def call(*argv: str | Path) -> Outcome:
        capsys.readouterr()
        code = run_command_line([str(word) for word in argv])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def saying(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Advice]:
    """Return a function that makes advice of any text."""
    monkeypatch.setitem(TEXTS, "test", "{text}")
    return lambda text: Advice("test", text=text)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> StubClient:
    """Return the scripted client that every command gets."""
    client = StubClient()

    def opened(opening: cli_run.Run, *, asking: bool) -> StubClient:
        client.options, client.asking = opening.options.for_client, asking
        client.limits = opening.limits
        client.warn = opening.report.warn
        return client

    monkeypatch.setattr(cli_run, "open_client", opened)
    return client


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Return the servers that the real client of every command talks to."""
    server = make_fake()
    monkeypatch.setenv("DOCKER_CONTENT_TRUST_SERVER", f"https://{NOTARY_HOST}")

    def opened(opening: cli_run.Run, *, asking: bool) -> Client:  # noqa: ARG001 - nobody is asked here
        options = opening.options.for_client
        settings = Client.from_environment(**options).settings
        literal = opening.options.gun
        return Client(
            settings, transport=server, clock=lambda: NOW, warn=opening.report.warn, literal_gun=literal
        )

    monkeypatch.setattr(cli_run, "open_client", opened)
    return server


@pytest.fixture
def docker_trust(
    fake: Fake, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Return a function that runs one command line of docker-trust against the fake; `typed` is its input."""

    def opened(run: shell.Shell) -> Client:
        settings = Client.from_environment(run.environ, **run.options).settings
        chain = standard_chain(settings.environ, None, run.prompt(), DockersWording())
        return Client(settings, passphrases=chain, transport=fake, clock=lambda: NOW, warn=run.warn)

    monkeypatch.setattr(shell, "open_client", opened)

    return _typing(home, capsys, monkeypatch, lambda words: program.start(["docker-trust", *words]))


@pytest.fixture
def notary(
    fake: Fake, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Return a function that runs one command line of notary against the fake; `typed` is its input."""

    def opened(run: notaryshell.NotaryShell) -> Client:
        options = {"server": f"https://{NOTARY_HOST}", **run.options}
        settings = gosettings.load_as_go(options, run.environ)
        chain = notaryshell.passphrases(settings, run)
        return Client(
            settings,
            passphrases=chain,
            transport=fake,
            clock=lambda: NOW,
            warn=run.warn,
            literal_gun=True,
            ask_login=run.login,
            cached_if_unreachable=True,
        )

    monkeypatch.setattr(notaryshell, "open_client", opened)

    return _typing(home, capsys, monkeypatch, entry.start)


def _typing(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    start: Callable[[list[str]], int],
) -> Run:
    """Return a function that starts a program with the words of a line, and with `typed` as its input."""

    def call(*argv: str | Path, typed: str | None = None) -> Outcome:
        capsys.readouterr()
        source = home / "typed"
        source.write_text(typed or "")
        with (
            (Path(os.devnull) if typed is None else source).open(encoding="utf-8") as stdin,
            monkeypatch.context() as patch,
        ):
            patch.setattr(sys, "stdin", stdin)
            code = start([*map(str, argv)])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call
