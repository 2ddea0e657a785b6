"""Somebody at the command line, whose servers are attacked.

What it is: the stage of attacks, seen through the program: exit codes, texts, documents,
and what is left on the disk. What it is not: another way into the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from notarypy.cli import run as cli_run
from notarypy.cli.main import run
from notarypy.cli.text import terminal
from notarypy.client.api import Client
from support.author import GUN
from support.commands import Outcome
from support.people import SERVER, make_world
from support.stage import Stage

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

REF = f"{GUN}:1"


class Victim:
    """A person with a trust directory and the command line, on a stage.

    Attributes:
        stage: The servers, and who attacks them.
        trust_dir: The person's trust directory.
    """

    def __init__(
        self, base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.stage = Stage(make_world(base, monkeypatch))
        self.trust_dir = self.stage.reader.trust_dir
        self._capsys = capsys
        world = self.stage.world
        monkeypatch.setattr(terminal, "present", lambda: False)

        def opened(opening: cli_run.Run, *, asking: bool) -> Client:  # noqa: ARG001 - nobody is asked
            settings = Client.from_environment(**opening.options.for_client).settings
            return Client(settings, transport=world.fake, clock=world.clock, warn=opening.report.warn)

        monkeypatch.setattr(cli_run, "open_client", opened)

    def run(self, *argv: str) -> Outcome:
        """Run one command line."""
        self._capsys.readouterr()
        code = run(["--first-use", "-s", SERVER, "-d", str(self.trust_dir), *argv])
        captured = self._capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    def knows(self) -> dict[str, bytes]:
        """Verify what is served, and return every file of the trust directory."""
        self.run("verify", REF).expect(0)
        return self.files()

    def files(self) -> dict[str, bytes]:
        """Return every file of the trust directory."""
        found = [path for path in self.trust_dir.rglob("*") if path.is_file() and not path.is_symlink()]
        return {str(path.relative_to(self.trust_dir)): path.read_bytes() for path in found}

    def refuses(self, exit_code: int, code: str, *words: str, argv: tuple[str, ...] = ("verify", REF)) -> Any:  # noqa: ANN401 - JSON
        """Insist that a command fails in these words and changes no file; return the facts of the error."""
        before = self.files()
        told = self.run(*argv).expect(exit_code)
        assert told.out == ""
        assert f" [{code}]\n" in told.err
        for word in words:
            assert word in told.err, told.err
        document = self.run("--json", *argv).expect(exit_code).document
        error = document.get("error") or document["results"][0]["error"]
        assert (error["code"], error["exit"]) == (code, exit_code)
        assert self.files() == before
        return error["facts"]

    def recovers(self) -> None:
        """Insist that the next honest publish verifies."""
        self.stage.world.attacker.undo_hooks()
        self.stage.author.snapshot_version += 100
        self.stage.author.timestamp_version += 100
        self.stage.publish()
        assert self.run("verify", REF).expect(0).out.startswith(f"{GUN}@sha256:")
