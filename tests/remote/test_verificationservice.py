"""A verification service that is asked over its socket: who is believed, and which answers count."""

from __future__ import annotations

import json
import os
import socket
import stat
import struct
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.errors import (
    Advice,
    ConfigurationError,
    ResponseLimitError,
    ServerError,
    StorageError,
)
from notarypy.limits import Limits
from notarypy.remote import verificationservice
from notarypy.remote.serviceverdicts import AskedImage, ServiceVerdict, ServiceVerdictError
from notarypy.remote.verificationservice import ServiceMissingError, ask, socket_path
from support.service import FakeService, fake_service, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPO = "registry.test/app"
DIGEST = f"sha256:{'1' * 64}"
IMAGE = AskedImage(f"{REPO}:1", REPO, "1", None)
GOOD: dict[str, Any] = {
    "ref": IMAGE.text,
    "ok": True,
    "image": f"{REPO}@{DIGEST}",
    "repository": REPO,
    "tag": "1",
    "digest": DIGEST,
    "size": 528,
    "verified": True,
    "role": "targets/releases",
    "signers": ["jeff"],
    "expires": "2027-01-02T03:04:05Z",
    "signed_as": None,
    "cosign": [],
    "policy": {"scope": "*", "mode": "enforce", "unmet": []},
    "evidence": None,
    "warnings": [],
}
ERROR: dict[str, Any] = {
    "code": "trust.tag_unsigned",
    "exit": 3,
    "message": "not signed",
    "why": ["signed tags: 2"],
    "facts": {"gun": REPO, "tag": "1", "message": "a fact of that name"},
    "advice": {"name": "sign-tag", "values": {"gun": REPO, "tag": "1"}},
    "retryable": False,
}
BAD: dict[str, Any] = {"ref": IMAGE.text, "ok": False, "error": ERROR, "warnings": []}
LATE: dict[str, Any] = {**BAD, "error": {**ERROR, "code": "service.undecided", "exit": 8, "retryable": True}}


def document(*results: dict[str, Any], code: int = 0, **more: object) -> dict[str, Any]:
    head = {"schema": 1, "command": "verify", "exit": code, "results": list(results)}
    return {**head, "warnings": [], "first_use": [], **more}


@pytest.fixture
def service() -> Iterator[FakeService]:
    with fake_service() as made:
        yield made


def asked(
    service: FakeService, *images: AskedImage, seconds: float = 30, **required: object
) -> list[ServiceVerdict]:
    return ask(str(service.path), images or (IMAGE,), required, seconds)


def test_what_is_good_comes_with_all_that_is_known(service: FakeService) -> None:
    unmet = {**ERROR, "code": "policy.signer_missing", "exit": 10}
    policy = {"scope": REPO, "mode": "audit", "unmet": [unmet]}
    said = [{"text": "audit: x", "unverified": True}, {"text": "y", "unverified": False}]
    service.says(document({**GOOD, "policy": policy, "warnings": said}))
    (verdict,) = asked(service, signers=["jeff"])
    assert (verdict.error, verdict.data["digest"], verdict.data.keys() & {"ref", "ok", "warnings"}) == (
        None,
        DIGEST,
        set(),
    )
    assert [error.code for error in verdict.unmet] == ["policy.signer_missing"]
    assert verdict.warnings == (("audit: x", True), ("y", False))
    assert service.requests == [{"images": [f"{REPO}:1"], "signers": ["jeff"]}]
    assert service.heads[0].startswith("POST /verify HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n")


def test_an_error_is_the_one_of_the_service(service: FakeService) -> None:
    service.says(document(BAD, code=3))
    (verdict,) = asked(service)
    error = verdict.error
    assert error is not None
    assert (error.code, error.exit_code, error.retryable) == ("trust.tag_unsigned", 3, False)
    assert (error.message, error.why, error.facts) == ("not signed", ("signed tags: 2",), ERROR["facts"])
    assert error.advice == Advice("sign-tag", gun=REPO, tag="1")
    assert error.saying("more").code == "trust.tag_unsigned"


def test_a_refusal_of_the_whole_request_is_raised(service: FakeService) -> None:
    service.says(document(code=2, error={**ERROR, "code": "usage", "exit": 2}), 400)
    with pytest.raises(ServiceVerdictError) as caught:
        asked(service)
    assert (caught.value.code, caught.value.exit_code) == ("usage", 2)


def test_what_is_not_known_in_time_is_asked_again(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verificationservice, "_PAUSE_SECONDS", 0)
    other = AskedImage(f"{REPO}:2", REPO, "2", None)
    second = {**GOOD, "ref": other.text, "tag": "2"}
    answers = iter([document(LATE, second, code=8), document(LATE, code=8), document(GOOD)])
    service.answer = lambda _body, _sock: whole(200, json.dumps(next(answers)).encode())
    verdicts = asked(service, IMAGE, other)
    assert [verdict.data["tag"] for verdict in verdicts] == ["1", "2"]
    assert [request["images"] for request in service.requests] == [
        [IMAGE.text, other.text],
        [IMAGE.text],
        [IMAGE.text],
    ]


def test_what_is_never_known_stays_an_error(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verificationservice, "_PAUSE_SECONDS", 0)
    answers = [whole(200, json.dumps(document(LATE, code=8)).encode()), whole(503, b"")]
    service.answer = lambda _body, _sock: answers.pop(0)
    (verdict,) = asked(service)
    assert verdict.undecided
    assert answers == []


# Who is asked


@pytest.mark.parametrize(
    "value", ["/run/s", "unix:s", "unix:", "tcp://h:1", "https://h", "unix:/a\0b", f"unix:/{'x' * 107}"]
)
def test_rule_1_anything_but_a_unix_socket_is_a_mistake(value: str) -> None:
    with pytest.raises(ConfigurationError, match="NOTARYPY_SERVICE") as caught:
        socket_path({"NOTARYPY_SERVICE": value})
    assert caught.value.advice == Advice("write-service", variable="NOTARYPY_SERVICE")


def test_rule_1_a_whole_path_will_do_and_nothing_is_none() -> None:
    assert socket_path({"NOTARYPY_SERVICE": "unix:/run/s.sock"}) == "/run/s.sock"
    assert socket_path({"NOTARYPY_SERVICE": ""}) == socket_path({}) == ""


MOUNTS = ((stat.S_IFDIR | 0o1777, 1), (stat.S_IFDIR | 0o755, 1), (stat.S_IFDIR | 0o755, 2))
USER, SERVICE, STRANGER = 4002, 4003, 4001
_COULD = ", and could have put there what is on the way"


class Accounts:
    """Folders and sockets of several accounts: real ones as root, else only said to be theirs."""

    def __init__(self, top: Path, patch: pytest.MonkeyPatch) -> None:
        """Begin with a folder in which only root writes."""
        self.top, self._patch, self._open = top, patch, list[FakeService]()
        self._said: dict[tuple[int, int], int] = {}
        patch.setattr(os, "getuid", lambda: USER)
        if os.geteuid():
            for name in ("stat", "lstat"):
                patch.setattr(os, name, self._patched(getattr(os, name)))
            for folder in (top, *top.parents):
                self._belongs(folder, 0)
        self._belongs(top, 0)
        top.chmod(0o755)

    def _patched(self, real: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
        def looked(*args: object, **more: object) -> os.stat_result:
            found = real(*args, **more)
            owner = self._said.get((found.st_dev, found.st_ino), found.st_uid)
            return os.stat_result((*found[:4], owner, *found[5:]))

        return looked

    def _belongs(self, path: Path, user: int) -> None:
        if os.geteuid():
            self._said[path.lstat().st_dev, path.lstat().st_ino] = user
        else:
            os.chown(path, user, user, follow_symlinks=False)

    def folder(self, path: str, user: int, mode: int = 0o755) -> None:
        """Make a folder, or give one away."""
        (self.top / path).mkdir(exist_ok=True)
        (self.top / path).chmod(mode)
        self._belongs(self.top / path, user)

    def link(self, path: str, target: str, user: int) -> None:
        """Make a symbolic link."""
        (self.top / path).symlink_to(target)
        self._belongs(self.top / path, user)

    def listen(self, path: str, user: int) -> None:
        """Have an account listen."""
        service = FakeService(self.top / path, user)
        service.says(document(GOOD))
        self._open.append(service)
        self._belongs(self.top / path, user)
        if os.geteuid():
            credentials = struct.pack("3I", 1, user, 1)
            self._patch.setattr(socket.socket, "getsockopt", lambda *_: credentials)

    def said(self, path: str) -> str:
        """Return why a service is not believed, nothing if it is; nothing is sent to one that is not."""
        before = sum(len(service.requests) for service in self._open)
        try:
            ask(f"{self.top}/{path}", [IMAGE], {}, 30)
        except StorageError as error:
            assert sum(len(service.requests) for service in self._open) == before
            return error.why[-1].replace(str(self.top), "TOP").removesuffix(_COULD)
        return ""

    def close(self) -> None:
        """Stop all."""
        for service in self._open:
            service.close()


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Accounts]:
    with tempfile.TemporaryDirectory(prefix="s-") as folder:
        made = Accounts(Path(folder), monkeypatch)
        try:
            yield made
        finally:
            made.close()


@pytest.mark.parametrize("user", [0, USER])
def test_rule_2_root_and_oneself_are_believed(accounts: Accounts, user: int) -> None:
    accounts.folder("tmp", 0, 0o1777)
    accounts.folder("tmp/own", USER, 0o700)
    for path in ("s", "tmp/s", "tmp/own/s"):
        accounts.listen(path, user)
        assert accounts.said(path) == ""


def test_rule_2_who_alone_could_put_it_there_is_believed(accounts: Accounts) -> None:
    accounts.folder("run", SERVICE)
    accounts.listen("run/s", SERVICE)
    accounts.link("to-run", "./run", USER)
    for path in ("run/s", "to-run/s", "./to-run/..//to-run/s"):
        assert accounts.said(path) == ""
    for mode in (0o775, 0o757, 0o1777):
        accounts.folder("run", SERVICE, mode)
        assert accounts.said("run/s") == "others can write to TOP/run"
    accounts.folder("run", STRANGER)
    assert accounts.said("run/s") == "the way there is in the hands of others: user 4001, 4003"


def test_rule_2_what_others_could_have_put_there_is_not(accounts: Accounts) -> None:
    accounts.folder("tmp", 0, 0o1777)
    accounts.folder("tmp/evil", STRANGER)
    for path in ("tmp/s", "tmp/evil/s"):
        accounts.listen(path, STRANGER)
        assert accounts.said(path) == "others can write to TOP/tmp"


@pytest.mark.parametrize("listener", [STRANGER, 0, USER, SERVICE])
def test_rule_2_no_link_of_a_stranger_leads_to_anybody(accounts: Accounts, listener: int) -> None:
    accounts.folder("tmp", 0, 0o1777)
    accounts.folder("home", STRANGER if listener == STRANGER else 0)
    accounts.listen("home/s", listener)
    for path, target in (("tmp/s", "../home/s"), ("tmp/folder", f"{accounts.top}/home")):
        accounts.link(path, target, STRANGER)
    accounts.folder("all", USER, 0o777)
    accounts.link("all/s", "../home/s", USER)  # it may have been moved there
    accounts.link("to-tmp", "tmp/folder/../home", USER)
    assert {accounts.said(path) for path in ("tmp/s", "tmp/folder/s", "to-tmp/s")} == {
        "others can write to TOP/tmp"
    }
    assert accounts.said("all/s") == "others can write to TOP/all"


def test_rule_2_a_second_name_for_a_service_of_root_may_be_anybodys(accounts: Accounts) -> None:
    accounts.folder("tmp", 0, 0o1777)
    accounts.listen("s", 0)
    (accounts.top / "tmp/s").hardlink_to(accounts.top / "s")
    assert accounts.said("s") == ""
    assert accounts.said("tmp/s") == "others can write to TOP/tmp"


def test_rule_2_a_name_that_is_exchanged_meanwhile(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.folder("tmp", 0, 0o1777)
    accounts.listen("lenient", 0)
    accounts.link("tmp/s", "../lenient", STRANGER)
    real = socket.socket.connect

    def connect(sock: socket.socket, address: str) -> None:
        real(sock, address)
        (accounts.top / "tmp/s").unlink()
        accounts.listen("tmp/s", 0)

    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        assert accounts.said("tmp/s") == "the way there is not what it was before the connection"
    assert accounts.said("tmp/s") == ""


def test_rule_2_what_is_mounted_in_a_folder_of_all_may_be_anybodys() -> None:
    tmp, own, mounted = (os.stat_result((mode, 1, device, 2, 0, 0, 0, 0, 0, 0)) for mode, device in MOUNTS)
    assert verificationservice.doubt([(Path("/tmp"), tmp, own)], 0) == ""
    assert verificationservice.doubt([(Path("/tmp"), tmp, mounted)], 0).startswith("others can write")


def test_rule_2_a_circle_of_links_leads_nowhere(accounts: Accounts) -> None:
    accounts.link("s", "s", 0)
    with pytest.raises(ServiceMissingError):
        accounts.said("s")


def test_rule_2_a_number_for_many_accounts_is_none(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.folder("run", 65534)
    accounts.listen("run/s", 65534)
    said = {"uid_map": " 0 0 4294967295\n", "overflowuid": "65534\n"}
    monkeypatch.setattr(Path, "read_text", lambda path: said[path.name])
    assert accounts.said("run/s") == ""  # all accounts are known here: it is one of its own
    said["uid_map"] = " 0 100000 65536\n"
    expected = "user 65534 stands for all accounts that this user namespace does not know"
    assert accounts.said("run/s") == expected
    monkeypatch.setattr(os, "getuid", lambda: 65534)
    assert accounts.said("run/s") == expected
    said.clear()
    monkeypatch.setattr(Path, "read_text", lambda path: path.with_name("no such file").read_bytes())
    assert accounts.said("run/s") == expected


def test_rule_2_where_the_system_does_not_say_who_listens(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notarypy.system.LINUX", False)
    accounts.listen("s", USER)
    accounts.folder("run", SERVICE)
    accounts.listen("run/s", SERVICE)
    assert accounts.said("s") == ""
    assert accounts.said("run/s") == "the way there is in the hands of others: user 4003"


# No service


def test_rule_3_one_that_is_busy_is_none(service: FakeService) -> None:
    service.says(b"{}", 503)
    with pytest.raises(ServiceMissingError) as caught:
        asked(service)
    assert (caught.value.code, caught.value.exit_code) == ("net.unreachable", 8)
    assert caught.value.advice == Advice("ask-again")


@pytest.mark.parametrize("status", [204, 301, 401, 403, 404, 405, 408, 411, 413, 415, 429, 500, 502])
def test_rule_5_another_status_is_an_answer_of_no_use(service: FakeService, status: int) -> None:
    service.says(b"{}", status)
    with pytest.raises(ServerError) as caught:
        asked(service)
    assert caught.value.exit_code == 8
    assert caught.value.why[0] == f"its status is {status}"
    assert len(caught.value.why) == 1 + (status in {403, 404, 500})


def test_rule_3_nobody_there(service: FakeService) -> None:
    with pytest.raises(ServiceMissingError):
        ask(f"{service.path}.no", [IMAGE], {}, 30)
    for other in ("/", "/etc/passwd", str(service.path.parent)):
        with pytest.raises(ConfigurationError, match="names no service"):
            ask(other, [IMAGE], {}, 30)
    left = f"{service.path}2"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(left)
    with pytest.raises(ServiceMissingError):
        ask(left, [IMAGE], {}, 30)


@pytest.mark.parametrize("part", [0, 7, 40, 60])
def test_rule_3_a_connection_that_is_lost_at_once_is_no_answer(service: FakeService, part: int) -> None:
    service.answer = lambda _body, _sock: whole(200, json.dumps(document(GOOD)).encode())[:part]
    with pytest.raises(ServerError if part else ServiceMissingError):
        asked(service)


def test_rule_3_one_that_is_silent_is_given_up(service: FakeService) -> None:
    service.answer = lambda _body, sock: sock.recv(1)  # until the other side hangs up
    with pytest.raises(ServiceMissingError):
        asked(service, seconds=0.2)


def test_rule_3_an_answer_before_the_end_of_the_request_is_seen(service: FakeService) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{service.path}2")
    listener.listen()

    def refuse() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.sendall(whole(413, b""))

    thread = threading.Thread(target=refuse)
    thread.start()
    many = [AskedImage(f"{REPO}:{number}", REPO, str(number), None) for number in range(100_000)]
    with pytest.raises(ServerError, match="no answer that counts"):
        ask(f"{service.path}2", many, {}, 30)
    thread.join()
    listener.close()


# Answers that do not count


@pytest.mark.parametrize(
    "changed",
    [
        {"ref": f"{REPO}:2"},
        {"ok": "true"},
        {"ok": 1},
        {"ok": None},
        {"ok": False},
        {"error": ERROR},
        {"more": 1},
        {"repository": "registry.test/other", "image": f"registry.test/other@{DIGEST}"},
        {"tag": "2"},
        {"tag": None},
        {"digest": "sha256:1", "image": f"{REPO}@sha256:1"},
        {"image": f"{REPO}@sha256:{'2' * 64}"},
        {"size": "528"},
        {"size": True},
        {"verified": 1},
        {"verified": None},
        {"verified": False},
        {"verified": False, "policy": None},
        {"signers": "jeff"},
        {"signers": [1]},
        {"policy": {"scope": "*", "mode": "enforce"}},
        {"policy": {"scope": "*", "mode": "off", "unmet": []}},
        {"policy": {"scope": "*", "mode": "audit", "unmet": [{}]}},
        {"policy": []},
        {"evidence": "x"},
        {"warnings": None},
        {"warnings": ["text"]},
        {"warnings": [{"text": "x"}]},
        {"warnings": [{"text": "x", "unverified": 1}]},
    ],
)
def test_rule_5_a_good_result_is_exactly_what_was_asked_for(
    service: FakeService, changed: dict[str, Any]
) -> None:
    service.says(document({**GOOD, **changed}))
    with pytest.raises(ServerError, match="no answer that counts"):
        asked(service)


@pytest.mark.parametrize("name", sorted(GOOD.keys() - {"warnings"}))
def test_rule_5_nothing_may_be_missing(service: FakeService, name: str) -> None:
    service.says(document({key: value for key, value in GOOD.items() if key != name}))
    with pytest.raises(ServerError):
        asked(service)


@pytest.mark.parametrize(
    "changed",
    [
        {"code": ""},
        {"code": "a b"},
        {"code": None},
        {"exit": 0},
        {"exit": 77},
        {"exit": True},
        {"exit": "3"},
        {"message": None},
        {"why": "x"},
        {"why": [1]},
        {"facts": []},
        {"advice": "sign it"},
        {"advice": {"name": "x"}},
        {"advice": {"name": "x", "values": {"a": []}}},
        {"advice": {"name": "x", "values": {"a": {"name": 1, "values": {}}}}},
        {"retryable": "no"},
        {"more": 1},
    ],
)
def test_rule_5_an_error_has_all_that_errors_have(service: FakeService, changed: dict[str, Any]) -> None:
    service.says(document({**BAD, "error": {**ERROR, **changed}}, code=3))
    with pytest.raises(ServerError):
        asked(service)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"no",
        b"\xff",
        b"[" * 100_000,
        json.dumps(document(GOOD)).encode()[:-1],
        json.dumps({**document(GOOD), "schema": 2}).encode(),
        json.dumps({**document(GOOD), "command": "inspect"}).encode(),
        json.dumps({**document(GOOD), "error": None}).encode(),
        json.dumps({**document(GOOD), "results": {}}).encode(),
        json.dumps(document()).encode(),
        json.dumps(document(GOOD, GOOD)).encode(),
        json.dumps(document(GOOD, code=3)).encode(),
        json.dumps(document(BAD)).encode(),
        json.dumps(document(GOOD)).replace("528", "NaN").encode(),
        json.dumps(document(GOOD)).replace('"ok": true', '"ok": false, "ok": true').encode(),
    ],
)
def test_rule_5_a_document_that_is_another_one(service: FakeService, body: bytes) -> None:
    for status in (200, 400):
        service.says(body, status)
        with pytest.raises(ServerError):
            asked(service)


def test_rule_5_what_was_required_is_never_skipped(service: FakeService) -> None:
    policy = {"scope": "*", "mode": "skip", "unmet": []}
    skipped = {**GOOD, "verified": False, "policy": policy}
    service.says(document(skipped))
    assert len(asked(service)) == 1
    assert len(asked(service, registry=False)) == 1
    for required in ({"signers": ["jeff"]}, {"all_signers": True}, {"root": "a" * 64}, {"also": ["PEM"]}):
        with pytest.raises(ServerError):
            asked(service, **required)


def test_rule_5_a_digest_and_latest_are_compared_too(service: FakeService) -> None:
    other = f"sha256:{'2' * 64}"
    for text, tag, digest, said in (
        (REPO, None, None, "latest"),
        (REPO, None, None, None),
        (f"{REPO}@{DIGEST}", None, DIGEST, "anything"),
        (f"{REPO}@{DIGEST}", None, DIGEST, None),
    ):
        service.says(document({**GOOD, "ref": text, "tag": said}))
        assert len(asked(service, AskedImage(text, REPO, tag, digest))) == 1
    for text, tag, digest, said in ((REPO, None, None, "1"), (f"{REPO}@{other}", None, other, None)):
        service.says(document({**GOOD, "ref": text, "tag": said}))
        with pytest.raises(ServerError):
            asked(service, AskedImage(text, REPO, tag, digest))


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n",
    ],
)
def test_rule_5_an_answer_without_its_length(service: FakeService, head: bytes) -> None:
    service.answer = lambda _body, _sock: head + json.dumps(document(GOOD)).encode()
    with pytest.raises(ServerError):
        asked(service)


def test_rule_6_nothing_is_taken_beyond_the_limits(service: FakeService) -> None:
    limits = Limits(header_bytes=1000, service_answer_bytes=2000)
    service.says(b" " * 4000)
    with pytest.raises(ResponseLimitError):
        ask(str(service.path), [IMAGE], {}, 30, limits)
    service.answer = lambda _body, _sock: whole(200, b"{}").replace(b"Kind", b"x" * 1500)
    with pytest.raises(ServerError, match="no answer that counts"):
        ask(str(service.path), [IMAGE], {}, 30, limits)
