"""What refers to an image, at a registry without the API, at another one with it, and at ours.

Everybody lists for everybody: what we put oras finds, what oras and cosign put we find, and nobody's entries
are lost by ours.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from interop.harness import images
from interop.harness.verifiers import KeyPair, Verifiers
from notarypy.client.cosign.reading import read_signatures
from notarypy.cosign import signaturekeys
from notarypy.images import layout, manifests, referrerlist
from notarypy.remote.http.adapter import HttpTransport
from notarypy.remote.http.tls import TlsPlaces, context
from notarypy.remote.http.transport import Exchange
from notarypy.remote.registry.referrers import Referrers
from notarypy.remote.registry.registry import RegistryClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interop.harness.services import Endpoint

KIND, BILL = "application/vnd.notarypy.test", "application/spdx+json"
EMPTY = "application/vnd.oci.empty.v1+json"


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory, each_registry: Endpoint) -> Verifiers:
    return Verifiers(tmp_path_factory.mktemp("others"), each_registry)


@pytest.fixture(scope="module")
def key(others: Verifiers) -> KeyPair:
    return others.generate_key_pair("key")


@pytest.fixture
def image(each_registry: Endpoint, unique: Callable[[], str]) -> images.Repository:
    return images.repository(each_registry, unique())


@pytest.fixture
def client(each_registry: Endpoint) -> Iterator[RegistryClient]:
    ca = each_registry.ca
    transport = HttpTransport(lambda _: context(replace_ca=ca, environ={}), {}, lambda _: TlsPlaces())
    schemes = ("http",) if ca is None else ("https",)
    yield RegistryClient(Exchange(transport, timeout=20), each_registry.host, schemes)
    transport.close()


@pytest.fixture
def shown(each_registry: Endpoint, referrers_registry: Endpoint) -> Callable[..., set[str]]:
    """Return which types are listed: one registry takes that of the configuration, and no annotations."""
    return lambda *kinds: {EMPTY} if each_registry == referrers_registry else set(kinds)


def referrer(image: images.Repository, subject: images.Manifest, number: int) -> bytes:
    """Return a manifest that refers to another, whose blobs are there."""
    made = {
        "schemaVersion": 2,
        "mediaType": manifests.OCI_MANIFEST,
        "artifactType": KIND,
        "config": image.put_blob(b"{}", EMPTY),
        "layers": [image.put_blob(b"content %d" % number, "text/plain")],
        "subject": layout.Descriptor(subject.media_type, subject.digest, subject.size).to_json(),
        "annotations": {"org.example.number": str(number)},
    }
    return json.dumps(made).encode()


def test_what_we_put_is_found_by_everybody(
    others: Verifiers, image: images.Repository, client: RegistryClient, shown: Callable[..., set[str]]
) -> None:
    subject = image.push("1", media_type=images.OCI_MANIFEST)
    lists = Referrers(client, image.path)
    assert lists.of(subject.digest) == referrerlist.ReferrerList()
    for number in (1, 2):
        lists.put(referrer(image, subject, number))
    lists.put(referrer(image, subject, 2))  # again
    found = others.referrers(image, subject)
    assert {entry["artifactType"] for entry in found} == shown(KIND)
    ours = lists.of(subject.digest)
    assert sorted(entry["digest"] for entry in found) == sorted(entry.digest for entry in ours.entries)
    if shown(KIND) == {KIND}:
        assert {entry.annotations["org.example.number"] for entry in ours.entries} == {"1", "2"}
    assert len(ours.entries) == 2


def test_entries_of_others_stay(
    others: Verifiers, image: images.Repository, client: RegistryClient, shown: Callable[..., set[str]]
) -> None:
    subject = image.push("1", media_type=images.OCI_MANIFEST)
    others.attach(image, subject, b"a bill of materials", BILL)
    before = others.referrers(image, subject)
    Referrers(client, image.path).put(referrer(image, subject, 1))
    others.attach(image, subject, b"another", BILL)
    after = others.referrers(image, subject)
    assert len(after) == 3
    assert all(entry in after for entry in before)
    listed = Referrers(client, image.path).of(subject.digest)
    assert {entry.artifact_type for entry in listed.entries} == shown(KIND, BILL)


def test_an_image_that_is_not_there_may_be_referred_to(
    image: images.Repository, client: RegistryClient, shown: Callable[..., set[str]]
) -> None:
    image.push("1")
    absent = images.Manifest(images.OCI_MANIFEST, b"is nowhere")
    Referrers(client, image.path).put(referrer(image, absent, 1))
    (entry,) = Referrers(client, image.path).of(absent.digest).entries
    assert {entry.artifact_type} == shown(KIND)


@pytest.mark.parametrize("kind", ["image", "index"])
def test_what_cosign_signed_is_read(
    kind: str, others: Verifiers, key: KeyPair, image: images.Repository, client: RegistryClient
) -> None:
    subject = image.push("1") if kind == "image" else image.push_index("1")
    stranger = others.generate_key_pair(f"stranger-{kind}")
    others.sign(image.pinned(subject), key.private).expect(0)
    others.sign(image.pinned(subject), stranger.private, "-a", "stage=test").expect(0)
    others.attest(image.pinned(subject), key.private).expect(0)
    others.attest(image.pinned(subject), key.private, "https://slsa.dev/provenance/v1").expect(0)
    known = signaturekeys.load(key.public.read_bytes())
    found = read_signatures(client, image.path, subject.digest, [known])
    assert [(one.form, one.reference) for one in found.valid] == [("sig", image.name), ("bundle", "")]
    assert {other.form: other.count for other in found.others if "none of the keys" in other.why} == {
        "sig": 1
    }
    theirs = signaturekeys.load(stranger.public.read_bytes())
    (one,) = read_signatures(client, image.path, subject.digest, [theirs]).valid
    assert one.annotations == {"stage": "test"}
    if kind == "index":  # cosign signs the index alone
        child = json.loads(subject.body)["manifests"][0]["digest"]
        assert read_signatures(client, image.path, child, [known]).valid == ()


def test_where_cosign_copies_images_to_is_no_list(
    others: Verifiers, image: images.Repository, client: RegistryClient, shown: Callable[..., set[str]]
) -> None:
    subject = image.push_index("1")
    image.tag(subject, referrerlist.tag_of(subject.digest))  # as `cosign copy` does
    lists = Referrers(client, image.path)
    assert lists.of(subject.digest).entries == ()
    lists.put(referrer(image, subject, 1))
    (ours,) = lists.of(subject.digest).entries
    (theirs,) = others.referrers(image, subject)
    assert {ours.artifact_type, theirs["artifactType"]} == shown(KIND)
    assert ours.digest == theirs["digest"]
