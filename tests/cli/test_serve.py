"""`notarypy serve`: what is wrong with what it is told, and one whole run of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy import files
from notarypy.cli.run import SecondSignalInterrupts
from notarypy.service import serving
from notarypy.service.verifier import Verifier
from support.schema import problems

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.commands import Run

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "notarypy.json").read_text())
POLICY = '[scope."*"]\nmode = "skip"\n'


@pytest.fixture
def policy(home: Path) -> Path:
    file = home / "policy.toml"
    file.write_text(POLICY)
    return file


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--listen"),
        (["--listen", ""], "--listen is empty"),
        (["--listen", "8080"], "it has no port"),
        (["--listen", "localhost"], "it has no port"),
        (["--listen", "localhost:65536"], "its port is no number from 0 to 65535"),
        (["--listen", "localhost:-1"], "its port is no number from 0 to 65535"),
        (["--listen", "http://127.0.0.1:0"], "it is a URL"),
        (["--listen", "localhost:0", "--socket-mode", "0600"], "--socket-mode is for a Unix socket"),
        (["--listen", "::1:8080"], "in brackets"),
        (["--listen", "unix:"], "there is no path"),
        (["--listen", "unix:/no/such/place"], "cannot listen on unix:/no/such/place"),
        (["--listen", "127.0.0.1:0", "--listen", "0.0.0.0:0"], "0.0.0.0:0 would be served without TLS"),
        (["--listen", ":0"], ":0 would be served without TLS"),
        (["--listen", "no.such.host.invalid:0", "--plain-http"], "cannot listen on no.such.host.invalid:0"),
        (["--listen", "unix:s", "--tls-cert", "a", "--tls-key", "b"], "--tls-cert is for an ADDR:PORT"),
        (["--listen", "[::1]:0", "--tls-cert", "a"], "--tls-cert and --tls-key go together"),
        (["--listen", "[::1]:0", "--tls-key", "a"], "--tls-cert and --tls-key go together"),
        (["--listen", "localhost:0", "--tls-client-ca", "a"], "--tls-client-ca needs --tls-cert"),
        (["--listen", "localhost:0", "--tls-cert", "a", "--tls-key", "b"], "no certificate to serve in a"),
        (["--listen", "unix:s", "--max-age", "soon"], "--max-age cannot be 'soon'"),
        (["--listen", "unix:s", "--max-age", "2d"], "it is a TIME from 0s to 1d"),
        (["--listen", "unix:s", "--deadline", "0"], "--deadline cannot be '0'"),
        (["--listen", "unix:s", "--deadline", "30s"], "--deadline cannot be '30s'"),
        (["--listen", "unix:s", "--shutdown-delay", "-1s"], "--shutdown-delay cannot be '-1s'"),
        (["--listen", "unix:s", "--max-requests", "0"], "--max-requests"),
        (["--listen", "unix:s", "--socket-mode", "rw"], "--socket-mode 'rw' is no mode"),
        (["--listen", "unix:s", "--socket-mode", "0400"], "--socket-mode '0400' is no mode"),
        (["--listen", "unix:s", "--log-format", "xml"], "--log-format"),
        (
            ["--listen", "unix:s", "--memory", "--trust-dir", "d"],
            "--memory and --trust-dir exclude each other",
        ),
        (["--listen", "unix:s", "--policy", "none.toml"], "none.toml"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_meant(run: Run, words: list[str], said: str, policy: Path) -> None:
    given = ["--policy", policy, *words] if "--policy" not in words else words
    assert said in run("serve", *given).expect(2).err
    assert not list(policy.parent.glob("*.sock"))


@pytest.mark.parametrize("text", ["", '[scope."registry.example.com"]\nfirst_use = true\n'])
def test_roots_are_pinned(run: Run, policy: Path, text: str) -> None:
    policy.write_text(text)
    if text:
        assert (
            "does not pin every root" in run("serve", "--listen", "unix:s", "--policy", policy).expect(2).err
        )
    else:
        policy.unlink()
        assert "there is no trust policy" in run("serve", "--listen", "unix:s").expect(2).err


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], list[int]]:
    """Return a function that has a run end as soon as a socket answers, and its mode noted."""

    def begin(path: Path) -> list[int]:
        modes: list[int] = []

        def look() -> None:
            while True:
                try:
                    with socket.socket(socket.AF_UNIX) as asking:
                        asking.connect(str(path))
                        asking.sendall(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n")
                        if asking.recv(100).startswith(b"HTTP/1.1 200"):
                            break
                except OSError:
                    time.sleep(0.01)
            modes.append(stat.S_IMODE(path.stat().st_mode))
            monkeypatch.setattr(SecondSignalInterrupts, "asked", True)

        threading.Thread(target=look, daemon=True).start()
        return modes

    return begin


@pytest.mark.parametrize(
    ("mode", "memory", "said"),
    [("0600", True, "memory"), ("660", False, "a temporary directory on a disk")],
)
def test_a_run(
    run: Run,
    policy: Path,
    served: Callable[[Path], list[int]],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    memory: bool,
    said: str,
) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(home / "it.sock"))
    stale.close()
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    monkeypatch.setattr(serving, "_is_in_memory", lambda _: memory)
    killed, live, young = (home / f"notarypy-serve-{name}" for name in ("killed", "live", "young"))
    for folder in (killed, live, young):
        (folder / "tuf").mkdir(parents=True)
        os.utime(folder, None if folder is young else (0, 0))
    watch, there = Verifier.watch, list[bool]()

    def watched(verifier: Verifier) -> None:
        there.append((home / "it.sock").exists())  # no thread runs beside the umask of its making
        watch(verifier)

    monkeypatch.setattr(Verifier, "watch", watched)
    modes = served(home / "it.sock")
    words = ["--listen", "unix:it.sock", "--policy", policy, "--memory", "--socket-mode", mode]
    with files.locked(live / "serve.lock", 0):
        os.utime(live, (0, 0))
        outcome = run("serve", *words, "--log-format", "text").expect(0)
    assert outcome.out == f"listening on unix:{home / 'it.sock'}\n"
    assert (modes, there) == ([int(mode, 8)], [True])
    assert f"WARNING notarypy.service.serving trust data is in {said}, {home}/notarypy-serve-" in outcome.err
    assert not (home / "it.sock").exists()
    assert set(home.glob("notarypy-serve-*")) == {live, young}


def test_files_for_notary_servers_are_looked_at(run: Run, policy: Path) -> None:
    words = ["serve", "--listen", "unix:s", "--policy", policy, "--tlscacert", "none.pem"]
    assert "cannot use the CA file" in run(*words).expect(8).err


@pytest.mark.parametrize("option", ["--offline", "--first-use", "--gun"])
def test_what_says_nothing_of_a_service(run: Run, policy: Path, option: str) -> None:
    error = run(option, "serve", "--listen", "unix:s", "--policy", policy).expect(2).err
    assert f"{option} is not for a service" in error


def test_its_document_fits_the_schema(
    run: Run, policy: Path, served: Callable[[Path], list[int]], home: Path
) -> None:
    served(home / "it.sock")
    document = run("--json", "serve", "--listen", "unix:it.sock", "--policy", policy).expect(0).document
    assert problems(document, SCHEMA) == []
    url = f"unix:{home / 'it.sock'}"
    assert document["results"] == [{"ref": url, "ok": True, "url": url}]
    assert problems({**document, "results": [{"ref": "x", "ok": True}]}, SCHEMA)


@pytest.mark.parametrize("name", ["uvicorn", "prometheus_client"])
def test_without_the_extra(run: Run, policy: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("serving", "httpserver", "metrics", "routes", "asgi"):
        monkeypatch.delitem(sys.modules, f"notarypy.service.{module}", raising=False)
        monkeypatch.delattr(f"notarypy.service.{module}", raising=False)
    monkeypatch.setitem(sys.modules, name, None)
    error = run("serve", "--listen", "unix:it.sock", "--policy", policy).expect(2).err
    assert f"the service needs {name}" in error
    assert "'.[serve]'" in error


def test_what_is_in_the_way_of_a_socket(run: Run, policy: Path, home: Path) -> None:
    (home / "file").write_text("mine")
    words = ["--policy", policy, "--memory"]
    assert (
        "there is something else than a socket" in run("serve", "--listen", "unix:file", *words).expect(2).err
    )
    assert (home / "file").read_text() == "mine"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home / "live.sock"))
        listening.listen()
        assert "another process listens" in run("serve", "--listen", "unix:live.sock", *words).expect(2).err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        assert "name a free port" in run("serve", "--listen", place, *words).expect(2).err
    too_long = run("serve", "--listen", f"unix:{'x' * 200}", *words).expect(2).err
    assert "too long" in too_long
    assert "name a shorter path" in too_long


def test_a_second_signal_is_taken_for_an_interruption() -> None:
    with SecondSignalInterrupts() as ending:
        os.kill(os.getpid(), signal.SIGTERM)
        assert ending.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
