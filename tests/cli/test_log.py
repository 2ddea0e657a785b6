"""The log of the program: what `-v` and `-vv` show of a whole flow, and that no secret is in it."""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from notarypy.devserver import start
from support import layouts, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.commands import Run

PASSPHRASES = {
    "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE": "root&correct+horse",
    "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": "repository/battery staple",
}
TOKEN_BYTES = 24


class Servers(NamedTuple):
    notary: str
    repository: str
    tokens: list[str]


@pytest.fixture
def servers(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    """Return servers that want a login, which the environment has; and the tokens that they issued."""
    tokens: list[str] = []

    def random(count: int) -> bytes:
        value = os.urandom(count)
        tokens.extend([value.hex()] * (count == TOKEN_BYTES))
        return value

    options = start.ServerOptions(authentication="token")
    with start.running(home / "dev", options, clock=served.now, random=random) as started:
        for name, value in {**started.environment, **PASSPHRASES}.items():
            monkeypatch.setenv(name, value)
        yield Servers(started.notary, f"{started.registry}/app", tokens)


@pytest.fixture
def flow(run: Run, servers: Servers, home: Path) -> Callable[[str], str]:
    """Return a function that goes from an image in files to a verified one; it returns what was shown."""
    layouts.layout(home / "layout")

    def go(verbose: str) -> str:
        image = f"{servers.repository}:1"
        commands = [
            ["push", "oci:layout", image],
            ["init", servers.repository],
            ["key", "generate", "jeff"],
            ["signer", "add", "--key", "jeff.pub", "jeff", servers.repository],
            ["sign", image],
            ["verify", image],
        ]
        return "".join(run(verbose, *argv).expect(0).err for argv in commands)

    return go


def test_v_shows_what_was_asked_of_whom_and_what_came(
    flow: Callable[[str], str], run: Run, servers: Servers
) -> None:
    flow("-q")
    shown = run("-v", "verify", f"{servers.repository}:1").expect(0).err.splitlines()
    assert all(line.startswith("notarypy: INFO: ") for line in shown)
    registry, _, name = servers.repository.partition("/")
    asked = [
        re.sub(r": (\d+), \d+ bytes$", r": \1", line.removeprefix("notarypy: INFO: "))
        for line in shown
        if " https://" in line
    ]
    timestamp = f"{servers.notary}/v2/{servers.repository}/_trust/tuf/timestamp.json"
    manifest = f"https://{registry}/v2/{name}/manifests/1"
    # Both are asked at the same time: each in its own order.
    assert [line for line in asked if servers.notary in line] == [
        f"GET {timestamp}: 401",
        f"GET {servers.notary}/token: 200",
        f"GET {timestamp}: 200",
    ]
    assert [line for line in asked if servers.notary not in line] == [
        f"GET {manifest}: 401",
        f"GET https://{registry}/token: 200",
        f"GET {manifest}: 200",
    ]


def test_vv_shows_every_decision_with_its_time_and_place(flow: Callable[[str], str]) -> None:
    lines = flow("-vv").splitlines()
    matched = [re.match(r"\d\d:\d\d:\d\d\.\d{3} (DEBUG|INFO) (notarypy\.[\w.]+): \S", line) for line in lines]
    assert [line for line, match in zip(lines, matched, strict=True) if match is None] == []
    places = {(match[1], match[2].removeprefix("notarypy.")) for match in matched if match is not None}
    assert ("INFO", "remote.http.adapter") in places
    deciding = {
        "client.metadata.refresh", "client.publish.pipeline", "client.verify.image", "keys.passphrases",
        "remote.auth.tokens", "remote.http.tls", "storage.settings.settings", "tuf.trusted",
    }  # fmt: skip
    assert deciding - {place for level, place in places if level == "DEBUG"} == set()


def test_nothing_secret_is_logged(flow: Callable[[str], str], servers: Servers) -> None:
    shown = flow("-vv")
    login = os.environ["NOTARY_AUTH"]
    password = base64.b64decode(login).decode().partition(":")[2]
    assert servers.tokens
    assert len(password) > 8
    secrets = {*PASSPHRASES.values(), login, login.rstrip("="), password, *servers.tokens}
    assert [secret for secret in secrets if secret in shown] == []
    assert "PRIVATE KEY" not in shown
