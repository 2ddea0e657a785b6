from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import (
    DigestMismatchError,
    ImageMissingError,
    ServerError,
    TlsError,
    UnreachableError,
)
from notarypy.images import manifests
from notarypy.remote.http.failures import LostConnectionError, NotHttpError, NotTlsError, UnknownHostError
from notarypy.remote.http.messages import Response
from notarypy.remote.registry.registry import RegistryClient

if TYPE_CHECKING:
    from support.scripted import ScriptedTransport

TYPE = "application/vnd.oci.image.manifest.v1+json"
LAYER = {
    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
    "size": 1,
    "digest": "sha256:" + "1" * 64,
}
CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": "sha256:" + "2" * 64}
BODY = json.dumps({"schemaVersion": 2, "mediaType": TYPE, "config": CONFIG, "layers": [LAYER]}).encode()
DIGEST = "sha256:" + hashlib.sha256(BODY).hexdigest()


def good(**headers: str) -> Response:
    return Response(200, {"content-type": TYPE, **headers}, BODY)


def test_one_get_by_tag(fake: ScriptedTransport) -> None:
    fake.replies.append(good())
    found = RegistryClient(fake.exchange(), "registry.corp:5000").manifest("a/b", "v1.0_x")
    assert (found.digest, found.size, found.media_type) == (DIGEST, len(BODY), TYPE)
    (request,) = fake.sent
    assert (request.method, request.url) == ("GET", "https://registry.corp:5000/v2/a/b/manifests/v1.0_x")
    assert request.headers["Accept"] == ", ".join(manifests.ACCEPT)
    assert request.limit == 4 << 20


def test_by_digest(fake: ScriptedTransport) -> None:
    fake.replies.append(good(**{"docker-content-digest": DIGEST}))
    assert RegistryClient(fake.exchange(), "r.corp").manifest("a", DIGEST).digest == DIGEST
    assert fake.sent[0].url == f"https://r.corp/v2/a/manifests/{DIGEST}"


@pytest.mark.parametrize(
    "wrong",
    ["sha256:" + "0" * 64, "sha512:" + "0" * 128, "md5:" + "0" * 32, "nonsense", f"{DIGEST}, {DIGEST}"],
)
def test_a_stated_digest_must_be_right(fake: ScriptedTransport, wrong: str) -> None:
    fake.replies.append(good(**{"docker-content-digest": wrong}))
    with pytest.raises(DigestMismatchError) as caught:
        RegistryClient(fake.exchange(), "r.corp").manifest("a", "1")
    assert caught.value.facts["expected"] == wrong
    assert caught.value.facts["actual"] == DIGEST


def test_another_algorithm_may_be_right_too(fake: ScriptedTransport) -> None:
    fake.replies.append(good(**{"docker-content-digest": "sha512:" + hashlib.sha512(BODY).hexdigest()}))
    assert RegistryClient(fake.exchange(), "r.corp").manifest("a", "1").digest == DIGEST


def test_other_bytes_than_asked_for(fake: ScriptedTransport) -> None:
    fake.replies.append(good())
    with pytest.raises(DigestMismatchError) as caught:
        RegistryClient(fake.exchange(), "r.corp").manifest("a", "sha256:" + "0" * 64)
    assert "asked for: sha256:000" in caught.value.why[0]


def test_missing(fake: ScriptedTransport) -> None:
    fake.replies.append(
        Response(404, {}, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
    )
    with pytest.raises(ImageMissingError, match="has no 1 in a") as caught:
        RegistryClient(fake.exchange(), "r.corp").manifest("a", "1")
    assert caught.value.why == ("MANIFEST_UNKNOWN: manifest unknown",)


@pytest.mark.parametrize("status", [204, 400, 415])
def test_other_answers(fake: ScriptedTransport, status: int) -> None:
    fake.replies.append(Response(status))
    with pytest.raises(ServerError, match=str(status)):
        RegistryClient(fake.exchange(), "r.corp").manifest("a", "1")


@pytest.mark.parametrize(
    ("location", "followed"),
    [
        ("/other/manifests/1", "https://r.corp/other/manifests/1"),
        ("https://cdn.corp/1?signature=x", "https://cdn.corp/1?signature=x"),
        ("http://r.corp/v2/b/manifests/1", "https://r.corp/v2/b/manifests/1"),
        ("http://r.corp:80/v2/b", "https://r.corp/v2/b"),
    ],
)
def test_redirects_of_manifests(fake: ScriptedTransport, location: str, followed: str) -> None:
    fake.replies.extend([Response(307, {"location": location}), good()])
    assert RegistryClient(fake.exchange(), "r.corp").manifest("a", "1").digest == DIGEST
    assert fake.sent[-1].url == followed


def test_what_comes_from_elsewhere_has_its_digest(fake: ScriptedTransport) -> None:
    fake.replies.extend([Response(307, {"location": "https://cdn.corp/1"}), good()])
    with pytest.raises(DigestMismatchError):
        RegistryClient(fake.exchange(), "r.corp").manifest("a", "sha256:" + "0" * 64)


@pytest.mark.parametrize("location", ["http://cdn.corp/1", "http://r.corp:8080/1", "ftp://r.corp/1"])
def test_redirects_of_manifests_never_lead_to_http(fake: ScriptedTransport, location: str) -> None:
    fake.replies.append(Response(307, {"location": location}))
    with pytest.raises(ServerError, match="another place"):
        RegistryClient(fake.exchange(), "r.corp").manifest("a", "1")
    assert len(fake.sent) == 1


def test_who_may_not_list_may_push(fake: ScriptedTransport) -> None:
    fake.replies.extend([Response(401), Response(201)])
    registry = RegistryClient(fake.exchange(), "localhost:5000", ("http", "https"))
    registry.put_manifest("a", "1", BODY, TYPE)
    assert [request.url.partition(":")[0] for request in fake.sent] == ["http", "http"]


@pytest.mark.parametrize(
    ("host", "advised"), [("r.corp", "at r.corp first"), ("1.dkr.ecr.eu-west-1.amazonaws.com", "aws ecr")]
)
def test_a_repository_that_has_to_be_made_first(fake: ScriptedTransport, host: str, advised: str) -> None:
    fake.replies.append(Response(404, {}, b'{"errors":[{"code":"NAME_UNKNOWN","message":"none"}]}'))
    with pytest.raises(ImageMissingError, match="takes nothing for a/b") as caught:
        RegistryClient(fake.exchange(), host).put_manifest("a/b", "1", BODY, TYPE)
    assert caught.value.why == ("NAME_UNKNOWN: none",)
    assert advised in advice(caught.value)
    assert "a/b" in advice(caught.value)


@pytest.mark.parametrize(
    "first",
    [
        UnreachableError("x", reason="refused"),
        LostConnectionError("x", reason="lost"),
        NotHttpError("x", reason="garbled"),
        Response(400, {}, b"Client sent an HTTP request to an HTTPS server.\n"),
    ],
)
def test_https_after_http(fake: ScriptedTransport, first: Response | Exception) -> None:
    fake.replies.extend([first, good(), good()])
    registry = RegistryClient(fake.exchange(), "localhost:5000", ("http", "https"))
    for _ in range(2):
        assert registry.manifest("a", "1").digest == DIGEST
    assert [request.url.partition(":")[0] for request in fake.sent] == ["http", "https", "https"]
    assert fake.slept == []


def test_the_first_scheme_is_remembered(fake: ScriptedTransport) -> None:
    fake.replies.extend([good(), UnknownHostError("x", reason="name")])
    registry = RegistryClient(fake.exchange(), "localhost:5000", ("http", "https"))
    registry.manifest("a", "1")
    with pytest.raises(UnreachableError):
        registry.manifest("a", "1")
    assert [request.url.partition(":")[0] for request in fake.sent] == ["http", "http"]


def test_http_after_https_that_is_no_tls(fake: ScriptedTransport) -> None:
    fake.replies.extend([NotTlsError("x", reason="not_tls"), good()])
    assert RegistryClient(fake.exchange(), "r.corp", ("https", "http")).manifest("a", "1").digest == DIGEST


@pytest.mark.parametrize("reason", ["unknown_ca", "expired", "wrong_host", "certificate"])
def test_a_bad_certificate_is_no_reason_for_plain_http(fake: ScriptedTransport, reason: str) -> None:
    fake.replies.append(TlsError("x", reason=reason))
    with pytest.raises(TlsError):
        RegistryClient(fake.exchange(), "r.corp", ("https", "http")).manifest("a", "1")
    assert len(fake.sent) == 1


def test_a_missing_tag_is_missing_by_any_scheme(fake: ScriptedTransport) -> None:
    fake.replies.append(Response(404))
    with pytest.raises(ImageMissingError):
        RegistryClient(fake.exchange(), "localhost:5000", ("http", "https")).manifest("a", "1")


def test_nothing_is_changed_over_a_scheme_that_was_not_tried(fake: ScriptedTransport) -> None:
    fake.replies.extend([UnreachableError("x", reason="refused"), Response(404), Response(201)])
    RegistryClient(fake.exchange(), "localhost:5000", ("http", "https")).put_manifest("a", "1", BODY, TYPE)
    assert [(request.method, request.url.partition(":")[0]) for request in fake.sent] == [
        ("GET", "http"),
        ("GET", "https"),
        ("PUT", "https"),
    ]


def test_a_registry_that_lacks_it_has_shown_its_scheme(fake: ScriptedTransport) -> None:
    fake.replies.extend([Response(404), Response(201)])
    registry = RegistryClient(fake.exchange(), "localhost:5000", ("http", "https"))
    registry.put_manifest("a", "1", BODY, TYPE)
    assert [request.url.partition(":")[0] for request in fake.sent] == ["http", "http"]


def test_a_manifest_is_put_as_it_is(fake: ScriptedTransport) -> None:
    fake.replies.append(Response(201, {"docker-content-digest": DIGEST}))
    RegistryClient(fake.exchange(), "r.corp").put_manifest("a/b", "1", BODY, TYPE)
    (request,) = fake.sent
    assert (request.method, request.url) == ("PUT", "https://r.corp/v2/a/b/manifests/1")
    assert (request.body, request.headers["Content-Type"]) == (BODY, TYPE)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response(201, {"docker-content-digest": "sha256:" + "0" * 64}), DigestMismatchError),
        (Response(200, {"docker-content-digest": "sha256:" + "0" * 64}), DigestMismatchError),
        (Response(400), ServerError),
        (Response(413), ServerError),
        (Response(307, {"location": "/x"}), ServerError),
    ],
)
def test_what_a_registry_may_say_to_a_manifest(
    fake: ScriptedTransport, answer: Response, error: type[Exception]
) -> None:
    fake.replies.append(answer)
    with pytest.raises(error):
        RegistryClient(fake.exchange(), "r.corp").put_manifest("a", "1", BODY, TYPE)
    assert len(fake.sent) == 1


def test_a_registry_that_names_a_digest_of_another_kind_is_believed(fake: ScriptedTransport) -> None:
    fake.replies.append(Response(201, {"docker-content-digest": "sha512:" + "0" * 128}))
    RegistryClient(fake.exchange(), "r.corp").put_manifest("a", "1", BODY, TYPE)
