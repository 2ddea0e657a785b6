"""Released tags signed as notation does: under which certificate, what is written, and what is left alone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.cosign import notationenvelope
from notarypy.cosign.notationenvelope import SigningChain
from notarypy.errors import (
    DigestMismatchError,
    KeyChangedError,
    NotarypyError,
    SignerMissingError,
    UnconfirmedPublishError,
    UnsupportedKeyError,
    UsageError,
)
from notarypy.images import layout, referrerlist
from notarypy.images.manifests import OCI_INDEX, OCI_MANIFEST
from notarypy.testing import FakeSigner
from support import people
from support import signingcertificates as made
from support.author import GUN
from support.cosigned import CosignedImage
from support.people import REGISTRY_PATH, manifest, owned

if TYPE_CHECKING:
    from notarypy.client.migrate.inventory import ResignedTag
    from notarypy.remote.http.messages import Request, Response
    from support.people import World

WRITING = ("PUT ", "POST ", "PATCH ", "DELETE ")


class Migration:
    """Somebody with a certificate, and what the registry has afterwards."""

    def __init__(self, world: World) -> None:
        self.world, self.signer, self.person = world, FakeSigner(), world.person("migrator")
        self.pem = self.certificate()

    def certificate(self, hours: int = 0) -> bytes:
        """Return the chain of the key, which begins so many hours from now."""
        start = self.world.clock() + timedelta(hours=hours, minutes=-1)
        leaf = made.Certificate(
            by="middle", public=self.signer.public.to_pem(), start=start, end=start + timedelta(days=30)
        )
        middle, root = (
            made.authority(name, "root", start=start, end=start + timedelta(days=60))
            for name in ("middle", "root")
        )
        return made.pem(leaf, middle, root)

    def run(self, *refs: str, **how: Any) -> dict[str, ResignedTag | NotarypyError]:  # noqa: ANN401 - options
        """Sign, and return what became of each reference."""
        done: dict[str, ResignedTag | NotarypyError] = {}
        options = {"key": self.signer.public.canonical_id, "certificates": self.pem, **how}
        with self.person.client(signers=[self.signer]) as client:
            for text, outcome in client.migration.notation(refs or [GUN], **options):
                try:
                    done[text] = outcome.get()
                except NotarypyError as error:
                    done[text] = error
        return done

    def states(self, *refs: str, **how: Any) -> list[str | None]:  # noqa: ANN401 - options
        """Sign one tag, check that all went well, and return what became of its manifests."""
        (done,) = self.run(*refs, **how).values()
        assert not isinstance(done, NotarypyError), done
        assert {(each.sig, each.bundle) for each in done.manifests} == {(None, None)}
        assert done.states == {each.notation for each in done.manifests}
        return [each.notation for each in done.manifests]

    def failed(self, **how: Any) -> NotarypyError:  # noqa: ANN401 - options
        """Sign one tag, and return the error; check that nothing at all was written."""
        self.world.requests()
        (error,) = self.run(**how).values()
        assert isinstance(error, NotarypyError)
        assert not [line for line in self.world.requests() if line.startswith(WRITING)]
        return error

    def envelopes(self, digest: str) -> list[bytes]:
        """Return the envelopes of a digest."""
        images = self.world.fake.registry.images
        listed = images.referrers(REGISTRY_PATH, digest)
        if not self.world.fake.registry.referrers:
            tag = images.tags(REGISTRY_PATH).get(referrerlist.tag_of(digest))
            data = images.manifest(REGISTRY_PATH, tag) if tag else None
            listed = [one.digest for one in referrerlist.at_tag(data.data, digest).entries] if data else []
        found = []
        for each in listed:
            kept = images.manifest(REGISTRY_PATH, each)
            assert kept is not None
            for layer in notationenvelope.layers(kept.data):
                content = images.blob(REGISTRY_PATH, layer.digest)
                assert content is not None
                found.append(content)
        return found


@pytest.fixture(params=["with referrers", "without referrers"])
def migration(world: World, request: pytest.FixtureRequest) -> Migration:
    world.fake.registry.referrers = request.param == "with referrers"
    return Migration(world)


@pytest.fixture
def one(world: World) -> Migration:
    """Return a migration where the registry's kind does not matter."""
    return Migration(world)


@pytest.fixture
def digest(world: World) -> str:
    """Return the digest of the one tag that is signed in Notary."""
    owner, found = owned(world, "jeff"), world.push("1")
    owner.client().sign([f"{GUN}:1"])
    return found


def test_a_tag_is_signed_once(migration: Migration, digest: str) -> None:
    assert migration.states(dry_run=True) == ["missing"]
    assert migration.signer.messages == []
    assert migration.states() == ["written"]
    (envelope,) = migration.envelopes(digest)
    subject = layout.of(manifest("1"), OCI_MANIFEST)
    assert subject.digest == digest
    notationenvelope.verify(envelope, SigningChain.load(migration.pem), subject)
    migration.world.requests()
    assert migration.states() == migration.states(dry_run=True) == ["there"]
    assert not [line for line in migration.world.requests() if line.startswith(WRITING)]
    assert len(migration.signer.messages) == 1


def test_of_an_index_the_index_is_signed(one: Migration, digest: str) -> None:
    index = one.world.push_index("multi", "linux/amd64", "linux/arm64")
    one.world.person("owner").client().sign([f"{GUN}:multi"])
    assert one.states(f"{GUN}:multi") == ["written"]
    (envelope,) = one.envelopes(index)
    subject = layout.of(people.index("linux/amd64", "linux/arm64"), OCI_INDEX)
    assert subject.digest == index
    notationenvelope.verify(envelope, SigningChain.load(one.pem), subject)
    assert one.envelopes(digest) == []


def test_another_certificate_of_the_key_signs_beside_it(migration: Migration, digest: str) -> None:
    migration.states()
    migration.pem = migration.certificate(-1)
    assert migration.states() == ["written"]
    assert len(migration.envelopes(digest)) == 2


def test_rubbish_beside_it_keeps_nothing_from_being_signed_or_found(
    migration: Migration, digest: str
) -> None:
    migration.states()
    (good,) = migration.envelopes(digest)
    image = CosignedImage(migration.world.fake, REGISTRY_PATH, manifest("1"))
    for content in (b"", b"{}", good[:-9], good.replace(b'"signature":"', b'"signature":"AAAA')):
        kept = layout.of(content, notationenvelope.MEDIA_TYPE)
        image.registry.put_blob(REGISTRY_PATH, content)
        image.keep(referrerlist.referrer(image.subject, notationenvelope.ARTIFACT_TYPE, kept, {}))
    assert len(migration.envelopes(digest)) == 5
    assert migration.states() == ["there"]


def test_what_notary_does_not_vouch_for_is_not_signed(one: Migration, digest: str) -> None:
    assert isinstance(one.failed(signers=["carol"]), SignerMissingError)
    one.world.push("1", "by somebody else")
    assert isinstance(one.failed(), DigestMismatchError)
    assert one.envelopes(digest) == []
    assert one.signer.messages == []


@pytest.mark.parametrize("hours", [1, -24 * 31])
def test_a_certificate_that_is_not_valid_now_signs_nothing(one: Migration, digest: str, hours: int) -> None:
    one.pem = one.certificate(hours)
    with pytest.raises(UsageError, match="under this certificate"):
        one.run()
    assert one.envelopes(digest) == []


@pytest.mark.usefixtures("digest")
def test_a_certificate_that_ends_meanwhile_signs_no_more(one: Migration) -> None:
    one.pem = one.certificate(-24 * 30 + 1)

    def later(request: Request, answer: Response) -> Response:
        if "/manifests/1" in request.url:
            one.world.clock.advance(timedelta(hours=2))
        return answer

    one.world.fake.after.append(later)
    assert "under this certificate" in one.failed().message


def test_a_certificate_of_another_key(one: Migration, digest: str) -> None:
    one.signer = FakeSigner()
    with pytest.raises(UsageError, match="is not for the key"):
        one.run()
    assert one.envelopes(digest) == []


def test_a_key_that_notation_would_have_sign_with_another_hash(one: Migration, digest: str) -> None:
    one.signer = FakeSigner("rsa")
    one.pem = one.certificate()
    with pytest.raises(UnsupportedKeyError, match="cannot sign for notation"):
        one.run()
    assert one.envelopes(digest) == []


@pytest.mark.usefixtures("digest")
def test_a_signer_that_signs_with_another_key(one: Migration) -> None:
    one.signer.wrong = True
    assert isinstance(one.failed(), KeyChangedError)


def test_a_registry_that_keeps_nothing_is_found_out(one: Migration, digest: str) -> None:
    one.world.fake.registry.referrers = True
    one.world.fake.registry.images.referrers = lambda *_: []  # type: ignore[method-assign]  # it forgets
    (error,) = one.run().values()
    assert isinstance(error, UnconfirmedPublishError)
    assert one.world.fake.registry.images.tags(REGISTRY_PATH)["1"] == digest
