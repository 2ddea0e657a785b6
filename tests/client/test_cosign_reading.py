"""Cosign's signatures in a registry: which are found, by how many requests, and what does no harm."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.client.cosign.reading import read_signatures
from notarypy.cosign import sigstorebundle, simplesigning
from notarypy.cosign.signatures import Signatures
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.devserver.tampering import BLOB, Tampering
from notarypy.errors import AuthenticationError, DigestMismatchError, NetworkError, ServerError
from notarypy.images import layout, manifests, referrerlist
from notarypy.limits import DEFAULT, Limits
from notarypy.remote.http.messages import Response
from notarypy.remote.http.transport import Exchange
from notarypy.remote.registry.registry import RegistryClient
from support.cosigned import IMAGE, REFERENCE, SUBJECT, CosignedImage, SigningKey
from support.fakes import make_fake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.devserver.core import Fake
    from notarypy.remote.http.messages import Request

OURS, THEIRS = SigningKey(), SigningKey("ed25519")
NOTED = {"io.notarypy.gun": "registry.test/app"}


def with_image(*, api: bool = True) -> CosignedImage:
    return CosignedImage(make_fake(referrers=api))


def read(
    image: CosignedImage,
    *keys: SigningKey,
    registry: RegistryClient | None = None,
    limits: Limits = DEFAULT,
    **options: Any,  # noqa: ANN401 - those of `read_signatures`
) -> Signatures:
    if registry is None:
        slept: list[float] = []
        exchange = Exchange(image.fake, timeout=5, limits=limits, sleep=slept.append)
        registry = RegistryClient(exchange, REGISTRY_HOST)
    known = [key.key for key in keys or (OURS,)]
    return read_signatures(registry, image.path, image.subject.digest, known, **options)


def whys(found: Signatures) -> dict[str, int]:
    return {f"{other.form}: {other.why}": other.count for other in found.others}


def lines(fake: Fake) -> list[str]:
    found = []
    for line in fake.lines():
        verb, _, rest = line.partition(" /v2/app/")
        kind, _, name = rest.partition("/")
        found.append(f"{verb} {kind} {'sig' if name.endswith('.sig') else name.partition('6')[2][:1]}")
    fake.requests.clear()
    return found


# -- what is found


@pytest.mark.parametrize("api", [True, False])
@pytest.mark.parametrize("kind", ["ecdsa", "rsa", "ed25519"])
def test_both_forms(kind: str, api: bool) -> None:
    image, key = with_image(api=api), SigningKey(kind)
    text = image.classic(key, annotations=NOTED)
    manifest = image.bundle(key, NOTED)
    found = read(image, OURS, key)
    classic, bundle = found.valid
    assert found.digest == SUBJECT.digest
    assert (classic.form, classic.key, classic.reference) == ("sig", key.key, REFERENCE)
    assert (classic.annotations, classic.content) == (NOTED, manifests.digest_of(text))
    assert (bundle.form, bundle.key, bundle.annotations) == ("bundle", key.key, NOTED)
    assert bundle.reference == NOTED["io.notarypy.gun"]
    assert bundle.content == json.loads(manifest)["layers"][0]["digest"]
    assert found.others == ()


def test_nothing_is_there() -> None:
    assert read(with_image()) == Signatures(SUBJECT.digest)
    assert read(CosignedImage(make_fake(), "nobody")) == Signatures(SUBJECT.digest)


def test_each_name_of_an_image() -> None:
    image = with_image()
    for tag in ("1", "2", "3"):
        image.classic(OURS, f"{REGISTRY_HOST}/app:{tag}")
    assert [one.reference[-1] for one in read(image).valid] == ["3", "2", "1"]  # the newest first


def test_those_of_others_are_counted() -> None:
    image = with_image()
    image.classic(THEIRS)
    image.bundle(THEIRS)
    image.classic(OURS)
    found = read(image)
    assert [one.form for one in found.valid] == ["sig"]
    assert whys(found) == {"sig: it is by none of the keys": 1, "bundle: it is by none of the keys": 1}
    assert len(read(image, OURS, THEIRS).valid) == 3


def test_no_key_verifies_nothing() -> None:
    image = with_image()
    image.classic(OURS)
    registry = RegistryClient(Exchange(image.fake, timeout=5), REGISTRY_HOST)
    found = read_signatures(registry, "app", SUBJECT.digest, [])
    assert (found.valid, found.others[0].count) == ((), 1)


def test_one_form_alone() -> None:
    image = with_image()
    image.classic(OURS)
    image.bundle(OURS)
    assert [one.form for one in read(image, forms=("sig",)).valid] == ["sig"]
    assert not any("referrers" in line for line in lines(image.fake))
    assert [one.form for one in read(image, forms={"bundle"}).valid] == ["bundle"]
    assert not any("sig" in line for line in lines(image.fake))


def test_another_image_of_the_repository_is_another() -> None:
    image = with_image()
    image.classic(OURS)
    image.bundle(OURS)
    other = CosignedImage(image.fake, image=IMAGE.replace(b"application/x", b"application/y"))
    assert read(other) == Signatures(other.subject.digest)


# -- how many requests


@pytest.mark.parametrize("api", [True, False])
def test_requests(api: bool) -> None:
    image = with_image(api=api)
    image.classic(OURS)
    image.bundle(OURS)
    exchange = Exchange(image.fake, timeout=5)
    registry = RegistryClient(exchange, REGISTRY_HOST)
    where = ["GET referrers :"] if api else ["GET manifests -"]
    for asked in ([] if api else ["GET referrers :"], []):
        assert len(read(image, registry=registry).valid) == 2
        assert lines(image.fake) == [
            "GET manifests sig",
            "GET blobs :",
            *asked,
            *where,
            "GET manifests :",
            "GET blobs :",
        ]


def test_enough_is_enough() -> None:
    image = with_image()
    image.bundle(OURS)
    for _ in range(3):
        image.classic(OURS)
    assert len(read(image, enough=bool).valid) == 1
    assert lines(image.fake) == ["GET manifests sig", "GET blobs :"]
    assert len(read(image, enough=lambda found: len(found) == 3).valid) == 3


def test_a_text_that_many_have_signed_is_fetched_once() -> None:
    image, people = with_image(), [SigningKey("ed25519") for _ in range(5)]
    for key in people:
        image.classic(key)
    assert len(read(image, *people, forms=("sig",)).valid) == 5
    assert lines(image.fake) == ["GET manifests sig", "GET blobs :"]


@pytest.mark.parametrize("api", [True, False])
def test_what_says_to_be_something_else_is_not_asked_for(api: bool) -> None:
    image = with_image(api=api)
    image.bundle(OURS)
    read(image)
    alone = len(image.fake.requests)
    for number in range(5):
        image.refer(b"%d" % number, artifactType="application/spdx+json")
        image.refer(b"a%d" % number, artifactType="application/vnd.cncf.notary.signature")
        predicate = {"dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1"}
        image.refer(b"b%d" % number, annotations=predicate)
    image.fake.requests.clear()
    found = read(image)
    assert (len(found.valid), found.others) == (1, ())
    assert len(image.fake.requests) == alone


# -- what cosign writes oddly


@pytest.mark.parametrize("kind", [referrerlist.EMPTY_TYPE, "", "application/vnd.oci.image.config.v1+json"])
def test_an_entry_of_the_wrong_type_at_the_tag(kind: str) -> None:
    image = with_image(api=False)
    body = sigstorebundle.statement(SUBJECT.digest)
    content = sigstorebundle.bundle(body, OURS.sign(sigstorebundle.message(body)), OURS.key.hint)
    image.registry.referrers = True  # so that only the manifest is pushed
    manifest = image.refer(content)
    image.registry.referrers = False
    made = referrerlist.entry_of(manifest, manifests.OCI_MANIFEST)
    image.keep(manifest, layout.Descriptor(made.media_type, made.digest, made.size, artifact_type=kind))
    assert [one.form for one in read(image).valid] == ["bundle"]


def test_the_image_itself_at_the_tag_of_the_list() -> None:
    image = with_image(api=False)
    image.registry.push("app", referrerlist.tag_of(SUBJECT.digest), IMAGE, manifests.OCI_MANIFEST)
    image.classic(OURS)
    assert [one.form for one in read(image).valid] == ["sig"]


def test_an_attestation_is_no_signature() -> None:
    image = with_image()
    statement = json.loads(sigstorebundle.statement(SUBJECT.digest))
    statement |= {"predicateType": "https://slsa.dev/provenance/v1", "predicate": {}}
    body = json.dumps(statement).encode()
    content = sigstorebundle.bundle(body, OURS.sign(sigstorebundle.message(body)), OURS.key.hint)
    image.refer(content, annotations={})
    assert whys(read(image)) == {"bundle: it is an attestation": 1}


# -- what is put there to be believed


def test_a_signature_over_another_digest_is_moved_here() -> None:
    image = with_image()
    elsewhere = CosignedImage(image.fake, "other", IMAGE + b" ")
    text = elsewhere.classic(OURS)
    image.add_layer(text, OURS.sign(text))
    body = sigstorebundle.statement(elsewhere.subject.digest)
    image.refer(sigstorebundle.bundle(body, OURS.sign(sigstorebundle.message(body)), OURS.key.hint))
    found = read(image)
    assert found.valid == ()
    assert whys(found) == {"sig: it is about another image": 1, "bundle: it is about another image": 1}


def test_one_byte_is_changed() -> None:
    image = with_image()
    text = simplesigning.payload(simplesigning.Claim(REFERENCE, SUBJECT.digest))
    image.add_layer(text.replace(b"app:1", b"app:2"), OURS.sign(text))
    body = sigstorebundle.statement(SUBJECT.digest)
    signature = OURS.sign(sigstorebundle.message(body))
    other = sigstorebundle.statement(SUBJECT.digest, {"a": "b"})
    image.refer(sigstorebundle.bundle(other, signature, OURS.key.hint))
    image.refer(sigstorebundle.bundle(body, OURS.sign(body), OURS.key.hint))  # not the message of DSSE
    found = read(image)
    assert found.valid == ()
    assert sum(other.count for other in found.others) == 3


def test_a_text_of_one_form_is_none_of_the_other() -> None:
    image = with_image()
    text = image.classic(OURS)
    body = sigstorebundle.statement(SUBJECT.digest)
    message = sigstorebundle.message(body)
    image.add_layer(message, OURS.sign(message))
    image.refer(sigstorebundle.bundle(text, OURS.sign(text), OURS.key.hint))
    assert [one.form for one in read(image).valid] == ["sig"]


# -- what is put there to do harm


def layers_of(image: CosignedImage) -> list[dict[str, Any]]:
    return list(json.loads(image.at(image.tag) or b"")["layers"])


def put_layers(image: CosignedImage, layers: Sequence[object], **members: object) -> None:
    made = {**json.loads(image.at(image.tag) or b"{}"), "layers": layers, **members}
    image.registry.push("app", image.tag, json.dumps(made).encode(), manifests.OCI_MANIFEST)


def test_broken_layers_beside_a_good_one() -> None:
    image = with_image()
    image.classic(OURS)
    (good,) = layers_of(image)
    name = simplesigning.SIGNATURE
    broken = [
        {**good, "annotations": {name: "?"}},
        {**good, "annotations": {name: ""}},
        {**good, "annotations": {}},
        {**good, "annotations": None},
        {**good, "annotations": {name: base64.b64encode(b"x" * 5000).decode()}},
        {**good, "mediaType": "application/x"},
        {**good, "digest": "sha256:" + "0" * 64},
        {**good, "digest": "sha512:" + "0" * 128},
        {**good, "size": good["size"] + 1},
        {**good, "size": 0},
        {**good, "size": 1 << 62},
    ]
    put_layers(image, [*broken, good, *broken])
    found = read(image)
    assert [one.reference for one in found.valid] == [REFERENCE]
    assert sum(other.count for other in found.others) == 7


def test_what_is_there_many_times_counts_once() -> None:
    image = with_image()
    image.classic(OURS)
    image.bundle(OURS)
    put_layers(image, layers_of(image) * 50)

    def often(answer: Response) -> Response:
        listed = json.loads(answer.body)
        return Response(200, {}, json.dumps({**listed, "manifests": listed["manifests"] * 50}).encode())

    Tampering(image.fake).change_answers(often, path=r".*/referrers/.*")
    found = read(image)
    assert ([one.form for one in found.valid], found.others) == (["sig", "bundle"], ())
    assert len(lines(image.fake)) == 5


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 50_000,
        b'{"critical":{"critical":1},"optional":1}',
        b'"' + b"a" * 60_000,
    ],
)
def test_texts_that_are_none(text: bytes) -> None:
    image = with_image()
    image.classic(OURS)
    image.add_layer(text, OURS.sign(text))
    found = read(image)
    assert (len(found.valid), sum(other.count for other in found.others)) == (1, 1)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"\xff", b"[" * 50_000, b'{"mediaType":"%s"}' % sigstorebundle.MEDIA_TYPE.encode()],
)
def test_bundles_that_are_none(content: bytes) -> None:
    image = with_image()
    image.bundle(OURS)
    image.refer(content)
    found = read(image)
    assert (len(found.valid), sum(other.count for other in found.others)) == (1, 1)


def test_a_bundle_with_every_member_of_another_type() -> None:
    image = with_image()
    body = sigstorebundle.statement(SUBJECT.digest)
    good = json.loads(sigstorebundle.bundle(body, OURS.sign(sigstorebundle.message(body)), OURS.key.hint))
    envelope = good["dsseEnvelope"]
    odd: list[object] = [None, 5, "text", [], {}, [None], [5], [{}], [{"sig": 5}], 1e999, "\ud800"]
    for value in odd:
        hostile = [{**good, member: value} for member in good]
        hostile += [{**good, "dsseEnvelope": {**envelope, member: value}} for member in envelope]
        for each in hostile:
            image.refer(json.dumps(each).encode())
    found = read(image, limits=Limits(cosign_signatures=1000))
    assert found.valid == ()
    assert sum(other.count for other in found.others) == len(odd) * 6


@pytest.mark.parametrize(
    "members",
    [
        {"layers": []},
        {"layers": None},
        {"layers": "x"},
        {"layers": [5]},
        {"config": None},
        {"mediaType": "application/x"},
        {"mediaType": 5},
        {"schemaVersion": 1},
        {"manifests": []},
        {"annotations": {"a": 5}},
    ],
)
def test_manifests_that_are_odd(members: dict[str, object]) -> None:
    image = with_image()
    image.bundle(OURS)
    image.refer(b"{}", **members)
    image.classic(OURS)
    assert [one.form for one in read(image).valid] == ["sig", "bundle"]
    put_layers(image, **{"layers": layers_of(image), **members})  # type: ignore[arg-type]
    assert "bundle" in [one.form for one in read(image).valid]


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"no manifest", b"[" * 5000, b'{"schemaVersion":1,"fsLayers":[]}']
)
def test_rubbish_at_the_tags(data: bytes) -> None:
    image = with_image(api=False)
    for tag in (image.tag, referrerlist.tag_of(SUBJECT.digest)):
        image.registry.push("app", tag, data, manifests.OCI_MANIFEST)
    found = read(image)
    assert found.valid == ()
    assert [other.form for other in found.others] == ["sig"]


def test_an_index_at_the_tag_for_signatures() -> None:
    image = with_image()
    image.bundle(OURS)
    listed = referrerlist.with_entry(None, SUBJECT.digest, SUBJECT)
    image.registry.push("app", image.tag, listed, manifests.OCI_INDEX)
    assert [one.form for one in read(image).valid] == ["bundle"]


def test_thousands_of_layers_cost_a_bounded_number_of_requests() -> None:
    image = with_image()
    image.classic(OURS)
    (good,) = layers_of(image)
    noise = [{**good, "digest": f"sha256:{number:064x}"} for number in range(9000)]
    put_layers(image, [*noise, good])
    found = read(image)
    assert len(found.valid) == 1
    assert len(image.fake.requests) <= 2 * DEFAULT.cosign_signatures
    assert whys(found)[f"sig: not looked at: there are more than {DEFAULT.cosign_signatures}"] == 9001 - 128
    put_layers(image, [good, *noise])
    assert read(image).valid == ()  # whoever may write there may take it away, too


@pytest.mark.parametrize("api", [True, False])
def test_thousands_of_referrers_cost_a_bounded_number_of_requests(api: bool) -> None:
    image = with_image(api=api)
    image.bundle(OURS)
    tag = referrerlist.tag_of(SUBJECT.digest)
    entries = [
        {
            "mediaType": manifests.OCI_MANIFEST,
            "digest": f"sha256:{number:064x}",
            "size": 700,
            "artifactType": sigstorebundle.MEDIA_TYPE,
        }
        for number in range(5000)
    ]
    if api:
        answer = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
        Tampering(image.fake).answer(Response(200, {}, answer), path=r".*/referrers/.*")
    else:
        listed = json.loads(image.at(tag) or b"")
        listed["manifests"] = [*entries, *listed["manifests"]]
        image.registry.push("app", tag, json.dumps(listed).encode(), manifests.OCI_INDEX)
    found = read(image, limits=Limits(cosign_signatures=50))
    assert len(image.fake.requests) <= 60
    assert "bundle: not looked at: there is more than the limits let in" in whys(found)
    assert whys(found)["bundle: not looked at: there are more than 50"] == 4096 - 50


def test_unlikely_entries_do_not_crowd_out_bundles() -> None:
    image = with_image()
    image.bundle(OURS)
    for number in range(60):
        image.refer(b"%d" % number, artifactType=None, layers=[])
    assert len(read(image, limits=Limits(cosign_signatures=10)).valid) == 1


def test_a_bundle_manifest_with_thousands_of_layers() -> None:
    image = with_image()
    layer = layout.of(b"{}", sigstorebundle.MEDIA_TYPE).to_json()
    layers = [{**layer, "digest": f"sha256:{number:064x}"} for number in range(5000)]
    image.refer(b"{}", layers=layers)
    image.bundle(OURS)
    found = read(image)
    assert len(found.valid) == 1
    assert len(lines(image.fake)) < 10
    assert whys(found) == {"bundle: it has no bundle of version 0.3, or several": 1}


def test_all_together_may_not_be_too_much() -> None:
    image = with_image()
    image.classic(OURS)
    image.bundle(OURS)
    for number in range(10):
        image.add_layer(b"x" * 40_000 + b"%d" % number, b"signature")
        image.refer(b"y" * 40_000 + b"%d" % number)
    found = read(image, limits=Limits(cosign_bytes=200_000))
    assert sum("/blobs/" in request.url for request in image.fake.requests) <= 6
    assert sum(other.count for other in found.others) + len(found.valid) == 22
    assert any("all together" in why for why in whys(found))


def test_what_is_too_large_is_not_fetched() -> None:
    image = with_image()
    limits = Limits(cosign_payload_bytes=1000, cosign_bundle_bytes=2000)
    for big in (b"x" * 1001, b"y" * 5_000_000):
        image.add_layer(big, b"x")
        image.refer(big)
        image.refer(big, layers=[layout.of(big, sigstorebundle.MEDIA_TYPE).to_json()], padding="x" * 100)
    image.classic(OURS)
    image.bundle(OURS)
    found = read(image, limits=limits)
    assert len(found.valid) == 2
    fetched = sum("blobs" in request.url for request in image.fake.requests)
    assert fetched == 2 + 2  # of each big bundle only one had a size that fits


def test_manifests_that_are_too_large() -> None:
    image = with_image()
    image.bundle(OURS)
    image.classic(OURS)
    image.refer(b"{}", padding="x" * 6000)
    put_layers(image, layers_of(image), padding="x" * 6000)
    found = read(image, limits=Limits(manifest_bytes=5000))
    assert [one.form for one in found.valid] == ["bundle"]
    assert len(found.others) == 2


def test_annotations_that_are_hostile() -> None:
    image = with_image()
    noted = {"\x1b[2J": "\x00\r\n", "a" * 1000: "é\u202e"}
    image.classic(OURS, "\x1b]0;x\x07/../app:1", noted)
    image.bundle(OURS, noted)
    classic, bundle = read(image).valid
    assert classic.annotations == bundle.annotations == noted  # whoever shows them escapes them


def test_referrers_of_referrers_are_not_followed() -> None:
    image = with_image()
    first = image.bundle(THEIRS)
    again = {**json.loads(first), "subject": layout.of(first, manifests.OCI_MANIFEST).to_json()}
    image.keep(json.dumps(again).encode())
    read(image)
    assert len([line for line in image.fake.lines() if "/referrers/" in line]) == 1


# -- what changes, and what fails


def test_the_tag_moves_in_between() -> None:
    image = with_image()
    image.classic(OURS)
    other = make_fake()
    replaced = CosignedImage(other)
    replaced.classic(THEIRS)

    def move(request: Request, answer: Response) -> Response:
        if request.url.endswith(".sig"):
            image.registry.push("app", image.tag, replaced.at(image.tag) or b"", manifests.OCI_MANIFEST)
        return answer

    image.fake.after.append(move)
    assert len(read(image).valid) == 1  # what was read at once
    assert read(image).valid == ()


def test_what_is_named_is_gone_in_between() -> None:
    image = with_image()
    image.classic(OURS)
    gone = image.bundle(OURS)
    image.bundle(OURS)

    def collect(request: Request, answer: Response) -> Response:
        if "/referrers/" in request.url:
            image.registry.images.delete_manifest("app", manifests.digest_of(gone))
        if request.url.endswith(".sig"):
            for layer in layers_of(image):
                image.registry.images.delete_blob("app", layer["digest"])
        return answer

    image.fake.after.append(collect)
    found = read(image)
    assert [one.form for one in found.valid] == ["bundle"]
    assert {other.form for other in found.others} == {"sig", "bundle"}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 412, 416, 451])
@pytest.mark.parametrize("what", [BLOB, r".*/manifests/sha256:.*"])
def test_an_entry_that_is_refused_is_one_of_others(what: str, status: int) -> None:
    image = with_image()
    image.bundle(OURS)
    Tampering(image.fake).answer(Response(status), method="GET", path=what)
    found = read(image)
    assert (found.valid, [(other.form, other.count) for other in found.others]) == ((), [("bundle", 1)])


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize(
    "what", [BLOB, r".*/manifests/.*[.]sig", r".*/manifests/sha256:.*", r".*/referrers/.*"]
)
def test_a_registry_that_fails_is_no_answer(what: str, status: int) -> None:
    image = with_image()
    image.classic(OURS)
    image.bundle(OURS)
    Tampering(image.fake).answer(Response(status), method="GET", path=what)
    with pytest.raises(ServerError):
        read(image)


@pytest.mark.parametrize(
    "what", [BLOB, r".*/manifests/.*[.]sig", r".*/manifests/sha256:.*", r".*/referrers/.*"]
)
def test_a_connection_that_is_lost_is_no_answer(what: str) -> None:
    image = with_image()
    image.classic(OURS)
    image.bundle(OURS)
    Tampering(image.fake).refuse_connections(path=what)
    with pytest.raises(NetworkError):
        read(image)


@pytest.mark.parametrize("status", [401, 403])
def test_who_may_not_read_hears_it(status: int) -> None:
    image = with_image()
    image.classic(OURS)
    Tampering(image.fake).answer(Response(status), path=r".*/manifests/.*[.]sig")
    with pytest.raises(AuthenticationError):
        read(image)


def test_a_blob_that_is_another() -> None:
    image = with_image()
    text = image.classic(OURS)
    Tampering(image.fake).answer(
        Response(200, {"content-length": str(len(text))}, b"x" * len(text)), path=BLOB
    )
    assert read(image).valid == ()


def test_a_registry_that_lies_at_the_tag() -> None:
    image = with_image()
    image.classic(OURS)
    headers = {"docker-content-digest": "sha256:" + "0" * 64}
    Tampering(image.fake).answer(Response(200, headers, IMAGE), path=r".*/manifests/.*[.]sig")
    with pytest.raises(DigestMismatchError):
        read(image)
