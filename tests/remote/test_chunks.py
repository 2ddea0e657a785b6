"""Large blobs, which go in chunks, and registries that want it otherwise."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.cli.text.advice import advice
from notarypy.devserver.calls import Call
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.devserver.tampering import BLOB_UPLOAD, Tampering, matcher
from notarypy.errors import DigestMismatchError, NetworkError, ServerError
from notarypy.remote.http.messages import Response
from notarypy.remote.http.transport import Exchange
from notarypy.remote.registry import uploads
from notarypy.remote.registry.blobs import LONGEST_WAIT, TRIES, Blobs
from notarypy.remote.registry.registry import RegistryClient
from support.fakes import make_fake
from support.scripted import body_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.devserver.core import Fake
    from notarypy.remote.http.messages import Request

CHUNK = 1024 * 1024
SIZE = 3 * CHUNK + 1000
DATA = (bytes(range(256)) * (SIZE // 256 + 1))[:SIZE]
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
UPLOADS = r".*/blobs/uploads/"
RANGES = ["0-1048575", "1048576-2097151", "2097152-3145727", f"3145728-{SIZE - 1}"]


class Source:
    """Content that remembers where reading began."""

    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.begun: list[int] = []

    def __call__(self, start: int) -> Iterator[bytes]:
        self.begun.append(start)
        for at in range(start, len(self.data), 100_000):
            yield self.data[at : at + 100_000]


class Pusher:
    """Sends blobs to one repository of the fake."""

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        self.source = Source()
        self.slept: list[float] = []
        exchange = Exchange(fake, timeout=5, sleep=self.slept.append)
        self.blobs = Blobs(RegistryClient(exchange, REGISTRY_HOST), "app", push=True)

    def __call__(self, digest: str = DIGEST) -> None:
        self.blobs.upload(digest, SIZE, self.source, lambda _: None, where="the source")

    @property
    def stored(self) -> bool:
        return self.fake.registry.images.blob("app", DIGEST) == DATA

    @property
    def ranges(self) -> list[str | None]:
        """The ranges that each PATCH said it was; None for one that said nothing."""
        return [request.headers.get("Content-Range") for request in self.patches]

    @property
    def patches(self) -> list[Request]:
        return [request for request in self.fake.requests if request.method == "PATCH"]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.setattr(uploads, "CHUNK", CHUNK)
    return make_fake()


@pytest.fixture
def attacker(fake: Fake) -> Tampering:
    return Tampering(fake)


@pytest.fixture
def push(fake: Fake) -> Pusher:
    return Pusher(fake)


def test_a_large_blob_goes_in_chunks_and_is_read_once(push: Pusher) -> None:
    push()
    assert push.stored
    assert push.ranges == RANGES
    assert [len(body_of(request)) for request in push.patches][:3] == [CHUNK] * 3
    assert push.source.begun == [0]


@pytest.mark.parametrize(
    ("least", "count"), [(str(2 * CHUNK), 2), ("1", 4), (str(10**12), 1), ("9" * 30, 4), ("x", 4)]
)
def test_chunks_are_as_large_as_the_registry_asks_for(
    push: Pusher, attacker: Tampering, least: str, count: int
) -> None:
    attacker.change_answers(
        lambda answer: replace(answer, headers={**answer.headers, "oci-chunk-min-length": least}),
        method="POST",
        path=UPLOADS,
    )
    push()
    assert push.stored
    assert len(push.patches) == count


@pytest.mark.parametrize("status", [400, 405, 411, 413, 416])
def test_a_registry_that_refuses_chunks_gets_blobs_whole(push: Pusher, fake: Fake, status: int) -> None:
    def refuse(request: Request) -> Response | None:
        return Response(status) if request.method == "PATCH" and "Content-Range" in request.headers else None

    fake.before.append(refuse)
    push()
    assert push.stored
    assert push.ranges == [RANGES[0], None]
    fake.registry.images.delete_blob("app", DIGEST)
    push()
    assert push.stored
    assert push.ranges == [RANGES[0], None, None]


def test_a_registry_that_hangs_up_on_chunks_gets_the_blob_whole(push: Pusher, fake: Fake) -> None:
    def hang_up(request: Request) -> None:
        if "Content-Range" in request.headers:
            raise NetworkError("the connection was lost", reason="lost")

    fake.before.append(hang_up)
    push()
    assert push.stored
    assert push.ranges == [RANGES[0], RANGES[0], None]


def test_a_registry_that_cannot_put_chunks_together_gets_the_blob_whole(
    push: Pusher, attacker: Tampering
) -> None:
    refused = Response(400, {}, b'{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}')
    attacker.answer(refused, method="PUT", path=BLOB_UPLOAD, times=1)
    push()
    assert push.stored
    assert push.ranges == [*RANGES, None]


@pytest.mark.parametrize("kept", [0, 1, 700_000, CHUNK])
def test_a_loss_inside_a_later_chunk(push: Pusher, fake: Fake, kept: int) -> None:
    _cut(fake, RANGES[1], kept)
    push()
    assert push.stored
    at = CHUNK + kept
    assert push.ranges[:3] == [*RANGES[:2], f"{at}-{min(at + CHUNK, SIZE) - 1}"]


def test_a_registry_that_forgets_a_cut_upload_gets_it_anew(
    push: Pusher, attacker: Tampering, fake: Fake
) -> None:
    _cut(fake, RANGES[1], 1000)
    attacker.answer(Response(404), method="GET", path=BLOB_UPLOAD, times=1)
    push()
    assert push.stored
    assert push.ranges == [*RANGES[:2], *RANGES]


def test_a_registry_that_repeats_an_old_range(push: Pusher, attacker: Tampering) -> None:
    attacker.change_answers(
        lambda answer: Response(201, {**answer.headers, "range": RANGES[0]}), method="PATCH", path=BLOB_UPLOAD
    )
    push()
    assert push.stored
    assert push.ranges == RANGES


def test_a_registry_that_takes_less_than_it_is_sent(push: Pusher, fake: Fake) -> None:
    meant = matcher("PATCH", BLOB_UPLOAD, 1)

    def take(request: Request) -> Response | None:
        if not meant(request):
            return None
        call = Call.of(request)
        return fake.registry.handle(replace(call, body=call.body[:300_000]))

    fake.before.append(take)
    push()
    assert push.stored
    assert push.ranges[:3] == [*RANGES[:2], f"300000-{300_000 + CHUNK - 1}"]


def test_a_registry_that_always_refuses_later_chunks(push: Pusher, fake: Fake) -> None:
    def refuse(request: Request) -> Response | None:
        said = request.headers.get("Content-Range", "0-")
        return Response(416) if request.method == "PATCH" and not said.startswith("0-") else None

    fake.before.append(refuse)
    push()
    assert push.stored
    assert push.ranges == [*RANGES[:2], None]


def test_a_source_that_changes_between_chunks_makes_no_blob(push: Pusher, fake: Fake) -> None:
    def change(request: Request) -> None:
        if request.headers.get("Content-Range") == RANGES[1]:
            push.source.data = DATA[:-1] + b"X"

    fake.before.append(change)
    with pytest.raises(DigestMismatchError, match="what is being sent") as caught:
        push()
    assert caught.value.why[0] == "read from: the source"
    assert not any(line.startswith("PUT") for line in fake.lines())


@pytest.mark.parametrize(("wished", "tries"), [(30, TRIES), (LONGEST_WAIT + 1, 1)])
def test_a_registry_that_asks_to_wait(push: Pusher, attacker: Tampering, wished: float, tries: int) -> None:
    attacker.answer(Response(503, {"retry-after": f"{wished:.0f}"}), method="PATCH", path=BLOB_UPLOAD)
    with pytest.raises(ServerError, match="503"):
        push()
    assert len(push.patches) == tries
    assert push.slept == [30] * (tries - 1)


def test_a_registry_that_knows_no_other_digests(push: Pusher) -> None:
    with pytest.raises(ServerError, match="whose digest is not SHA-256") as caught:
        push(f"sha512:{hashlib.sha512(DATA).hexdigest()}")
    assert "SHA-256" in advice(caught.value)


def _cut(fake: Fake, said: str, kept: int) -> None:
    """Break the connection once, inside the chunk of this range; the registry keeps some of it."""
    left = [said]

    def hook(request: Request) -> None:
        if request.headers.get("Content-Range") in left:
            left.clear()
            call = Call.of(request)
            fake.registry.handle(replace(call, headers={}, body=call.body[:kept]))
            raise NetworkError("the connection was lost", reason="lost")

    fake.before.append(hook)
