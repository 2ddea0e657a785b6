"""Blobs against the fake registry, with what can go wrong on the way."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from notarypy.devserver.core import REGISTRY_HOST
from notarypy.devserver.tampering import BLOB, BLOB_UPLOAD, Tampering
from notarypy.errors import (
    DigestMismatchError,
    NetworkError,
    NotFoundError,
    ServerError,
    StorageError,
)
from notarypy.remote.http.messages import Response
from notarypy.remote.http.transport import Exchange
from notarypy.remote.registry import uploads
from notarypy.remote.registry.blobs import TRIES, Blobs
from notarypy.remote.registry.registry import RegistryClient
from support.fakes import make_fake
from support.scripted import body_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.devserver.core import Fake

DATA = bytes(range(256)) * 12_000  # more than uploads.SMALL
SIZE = len(DATA)
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
UPLOADS = r".*/blobs/uploads/"


@pytest.fixture
def fake() -> Fake:
    return make_fake()


@pytest.fixture
def attacker(fake: Fake) -> Tampering:
    return Tampering(fake)


def blobs(fake: Fake, path: str = "app", *, push: bool = True) -> Blobs:
    exchange = Exchange(fake, timeout=5, sleep=lambda _: None)
    return Blobs(RegistryClient(exchange, REGISTRY_HOST), path, push=push)


def content(data: bytes = DATA, piece: int = 100_000) -> object:
    def pieces(start: int) -> Iterator[bytes]:
        for at in range(start, len(data), piece):
            yield data[at : at + piece]

    return pieces


def upload(fake: Fake, data: bytes = DATA, digest: str = DIGEST, size: int = SIZE) -> list[int]:
    told: list[int] = []
    blobs(fake).upload(digest, size, content(data), told.append)  # type: ignore[arg-type]  # a function
    return told


def stored(fake: Fake, path: str = "app") -> bytes | None:
    return fake.registry.images.blob(path, DIGEST)


def bodies(fake: Fake, method: str) -> list[int]:
    return [len(body_of(request)) for request in fake.requests if request.method == method]


class Arriving:
    """Where a download goes."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.restarts = 0

    @property
    def position(self) -> int:
        return len(self.data)

    def restart(self) -> None:
        self.restarts += 1
        self.data.clear()

    def write(self, data: bytes) -> None:
        self.data += data


def test_a_large_blob_goes_in_one_request_and_is_finished_by_another(fake: Fake) -> None:
    assert upload(fake)[-1] == SIZE
    assert stored(fake) == DATA
    assert [line.split()[0] for line in fake.lines()] == ["POST", "PATCH", "PUT", "HEAD"]
    assert "Content-Range" not in fake.requests[1].headers


@pytest.mark.parametrize("data", [b"", b"small"])
def test_a_small_blob_goes_with_the_request_that_finishes_it(fake: Fake, data: bytes) -> None:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    upload(fake, data, digest, len(data))
    assert fake.registry.images.blob("app", digest) == data
    assert [line.split()[0] for line in fake.lines()] == ["POST", "PUT", "HEAD"]


def test_a_blob_that_is_there(fake: Fake) -> None:
    assert not blobs(fake).has(DIGEST, SIZE)
    fake.registry.put_blob("app", DATA)
    assert blobs(fake).has(DIGEST, SIZE)
    assert not blobs(fake).has(DIGEST, SIZE + 1)


def test_a_blob_that_somebody_else_is_finishing(fake: Fake, attacker: Tampering) -> None:
    fake.registry.put_blob("app", DATA)
    attacker.answer(Response(500), method="HEAD", path=BLOB, times=TRIES - 1)
    assert blobs(fake).has(DIGEST, SIZE)
    attacker.answer(Response(500), method="HEAD", path=BLOB)
    with pytest.raises(ServerError, match="500"):
        blobs(fake).has(DIGEST, SIZE)


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "\u0663", ""])
def test_a_length_that_can_be_none_states_nothing(fake: Fake, attacker: Tampering, length: str) -> None:
    attacker.answer(Response(200, {"content-length": length}), method="HEAD", path=BLOB)
    assert blobs(fake).has(DIGEST, SIZE)


@pytest.mark.parametrize("after", [0, 1, 2, 1_500_000, SIZE])
def test_a_lost_upload_goes_on_where_the_registry_says(fake: Fake, attacker: Tampering, after: int) -> None:
    attacker.cut_uploads(after)
    upload(fake)
    assert stored(fake) == DATA
    sent = bodies(fake, "PATCH")
    if after == SIZE:
        assert sent == [SIZE]
    elif after > 1:
        assert sent == [SIZE, SIZE - after]
        (again,) = [request for request in fake.requests if "Content-Range" in request.headers]
        assert again.headers["Content-Range"] == f"{after}-{SIZE - 1}"


def test_an_upload_that_is_lost_again_and_again(fake: Fake, attacker: Tampering) -> None:
    attacker.cut_uploads(1_100_000, times=2)
    upload(fake)
    assert bodies(fake, "PATCH") == [SIZE, SIZE - 1_100_000, SIZE - 2_200_000]
    assert stored(fake) == DATA


def test_an_upload_that_the_registry_forgets_begins_anew(fake: Fake, attacker: Tampering) -> None:
    attacker.cut_uploads(1000)
    attacker.answer(Response(404), method="GET", path=BLOB_UPLOAD, times=1)
    upload(fake)
    assert bodies(fake, "PATCH") == [SIZE, SIZE]
    assert stored(fake) == DATA


def test_a_registry_that_claims_more_than_there_is(fake: Fake, attacker: Tampering) -> None:
    attacker.cut_uploads(1000)
    attacker.change_answers(
        lambda answer: Response(204, {**answer.headers, "range": f"0-{SIZE * 2}"}),
        method="GET",
        path=BLOB_UPLOAD,
    )
    upload(fake)
    assert stored(fake) == DATA


def test_a_registry_that_claims_too_much_of_the_blob_gets_no_blob(fake: Fake, attacker: Tampering) -> None:
    attacker.cut_uploads(1000)
    attacker.change_answers(
        lambda answer: Response(204, {**answer.headers, "range": f"0-{SIZE - 1}"}),
        method="GET",
        path=BLOB_UPLOAD,
    )
    with pytest.raises(DigestMismatchError):
        upload(fake)
    assert stored(fake) is None


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_lost_answers(fake: Fake, attacker: Tampering, method: str) -> None:
    path = UPLOADS if method == "POST" else BLOB_UPLOAD
    attacker.lose_answers(method=method, path=path, times=1)
    upload(fake)
    assert stored(fake) == DATA


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_registry_with_a_bad_moment(fake: Fake, attacker: Tampering, status: int) -> None:
    attacker.answer(Response(status), method="PATCH", path=BLOB_UPLOAD, times=2)
    upload(fake)
    assert stored(fake) == DATA


def test_patience_has_an_end(fake: Fake, attacker: Tampering) -> None:
    attacker.cut_uploads(0, times=100)
    with pytest.raises(NetworkError, match="lost"):
        upload(fake)
    assert len(bodies(fake, "PATCH")) == TRIES
    assert stored(fake) is None


def test_a_registry_that_breaks_off_every_upload(fake: Fake, attacker: Tampering) -> None:
    answer = Response(416, {}, b'{"errors":[{"code":"RANGE_INVALID","message":"no"}]}')
    attacker.answer(answer, method="PATCH", path=BLOB_UPLOAD)
    attacker.answer(answer, method="PUT", path=BLOB_UPLOAD)
    with pytest.raises(ServerError, match="broke off an upload") as caught:
        upload(fake)
    assert caught.value.why == ("it answered 416 RANGE_INVALID: no",)


def test_what_a_registry_refuses_is_not_sent_again(fake: Fake, attacker: Tampering) -> None:
    attacker.answer(Response(413), method="PATCH", path=BLOB_UPLOAD)
    with pytest.raises(ServerError, match="413"):
        upload(fake)
    assert len(bodies(fake, "PATCH")) == 1


@pytest.mark.parametrize("wrong", [DATA[:-1] + b"x", DATA[:-1], DATA + b"x"])
def test_a_source_that_changed_makes_no_blob(fake: Fake, wrong: bytes) -> None:
    with pytest.raises(DigestMismatchError, match="what is being sent"):
        upload(fake, wrong)
    assert not any(line.startswith("PUT") for line in fake.lines())
    assert fake.registry.images.blob("app", f"sha256:{hashlib.sha256(wrong).hexdigest()}") is None


def test_a_source_that_cannot_be_read(fake: Fake) -> None:
    def broken(_: int) -> Iterator[bytes]:
        yield DATA[:1000]
        raise StorageError("the disk broke")

    with pytest.raises(StorageError):
        blobs(fake).upload(DIGEST, SIZE, broken, lambda _: None)


def test_what_arrives_changed(fake: Fake, attacker: Tampering) -> None:
    refused = Response(400, {}, b'{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}')
    attacker.answer(refused, method="PUT", path=BLOB_UPLOAD)
    with pytest.raises(DigestMismatchError, match="received something else"):
        upload(fake)


@pytest.mark.parametrize("path", [BLOB_UPLOAD, BLOB])
def test_a_registry_that_says_it_took_something_else(fake: Fake, attacker: Tampering, path: str) -> None:
    other = {"docker-content-digest": f"sha256:{'0' * 64}"}
    attacker.change_answers(lambda answer: Response(answer.status, {**answer.headers, **other}), path=path)
    with pytest.raises(DigestMismatchError, match="says that it took something else"):
        upload(fake)


def test_a_registry_that_drops_blobs(fake: Fake, attacker: Tampering) -> None:
    attacker.answer(Response(201, {"location": "/"}), method="PUT", path=BLOB_UPLOAD)
    with pytest.raises(DigestMismatchError, match="does not have the blob"):
        upload(fake)


@pytest.mark.parametrize(
    "location", ["", "https://elsewhere.test/up", "//elsewhere.test/up", "https://[", "mailto:x"]
)
def test_an_upload_stays_with_its_server(fake: Fake, attacker: Tampering, location: str) -> None:
    attacker.change_answers(lambda _: Response(202, {"location": location}), method="POST", path=UPLOADS)
    with pytest.raises(ServerError, match=r"does not say where the upload goes on|sends the upload to"):
        upload(fake)
    assert {request.url.split("/")[2] for request in fake.requests} == {REGISTRY_HOST}


@pytest.mark.parametrize("shape", ["{path}", "http://registry.test{path}", "https://REGISTRY.test{path}?a=b"])
def test_where_an_upload_goes_on_may_be_said_in_many_ways(
    fake: Fake, attacker: Tampering, shape: str
) -> None:
    def change(answer: Response) -> Response:
        path = answer.headers["location"].removeprefix(f"https://{REGISTRY_HOST}")
        return Response(answer.status, {**answer.headers, "location": shape.format(path=path)})

    attacker.change_answers(change, method="POST", path=UPLOADS)
    upload(fake)
    assert stored(fake) == DATA
    assert {request.url.partition("://")[0] for request in fake.requests} == {"https"}


def test_mounting(fake: Fake) -> None:
    fake.registry.put_blob("base", DATA)
    assert blobs(fake).mount(DIGEST, SIZE, "base")
    assert stored(fake) == DATA
    assert not bodies(fake, "PATCH")


def test_what_cannot_be_mounted_is_given_up(fake: Fake, attacker: Tampering) -> None:
    assert not blobs(fake).mount(DIGEST, SIZE, "base")
    assert [line.split()[0] for line in fake.lines()] == ["POST", "DELETE"]
    for status in (401, 403, 404, 405, 500):
        attacker.answer(Response(status), method="POST", path=UPLOADS, times=1)
        assert not blobs(fake).mount(DIGEST, SIZE, "base")


def test_a_mount_that_is_claimed_and_not_made(fake: Fake, attacker: Tampering) -> None:
    attacker.answer(Response(201, {"location": "/"}), method="POST", path=UPLOADS)
    assert not blobs(fake).mount(DIGEST, SIZE, "base")


# -- downloads


def test_a_download(fake: Fake) -> None:
    fake.registry.put_blob("app", DATA)
    arriving = Arriving()
    blobs(fake, push=False).download(DIGEST, SIZE, arriving)
    assert bytes(arriving.data) == DATA
    assert len(fake.requests) == 1


def test_a_download_of_nothing(fake: Fake) -> None:
    digest = fake.registry.put_blob("app", b"")
    blobs(fake).download(digest, 0, Arriving())
    assert len(fake.requests) == 1


def test_a_lost_download_asks_for_the_rest(fake: Fake, attacker: Tampering) -> None:
    fake.registry.put_blob("app", DATA)
    attacker.cut_downloads(1_200_000, times=2)
    arriving = Arriving()
    blobs(fake).download(DIGEST, SIZE, arriving)
    assert bytes(arriving.data) == DATA
    assert [request.headers.get("Range") for request in fake.requests] == [
        None, "bytes=1200000-", "bytes=2400000-",
    ]  # fmt: skip


def test_a_download_goes_on_with_what_is_there(fake: Fake) -> None:
    fake.registry.put_blob("app", DATA)
    arriving = Arriving(DATA[:5])
    blobs(fake).download(DIGEST, SIZE, arriving)
    assert bytes(arriving.data) == DATA
    blobs(fake).download(DIGEST, SIZE, arriving)
    assert len(fake.requests) == 1


def test_a_registry_without_ranges_sends_everything_again(fake: Fake, attacker: Tampering) -> None:
    fake.registry.put_blob("app", DATA)
    whole = Response(200, {"content-length": str(SIZE)}, DATA)
    attacker.answer(whole, method="GET", path=BLOB)
    arriving = Arriving(b"the beginning")
    blobs(fake).download(DIGEST, SIZE, arriving)
    assert (bytes(arriving.data), arriving.restarts) == (DATA, 1)


def test_a_range_that_is_refused(fake: Fake, attacker: Tampering) -> None:
    fake.registry.put_blob("app", DATA)
    attacker.answer(Response(416), method="GET", path=BLOB, times=1)
    arriving = Arriving(b"the beginning")
    blobs(fake).download(DIGEST, SIZE, arriving)
    assert (bytes(arriving.data), arriving.restarts) == (DATA, 1)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response(200, {}, DATA[:-1]), DigestMismatchError),
        (Response(200, {}, b""), DigestMismatchError),
        (Response(200, {"content-length": str(SIZE - 1)}, DATA[:-1]), DigestMismatchError),
        (Response(206, {"content-range": f"bytes 5-{SIZE - 1}/{SIZE}"}, DATA[5:]), ServerError),
        (Response(206, {}, DATA), ServerError),
        (Response(204), ServerError),
        (Response(400), ServerError),
        (Response(302, {"location": "http://elsewhere.test/"}), ServerError),
        (Response(404), NotFoundError),
    ],
)
def test_a_registry_that_sends_something_else(
    fake: Fake, attacker: Tampering, answer: Response, error: type[Exception]
) -> None:
    attacker.answer(answer, method="GET", path=BLOB)
    with pytest.raises(error):
        blobs(fake).download(DIGEST, SIZE, Arriving())


def test_more_bytes_than_said(fake: Fake, attacker: Tampering) -> None:
    attacker.answer(Response(206, {"content-range": f"bytes 5-{SIZE}/{SIZE}"}, DATA), method="GET", path=BLOB)
    arriving = Arriving(DATA[:5])
    with pytest.raises(DigestMismatchError):
        blobs(fake).download(DIGEST, SIZE, arriving)
    assert arriving.position == 5


def test_a_blob_may_be_kept_elsewhere_and_no_login_goes_there(fake: Fake, attacker: Tampering) -> None:
    fake.registry.put_blob("app", DATA)
    fake.services["storage.test"] = fake.registry
    target = f"https://storage.test/v2/app/blobs/{DIGEST}?signature=secret"
    attacker.answer(Response(307, {"location": target}), method="GET", path=BLOB, times=1)
    arriving = Arriving(DATA[:5])
    blobs(fake).download(DIGEST, SIZE, arriving)
    assert bytes(arriving.data) == DATA
    assert fake.requests[-1].url == target
    assert {name.lower() for name in fake.requests[-1].headers} <= {"range", "user-agent", "accept-encoding"}
    assert fake.requests[-1].headers["Range"] == "bytes=5-"


def test_uploads_are_given_time_by_their_size(fake: Fake) -> None:
    upload(fake)
    stalls = {request.method: request.stall for request in fake.requests}
    assert (stalls["PATCH"], stalls["POST"], stalls["PUT"]) == (5, None, None)
    assert uploads.SLOWEST < uploads.COMMIT
