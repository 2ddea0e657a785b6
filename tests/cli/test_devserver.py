"""`notarypy devserver` and `notarypy demo`, in this process; `tests/devserver` has the signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.cli import run as running
from notarypy.cli.run import SignalFlag
from notarypy.devserver import demo
from notarypy.devserver.core import Fake
from notarypy.devserver.start import ServerOptions
from support.schema import problems

if TYPE_CHECKING:
    from support.commands import Run

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "notarypy.json").read_text())
WARNING = "notarypy: warning: these servers are for development: their keys are not protected\n"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell every command to end as soon as it waits for that."""
    monkeypatch.setattr(SignalFlag, "wait", lambda _: None)


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    """Return where temporary directories are made."""
    directory = home / "temporary"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    return directory


@pytest.mark.usefixtures("at_once")
def test_in_memory_nothing_stays(run: Run, temporary: Path) -> None:
    outcome = run("devserver").expect(0)
    assert outcome.err == WARNING
    assert "export DOCKER_CONTENT_TRUST_SERVER=https://localhost:" in outcome.out
    assert not list(temporary.iterdir())


@pytest.mark.usefixtures("at_once")
def test_the_login_is_exported(run: Run, home: Path) -> None:
    outcome = run("devserver", "--dir", home / "data", "--auth", "token").expect(0)
    assert "export NOTARY_AUTH=" in outcome.out
    assert (home / "data" / "env").read_text() in outcome.out
    assert (home / "data" / "docker" / "config.json").exists()


@pytest.mark.usefixtures("at_once")
def test_whoever_lets_others_in_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = run("devserver", "--host", "127.0.0.2").expect(0)
    assert outcome.err == WARNING
    assert "https://127.0.0.2:" in outcome.out
    monkeypatch.setattr(ServerOptions, "public", True)
    outcome = run("devserver", "--host", "127.0.0.2").expect(0)
    assert "other machines can reach them at 127.0.0.2" in outcome.err


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("has_list", [True, False])
def test_a_registry_with_or_without_a_list_of_referrers(
    run: Run, has_list: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fakes: list[Fake] = []

    def served(*arguments: Any, **options: Any) -> Fake:  # noqa: ANN401 - those of `Fake`
        fakes.append(Fake(*arguments, **options))
        return fakes[-1]

    monkeypatch.setattr("notarypy.devserver.start.Fake", served)
    run("devserver", *([] if has_list else ["--no-referrers"])).expect(0)
    assert [fake.registry.referrers for fake in fakes] == [has_list]


@pytest.mark.parametrize("option", ["--dir", "--host"])
def test_a_variable_without_a_value_is_no_choice(
    run: Run, option: str, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(temporary)
    run("devserver", option, "").expect(2)
    assert not list(temporary.iterdir())


@pytest.mark.usefixtures("at_once")
def test_a_folder_whose_name_is_not_utf_8(run: Run, home: Path) -> None:
    run("devserver", "--dir", home / os.fsdecode(b"caf\xe9")).expect(0)
    run("--json", "devserver", "--dir", home / os.fsdecode(b"caf\xe9")).expect(0)


@pytest.mark.usefixtures("at_once")
def test_its_document_fits_the_schema(run: Run) -> None:
    document = run("--json", "devserver").expect(0).document
    assert problems(document, SCHEMA) == []
    (result,) = document["results"]
    assert result["environment"]["DOCKER_CONTENT_TRUST_SERVER"] == result["server"] == result["ref"]
    assert problems({**document, "results": [{"ref": "x", "ok": True}]}, SCHEMA)


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_a_port_that_is_none(run: Run, port: str) -> None:
    run("devserver", "--port", port).expect(2)


def test_a_folder_that_is_none(run: Run, home: Path) -> None:
    (home / "file").touch()
    assert "cannot make directory" in run("devserver", "--dir", home / "file").expect(1).err


class Performed:
    """Answers in the place of the programs that the demonstration runs."""

    def __init__(self) -> None:
        self.lines: list[list[str]] = []
        self.environments: list[dict[str, str]] = []

    def __call__(self, words: list[str], **how: object) -> subprocess.CompletedProcess[str]:
        self.lines.append(words[3:])
        environment = how["env"]
        assert isinstance(environment, dict)
        self.environments.append(environment)
        return subprocess.CompletedProcess(words, 7, "what it said\n")


def test_a_demonstration_that_goes_wrong_says_where(
    run: Run, monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    performed = Performed()
    monkeypatch.setenv("DOCKER_CONTENT_TRUST_SERVER", "https://mine.test")
    monkeypatch.setenv("NOTARYPY_PASSPHRASE_ALICE", "mine")
    monkeypatch.setenv("https_proxy", "http://mine.test")
    monkeypatch.setenv("LANG", "C")
    monkeypatch.setattr(subprocess, "run", performed)
    outcome = run("demo").expect(1)
    assert "$ notarypy key generate alice\nwhat it said\n[exit 7]\n" in outcome.out
    assert "it ended with 7 instead of 0" in outcome.err
    assert performed.lines == [["key", "generate", "alice"]]
    (environment,) = performed.environments
    assert environment["LANG"] == "C"
    assert not [name for name, value in environment.items() if "mine" in value]
    assert environment["HOME"].startswith(str(temporary))
    assert not list(temporary.iterdir())


@pytest.mark.slow
@pytest.mark.usefixtures("at_once")
def test_the_whole_demonstration(run: Run, temporary: Path) -> None:
    outcome = run("demo", "--keep").expect(0)
    for words in ("init", "delegate add", "sign", "verify", "inspect --pretty", "pin", "revoke"):
        assert f"\n$ notarypy {words} " in outcome.out
    assert outcome.out.count("[exit 4]") == 2
    assert outcome.out.count("[exit 3]") == 1
    assert "trust.digest_mismatch" in outcome.out
    assert "trust.signature" in outcome.out
    assert "(index: linux/amd64, linux/arm64)" in outcome.out
    for variable in demo.PASSPHRASES:
        assert f"export {variable}=" in outcome.out
    assert "\\t" not in outcome.out
    assert outcome.err == WARNING
    assert not list(temporary.iterdir())


@pytest.mark.slow
def test_the_document_of_the_demonstration_fits_the_schema(run: Run) -> None:
    document = run("--json", "demo").expect(0).document
    assert problems(document, SCHEMA) == []
    assert {result["exit"] for result in document["results"]} == {0, 3, 4}


def test_a_demonstration_that_is_told_to_end(
    run: Run, monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    monkeypatch.setattr(SignalFlag, "asked", property(lambda flag: flag.number == signal.SIGTERM))
    monkeypatch.setattr("notarypy.cli.devserver._flush", lambda: signal.raise_signal(signal.SIGTERM))
    outcome = run("demo").expect(128 + signal.SIGTERM)
    assert outcome.out.count("\n$ notarypy ") == 1
    assert not list(temporary.iterdir())


def test_ignored_signals_stay_ignored_and_the_others_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: dict[int, object] = {1: "one", 2: signal.SIG_IGN}
    monkeypatch.setattr(running, "_SIGNALS", (1, 2))
    monkeypatch.setattr("signal.getsignal", handlers.get)

    def install(number: int, handler: object) -> object:
        before, handlers[number] = handlers[number], handler
        return before

    monkeypatch.setattr("signal.signal", install)
    with SignalFlag() as entered:
        assert handlers[2] is signal.SIG_IGN
        assert not entered.asked
        noted = handlers[1]
        assert callable(noted)
        noted(1, None)
        assert entered.asked
        entered.wait()
    assert handlers[1] == "one"
