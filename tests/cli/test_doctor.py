"""`doctor`: what is broken is named, with what mends it, and nothing is changed."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import shutil
import socket
from base64 import b64encode
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from notarypy import system
from notarypy.cli import app, wellformed
from notarypy.cli.declared import GLOBAL_OPTIONS
from notarypy.cli.text import findingadvice
from notarypy.client.api import Client
from notarypy.client.backup.contents import NOTE, LastBackup, write_note
from notarypy.client.connections import Connections
from notarypy.client.doctor.endpoints import Watcher
from notarypy.devserver.core import NOTARY_HOST, REGISTRY_HOST
from notarypy.devserver.tampering import Tampering
from notarypy.errors import OperationError
from notarypy.keys.signers import SIGNERS
from notarypy.remote.http.messages import Request, Response
from notarypy.remote.http.sockets import Peer
from notarypy.values import replace
from support.author import NOW, private_key
from support.fakes import make_fake
from support.helpers import write_helper

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.devserver.core import Fake
    from notarypy.testing import FakeKms
    from support.commands import Outcome, Run

REPO = f"{REGISTRY_HOST}/admin/demo"
PIN = "ab" * 32
# The programs that what mends a line may name, besides notarypy.
PROGRAMS = {"chmod", "rm", "touch", "export", "unset", "pip", "timedatectl", "notary"}
COMMAND = re.compile(r"(?:^|: |; |then )((?:notarypy|" + "|".join(PROGRAMS) + r") [^;]*)")


@dataclass
class Place:
    """Where something is broken."""

    home: Path
    fake: Fake
    monkeypatch: pytest.MonkeyPatch
    run: Run

    @property
    def trust(self) -> Path:
        return self.home / ".docker" / "trust"

    @property
    def metadata(self) -> Path:
        return self.trust / "tuf" / REPO / "metadata"

    def key(self, role: str) -> Path:
        """Return the file of the key of a role."""
        listed = self.run("key", "list", "--json").document["results"]
        return Path(next(key["path"] for key in listed if key["role"] == role))

    def write(self, name: str, text: str, mode: int = 0o600) -> Path:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def env(self, **variables: str) -> None:
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Return where an owner's home is kept, and what the server knew then: it is made once."""
    return tmp_path_factory.mktemp("kept") / "home", {}


@pytest.fixture
def place(
    run: Run, home: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch, kept: tuple[Path, dict[str, Any]]
) -> Place:
    """Return the home of an owner, with a repository that is as it should be."""
    monkeypatch.setattr("notarypy.keys.formats.pkcs8.ROUNDS", 1000)
    monkeypatch.setenv("PATH", str(home / "bin"))
    monkeypatch.setattr("socket.getaddrinfo", no_network)
    monkeypatch.setattr("notarypy.remote.http.attempts.backoff", lambda _: 0.0)
    copy, known = kept
    if not known:
        run("key", "generate", "jeff").expect(0)
        run("signer", "add", "--key", str(home / "jeff.pub"), "jeff", REPO).expect(0)
        for path in home.rglob("*"):
            os.utime(path, (NOW.timestamp(), NOW.timestamp()))
        shutil.copytree(home, copy)
        known.update(files=vars(fake.notary.store), keys=vars(fake.notary.keys))
    else:
        shutil.copytree(copy, home, dirs_exist_ok=True)
    vars(fake.notary.store).update(deepcopy(known["files"]))
    vars(fake.notary.keys).update({name: _copied(value) for name, value in known["keys"].items()})
    return Place(home, fake, monkeypatch, run)


def _copied(value: object) -> object:
    return dict(value) if isinstance(value, dict) else value


def no_network(*_: object, **__: object) -> NoReturn:
    raise socket.gaierror(socket.EAI_NONAME, "no network")


def findings(outcome: Outcome) -> list[dict[str, Any]]:
    return [finding for result in outcome.document["results"] for finding in result["findings"]]


def wrong(outcome: Outcome) -> list[tuple[str, str, str]]:
    """Return level, text with reasons, and fix of every line that is not ok."""
    return [
        (each["level"], "; ".join([each["text"], *each["why"]]), each["fix"] or "")
        for each in findings(outcome)
        if each["level"] != "ok"
    ]


def _config(text: str) -> Callable[[Place], object]:
    return lambda place: place.write(".config/notarypy/config.toml", text)


def _policy(text: str) -> Callable[[Place], object]:
    return lambda place: place.write(".config/notarypy/policy.toml", text)


def _docker(document: object, mode: int = 0o600) -> Callable[[Place], object]:
    return lambda place: place.write(".docker/config.json", json.dumps(document), mode)


def _env(**variables: str) -> Callable[[Place], object]:
    return lambda place: place.env(**variables)


def _bytes(path: Callable[[Place], Path], change: Callable[[bytes], bytes]) -> Callable[[Place], object]:
    def act(place: Place) -> None:
        file = path(place)
        file.write_bytes(change(file.read_bytes()))

    return act


def _answer(response: Response, path: str) -> Callable[[Place], object]:
    return lambda place: Tampering(place.fake).answer(response, path=path)


def _notary(**headers: str) -> Callable[[Place], object]:
    def act(place: Place) -> None:
        def change(answer: Response) -> Response:
            return replace(answer, headers={**answer.headers, **headers})

        Tampering(place.fake).change_answers(change, path=r"/v2/.*_trust/.*")

    return act


def _held(place: Place) -> None:
    lock = place.trust / "tuf" / REPO / ".notarypy-publish.lock"
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT)  # closed with the test's process
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def _old_cache(place: Place) -> None:
    first = place.metadata.joinpath("timestamp.json").read_bytes()
    place.run("key", "rotate", REPO, "snapshot", "--server-managed").expect(0)

    def stale(request: Any, answer: Response) -> Response:  # noqa: ANN401 - of the fake
        plain = request.url.endswith("/timestamp.json")
        return replace(answer, body=first) if plain else answer

    place.fake.after.append(stale)


def _plugin(text: str) -> Callable[[Place], object]:
    return lambda place: place.write(".docker/cli-plugins/docker-trust", text, 0o755)


def _program(name: str, says: str) -> Callable[[Place], object]:
    return lambda place: place.write(f"bin/{name}", f"#!/bin/sh\necho '{says}'\n", 0o755)


def _backup(when: datetime) -> Callable[[Place], object]:
    def act(place: Place) -> None:
        keys = [path.stem for path in (place.trust / "private").iterdir()]
        write_note(place.trust, LastBackup(when, "/b", "0", tuple(keys), ()))
        os.utime(place.trust / NOTE, (NOW.timestamp(), NOW.timestamp()))

    return act


def _clock(**by: float) -> Callable[[Place], object]:
    def act(place: Place) -> None:
        date = f"{NOW + timedelta(**by):%a, %d %b %Y %H:%M:%S GMT}"
        _notary(date=date)(place)

    return act


def _reference(place: Place) -> None:
    place.write(f".docker/trust/private/{'0' * 64}.ref", "no reference")


def _also(*acts: Callable[[Place], object]) -> Callable[[Place], object]:
    def act(place: Place) -> None:
        for one in acts:
            one(place)

    return act


def _link(name: str) -> Callable[[Place], object]:
    return lambda place: _linked(place.home / name)


def _linked(link: Path, target: Path | str = "/nonexistent/there") -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)


def _moved(path: Path, target: Path) -> None:
    path.rename(target)
    path.symlink_to(target)


def _targets_key(place: Place) -> Path:
    return place.key("targets")


# What is done, the level of the line, and a part of its text and of what mends it.
SITUATIONS: dict[str, tuple[Callable[[Place], object], str, str, str]] = {
    # -- settings
    "no TOML": (_config("trust_dir = "), "bad", "config.toml is not TOML", "correct that value"),
    "an unknown key": (_config("timeuot = 5"), "bad", "timeuot in", "known keys: trust_dir"),
    "a time that is none": (_config('timeout = "soon"'), "bad", "timeout in", "90s"),
    "a server by http": (
        _config('[registry."*"]\nserver = "http://n.corp"'),
        "bad",
        "is not https",
        "https://",
    ),
    "a password in an address": (
        _env(DOCKER_CONTENT_TRUST_SERVER="https://u:pw@n.corp"),
        "bad",
        "a user or a password (not shown)",
        "NOTARY_AUTH",
    ),
    "no word for first use": (
        _env(NOTARYPY_FIRST_USE="maybe"),
        "bad",
        "neither 1 nor 0",
        "NOTARYPY_FIRST_USE",
    ),
    "a relative home": (
        _env(HOME="x", XDG_CONFIG_HOME="", NOTARYPY_FIRST_USE="no idea"),
        "bad",
        "HOME is",
        "export HOME=",
    ),
    "a CA that is gone": (
        _config(f'[registry."{REGISTRY_HOST}"]\nca = "ca.crt"'),
        "bad",
        "ca.crt, is not there",
        "who may read it",
    ),
    "a store of CAs that is gone": (
        _env(SSL_CERT_FILE="/none.pem"),
        "bad",
        "SSL_CERT_FILE names",
        "unset SSL_CERT_FILE",
    ),
    "a proxy that is none": (_env(HTTPS_PROXY="ftp://p"), "bad", "HTTPS_PROXY does not name", "correct"),
    "no keyring": (
        _env(NOTARYPY_KEYRING="perhaps"),
        "bad",
        "NOTARYPY_KEYRING is neither",
        "NOTARYPY_KEYRING",
    ),
    # -- the trust policy
    "a policy that is none": (_policy("[scope"), "bad", "policy.toml is not TOML", "correct"),
    "a mode that is none": (
        _policy(f'[scope."{REPO}"]\nmode = "strict"'),
        "bad",
        '"strict" is none',
        "write enforce",
    ),
    "no scope": (_policy('[scope."other.test"]'), "bad", "has no scope for", "[scope."),
    "a pinned certificate that is gone": (
        _policy(f'[scope."{REPO}"]\nroots.certificates = ["r.crt"]'),
        "bad",
        "r.crt",
        "certificate",
    ),
    # -- pins
    "another root is pinned": (
        _config(f'[registry."{REGISTRY_HOST}"]\nroot = ["{PIN}"]'),
        "bad",
        "root",
        "owner",
    ),
    "pins that contradict each other": (
        _also(
            _config(f'[registry."{REGISTRY_HOST}"]\nroot = ["{PIN}"]'),
            _policy(f'[scope."{REPO}"]\nroots.ids = ["{"cd" * 32}"]'),
        ),
        "bad",
        "contradict each other",
        "leave that one alone",
    ),
    # -- files
    "a trust directory that others write": (
        lambda place: place.trust.chmod(0o777),
        "warning",
        "other users may write to",
        "chmod go-w",
    ),
    "settings that a link leads nowhere from": (
        _link(".config/notarypy/config.toml"),
        "bad",
        "what it leads to is not there",
        "who may read it",
    ),
    "settings that others write": (
        lambda place: place.write(".config/notarypy/config.toml", "", 0o666),
        "warning",
        "which says whom to trust",
        "chmod go-w ",
    ),
    "a home that moves": (_env(HOME="x", XDG_CONFIG_HOME=""), "warning", "HOME is x", "export HOME="),
    "a path with a space": (
        lambda place: place.env(
            XDG_CONFIG_HOME=str(place.write("my own/notarypy/config.toml", "", 0o666).parents[1])
        ),
        "warning",
        "which says whom to trust",
        "my own/notarypy/config.toml'",
    ),
    "a link to no trust directory": (
        _also(lambda place: place.env(DOCKER_CONFIG=str(place.home / "d")), _link("d/trust")),
        "bad",
        "is a link to no directory",
        "directory",
    ),
    "a file in place of the keys": (
        _also(
            lambda place: shutil.rmtree(place.trust / "private"),
            lambda place: place.write(".docker/trust/private", ""),
        ),
        "bad",
        "private is no directory",
        "directory",
    ),
    "a link in place of a repository": (
        lambda place: _linked(place.trust / "tuf" / "other.test", place.home),
        "bad",
        "is a link, and is not followed",
        "directory",
    ),
    "keys in an open folder": (
        lambda place: (place.trust / "private").chmod(0o755),
        "warning",
        "other users may look into",
        "chmod 700",
    ),
    "a root that is cut short": (
        _bytes(lambda place: place.metadata / "root.json", lambda data: data[:9]),
        "bad",
        "cannot be read",
        "notarypy forget",
    ),
    "a cached file that is cut short": (
        _bytes(lambda place: place.metadata / "targets.json", lambda data: data[:-9]),
        "warning",
        "the cached targets of",
        f"notarypy inspect {REPO}",
    ),
    "an empty cached file": (
        _bytes(lambda place: place.metadata / "snapshot.json", lambda _: b""),
        "warning",
        "the cached snapshot",
        "inspect",
    ),
    "a lock that is held": (_held, "warning", "holds its lock", "when it is done"),
    "what a killed process left": (
        lambda place: os.utime(place.write(".docker/trust/tuf/.notarypy-x.tmp", ""), (1e9, 1e9)),
        "warning",
        "are left:",
        "rm ",
    ),
    "a file from the future": (
        lambda place: os.utime(place.metadata / "root.json", (4e9, 4e9)),
        "warning",
        "a time in the future",
        "touch ",
    ),
    "staged changes": (
        lambda place: place.write(f".docker/trust/tuf/{REPO}/changelist/1.change", "{}"),
        "warning",
        "staged, and not published: 1",
        f"notary publish {REPO}",
    ),
    "a file in place of the trust directory": (
        lambda place: place.env(DOCKER_CONFIG=str(place.write("d/trust", "").parent)),
        "bad",
        "is no directory",
        "directory",
    ),
    # -- keys
    "a key that others read": (
        lambda place: _targets_key(place).chmod(0o644),
        "bad",
        "other users may read or",
        "chmod 600",
    ),
    "a key that is cut short": (
        _bytes(_targets_key, lambda data: data[:40]),
        "bad",
        "PEM",
        "notarypy key load",
    ),
    "a file that is no key": (
        lambda place: place.write(".docker/trust/private/mine.key", "x"),
        "warning",
        "is ignored",
        "notarypy key load",
    ),
    "a reference that cannot be read": (_reference, "bad", "0000000", "notarypy key add"),
    "a key without a role": (
        _bytes(_targets_key, lambda data: re.sub(rb"role: .*\n|gun: .*\n", b"", data)),
        "warning",
        "has no role",
        "key rename",
    ),
    "a key of no role any more": (
        lambda place: place.run("key", "generate", "left").expect(0),
        "warning",
        "is in no role of",
        "notarypy key remove",
    ),
    "an empty key": (_bytes(_targets_key, lambda _: b""), "bad", "it is empty", "notarypy restore FILE"),
    "a link to a key": (
        lambda place: _moved(_targets_key(place), place.home / "key"),
        "bad",
        "is a link, and is not followed",
        "the file itself",
    ),
    # -- logins
    "a login that others read": (
        _docker({"auths": {REGISTRY_HOST: {"auth": b64encode(b"jo:pw").decode()}}}, 0o644),
        "bad",
        "which has passwords",
        "chmod 600",
    ),
    "a login in plain text": (
        _docker({"auths": {REGISTRY_HOST: {"auth": b64encode(b"jo:pw").decode()}}}),
        "warning",
        "unencrypted",
        f"notarypy login {REGISTRY_HOST}",
    ),
    "logins that are no JSON": (
        lambda place: place.write(".docker/config.json", "{"),
        "bad",
        "it is not JSON",
        "mend",
    ),
    "a login that is no base64": (
        _docker({"auths": {REGISTRY_HOST: {"auth": "???"}}}),
        "bad",
        "not base64",
        "log in again",
    ),
    "a helper that is not here": (
        _docker({"credsStore": "gone"}),
        "bad",
        "docker-credential-gone is not here",
        "install docker-credential-gone",
    ),
    "a helper that fails": (
        _also(
            _docker({"credsStore": "sad"}),
            lambda place: write_helper(place.home / "bin", "sad", "exit 3"),
        ),
        "bad",
        "docker-credential-sad gave no credentials",
        "docker-credential-sad get",
    ),
    # -- servers
    "no server": (
        lambda place: Tampering(place.fake).refuse_connections(path=r"/v2/.*"),
        "bad",
        "no connection",
        "address",
    ),
    "something else there": (
        _answer(Response(200, {"content-type": "text/html"}, b"<html>log in"), r"/v2/.*"),
        "bad",
        "is not the address of a Notary server",
        "DOCKER_CONTENT_TRUST_SERVER",
    ),
    "a server in trouble": (_answer(Response(500), r"/v2/.*_trust.*"), "bad", "500", "operator"),
    "a server that refuses": (_answer(Response(403), r"/v2/.*_trust.*"), "bad", "does not allow", "log in"),
    "a clock that is behind": (_clock(hours=2), "bad", "seconds behind", "timedatectl"),
    "a clock that is a little ahead": (_clock(minutes=-3), "warning", "180 seconds ahead of", "timedatectl"),
    "a cache that says so": (_notary(age="12"), "warning", "keeps its answers (Age: 12)", "out of the cache"),
    "a cache that says nothing": (_old_cache, "warning", "and the server has 2", "out of the cache"),
    "a repository that has vanished": (
        _answer(Response(404, {}, b'{"errors":[{"code":"METADATA_NOT_FOUND"}]}'), r"/v2/.*_trust.*"),
        "bad",
        "no longer has the trust data",
        "notarypy forget",
    ),
    # -- what is beside us
    "a file of docker's that is no JSON": (
        lambda place: place.write(".docker/config.json", "{"),
        "bad",
        "config.json is not JSON",
        "mend ",
    ),
    "a variable that nobody reads": (
        _env(NOTARYPY_PASSPHRASE="secretpw@"),
        "warning",
        "NOTARYPY_PASSPHRASE is set, and nothing reads",
        "if NOTARYPY_PASSPHRASE_NAME is meant",
    ),
    "a variable with a slip": (
        _env(DOCKER_CONTENT_TRUST_SEVER="https://n.test"),
        "warning",
        "DOCKER_CONTENT_TRUST_SEVER is set",
        "if DOCKER_CONTENT_TRUST_SERVER is meant",
    ),
    "a plugin without its Python": (
        _plugin("#!/bin/sh\nexec /gone/python -P\n"),
        "bad",
        "starts a Python that is not there",
        "install-plugin",
    ),
    "a docker without docker trust": (
        _program("docker", "Docker version 29.1.0, build x"),
        "warning",
        "no docker trust of its own",
        "install-plugin",
    ),
    "keys of Go notary's own": (
        lambda place: place.write(".notary/private/x.key", ""),
        "warning",
        "has keys of its own in",
        "notary -d ",
    ),
    "two servers, and a password in the address of one": (
        _env(NOTARY_REMOTE_SERVER_URL="https://u:pw@other.test", DOCKER_HOST="tcp://u:pw@d.test"),
        "warning",
        "NOTARY_REMOTE_SERVER_URL=",
        "unset NOTARY_REMOTE",
    ),
    "two passphrases": (
        _env(NOTARY_ROOT_PASSPHRASE="another one"),
        "warning",
        "different passphrases",
        "unset NOTARY_ROOT_PASSPHRASE",
    ),
    "a variable of old": (
        _also(
            lambda place: place.monkeypatch.delenv("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE"),
            _env(DOCKER_CONTENT_TRUST_OFFLINE_PASSPHRASE="x"),
        ),
        "warning",
        "of an old docker",
        "unset DOCKER_CONTENT_TRUST_OFFLINE",
    ),
    "content trust turned off": (
        _env(DOCKER_CONTENT_TRUST="0"),
        "warning",
        "turns docker's verification off",
        "export",
    ),
    "contentTrust in docker's file": (_docker({"contentTrust": True}), "warning", "is not read", "export"),
    "no service": (_env(NOTARYPY_SERVICE="unix:/nonexistent/s"), "bad", "does not answer", "start it"),
    "a service that is no socket": (_env(NOTARYPY_SERVICE="8080"), "bad", "names no service", "unix:"),
    # -- backups
    "a backup without a key": (
        _also(_backup(NOW), lambda place: place.run("key", "generate", "late").expect(0)),
        "warning",
        "has not all keys that are here",
        "notarypy backup FILE",
    ),
    "no backup": (lambda _: None, "warning", "no backup of the keys", "notarypy backup FILE"),
    "an old backup": (_backup(NOW - timedelta(days=400)), "warning", "400 days ago", "notarypy backup FILE"),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_is_broken_is_named_with_what_mends_it(name: str, place: Place) -> None:
    act, level, text, fix = SITUATIONS[name]
    act(place)
    outcome = place.run("doctor", "--json")
    lines = wrong(outcome)
    found = [line for line in lines if line[0] == level and text in line[1] and fix in line[2]]
    assert found, "\n".join(map(str, lines))
    assert outcome.code == (1 if any(line[0] == "bad" for line in lines) else 0)
    assert "pw@" not in outcome.out
    for _, _, words in lines:
        require_commands(words)


def require_commands(fix: str) -> None:
    """Insist that every command in a text about what mends something can be run as it stands."""
    for command in COMMAND.findall(fix):
        words = shlex.split(command.partition(" (")[0])
        assert words[0] == "notarypy" or words[0] in PROGRAMS
        if words[0] == "notarypy":
            assert wellformed.read(words[1:], app.find, GLOBAL_OPTIONS, app.RAW) is not None, command


def contents(top: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(top.rglob("*"))
    }


def test_who_is_well_is_told_so_and_nothing_is_changed(place: Place) -> None:
    _backup(NOW - timedelta(days=1))(place)
    before, requests = contents(place.home), len(place.fake.requests)
    outcome = place.run("doctor", REPO, "--json").expect(0)
    assert wrong(outcome) == []
    assert contents(place.home) == before
    assert {request.method for request in place.fake.requests[requests:]} == {"GET"}
    refs = [result["ref"] for result in outcome.document["results"]]
    assert refs == ["machine", f"https://{NOTARY_HOST}", REGISTRY_HOST, REPO]
    assert not re.search("(?:root|repository) passphrase", outcome.out)
    settings = {
        each["facts"]["setting"]: each["facts"] for each in findings(outcome) if "setting" in each["facts"]
    }
    assert settings["Notary server"]["source"] == "DOCKER_CONTENT_TRUST_SERVER"
    assert settings["DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE"]["value"] == "set, and not shown"


def test_the_lines_of_text(place: Place) -> None:
    out = place.run("doctor").expect(0).out
    assert out.startswith("machine\n  ok       configuration trust directory: ")
    assert "  warning  backup        no backup of the keys here is known of\n           fix: make one" in out
    assert place.run("doctor", "-q").expect(0).out.splitlines()[1:] == [
        "  warning  backup        no backup of the keys here is known of",
        "           fix: make one, and keep it elsewhere: notarypy backup FILE",
    ]
    (place.metadata / "root.json").write_text("{")
    outcome = place.run("doctor", "-q").expect(1)
    assert "  bad      files         the trusted root of" in outcome.out
    assert "one line about machine is bad" in outcome.err


def test_each_setting_is_named_with_its_place(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", no_network)
    config = home / ".config" / "notarypy" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'# mine\ntimeout = "5s"\n\n[registry."{REGISTRY_HOST}"]\nserver = "https://n.test"\n')
    monkeypatch.setenv("HTTPS_PROXY", "http://jo:secret@proxy.test:3128")
    outcome = run("doctor", "--retry-for", "7", "--offline", "--json").expect(0)
    lines = {each["text"] for each in findings(outcome)}
    assert f"timeout: 5 seconds (timeout in {config}, line 2)" in lines
    assert f"Notary server for {REGISTRY_HOST}: https://n.test (server in {config}, line 5)" in lines
    assert "retry-for: 7 seconds (--retry-for)" in lines
    assert "first use: allowed (NOTARYPY_FIRST_USE)" in lines
    assert "HTTPS_PROXY: proxy.test:3128 (the environment)" in lines
    assert "secret" not in outcome.out


def test_several_broken_settings_are_all_named(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", no_network)
    config = home / ".config" / "notarypy" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("nonsense = 1\n")
    monkeypatch.setenv("DOCKER_CONTENT_TRUST_SERVER", "ftp://n.test")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(system, "known_home", str)
    outcome = run("doctor", "--timeout", "never", "--tlscert", "c", "--json").expect(1)
    text = "\n".join(line[1] for line in wrong(outcome) if line[0] == "bad")
    for part in (
        "--timeout cannot be used",
        "--tlscert and --tlskey",
        "DOCKER_CONTENT_TRUST_SERVER",
        "no home",
    ):
        assert part in text
    monkeypatch.setenv("HOME", str(home))
    assert "nonsense in" in run("doctor", "--json").expect(1).out
    run("status").expect(2)


def test_no_path_is_invented_where_there_is_no_home(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(system, "known_home", str)
    outcome = run("doctor", "--offline").expect(1)
    assert "nonexistent" not in outcome.out
    assert "trust directory: none, as there is no home directory" in outcome.out
    assert not [part for part in ("shared with docker", "no private key is here") if part in outcome.out]
    assert "export HOME=/home/NAME; or DOCKER_CONFIG, or --trust-dir DIR" in outcome.out
    outcome = run("-d", home / "trust", "doctor", "--offline").expect(0)
    assert "nonexistent" not in outcome.out
    assert "no private key is here" in outcome.out


@pytest.mark.parametrize(
    ("later", "level", "text", "fix"),
    [
        (datetime(2029, 10, 1, tzinfo=UTC), "warning", "targets ends on 2029-11-22 ", "renew"),
        (datetime(2030, 10, 1, tzinfo=UTC), "bad", "targets ended on 2029-11-22", "renew"),
        (
            datetime(2036, 1, 1, tzinfo=UTC),
            "warning",
            "root ends on 2036-11-20 ",
            "renew-root-early",
        ),
        (datetime(2037, 1, 1, tzinfo=UTC), "bad", "root ended on 2036-11-20", "begin-anew"),
    ],
)
def test_roles_that_end_are_named_with_who_renews_them(
    place: Place, later: datetime, level: str, text: str, fix: str
) -> None:
    place.fake.notary.now = lambda: later
    client = Client(Client.from_environment().settings, transport=place.fake, clock=lambda: later)
    (about,) = [each for each in client.upkeep.doctor([REPO]) if each.subject == REPO]
    (found,) = [each for each in about.findings if text in each.text]
    assert (found.level, found.fix and found.fix.name) == (level, fix)


def test_a_key_elsewhere_is_asked_for_without_a_pin(
    place: Place, fake_kms: FakeKms, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_kms.make("one")
    place.run("key", "add", "fakekms:one", "--name", "jo").expect(0)
    texts = [each["text"] for each in findings(place.run("doctor", "--json"))]
    assert any("at fakekms:one" in text and "can be reached" in text for text in texts)
    monkeypatch.delitem(SIGNERS, "fakekms")
    lines = wrong(place.run("doctor", "--json").expect(1))
    assert any("nothing here signs with keys at fakekms:" in line[1] for line in lines)


def unused(outcome: Outcome) -> list[str]:
    return [line[1] for line in wrong(outcome) if "is in no role of" in line[1]]


def test_no_key_is_called_unused_by_what_may_be_old_or_was_not_seen(place: Place) -> None:
    place.run("key", "generate", "left").expect(0)
    assert len(unused(place.run("doctor", "--json"))) == 1
    assert unused(place.run("doctor", "--offline", "--json")) == []
    _linked(place.trust / "tuf" / "other.test", place.home)
    assert unused(place.run("doctor", "--json").expect(1)) == []


def test_a_folder_that_cannot_be_entered_is_bad(place: Place) -> None:
    walk = os.walk

    def unseen(top: Path, onerror: Callable[[OSError], None] | None = None, **more: Any) -> object:  # noqa: ANN401 - of os.walk
        if onerror is not None:
            onerror(PermissionError(13, "Permission denied", str(place.metadata)))
        return walk(top, **more)

    place.monkeypatch.setattr("os.walk", unseen)
    lines = wrong(place.run("doctor", "--json").expect(1))
    denied = f"{place.metadata} cannot be looked at: Permission denied"
    assert ("bad", denied, "check who owns it and its mode") in lines


def test_what_is_being_written_was_not_left_behind(place: Place) -> None:
    part = place.write(".docker/trust/tuf/.notarypy-x.tmp", "")
    os.utime(part, (NOW.timestamp() - 60, NOW.timestamp() - 60))
    assert not any("are left:" in line[1] for line in wrong(place.run("doctor", "--json")))


def test_variables_of_other_programs_are_none_of_ours(place: Place) -> None:
    place.env(NOTARY_SERVICE_HOST="10.0.0.1", NOTARYPY_PORT_443_TCP="x", NOTARY_REMOTE_SERVER_ROOT_CA="c")
    place.env(NOTARYPY_PASSPHRASE_CI_BOT="a passphrase", NOTARY_ROOT_PASSPHRASE_FILE="f")
    assert not any("nothing reads" in line[1] for line in wrong(place.run("doctor", "--json")))
    place.env(NOTARYPY_PASSPHRASE_FILE="f")
    texts = {each["text"] for each in findings(place.run("doctor", "--json"))}
    assert "NOTARYPY_PASSPHRASE_FILE is set, and nothing reads a variable of this name" in texts
    assert "NOTARYPY_PASSPHRASE_FILE: set, and not shown (the environment)" not in texts


def test_by_a_clock_that_is_wrong_nobody_renews(place: Place) -> None:
    later = NOW + timedelta(days=4000)
    place.fake.notary.now = lambda: later
    _clock(days=0)(place)
    client = Client(Client.from_environment().settings, transport=place.fake, clock=lambda: later)
    (about,) = [each for each in client.upkeep.doctor([REPO]) if each.subject == REPO]
    ended = [each for each in about.findings if " ended on " in each.text]
    assert ended
    assert {each.fix and each.fix.name for each in ended} == {"mend-clock"}


def test_unencrypted_keys_are_named(place: Place) -> None:
    key = private_key("jeff").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = place.write(f".docker/trust/private/{'1' * 64}.key", "")
    path.write_bytes(key.replace(b"KEY-----\n", b"KEY-----\nrole: jeff\n\n", 1))
    lines = wrong(place.run("doctor", "--json").expect(0))
    (line,) = [line for line in lines if "is not encrypted" in line[1]]
    assert line[2] == "notarypy key passwd 111111111111"


def test_a_machine_without_anything_is_well(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home))
    outcome = run("doctor", "--json").expect(0)
    assert wrong(outcome) == []
    assert list(home.iterdir()) == []


def test_our_own_notary_is_not_gos(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, said in (("ours", "Version: 9, Go version: none (notarypy)"), ("gos", "Version: 0.7.0")):
        path = home / folder / "notary"
        path.parent.mkdir()
        path.write_text(f'#!/bin/sh\necho "{said}"\n')
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home / 'ours'}")
    assert "Go notary" not in run("doctor").expect(0).out
    monkeypatch.setenv("PATH", f"{home / 'ours'}{os.pathsep}{home / 'gos'}")
    assert "Go notary 0.7.0 is here" in run("doctor").expect(0).out


@pytest.mark.parametrize("host", ["x.azurecr.io/app", "docker.io/library/app", "msr.corp/app"])
def test_services_that_end_are_named(place: Place, host: str) -> None:
    lines = wrong(place.run("doctor", "--offline", host, "--json"))
    assert any("ends on 20" in line[1] and "notarypy migrate report" in line[2] for line in lines)


def test_what_mends_a_line_is_a_command_that_exists() -> None:
    for text in findingadvice.OF_DOCTOR.values():
        values = dict.fromkeys(re.findall(r"{(\w+)}", text), "0123456")
        require_commands(text.format_map(values | {"gun": REPO}))


def test_a_collection_is_looked_at_by_its_name_alone(place: Place) -> None:
    lines = wrong(place.run("doctor", "--gun", "collection", "--json").expect(0))
    assert any("notarypy init collection" in line[2] for line in lines), lines
    refs = [result["ref"] for result in place.run("doctor", "--gun", REPO, "--json").document["results"]]
    assert refs == ["machine", f"https://{NOTARY_HOST}", REPO]


def test_the_server_of_a_scope_is_the_one_that_is_asked(place: Place) -> None:
    place.fake.services["other.test"] = place.fake.notary
    _policy(f'[scope."{REGISTRY_HOST}"]\nfirst_use = true\nserver = "https://other.test"\n')(place)
    shutil.rmtree(place.trust / "tuf")
    outcome = place.run("doctor", REPO, "--json").expect(0)
    assert f"{REPO} can be read" in {each["text"] for each in findings(outcome)}


def certificate(ends: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "n.test")])
    key = private_key("jeff")
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW - timedelta(days=900), ends)
    return made.sign(key, SHA256())


@pytest.mark.parametrize(
    ("days", "server", "client"),
    [(400, "ok", "ok"), (20, "warning", "warning"), (-2, "warning", "bad")],
)
def test_the_end_of_certificates_is_told(place: Place, days: int, server: str, client: str) -> None:
    made = certificate(NOW + timedelta(days=days))
    peer = Peer(("192.0.2.1",), "TLSv1.3", (made.public_bytes(Encoding.DER),))
    place.monkeypatch.setattr(Connections, "peer", lambda *_: peer)
    pem = place.write("c.pem", made.public_bytes(Encoding.PEM).decode())
    outcome = place.run("doctor", REPO, "--tlscert", str(pem), "--tlskey", str(pem), "--json")
    levels = {each["level"] for each in findings(outcome) if "its chain of 1 certificates" in each["text"]}
    assert levels == {server}
    (about,) = [each for each in findings(outcome) if f"the client certificate {pem}" in each["text"]]
    assert about["level"] == client


def test_a_directory_that_cannot_be_used_is_named(place: Place) -> None:
    place.monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=5))
    lines = wrong(place.run("doctor", "--json").expect(1))
    assert any("has 5 bytes left" in line[1] and line[2] == "free some space on that disk" for line in lines)
    for denied, text in ((os.W_OK, "cannot be written"), (os.R_OK | os.X_OK, "cannot be read")):
        place.monkeypatch.setattr("os.access", lambda _, mode, denied=denied: mode != denied)
        lines = wrong(place.run("doctor", "--json"))
        assert any(f"{place.trust} {text}" in line[1] for line in lines)


def test_what_would_change_a_server_is_never_sent() -> None:
    passed = Watcher().around(make_fake())
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        with pytest.raises(OperationError, match="changes nothing"):
            passed.send(Request(method, f"https://{NOTARY_HOST}/v2/a/_trust/tuf/", {}, b"x"), float("inf"))
