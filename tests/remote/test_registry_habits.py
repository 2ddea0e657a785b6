"""What real registries do differently, one habit at a time, through everything that an image needs.

Each habit is a change of the fake registry. Whatever it is, blobs and manifests go there and come back as
they are; what would be no habit but an attack is in the tables at the end.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notarypy.devserver.calls import Call
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.devserver.tampering import BLOB, BLOB_UPLOAD, Tampering, matcher
from notarypy.errors import DigestMismatchError, NotarypyError, ServerError
from notarypy.images import manifests
from notarypy.remote.http.messages import Response
from notarypy.remote.http.transport import Exchange
from notarypy.remote.registry import uploads
from notarypy.remote.registry.blobs import Blobs
from notarypy.remote.registry.registry import RegistryClient
from support.fakes import make_fake
from support.scripted import body_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.devserver.core import Fake
    from notarypy.remote.http.messages import Request

CHUNK = 64 * 1024
# One that goes with the request that finishes it, one that goes before that, and one that goes in chunks.
CONFIG, MODERATE, LARGE = b"{}", bytes(range(256)) * 128, bytes(range(255, -1, -1)) * 600
CONTENTS = (CONFIG, MODERATE, LARGE)
BEGIN, MANIFEST = r".*/blobs/uploads/", r".*/manifests/.*"
JSON_BODY = b'{"errors":[{"code":"UNSUPPORTED","message":"no"}]}'

Habit = Callable[[Tampering, "Fake"], object]


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


TOP = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": manifests.OCI_MANIFEST,
        "config": {"mediaType": "application/x", "digest": digest(CONFIG), "size": len(CONFIG)},
        "layers": [
            {"mediaType": "application/x", "digest": digest(data), "size": len(data)}
            for data in (MODERATE, LARGE)
        ],
    }
).encode()


def says(status: int, method: str, path: str) -> Habit:
    """Answer a success with another status."""
    return lambda attacker, _: attacker.change_answers(
        lambda answer: replace(answer, status=status) if answer.is_success else answer,
        method=method,
        path=path,
    )


def refuses(status: int, method: str, path: str, header: str = "", times: int = 1 << 30) -> Habit:
    """Refuse requests, or only those that lack a header."""

    def install(_: Tampering, fake: Fake) -> None:
        meant = matcher(method, path, times)

        def refuse(request: Request) -> Response | None:
            lacking = not header or header not in request.headers
            return Response(status, {}, JSON_BODY) if lacking and meant(request) else None

        fake.before.append(refuse)

    return install


def headers(method: str, path: str, **changed: str | None) -> Habit:
    """Say other headers; None for none."""

    def change(answer: Response) -> Response:
        named = {name.replace("_", "-"): value for name, value in changed.items()}
        kept = {name: value for name, value in answer.headers.items() if name not in named}
        added = {name: value for name, value in named.items() if value is not None}
        return replace(answer, headers={**kept, **added})

    return lambda attacker, _: attacker.change_answers(change, method=method, path=path)


def located(shape: str) -> Habit:
    """Say where an upload goes on in another way: of its `path`, without the first slash, and its `id`."""

    def install(attacker: Tampering, _: Fake) -> None:
        def change(answer: Response) -> Response:
            where = answer.headers.get("location", "")
            found = re.fullmatch(r"https://[^/]+/(v2/app/blobs/uploads/([0-9a-f]+))", where)
            if found is None:
                return answer
            said = shape.format(path=found[1], id=found[2])
            return replace(answer, headers={**answer.headers, "location": said})

        attacker.change_answers(change, path=r".*/blobs/uploads/.*")

    return install


def redirected(path: str) -> Habit:
    """Keep content with somebody else."""

    def install(_: Tampering, fake: Fake) -> None:
        fake.services["storage.test"] = fake.registry
        meant = matcher("GET", path, 1 << 30)

        def send_on(request: Request) -> Response | None:
            if not meant(request) or "storage.test" in request.url:
                return None
            return Response(307, {"location": request.url.replace(REGISTRY_HOST, "storage.test")})

        fake.before.append(send_on)

    return install


def both(*habits: Habit) -> Habit:
    return lambda attacker, fake: [habit(attacker, fake) for habit in habits]


def loses_place(answered: Habit) -> Habit:
    """Break the connection inside the second chunk, and then say something odd about the upload."""

    def install(attacker: Tampering, fake: Fake) -> None:
        left = [True]

        def cut(request: Request) -> None:
            if left and request.headers.get("Content-Range", "0-").partition("-")[0] != "0":
                left.clear()
                call = Call.of(request)
                fake.registry.handle(replace(call, headers={}, body=call.body[:1000]))
                raise ServerError("the connection was lost", reason="lost")

        fake.before.append(cut)
        answered(attacker, fake)

    return install


HABITS: dict[str, Habit] = {
    "none": lambda *_: None,
    **{f"an upload begun: {status}": says(status, "POST", BEGIN) for status in (200, 201, 204)},
    **{f"a part taken: {status}": says(status, "PATCH", BLOB_UPLOAD) for status in (200, 201, 204)},
    **{f"a blob taken: {status}": says(status, "PUT", BLOB_UPLOAD) for status in (200, 202, 204)},
    **{f"a manifest taken: {status}": says(status, "PUT", MANIFEST) for status in (200, 202, 204)},
    **{
        f"no PATCH: {status}": refuses(status, "PATCH", BLOB_UPLOAD)
        for status in (400, 403, 404, 405, 411, 415, 416, 501)
    },
    "no PATCH without a range": refuses(416, "PATCH", BLOB_UPLOAD, header="Content-Range"),
    "no PATCH, and once no answer": both(
        refuses(405, "PATCH", BLOB_UPLOAD), refuses(503, "PUT", BLOB_UPLOAD, times=1)
    ),
    "nothing of where it goes on": headers("PATCH", BLOB_UPLOAD, location=None),
    "the default port": located("https://registry.test:443/{path}"),
    "another scheme's port": located("http://registry.test:80/{path}"),
    "http behind TLS": located("http://registry.test/{path}"),
    "a path": located("/{path}"),
    "a path without a slash": located("{path}"),
    "a name in capitals": located("https://REGISTRY.test/{path}"),
    "its own parameters": located("/{path}?_state=a%2Fb&x=1"),
    "a fragment": located("/{path}#x"),
    **{f"no HEAD: {status}": refuses(status, "HEAD", BLOB) for status in (400, 403, 404, 405, 501)},
    "a length of nothing": headers("HEAD", BLOB, content_length="0"),
    "another length": headers("HEAD", BLOB, content_length="77"),
    "no length": headers("HEAD", BLOB, content_length=None),
    "no HEAD and no length": both(
        refuses(405, "HEAD", BLOB), headers("GET", BLOB, content_length=None, content_range="bytes 0-0/*")
    ),
    "a blob that is there a little later": refuses(404, "", BLOB, times=5),
    "no digests": headers("", ".*", docker_content_digest=None),
    **{
        f"manifests as {kind or 'nothing'}": headers("GET", MANIFEST, content_type=kind)
        for kind in ("application/json", "text/html", manifests.DOCKER_MANIFEST, manifests.OCI_INDEX, None)
    },
    "manifests elsewhere": redirected(MANIFEST),
    "blobs elsewhere": redirected(BLOB),
    **{
        f"a place of {place or 'nothing'}": loses_place(headers("GET", BLOB_UPLOAD, range=place))
        for place in ("0-0", "bytes=0-66535", "0-", None)
    },
    **{
        f"no place: {status}": loses_place(refuses(status, "GET", BLOB_UPLOAD))
        for status in (400, 404, 405, 416)
    },
    "a place: 200": loses_place(says(200, "GET", BLOB_UPLOAD)),
    "a place, and not where it goes on": loses_place(headers("GET", BLOB_UPLOAD, location=None)),
    "larger chunks": headers("POST", BEGIN, oci_chunk_min_length="100000"),
}


class Arrived(bytearray):
    """Where a download goes."""

    @property
    def position(self) -> int:
        return len(self)

    def restart(self) -> None:
        self.clear()

    def write(self, data: bytes) -> None:
        self += data


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.setattr(uploads, "SMALL", 1024)
    monkeypatch.setattr(uploads, "CHUNK", CHUNK)
    return make_fake()


@pytest.fixture
def registry(fake: Fake) -> RegistryClient:
    return RegistryClient(Exchange(fake, timeout=5, sleep=lambda _: None), REGISTRY_HOST)


def send(registry: RegistryClient, data: bytes) -> None:
    def content(start: int) -> Iterator[bytes]:
        for at in range(start, len(data), 10_000):
            yield data[at : at + 10_000]

    Blobs(registry, "app", push=True).upload(digest(data), len(data), content, lambda _: None)


@pytest.mark.parametrize("habit", HABITS)
def test_an_image_goes_there_and_comes_back(fake: Fake, registry: RegistryClient, habit: str) -> None:
    HABITS[habit](Tampering(fake), fake)
    blobs = Blobs(registry, "app", push=True)
    for data in CONTENTS:
        assert not blobs.has(digest(data), len(data))
        send(registry, data)
        assert fake.registry.images.blob("app", digest(data)) == data
        assert blobs.has(digest(data), len(data)) or habit == "no HEAD: 404"
    registry.put_manifest("app", "1", TOP, manifests.OCI_MANIFEST)
    for reference in ("1", digest(TOP)):
        found = registry.manifest("app", reference)
        assert (found.digest, found.media_type) == (digest(TOP), manifests.OCI_MANIFEST)
    for data in CONTENTS:
        arrived = Arrived()
        blobs.download(digest(data), len(data), arrived)
        assert bytes(arrived) == data
    away = [request for request in fake.requests if "storage.test" in request.url]
    assert bool(away) == habit.endswith("elsewhere")
    assert not any("Authorization" in request.headers for request in away)


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
def test_without_patch_nothing_is_tried_twice(fake: Fake, registry: RegistryClient, status: int) -> None:
    refuses(status, "PATCH", BLOB_UPLOAD)(Tampering(fake), fake)
    blobs = Blobs(registry, "app", push=True)
    for data in (MODERATE, MODERATE[:-1], MODERATE[:-2]):
        blobs.upload(digest(data), len(data), lambda _, data=data: iter([data]), lambda _: None)  # type: ignore[misc]
    assert [len(body_of(request)) for request in fake.requests if request.method == "PATCH"] == [
        len(MODERATE)
    ]


def test_what_is_not_the_blob_is_not_sent_to_its_end(fake: Fake, registry: RegistryClient) -> None:
    refuses(405, "PATCH", BLOB_UPLOAD)(Tampering(fake), fake)
    wrong = MODERATE[:-1] + b"x"
    with pytest.raises(DigestMismatchError, match="what is being sent"):
        Blobs(registry, "app", push=True).upload(
            digest(MODERATE), len(MODERATE), lambda start: iter([wrong[start:]]), lambda _: None
        )
    assert not any(line.startswith("PUT") for line in fake.lines())


def test_a_mount_that_is_answered_by_an_upload_nowhere(fake: Fake, registry: RegistryClient) -> None:
    headers("POST", BEGIN, location=None)(Tampering(fake), fake)
    assert not Blobs(registry, "app", push=True).mount(digest(MODERATE), len(MODERATE), "base")


@pytest.mark.parametrize("asked", ["registry.test", "registry.test:443", "registry.test:5000"])
@pytest.mark.parametrize("said", ["", ":443", ":80", ":5000"])
def test_ports_that_mean_the_same_place(fake: Fake, asked: str, said: str) -> None:
    registry = RegistryClient(Exchange(fake, timeout=5), asked)
    answer = Response(202, {"location": f"https://registry.test{said}/v2/app/blobs/uploads/1?a=b"})
    if said == ":5000" and not asked.endswith(said):
        with pytest.raises(ServerError, match="sends the upload to https://registry"):
            registry.onward(answer, "app")
    else:
        assert registry.onward(answer, "app") == f"https://{asked}/v2/app/blobs/uploads/1?a=b"


@pytest.mark.parametrize(
    ("answer", "message", "why"),
    [
        (Response(202, {}), "does not say where", "it answered 202 without a Location"),
        (Response(202, {"location": " "}), "does not say where", "it answered 202 without a Location"),
        (Response(200, {}, b"<html><title>Log in"), "does not say where", 'a web page came .*200: "Log in"'),
        (
            Response(202, {"location": "https://u:p@blobs.test:81/x?token=secret"}),
            r"sends the upload to https://blobs\.test:81$",
            "no other",
        ),
        (Response(202, {"location": "https://[x"}), "an address that is none", "no other"),
    ],
)
def test_an_upload_that_cannot_go_on(
    registry: RegistryClient, answer: Response, message: str, why: str
) -> None:
    with pytest.raises(ServerError, match=message) as caught:
        registry.onward(answer, "app")
    assert re.search(why, caught.value.why[0])
    assert caught.value.advice is not None
    assert caught.value.advice.name == "ask-about-upload"


def test_a_page_for_every_question_is_no_blob_and_no_accusation(fake: Fake, registry: RegistryClient) -> None:
    page = b"<html><title>Welcome"
    said = {"content-type": "text/html", "content-length": str(len(page))}
    fake.before.append(lambda request: Response(200, said, b"" if request.method == "HEAD" else page))
    assert not Blobs(registry, "app", push=True).has(digest(MODERATE), len(MODERATE))
    with pytest.raises(ServerError) as caught:
        send(registry, MODERATE)
    assert "web page" in caught.value.why[0]


def test_a_manifest_that_redirects_to_itself(fake: Fake, registry: RegistryClient) -> None:
    fake.before.append(lambda request: Response(307, {"location": request.url}))
    with pytest.raises(ServerError, match="redirects in a loop"):
        registry.manifest("app", "1")
    assert len(fake.requests) == 1


def test_a_manifest_that_redirects_on_and_on(fake: Fake, registry: RegistryClient) -> None:
    fake.before.append(lambda request: Response(307, {"location": f"{request.url}x"}))
    with pytest.raises(ServerError, match="redirects on and on"):
        registry.manifest("app", "1")


NO_HABITS: dict[str, tuple[Habit, type[NotarypyError]]] = {
    "an upload elsewhere": (located("https://evil.test/{path}"), ServerError),
    "an upload at another port": (located("https://registry.test:444/{path}"), ServerError),
    "an upload with a login": (located("https://u:p@evil.test/{path}"), ServerError),
    "an upload by another scheme": (located("ftp://registry.test/{path}"), ServerError),
    "an upload nowhere": (headers("POST", BEGIN, location=None), ServerError),
    "another size by GET": (
        both(refuses(405, "HEAD", BLOB), headers("GET", BLOB, content_range="bytes 0-0/77")),
        DigestMismatchError,
    ),
    "another digest": (
        headers("PUT", BLOB_UPLOAD, docker_content_digest=f"sha256:{'0' * 64}"),
        DigestMismatchError,
    ),
    "manifests over http": (
        headers("GET", MANIFEST, location="http://storage.test/"),
        ServerError,
    ),
}


@pytest.mark.parametrize("habit", NO_HABITS)
def test_what_is_no_habit_is_refused(fake: Fake, registry: RegistryClient, habit: str) -> None:
    install, error = NO_HABITS[habit]
    install(Tampering(fake), fake)
    if "over http" in habit:
        says(307, "GET", MANIFEST)(Tampering(fake), fake)
    with pytest.raises(error):  # noqa: PT012 - which of them refuses it is another question
        send(registry, MODERATE)
        registry.put_manifest("app", "1", TOP, manifests.OCI_MANIFEST)
        registry.manifest("app", "1")
    assert {request.url.split("/")[2] for request in fake.requests} == {REGISTRY_HOST}
