from __future__ import annotations

import errno
import json
import logging
import os
import time
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import (
    AuthenticationError,
    DeadlineError,
    ImageMissingError,
    NetworkError,
    NotarypyError,
    ResponseLimitError,
    ServerError,
    UnreachableError,
)
from notarypy.images.reference import parse
from notarypy.remote import daemon as module
from notarypy.remote.auth.credentials import Credential
from notarypy.remote.daemon import Daemon, DaemonAddress
from notarypy.remote.pushstream import PushOutcome
from support.dockerd import aux, chunk, fake_daemon, head

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from support.dockerd import FakeDaemon

D1 = f"sha256:{'1' * 64}"
IMAGE = parse("localhost:5000/team/app:1")
SECRET = 's3cret+/"='
LOGIN = Credential("dev", SECRET, "config.json")


@pytest.fixture
def fake() -> Iterator[FakeDaemon]:
    with fake_daemon() as running:
        running.on_push = lambda _, tag: [aux(tag, D1, 528)]
        yield running


@pytest.fixture
def daemon(fake: FakeDaemon) -> Daemon:
    return Daemon(DaemonAddress(str(fake.path), "DOCKER_HOST"), timeout=5)


def told(error: NotarypyError) -> str:
    return f"{error!r} {error.message} {error.why} {advice(error)} {error.facts}"


def test_a_push_is_two_requests(fake: FakeDaemon, daemon: Daemon) -> None:
    assert daemon.push(IMAGE) == PushOutcome(D1, 528)
    assert fake.requests == [
        "GET /images/localhost:5000/team/app:1/json",
        "POST /images/localhost:5000/team/app/push?tag=1",
    ]


def test_the_tag_is_latest_unless_there_is_one(fake: FakeDaemon, daemon: Daemon) -> None:
    daemon.push(parse("alpine"))
    assert fake.requests[1] == "POST /images/docker.io/library/alpine/push?tag=latest"


def test_it_knows_which_images_it_has(fake: FakeDaemon, daemon: Daemon) -> None:
    fake.images = {"localhost:5000/team/app:1"}
    assert daemon.has(IMAGE)
    assert not daemon.has(parse("localhost:5000/team/app:2"))


def test_an_unknown_image_is_not_pushed(fake: FakeDaemon, daemon: Daemon) -> None:
    fake.images = set()
    with pytest.raises(ImageMissingError) as caught:
        daemon.push(IMAGE)
    assert caught.value.exit_code == 3
    assert (
        advice(caught.value) == "build it, or give it this name: docker tag IMAGE localhost:5000/team/app:1"
    )
    assert len(fake.requests) == 1


def test_an_image_that_goes_meanwhile(fake: FakeDaemon, daemon: Daemon) -> None:
    fake.answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"
    with pytest.raises(ImageMissingError):
        daemon.push(IMAGE)


# -- the login -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "credential", "sent"),
    [
        ("host.test/app", None, {}),
        ("host.test/app", LOGIN, {"serveraddress": "host.test", "username": "dev", "password": SECRET}),
        (
            "host.test/app",
            Credential("<token>", SECRET, "helper", "identity"),
            {"serveraddress": "host.test", "identitytoken": SECRET},
        ),
        (
            "alpine",
            Credential("", SECRET, "config.json", "bearer"),
            {"serveraddress": "https://index.docker.io/v1/", "registrytoken": SECRET},
        ),
    ],
    ids=["none", "password", "identity token", "registry token"],
)
def test_the_login_that_the_daemon_gets(
    fake: FakeDaemon, daemon: Daemon, image: str, credential: Credential | None, sent: dict[str, str]
) -> None:
    daemon.push(parse(image), credential)
    assert fake.logins == [sent]


def test_only_the_push_has_the_login_and_no_log_has_it(
    fake: FakeDaemon, daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        daemon.push(IMAGE, LOGIN)
    assert len(fake.logins) == 1
    assert "POST /images/localhost:5000/team/app/push?tag=1" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("status", [200, 500])
def test_a_daemon_that_repeats_the_login(fake: FakeDaemon, daemon: Daemon, status: int) -> None:
    header = module._header(IMAGE.registry, LOGIN)  # noqa: SLF001 - the form in which it is sent
    text = f"sent {header}, {SECRET}, {SECRET.replace(chr(34), chr(92) + chr(34))} and ZGV2OnMzY3JldCsvIj0="
    record = {"error": text} if status == 200 else {"message": text}
    fake.answer = head(f"{status} X") + chunk(record) + b"0\r\n\r\n"
    with pytest.raises(ServerError) as caught:
        daemon.push(IMAGE, LOGIN)
    shown = told(caught.value)
    assert "sent ***, ***, *** and ***" in shown
    assert "s3cret" not in shown


def test_podman_ends_its_answer_by_hanging_up(fake: FakeDaemon, daemon: Daemon) -> None:
    lines = [{"status": f"1: digest: {D1} size: 528"}, aux("1", D1, 528)]
    fake.answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b"".join(
        json.dumps(line).encode() + b"\n" for line in lines
    )
    assert daemon.push(IMAGE) == PushOutcome(D1, 528)


# -- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "unauthorized: authentication required",
        "denied: requested access to the resource is denied",
        "no basic auth credentials",
        "push access denied, repository does not exist or may require authorization",
    ],
)
@pytest.mark.parametrize("credential", [None, LOGIN])
def test_a_registry_that_refuses(
    fake: FakeDaemon, daemon: Daemon, text: str, credential: Credential | None
) -> None:
    fake.on_push = lambda *_: [{"errorDetail": {"message": text}, "error": text}]
    with pytest.raises(AuthenticationError) as caught:
        daemon.push(IMAGE, credential)
    assert caught.value.exit_code == 7
    assert text in caught.value.why
    assert caught.value.facts["user"] == (None if credential is None else "dev")
    assert caught.value.facts["asked"] == "repository:team/app:pull,push"


def test_any_other_error_of_the_push(fake: FakeDaemon, daemon: Daemon) -> None:
    fake.on_push = lambda *_: [{"error": "dial tcp: connection refused" + "x" * 9999}]
    with pytest.raises(ServerError, match="could not push") as caught:
        daemon.push(IMAGE)
    assert len(caught.value.why[0]) == 1024


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"message": 5}', b'{"message": "disk full"}', b"\xff", b""])
def test_a_status_that_is_no_success(fake: FakeDaemon, daemon: Daemon, body: bytes) -> None:
    fake.answer = b"HTTP/1.1 500 X\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with pytest.raises(ServerError, match="answered with status 500") as caught:
        daemon.push(IMAGE)
    assert caught.value.why == (("disk full",) if b"disk" in body else ())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", NetworkError),
        (b"SSH-2.0-OpenSSH\r\n", NetworkError),
        (b"HTTP/1.1 200 OK\r\n" + b"X: %s\r\n" % (b"y" * 30_000) * 3, ResponseLimitError),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", NetworkError),
        (b"HTTP/1.1 302 Found\r\nLocation: http://h/\r\nContent-Length: 0\r\n\r\n", ServerError),
        (head(), NetworkError),
        (head() + b"zz\r\n", NetworkError),
        (head() + chunk(aux("1", D1, 528)), NetworkError),
        (head() + chunk(aux("1", D1, 528)) + b"ff\r\n{", NetworkError),
        (head() + chunk(b"x" * 70_000), ResponseLimitError),
        (head() + chunk(b"x\n") + b"0\r\n\r\n", ServerError),
        (head() + b"0\r\n\r\n", ServerError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ServerError),
        (b"HTTP/1.1 200 OK\r\n\r\n", ServerError),
    ],
)
def test_hostile_answers(fake: FakeDaemon, daemon: Daemon, answer: bytes, error: type[NotarypyError]) -> None:
    fake.answer = answer
    with pytest.raises(NetworkError) as caught:
        daemon.push(IMAGE, LOGIN)
    assert type(caught.value) is error
    assert "s3cret" not in told(caught.value)


def test_a_silent_daemon_is_given_up(
    fake: FakeDaemon, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STALL_SECONDS", 0.2)

    def silent(sock: socket.socket) -> None:
        sock.sendall(head() + chunk({"status": "Preparing"}))
        time.sleep(1)

    fake.answer = silent
    with pytest.raises(DeadlineError):
        daemon.push(IMAGE)


def test_a_daemon_that_goes_on_for_ever_meets_the_deadline(
    fake: FakeDaemon, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PUSH_SECONDS", 0.3)

    def drip(sock: socket.socket) -> None:
        sock.sendall(head())
        for _ in range(40):
            sock.sendall(chunk({"status": "Pushing", "id": "a"}))
            time.sleep(0.05)

    fake.answer = drip
    with pytest.raises(DeadlineError):
        daemon.push(IMAGE)


def test_a_socket_that_nobody_listens_on(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    for path, number in ((tmp_path / "none", errno.ENOENT), (tmp_path / "plain", errno.ECONNREFUSED)):
        with pytest.raises(UnreachableError) as caught:
            Daemon(DaemonAddress(str(path), "DOCKER_HOST"), timeout=5).push(IMAGE)
        assert caught.value.why == (os.strerror(number), "DOCKER_HOST names it")
        assert "without --local" in advice(caught.value)


def test_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="cannot connect"):
        Daemon(DaemonAddress(f"{tmp_path}/{'x' * 200}", "DOCKER_HOST"), timeout=5).has(IMAGE)


def test_a_socket_that_is_not_for_us(
    monkeypatch: pytest.MonkeyPatch, fake: FakeDaemon, daemon: Daemon
) -> None:
    def refuse(_: object, __: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("socket.socket.connect", refuse)
    with pytest.raises(UnreachableError) as caught:
        daemon.push(IMAGE)
    assert "the right to use" in advice(caught.value)
    assert fake.requests == []
