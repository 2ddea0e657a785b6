from __future__ import annotations

import email
import http.client
import json
from email.policy import HTTP
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import (
    Advice,
    AuthenticationError,
    InvalidNameError,
    NetworkError,
    NotFoundError,
    NotNotaryError,
    RefusedUpdateError,
    ServerError,
    TlsError,
    UnreachableError,
)
from notarypy.remote.http import failures
from notarypy.remote.http.messages import Response
from notarypy.remote.notary import NotaryClient, multipart
from support.scripted import body_of

if TYPE_CHECKING:
    from support.scripted import ScriptedTransport

GUN = "registry.corp:5000/a/b"
BASE = f"https://notary.corp:4443/v2/{GUN}/_trust/tuf"


def server(fake: ScriptedTransport, base: str = "https://notary.corp:4443/") -> NotaryClient:
    return NotaryClient(fake.exchange(), base)


def test_addresses_of_reads(fake: ScriptedTransport) -> None:
    fake.replies.extend([Response(200, {}, b"%d" % number) for number in range(4)])
    notary = server(fake)
    assert notary.get(GUN, "targets/releases", 77) == b"0"
    assert notary.get_by_hash(GUN, "snapshot", "ab" * 32) == b"1"
    assert notary.get_version(GUN, "root", 12) == b"2"
    assert notary.get_key(GUN, "timestamp") == b"3"
    assert [(request.method, request.url) for request in fake.sent] == [
        ("GET", f"{BASE}/targets/releases.json"),
        ("GET", f"{BASE}/snapshot.{'ab' * 32}.json"),
        ("GET", f"{BASE}/12.root.json"),
        ("GET", f"{BASE}/timestamp.key?{urlsplit(fake.sent[3].url).query}"),
    ]
    assert [request.limit for request in fake.sent] == [77, 1 << 20, 1 << 20, 1 << 16]


def test_what_is_to_be_fresh_is_asked_for_past_caches(fake: ScriptedTransport) -> None:
    fake.replies.extend([Response(200)] * 8)
    notary = server(fake)
    for _ in range(2):
        notary.get(GUN, "root", fresh=True)
        notary.get_version(GUN, "root", 2, fresh=True)
        notary.get_by_hash(GUN, "snapshot", "ab" * 32, fresh=True)
        notary.get_key(GUN, "timestamp")  # before the first publish it is another one each time
    assert len({request.url for request in fake.sent}) == 8
    assert {request.headers["Cache-Control"] for request in fake.sent} == {"no-cache"}
    assert all(urlsplit(request.url).query for request in fake.sent)


def test_prefixes_are_kept_and_names_quoted(fake: ScriptedTransport) -> None:
    fake.replies.append(Response(200))
    server(fake, "https://notary.corp/prefix//").get("a b?c#d%e", "root")
    assert fake.sent[0].url == "https://notary.corp/prefix/v2/a%20b%3Fc%23d%25e/_trust/tuf/root.json"


def test_scopes(fake: ScriptedTransport) -> None:
    fake.replies.extend([Response(403)] * 5)
    notary = server(fake)
    asked = []
    for call in (
        lambda: notary.get(GUN, "root"),
        lambda: notary.get_key(GUN, "snapshot"),
        lambda: notary.update(GUN, {}),
        lambda: notary.rotate_key(GUN, "snapshot"),
        lambda: notary.delete(GUN),
    ):
        with pytest.raises(AuthenticationError) as caught:
            call()
        asked.append(caught.value.message)
    assert asked == [
        f"notary.corp:4443 does not allow {word} {GUN}" for word in ("reading", *["changing"] * 4)
    ]


def test_not_found(fake: ScriptedTransport) -> None:
    fake.replies.append(Response(404, {}, b'{"errors":[{"code":"METADATA_NOT_FOUND","message":"no"}]}'))
    with pytest.raises(NotFoundError, match=r"has no root\.json for") as caught:
        server(fake).get(GUN, "root")
    assert caught.value.facts == {
        "gun": GUN,
        "server": "https://notary.corp:4443",
        "server_code": "METADATA_NOT_FOUND",
    }


@pytest.mark.parametrize("status", [204, 206, 400, 405])
def test_anything_but_200_is_no_metadata(fake: ScriptedTransport, status: int) -> None:
    fake.replies.append(Response(status, {}, b"{}"))
    with pytest.raises(ServerError, match=str(status)):
        server(fake).get(GUN, "root")


LOGIN = b"<!DOCTYPE html>\n<html><head><title>Sign in \n to Corp</title></head></html>"
KEY = b'{"keytype":"ecdsa","keyval":{"private":null,"public":"x"}}'


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([Response(200, {}, LOGIN)], 'a web page came with the answer 200: "Sign in to Corp"'),
        ([Response(200, {}, b"  <html>")], "a web page came with the answer 200"),
        ([Response(302, {"location": "https://sso.test/a?state=s"})], "it redirects to https://sso.test;"),
        ([Response(307, {"location": "/login"})], "it redirects; redirects are not followed here"),
        ([Response(405, {}, LOGIN)], 'a web page came with the answer 405: "Sign in to Corp"'),
        ([Response(404, {}, b"404 page not found\n")] * 2, "it answered 404"),
        ([Response(404, {"docker-distribution-api-version": "registry/2.0"})] * 2, "a registry answered 404"),
        ([Response(404, {}, LOGIN)] * 2, 'a web page came with the answer 404: "Sign in to Corp"'),
        ([Response(404, {}, b'{"errors":[{"code":"NAME_UNKNOWN"}]}')] * 2, "NAME_UNKNOWN"),
        ([Response(404), Response(200, {}, LOGIN)], "it answered 404"),
        ([Response(404), Response(200, {}, b"{}")], "it answered 404"),
    ],
)
@pytest.mark.parametrize("source", ["--server", ""])
def test_what_is_no_notary_server(
    fake: ScriptedTransport, answers: list[Response], why: str, source: str
) -> None:
    fake.replies.extend(answers)
    notary = NotaryClient(fake.exchange(), "https://registry.corp", source)
    with pytest.raises(NotNotaryError) as caught:
        notary.get(GUN, "root")
    assert caught.value.message == "https://registry.corp is not the address of a Notary server"
    assert caught.value.why[0].startswith(why)
    assert ("--server names https://registry.corp" if source else "no setting names") in caught.value.why[-1]
    assert source or "DOCKER_CONTENT_TRUST_SERVER" in advice(caught.value)
    assert "state" not in "".join(caught.value.why)


@pytest.mark.parametrize("answer", [Response(200, {}, KEY), Response(401), Response(403)])
def test_a_notary_server_whose_404_is_anothers(fake: ScriptedTransport, answer: Response) -> None:
    fake.replies.extend([Response(404, {}, LOGIN), answer, Response(404)])
    notary = server(fake)
    for _ in range(2):  # the second time nothing has to be found out
        with pytest.raises(NotFoundError):
            notary.get(GUN, "root")
    assert [urlsplit(request.url).path.rpartition("/")[2] for request in fake.sent] == [
        *("root.json", "timestamp.key", "root.json")
    ]


@pytest.mark.parametrize("data", [b"{}", b'{"message": "ok"}', b"[]", b"pong", b""])
def test_what_has_no_signatures_is_no_metadata(fake: ScriptedTransport, data: bytes) -> None:
    with pytest.raises(NotNotaryError) as caught:
        NotaryClient(fake.exchange(), "https://api.corp", "--server").require_metadata(data)
    assert caught.value.why[-1] == "--server names https://api.corp"
    for part in (b'{"signed": null}', b'{"signatures": []}'):
        server(fake).require_metadata(part)


def test_nobody_named_a_server_whose_certificate_is_unknown(fake: ScriptedTransport) -> None:
    for error in (TlsError("x", advice=Advice("copy-ca", file="/c/ca.crt")), UnreachableError("x")):
        for source in ("", "--server"):
            fake.replies.extend([error] * 4)
            with pytest.raises(NetworkError) as caught:
                NotaryClient(fake.exchange(), "https://registry.corp:5000", source).get(GUN, "root")
            fix = advice(caught.value)
            assert fix.startswith("name the Notary server: --server URL, DOCKER_") == (source == "")
            assert ('[registry."registry.corp:5000"]' in fix) == (source == "")
            assert ("copy the CA certificate of this server to /c/ca.crt" in fix) == isinstance(
                error, TlsError
            )
            error.advice = Advice("copy-ca", file="/c/ca.crt") if isinstance(error, TlsError) else None
            fake.replies.clear()


@pytest.mark.parametrize(
    "answer",
    [
        failures.lost("localhost:1", ConnectionResetError()),
        failures.NotHttpError("x"),
        Response(400, {}, b"Client sent an HTTP request to an HTTPS server.\n"),
        Response(400, {}, b"<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>"),
    ],
)
def test_plain_http_where_tls_is_spoken(fake: ScriptedTransport, answer: Response | NetworkError) -> None:
    fake.replies.extend([answer] * 4)
    with pytest.raises(NetworkError) as caught:
        NotaryClient(fake.exchange(), "http://localhost:1", "--server").get(GUN, "root")
    assert advice(caught.value) == "correct --server: if it speaks TLS there, write https://localhost:1"


def test_who_sends_half_an_answer_speaks_http(fake: ScriptedTransport) -> None:
    error = failures.lost("localhost:1", http.client.IncompleteRead(b"half"), answered=True)
    fake.replies.extend([error] * 4)
    with pytest.raises(NetworkError) as caught:
        NotaryClient(fake.exchange(), "http://localhost:1", "--server").get(GUN, "root")
    assert caught.value.advice is None


def test_a_path_is_always_looked_at(fake: ScriptedTransport) -> None:
    missing = Response(404, {}, b'{"errors":[{"code":"METADATA_NOT_FOUND"}]}')
    fake.replies.extend([missing, missing])
    with pytest.raises(NotNotaryError):
        server(fake, "https://notary.corp/wrong").get(GUN, "root")
    fake.replies.extend([missing, Response(200, {}, KEY)])
    with pytest.raises(NotFoundError):
        server(fake, "https://notary.corp/prefix").get(GUN, "root")


def test_an_address_that_nobody_named_is_said_to_be_so(fake: ScriptedTransport) -> None:
    for source, last in (("", "the registry's own address"), ("--server", "--server names")):
        fake.replies.append(failures.UnknownHostError("cannot connect to notary.corp"))
        with pytest.raises(NetworkError) as caught:
            NotaryClient(fake.exchange(), "https://notary.corp", source).get(GUN, "root")
        assert last in caught.value.why[-1]
        assert ("--server URL" in advice(caught.value)) == (source == "")


def test_a_proxy_in_front_of_a_notary_server_is_no_wrong_address(fake: ScriptedTransport) -> None:
    page = b"<html><head><title>502 Bad Gateway</title></head></html>"
    fake.replies.extend([Response(502, {}, page)] * 4)
    with pytest.raises(ServerError) as caught:
        server(fake).get(GUN, "root")
    assert type(caught.value) is ServerError
    assert 'a web page came with the answer 502: "502 Bad Gateway"' in caught.value.why


def test_update_sends_the_exact_bytes(fake: ScriptedTransport) -> None:
    fake.replies.append(Response(200))
    files = {"root": b'{"a":1}', "targets/releases": b"\r\n--x\r\n\x00\xff", "snapshot": b""}
    server(fake).update(GUN, files)
    (request,) = fake.sent
    assert (request.method, request.url) == ("POST", f"{BASE}/")
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body_of(request), policy=HTTP)
    parts = list(message.iter_parts())
    assert [part.get_filename() for part in parts] == list(files)
    assert [part.get_content_type() for part in parts] == ["application/octet-stream"] * 3
    assert {part.get_param("name", header="content-disposition") for part in parts} == {"files"}
    for data in files.values():
        assert b"\r\n\r\n" + data + b"\r\n--" in (request.body or b"")


def test_an_empty_update(fake: ScriptedTransport) -> None:
    fake.replies.append(Response(200))
    server(fake).update(GUN, {})
    boundary = fake.sent[0].headers["Content-Type"].partition("boundary=")[2]
    assert fake.sent[0].body == f"--{boundary}--\r\n".encode()


def test_boundaries_differ(fake: ScriptedTransport) -> None:
    fake.replies.extend([Response(200)] * 2)
    for _ in range(2):
        server(fake).update(GUN, {})
    assert fake.sent[0].headers["Content-Type"] != fake.sent[1].headers["Content-Type"]


@pytest.mark.parametrize("role", ['a"b', "a\r\nb", "a\\b", "é", "\x00"])
def test_roles_cannot_break_out_of_a_header(role: str) -> None:
    with pytest.raises(InvalidNameError):
        multipart({role: b""}, "x")


def test_a_boundary_in_a_file_is_noticed() -> None:
    with pytest.raises(ServerError):
        multipart({"root": b"..--x.."}, "x")


def refusal(fake: ScriptedTransport, errors: object, status: int = 400) -> RefusedUpdateError:
    fake.replies.append(Response(status, {}, json.dumps({"errors": errors}).encode() + b"\n"))
    with pytest.raises(RefusedUpdateError) as caught:
        server(fake).update(GUN, {"root": b"x"})
    return caught.value


def test_a_conflict(fake: ScriptedTransport) -> None:
    error = refusal(
        fake, [{"code": "VERSION", "message": "A newer version of metadata exists", "detail": {}}]
    )
    assert (error.facts["code"], error.facts["name"]) == ("VERSION", "")
    assert error.facts["text"] == "A newer version of metadata exists"
    assert error.why == ("VERSION: A newer version of metadata exists",)
    assert len(fake.sent) == 1


def test_an_invalid_update(fake: ScriptedTransport) -> None:
    detail = {"Name": "ErrBadTargets", "Error": {"Msg": "tuf: invalid role"}}
    error = refusal(
        fake,
        [{"code": "INVALID_UPDATE", "message": "Update sent by the client is invalid.", "detail": detail}],
    )
    assert error.facts["code"] == "INVALID_UPDATE"
    assert error.facts["name"] == "ErrBadTargets"
    assert error.facts["text"] == "tuf: invalid role"
    assert "ErrBadTargets: tuf: invalid role" in error.why


@pytest.mark.parametrize(
    ("detail", "text"),
    [
        ("targets/Bad", "targets/Bad"),
        (None, "m"),
        (7, "m"),
        ({"Name": 1, "Error": 2}, "m"),
        ({"Name": "E", "Error": "t"}, "t"),
    ],
)
def test_details_of_any_shape(fake: ScriptedTransport, detail: object, text: str) -> None:
    assert refusal(fake, [{"code": "INVALID_ROLE", "message": "m", "detail": detail}]).facts["text"] == text


def test_a_refusal_without_a_document(fake: ScriptedTransport) -> None:
    error = refusal(fake, None)
    assert error.facts["code"] == ""
    assert error.facts["status"] == 400


def test_an_update_too_big_for_a_proxy(fake: ScriptedTransport) -> None:
    error = refusal(fake, [], 413)
    assert "body size" in advice(error)


@pytest.mark.parametrize("reply", [NetworkError("lost"), Response(500), Response(502), Response(302)])
def test_an_update_is_sent_once(fake: ScriptedTransport, reply: Response | Exception) -> None:
    fake.replies.append(reply)
    with pytest.raises(NetworkError):
        server(fake).update(GUN, {"root": b"x"})
    assert len(fake.sent) == 1


def test_rotate_and_delete(fake: ScriptedTransport) -> None:
    fake.replies.extend([Response(200, {}, b"key"), Response(200), Response(204)])
    notary = server(fake)
    assert notary.rotate_key(GUN, "timestamp") == b"key"
    notary.delete(GUN)
    with pytest.raises(ServerError):
        notary.delete(GUN)
    assert [(request.method, request.url, request.body) for request in fake.sent] == [
        ("POST", f"{BASE}/timestamp.key", None),
        ("DELETE", f"{BASE}/", None),
        ("DELETE", f"{BASE}/", None),
    ]
