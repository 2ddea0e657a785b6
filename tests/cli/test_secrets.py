"""Nothing secret is printed, whatever happens: real processes, real servers, every secret searched for."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, quote_plus

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from notarypy.devserver import sample
from support import served
from support.dockerd import Record, aux, chunk, fake_daemon, head
from support.helpers import knowing, write_helper
from support.loopback import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

USER = "dev"
ROOT, REPOSITORY = "root&passphrase+1", "repository passphrase/2"
SHOW_ALL, AS_JSON = ("-vvv",), ("--json", "-vvv")


@dataclass(frozen=True)
class Run:
    code: int
    text: str


@dataclass
class Person:
    """Somebody with a home of their own; keeps all that was printed, and every secret that was used."""

    home: Path
    server: served.Process
    path: str
    environ: dict[str, str]
    secrets: set[str] = field(default_factory=set)
    printed: list[str] = field(default_factory=list)

    def secret(self, text: str) -> str:
        """Note a secret, and return it."""
        self.secrets.add(text)
        return text

    def config(self, document: object) -> None:
        """Write docker's config.json."""
        (self.home / ".docker").mkdir(exist_ok=True)
        (self.home / ".docker" / "config.json").write_text(json.dumps(document))

    def start(self, *argv: str, **environ: str) -> subprocess.Popen[str]:
        """Start a command line."""
        return self.start_python("-m", "notarypy", *argv, **environ)

    def start_python(self, *argv: str, **environ: str) -> subprocess.Popen[str]:
        """Start Python with faults dumped, and no terminal."""
        return subprocess.Popen(
            [sys.executable, *argv],
            env={**self.environ, "PYTHONFAULTHANDLER": "1", **environ},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def collect(self, process: subprocess.Popen[str]) -> Run:
        """Wait for a process and keep what it printed."""
        out, err = process.communicate(timeout=60)
        self.printed.append(out + err)
        return Run(process.returncode, out + err)

    def run(self, code: int, *argv: str, **environ: str) -> str:
        """Run a command line that must end with a code; return all that it printed."""
        run = self.collect(self.start(*argv, **environ))
        assert run.code == code, run.text
        return run.text

    def find_leaks(self) -> list[str]:
        """Return the secrets that were printed in any form."""
        text = "\n".join(self.printed)
        return sorted(secret for secret in self.secrets if any(form in text for form in forms(secret)))

    def find_stored(self, folder: Path) -> list[tuple[str, str]]:
        """Return the files in a folder that hold a secret."""
        files = [file for file in folder.rglob("*") if file.is_file()]
        contents = [(file.name, file.read_bytes()) for file in files]
        return [(name, s) for name, data in contents for s in self.secrets if s.encode() in data]


def encoded(user: str, secret: str) -> str:
    return base64.b64encode(f"{user}:{secret}".encode()).decode()


def forms(secret: str) -> set[str]:
    """Return the ways in which a secret may be written."""
    whole = {encoded(user, secret) for user in (USER, "", "<token>")}
    return {
        *(
            secret,
            quote(secret, safe=""),
            quote_plus(secret),
            json.dumps(secret)[1:-1],
            secret.encode().hex(),
        ),
        *(base64.b64encode(secret.encode()).decode().rstrip("="), *(text.rstrip("=") for text in whole)),
    }


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[served.Process]:
    with served.devserver(
        tmp_path_factory.mktemp("server"), "--auth", getattr(request, "param", "token")
    ) as process:
        process.push("app", "1", sample.make("one"))
        yield process


@pytest.fixture
def password(server: served.Process) -> str:
    """Return the password that the servers take."""
    found = re.search(r"^export NOTARY_AUTH=(\S+)$", server.head, re.MULTILINE)
    assert found is not None
    user, _, secret = base64.b64decode(found[1]).decode().partition(":")
    assert user == USER
    return secret


@pytest.fixture
def person(tmp_path: Path, server: served.Process, password: str) -> Person:
    environ = {
        "HOME": str(tmp_path),
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.defpath}",
        "SSL_CERT_FILE": str(server.authority),
        "DOCKER_CONTENT_TRUST_SERVER": f"https://{server.notary}",
        "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE": ROOT,
        "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": REPOSITORY,
        "NOTARYPY_FIRST_USE": "1",
    }
    found = Person(tmp_path, server, f"{server.registry}/app", environ)
    found.secrets |= {password, ROOT, REPOSITORY}
    return found


def log_in(person: Person, place: str, secret: str, hosts: tuple[str, ...] = ()) -> None:
    """Put a login for both servers into one place."""
    person.secret(secret)
    hosts = hosts or (person.server.notary, person.server.registry)
    entry = {"auth": encoded(USER, secret)}
    plain = {"username": USER, "password": secret}
    identity, bearer = {**entry, "identitytoken": secret}, {"registrytoken": secret}
    meta = {
        "HttpHeaders": {"X-Meta-Key": person.secret("meta-s3cret"), "X-Daemon": person.secret("d-s3cret")}
    }
    person.config(meta)
    match place:
        case "variables":
            person.environ["NOTARY_AUTH"] = encoded(USER, secret)
            person.environ["DOCKER_AUTH_CONFIG"] = json.dumps({"auths": dict.fromkeys(hosts, plain)})
        case "config.json":
            person.config({"auths": {hosts[0]: entry, hosts[-1]: plain}, **meta})
        case "helper":
            write_helper(person.home / "bin", "vault", knowing(dict.fromkeys(hosts, (USER, secret))))
            person.config({"credsStore": "vault", **meta})
        case "auth.json":
            person.environ["REGISTRY_AUTH_FILE"] = str(person.home / "auth.json")
            (person.home / "auth.json").write_text(json.dumps({"auths": dict.fromkeys(hosts, entry)}))
        case "identity token":
            person.config({"auths": dict.fromkeys(hosts, identity), **meta})
        case "registry token":
            person.config({"auths": dict.fromkeys(hosts, bearer), **meta})


PASSWORD_PLACES = ["variables", "config.json", "helper", "auth.json"]


BOTH = pytest.mark.parametrize("server", ["token", "basic"], indirect=True)


@BOTH
@pytest.mark.parametrize("place", PASSWORD_PLACES)
def test_a_login_that_works(person: Person, password: str, place: str) -> None:
    log_in(person, place, password)
    for output in (SHOW_ALL, AS_JSON):
        person.run(3, *output, "inspect", f"{person.path}/{place.replace(' ', '-')}")
        person.run(3, *output, "verify", f"{person.path}:unsigned")
    assert person.find_leaks() == []


@BOTH
@pytest.mark.parametrize("place", [*PASSWORD_PLACES, "identity token", "registry token"])
def test_a_login_that_is_refused(person: Person, place: str) -> None:
    log_in(person, place, "wr0ng+s3cret/==")
    for output in (SHOW_ALL, AS_JSON):
        assert "auth.denied" in person.run(7, *output, "verify", f"{person.path}:1")
    assert person.find_leaks() == []


@pytest.mark.parametrize(
    "environ",
    [
        {"NOTARY_AUTH": "unusable-s3cret"},
        {"DOCKER_AUTH_CONFIG": "unusable-s3cret"},
        {"DOCKER_AUTH_CONFIG": '{"auths": {"SERVER": {"auth": "unusable-s3cret"}}}'},
        {
            "HTTPS_PROXY": "ftp://dev:unusable-s3cret@proxy",
            "DOCKER_CONTENT_TRUST_SERVER": "https://h.invalid",
        },
        {
            "HTTPS_PROXY": "http://dev:unusable-s3cret@127.0.0.1:1",
            "DOCKER_CONTENT_TRUST_SERVER": "https://h.invalid",
        },
        {"DOCKER_CONTENT_TRUST_SERVER": "https://dev:unusable-s3cret@localhost:1"},
        {"NOTARYPY_KEYRING": "unusable-s3cret"},
    ],
    ids="-".join,
)
def test_values_that_cannot_be_used(person: Person, environ: dict[str, str]) -> None:
    environ = {name: value.replace("SERVER", person.server.notary) for name, value in environ.items()}
    person.secret("unusable-s3cret")
    for output in (SHOW_ALL, AS_JSON):
        run = person.collect(person.start(*output, "sign", f"{person.path}:1", **environ))
        assert run.code in {2, 7, 8}, run.text
    assert person.find_leaks() == []


@pytest.mark.parametrize(
    "script", ["echo SECRET; exit 1", "echo SECRET >&2; echo SECRET", "echo SECRET; kill $$"]
)
def test_helpers_that_fail_with_a_secret_on_their_lips(person: Person, script: str) -> None:
    write_helper(person.home / "bin", "vault", script.replace("SECRET", person.secret("helper-s3cret")))
    person.config({"credsStore": "vault"})
    for output in (SHOW_ALL, AS_JSON):
        assert "docker-credential-vault" in person.run(7, *output, "inspect", person.path)
    assert person.find_leaks() == []


def test_signing_from_the_first_key_to_the_last_mistake(person: Person, password: str) -> None:
    log_in(person, "helper", password)
    repository = person.path
    key = ec.generate_private_key(ec.SECP256R1())
    (person.home / "jo.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(person.secret("of the given file").encode()),
        )
    )
    (person.home / "passphrase").write_text(person.secret("of the given file") + "\n")
    person.run(0, "-vvv", "init", repository)
    person.run(0, "-vvv", "--passphrase-file", "passphrase", "key", "load", "jo.pem", "--name", "jo")
    person.run(0, *AS_JSON, "sign", f"{repository}:1")
    person.run(0, "-vvv", "verify", f"{repository}:1")
    person.run(0, *AS_JSON, "key", "list")
    wrong = person.secret("wr0ng passphrase")
    for output in (SHOW_ALL, AS_JSON):
        other = f"{repository}/other"
        text = person.run(6, *output, "init", other, DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE=wrong)
        assert "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE" in text
        unset = {"DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": "", "NOTARY_TARGETS_PASSPHRASE_FILE": "gone"}
        person.run(2, *output, "init", other, **unset)
    assert person.find_leaks() == []
    assert person.find_stored(person.home / ".docker" / "trust") == []


def echo(login: dict[str, str]) -> str:
    """Return a login in every form in which a daemon may have got it."""
    document = json.dumps(login)
    sent = base64.urlsafe_b64encode(document.encode()).decode()
    return f"{login['password']} {sent} {encoded(login['username'], login['password'])}"


@pytest.mark.parametrize("outcome", ["pushed", "unknown", "refused", "broken", "nonsense", "status", "lost"])
def test_a_login_that_a_daemon_gets(person: Person, password: str, outcome: str) -> None:
    log_in(person, "config.json", password)
    repository = f"{person.path}/{outcome}"
    person.run(0, "init", repository)
    person.secret(base64.urlsafe_b64encode(f'"{password}"'.encode()).decode()[2:-2])
    image = sample.make("pushed by a daemon", ("amd64",))
    with fake_daemon() as daemon:

        def push(_: str, tag: str) -> list[Record]:
            said = echo(daemon.logins[-1])
            match outcome:
                case "pushed":
                    digest = person.server.push(f"app/{outcome}", tag, image)
                    return [{"status": said}, aux(tag, digest, len(image.top))]
                case "refused":
                    return [{"error": f"denied: {said}"}]
                case "broken":
                    return [{"errorDetail": {"message": said}, "error": said}]
            return [said.encode() + b"\n"]

        daemon.on_push = push
        if outcome == "unknown":
            daemon.images = set()
        if outcome in {"status", "lost"}:
            body = chunk({"message": password})
            daemon.answer = head("500 X") + body + b"0\r\n\r\n" if outcome == "status" else head() + body
        code = {"pushed": 0, "unknown": 3, "refused": 7}.get(outcome, 8)
        for output in (SHOW_ALL, AS_JSON):
            person.run(code, *output, "sign", "--local", f"{repository}:1", DOCKER_HOST=daemon.host)
        assert outcome == "unknown" or daemon.logins[0]["password"] == password
    assert person.find_leaks() == []
    assert person.find_stored(person.home / ".docker" / "trust") == []


class PlainServer(Server):
    """A server that hangs up at once on who speaks TLS."""

    def _converse(self, sock: socket.socket) -> None:
        if sock.recv(1, socket.MSG_PEEK) != b"\x16":
            super()._converse(sock)


class Parrot:
    """Notary server, registry and token service in one, that repeat in their errors all they were told."""

    def __init__(self, login: str, status: int, token: str) -> None:
        self.login, self.status, self.token = login, status, token
        self.heard: set[str] = set()
        self.server = PlainServer(self._answer, None)
        self.host = f"localhost:{self.server.port}"

    def _answer(self, head: bytes, sock: socket.socket) -> None:
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        told = headers.get("authorization", "")
        with_form = [value for _, value in parse_qsl(self.server.bodies[-1].decode())]
        self.heard |= {told.partition(" ")[2], headers.get("x-meta-key", ""), *with_form}
        if told.startswith("Basic "):
            self.heard.add(base64.b64decode(told[6:]).decode().partition(":")[2])
        asks_token = lines[0].split()[1].startswith("/token")
        if asks_token and self.login == "token":
            sock.sendall(reply("200 OK", {"token": self.token}))
        elif asks_token:
            sock.sendall(reply("401 No", self._errors()))
        elif not told:
            realm = "Basic" if self.login == "basic" else f'Bearer realm="http://{self.host}/token"'
            sock.sendall(reply("401 No", self._errors(), f"WWW-Authenticate: {realm}\r\n"))
        else:
            sock.sendall(reply(f"{self.status} No", self._errors()))

    def _errors(self) -> object:
        said = " ".join(self.heard)
        detail = {"Name": said, "Error": {"Msg": said}}
        return {"errors": [{"code": f"NO {said}", "message": f"you said {said}", "detail": detail}]}


def reply(status: str, document: object, more: str = "") -> bytes:
    """Return a whole answer."""
    body = json.dumps(document).encode()
    return f"HTTP/1.1 {status}\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(("login", "status"), [("basic", 403), ("token", 404), ("token", 500), ("none", 403)])
@pytest.mark.parametrize("place", ["variables", "config.json", "identity token", "registry token"])
def test_servers_that_repeat_what_they_are_told(person: Person, place: str, login: str, status: int) -> None:
    parrot = Parrot(login, status, person.secret("fetched.s3cret"))
    person.environ["DOCKER_CONTENT_TRUST_SERVER"] = f"http://{parrot.host}"
    log_in(person, place, "said+s3cret/==", (parrot.host,))
    for output in (SHOW_ALL, AS_JSON):
        for command in ("inspect", "sign"):
            parrot.heard.clear()
            run = person.collect(person.start(*output, command, f"{parrot.host}/app"))
            assert run.code in {1, 3, 7, 8}, run.text
    parrot.server.close()
    nothing_sent = login == "basic" and place not in PASSWORD_PLACES
    assert ("***" in "".join(person.printed)) is not nothing_sent
    assert person.find_leaks() == []


DEFECT = """
import sys
from notarypy.cli.main import run
from notarypy.keys import passphrases

def broken(self, request):
    secret = self.environ["DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE"]
    raise RuntimeError("planted")

passphrases.VariableSource.get = broken
sys.exit(run(sys.argv[1:]))
"""


def test_the_traceback_of_a_defect(person: Person, password: str) -> None:
    log_in(person, "variables", password)
    for output in (SHOW_ALL, AS_JSON):
        run = person.collect(person.start_python("-c", DEFECT, *output, "init", f"{person.path}/defect"))
        assert run.code == 1
        assert "Traceback" in run.text
        assert "planted" in run.text
    assert person.find_leaks() == []


def test_the_dump_of_a_fault(person: Person, password: str) -> None:
    log_in(person, "helper", password)
    marker = person.home / "started"
    write_helper(person.home / "bin", "vault", f"touch {marker}; exec sleep 3")
    process = person.start("-vvv", "verify", f"{person.path}:1")
    end = time.monotonic() + 20
    while not marker.exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGABRT)
    run = person.collect(process)
    assert run.code == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in run.text
    assert "credentials.py" in run.text
    assert person.find_leaks() == []


def test_the_search_itself_finds_every_form() -> None:
    secret = "s3 cret/+é"
    for form in forms(secret):
        found = Person.__new__(Person)
        found.secrets, found.printed = {secret, "other"}, ["nothing", f"<{form}>"]
        assert found.find_leaks() == [secret]
