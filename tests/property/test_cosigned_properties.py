"""Whatever is written beside a good signature, the good one is found, and nothing raises."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from notarypy.client.cosign.reading import read_signatures
from notarypy.cosign import sigstorebundle, simplesigning
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.errors import NotarypyError
from notarypy.images import manifests, referrerlist
from notarypy.remote.http.transport import Exchange
from notarypy.remote.registry.registry import RegistryClient
from support.cosigned import REFERENCE, CosignedImage, SigningKey
from support.fakes import make_fake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from notarypy.remote.http.messages import Request, Response

    Path = tuple[str | int, ...]

KEY = SigningKey("ed25519")
ODD: list[object] = [
    *(None, True, 0, -1, 1 << 70, 1.5, "", "x", "\ud800", "\x00", [], {}, [[]], [{}], "a" * 3000, "AA=="),
    *("sha256:" + "0" * 64, "sha512:" + "f" * 128, "sha256:" + "A" * 64, "../../x", manifests.OCI_INDEX),
]
MEMBERS = ["mediaType", "manifests", "layers", "config", "digest", "data", "annotations", "urls", "Layers"]


def places(value: object, path: Path = ()) -> Iterator[Path]:
    """Yield the way to every value in a document."""
    if path:
        yield path
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, inner in entries:
        yield from places(inner, (*path, name))


def changed(data: bytes, random: Random) -> bytes:
    """Return a document with one or a few other values, fewer members, or more."""
    value: Any = json.loads(data)
    for _ in range(random.choice([1, 1, 2, 3])):
        found = list(places(value))
        if not found:
            break
        *way, last = random.choice(found)
        inner, odd = value, copy.deepcopy(random.choice(ODD))
        for step in way:
            inner = inner[step]
        act = random.randrange(10)
        if act < 6:
            inner[last] = odd
        elif act < 8:
            del inner[last]
        elif isinstance(inner, list):
            inner.append(odd)
        else:
            inner[random.choice(MEMBERS)] = odd
    return json.dumps(value).encode()


def signed_bundle(body: bytes) -> bytes:
    return sigstorebundle.bundle(body, KEY.sign(sigstorebundle.message(body)), KEY.key.hint)


def write_beside(image: CosignedImage, kind: str, random: Random) -> None:
    """Write something odd beside what is good, or in its place: each form has one place of its own."""
    statement = sigstorebundle.statement(image.subject.digest, {"a": "b"})
    if kind == "tag":
        found = changed(image.at(image.tag) or b"", random)
        image.registry.push("app", image.tag, found, manifests.OCI_MANIFEST)
    elif kind == "list":
        tag = referrerlist.tag_of(image.subject.digest)
        image.registry.push("app", tag, changed(image.at(tag) or b"{}", random), manifests.OCI_INDEX)
    elif kind == "manifest":
        image.keep(changed(sigstorebundle.manifest(image.subject, b"{}"), random))
    elif kind == "bundle":
        image.refer(changed(signed_bundle(statement), random))
    elif kind == "statement":
        image.refer(signed_bundle(changed(statement, random)))
    else:
        claim = simplesigning.Claim(REFERENCE, image.subject.digest, {"a": "b"})
        text = changed(simplesigning.payload(claim), random)
        image.add_layer(text, KEY.sign(text))


@given(
    st.randoms(use_true_random=False),
    st.booleans(),
    st.sampled_from(["tag", "list", "manifest", "bundle", "statement", "text", "answer"]),
)
def test_a_good_signature_is_found(random: Random, api: bool, kind: str) -> None:
    image = CosignedImage(make_fake(referrers=api))
    image.classic(KEY)
    image.bundle(KEY)

    def hostile(request: Request, answer: Response) -> Response:
        is_list = "/referrers/" in request.url and answer.is_success
        return replace(answer, body=changed(answer.body, random)) if is_list else answer

    if kind == "answer":
        image.fake.after.append(hostile)
    else:
        try:
            write_beside(image, kind, random)
        except NotarypyError:
            return  # what cannot be written does no harm
    exchange = Exchange(image.fake, timeout=5, sleep=lambda _: None)
    registry = RegistryClient(exchange, REGISTRY_HOST)
    found = read_signatures(registry, "app", image.subject.digest, [KEY.key])
    spoilt = {"tag": {"sig"}, "list": {"bundle"}, "answer": {"bundle"}}.get(kind, set())
    assert {one.form for one in found.valid} >= {"sig", "bundle"} - spoilt
