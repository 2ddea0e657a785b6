"""Released tags signed as cosign does: what may be signed, what is written, and what is left alone."""

from __future__ import annotations

import json
import signal
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from notarypy.client import workers
from notarypy.client.api import Client
from notarypy.client.workers import UnfinishedError
from notarypy.cosign import signaturekeys, signatures, sigstorebundle, simplesigning
from notarypy.errors import (
    CosignMissingError,
    DigestMismatchError,
    ExpiredError,
    ImageMissingError,
    KeyAccessError,
    NotarypyError,
    NothingThereError,
    NotVerifiedError,
    RepositoryMissingError,
    RootNotPinnedError,
    SignerMissingError,
    TagUnsignedError,
    UnconfirmedPublishError,
    UsageError,
    VerificationError,
)
from notarypy.images import referrerlist
from notarypy.images.manifests import OCI_INDEX, OCI_MANIFEST, digest_of
from notarypy.keys.keystore import KeyStore
from notarypy.keys.passphrases import CallbackSource, PassphraseChain
from notarypy.limits import Limits
from notarypy.testing import FakeSigner
from support.author import GUN
from support.cosigner import Cosigner
from support.people import PASSPHRASE, REGISTRY_PATH, SERVER, manifest, owned, push_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from notarypy.client.migrate.inventory import ResignedTag
    from notarypy.cosign.simplesigning import Claim
    from notarypy.keys.keyinfo import PassphraseRequest
    from notarypy.remote.http.messages import Request, Response
    from support.people import Person, World

    Done = dict[str, ResignedTag | NotarypyError]

WRITING = ("PUT ", "POST ", "PATCH ", "DELETE ")
ATTESTATION = {"vnd.docker.reference.type": "attestation-manifest"}


@pytest.fixture
def signer() -> FakeSigner:
    """The key of the new signatures."""
    return FakeSigner()


class Migration:
    """Somebody who migrates, and what the registry has afterwards."""

    def __init__(self, world: World, signer: FakeSigner) -> None:
        self.world, self.signer = world, signer
        self.key = signaturekeys.of(signer.public)
        self.person = world.person("migrator")

    def run(self, *refs: str, client: dict[str, Any] | None = None, **how: Any) -> Done:  # noqa: ANN401 - options
        """Sign, and return what became of each reference."""
        with self.person.client(signers=[self.signer], **(client or {})) as opened:
            done: Done = {}
            key = self.signer.public.canonical_id
            for text, outcome in opened.migration.cosign(refs or [GUN], key=key, **how):
                try:
                    done[text] = outcome.get()
                except NotarypyError as error:
                    done[text] = error
            return done

    def done(self, *refs: str, **how: Any) -> dict[str, ResignedTag]:  # noqa: ANN401 - options
        """Sign, and check that all went well."""
        found = self.run(*refs, **how)
        good = {text: one for text, one in found.items() if not isinstance(one, NotarypyError)}
        assert len(good) == len(found), found
        return good

    def failed(self, *refs: str, **how: Any) -> NotarypyError:  # noqa: ANN401 - options
        """Sign, and return the one error; check that nothing at all was written."""
        self.world.requests()
        before, signed = self.world.fake.registry.images.tags(REGISTRY_PATH), len(self.signer.messages)
        (error,) = self.run(*refs, **how).values()
        assert isinstance(error, NotarypyError)
        assert not [line for line in self.world.requests() if line.startswith(WRITING)]
        assert self.world.fake.registry.images.tags(REGISTRY_PATH) == before
        assert len(self.signer.messages) == signed
        return error

    def at(self, tag: str) -> bytes | None:
        """Return the manifest at a tag."""
        images = self.world.fake.registry.images
        known = images.manifest(REGISTRY_PATH, images.tags(REGISTRY_PATH).get(tag, tag))
        return None if known is None else known.data

    def blob(self, digest: str) -> bytes:
        """Return a blob."""
        found = self.world.fake.registry.images.blob(REGISTRY_PATH, digest)
        assert found is not None
        return found

    def claims(self, digest: str) -> list[Claim]:
        """Return what the texts of a digest say that are signed by our key."""
        found = []
        data = self.at(simplesigning.tag_of(digest))
        for layer in simplesigning.layers(data) if data else ():
            text = self.blob(layer.payload.digest)
            if self.key.verify(layer.signature, text):
                found.append(simplesigning.read(text))
                assert found[-1].digest == digest
        return found

    def bundles(self, digest: str) -> list[sigstorebundle.Statement]:
        """Return the statements about a digest that are signed by our key, and listed."""
        images = self.world.fake.registry.images
        listed = images.referrers(REGISTRY_PATH, digest)
        if not self.world.fake.registry.referrers:
            data = self.at(referrerlist.tag_of(digest))
            entries = referrerlist.at_tag(data, digest).entries if data else ()
            assert {entry.artifact_type for entry in entries} <= {sigstorebundle.MEDIA_TYPE}
            listed = [entry.digest for entry in entries]
        found = []
        for each in listed:
            data = self.at(each)
            assert data is not None
            for layer in sigstorebundle.layers(data):
                bundle = sigstorebundle.read(self.blob(layer.digest))
                assert self.key.verify(bundle.signatures[0], bundle.message)
                assert bundle.statement.subjects.keys() == {digest}
                found.append(bundle.statement)
        return found


@pytest.fixture(params=["with referrers", "without referrers"])
def migration(world: World, signer: FakeSigner, request: pytest.FixtureRequest) -> Migration:
    world.fake.registry.referrers = request.param == "with referrers"
    return Migration(world, signer)


@pytest.fixture
def one(world: World, signer: FakeSigner) -> Migration:
    """Return a migration where the registry's kind does not matter."""
    return Migration(world, signer)


@pytest.fixture
def owner(world: World) -> Person:
    return owned(world, "jeff")


def release(owner: Person, *tags: str) -> dict[str, str]:
    """Push and sign tags; return their digests."""
    found = {tag: owner.world.push(tag) for tag in tags}
    owner.client().sign([f"{GUN}:{tag}" for tag in tags])
    owner.world.requests()
    return found


# What is written


def test_a_tag_is_signed_in_both_forms(migration: Migration, owner: Person) -> None:
    digest = release(owner, "1")["1"]
    done = migration.done(f"{GUN}:1")[f"{GUN}:1"]
    assert (done.reference, done.name, done.digest) == (f"{GUN}:1", f"{GUN}:1", digest)
    assert (done.key, done.signers) == (migration.key.public.canonical_id, ("jeff",))
    assert [(each.digest, each.sig, each.bundle) for each in done.manifests] == [
        (digest, "written", "written")
    ]
    assert [claim.reference for claim in migration.claims(digest)] == [f"{GUN}:1"]
    assert [statement.is_signature for statement in migration.bundles(digest)] == [True]


def test_the_signatures_say_where_the_trust_comes_from(migration: Migration, owner: Person) -> None:
    digest = release(owner, "1")["1"]
    migration.done()
    trusted = owner.client().refresh(GUN)
    (claim,), (statement,) = migration.claims(digest), migration.bundles(digest)
    assert claim.annotations == statement.subjects[digest]
    said = {name.removeprefix("io.notarypy."): text for name, text in claim.annotations.items()}
    assert said.pop("tool").startswith("notarypy/")
    assert said.pop("versions").split(",") == [
        f"{role}={version}"
        for role, version in {
            "root": trusted.root.version,
            "targets": trusted.targets["targets"].version,
            "snapshot": trusted.snapshot.version,
            "timestamp": trusted.timestamp.version,
            "targets/jeff": trusted.targets["targets/jeff"].version,
            "targets/releases": trusted.targets["targets/releases"].version,
        }.items()
    ]
    assert said == {
        "gun": GUN,
        "tag": "1",
        "role": "targets/releases",
        "signers": "jeff",
        "root": ",".join(trusted.root.pins),
        "root-keys": ",".join(trusted.root.roles["root"].keyids),
        "expires": f"{trusted.timestamp.expires:%Y-%m-%dT%H:%M:%SZ}",
        "verified": f"{owner.world.clock():%Y-%m-%dT%H:%M:%SZ}",
        "server": SERVER,
    }


def test_a_second_run_reads_and_writes_nothing(migration: Migration, owner: Person) -> None:
    digest = release(owner, "1")["1"]
    migration.done()
    before, signed = migration.at(simplesigning.tag_of(digest)), len(migration.signer.messages)
    migration.world.requests()
    done = migration.done()[f"{GUN}:1"]
    assert done.states == {"there"}
    assert migration.at(simplesigning.tag_of(digest)) == before
    assert len(migration.signer.messages) == signed
    lines = migration.world.requests()
    assert not [line for line in lines if line.startswith(WRITING)]
    assert lines.count("GET /v2/team/app/manifests/1") == 1


def test_a_new_release_of_the_same_digest_gets_its_name_and_no_second_bundle(
    migration: Migration, owner: Person
) -> None:
    digest = release(owner, "1")["1"]
    migration.done()
    owner.world.push("latest", "1")
    owner.client().sign([f"{GUN}:latest"])
    found = migration.done()
    assert found[f"{GUN}:1"].states == {"there"}
    assert [(each.sig, each.bundle) for each in found[f"{GUN}:latest"].manifests] == [("written", "there")]
    assert [claim.reference for claim in migration.claims(digest)] == [f"{GUN}:1", f"{GUN}:latest"]
    assert len(migration.bundles(digest)) == 1


def test_tags_with_one_digest_are_layers_of_one_manifest_and_have_one_bundle(
    migration: Migration, owner: Person
) -> None:
    tags = [str(number) for number in range(20)]
    for tag in tags:
        owner.world.push(tag, "same")
    owner.client().sign([f"{GUN}:{tag}" for tag in tags])
    migration.world.requests()
    signed = len(migration.signer.messages)
    done = migration.done()
    assert list(done) == [f"{GUN}:{tag}" for tag in tags]
    digest = digest_of(manifest("same"))
    assert [claim.reference for claim in migration.claims(digest)] == list(done)
    assert len(migration.bundles(digest)) == 1
    lines = Counter(migration.world.requests())
    assert lines["PUT /v2/team/app/manifests/sha256-HASH.sig"] == 1
    prepared = 1  # a key has to sign a challenge before anything is changed, if it is not here
    assert len(migration.signer.messages) - signed in {len(tags) + 1, len(tags) + 1 + prepared}


def test_each_of_many_tags_of_one_digest_is_there_afterwards(one: Migration, owner: Person) -> None:
    few = Limits(cosign_signatures=20)
    tags = [str(number) for number in range(few.cosign_signatures + 12)]
    for tag in tags:
        owner.world.push(tag, "same")
    owner.client().sign([f"{GUN}:{tag}" for tag in tags])
    one.done(client={"limits": few})
    for tag in (tags[0], tags[-1]):
        assert one.done(f"{GUN}:{tag}", client={"limits": few})[f"{GUN}:{tag}"].states == {"there"}
    (found,) = owner.client(limits=few).migration.report([GUN], keys={"key": one.key.pem})
    assert (found.get().error, len(found.get().tags)) == (None, len(tags))


def test_a_bundle_that_came_along_from_another_repository_is_none_of_this(
    migration: Migration, owner: Person
) -> None:
    (digest,) = release(owner, "1").values()
    elsewhere = sigstorebundle.statement(digest, {signatures.GUN: "registry.test/dev/tool"})
    signature = signaturekeys.der_of(migration.signer.sign(sigstorebundle.message(elsewhere))[1])
    content = sigstorebundle.bundle(elsewhere, signature, migration.key.hint)
    Cosigner(migration.world.fake, REGISTRY_PATH).refer(content, digest)
    for state in ("written", "there"):
        (done,) = migration.done().values()
        assert done.manifests[0].bundle == state
    named = [each.subjects[digest][signatures.GUN] for each in migration.bundles(digest)]
    assert sorted(named) == ["registry.test/dev/tool", GUN]


@pytest.mark.parametrize(
    ("forms", "sig", "bundle"), [(["sig"], "written", None), (["bundle"], None, "written")]
)
def test_one_form_alone(
    migration: Migration, owner: Person, forms: list[str], sig: str | None, bundle: str | None
) -> None:
    digest = release(owner, "1")["1"]
    done = migration.done(forms=forms)[f"{GUN}:1"]
    assert [(each.sig, each.bundle) for each in done.manifests] == [(sig, bundle)]
    assert (len(migration.claims(digest)), len(migration.bundles(digest))) == (bool(sig), bool(bundle))


def test_a_dry_run_says_what_is_missing_and_writes_and_signs_nothing(
    migration: Migration, owner: Person
) -> None:
    release(owner, "1", "2")
    migration.done(f"{GUN}:1")
    migration.world.requests()
    signed = len(migration.signer.messages)
    done = migration.done(dry_run=True)
    assert [one.states for one in done.values()] == [{"there"}, {"missing"}]
    assert not [line for line in migration.world.requests() if line.startswith(WRITING)]
    assert len(migration.signer.messages) == signed


# Indexes


def attestation(world: World) -> dict[str, object]:
    """Return the entry of what BuildKit attests."""
    data = manifest("attestation")
    digest = world.fake.registry.push(REGISTRY_PATH, "attestation", data, OCI_MANIFEST)
    unknown = {"os": "unknown", "architecture": "unknown"}
    entry = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(data)}
    return {**entry, "platform": unknown, "annotations": ATTESTATION}


def test_each_platform_of_an_index_is_signed_with_it(migration: Migration, owner: Person) -> None:
    attested = attestation(owner.world)
    top, platforms = push_index(owner.world, "multi", attested)
    owner.client().sign([f"{GUN}:multi"])
    done = migration.done()[f"{GUN}:multi"]
    assert [(each.digest, each.platform) for each in done.manifests] == [
        (top, ""),
        (platforms[0], "linux/amd64"),
        (platforms[1], "linux/arm64/v8"),
    ]
    for digest in (top, *platforms):
        (claim,), (statement,) = migration.claims(digest), migration.bundles(digest)
        assert claim.reference == f"{GUN}:multi"
        below = digest != top
        assert claim.annotations.get("io.notarypy.index") == (top if below else None)
        assert statement.subjects[digest] == claim.annotations
    assert migration.claims(str(attested["digest"])) == []


def test_the_index_alone_is_signed_with_a_warning(one: Migration, owner: Person) -> None:
    top, platforms = push_index(owner.world, "multi")
    owner.client().sign([f"{GUN}:multi"])
    assert [each.digest for each in one.done(children=False)[f"{GUN}:multi"].manifests] == [top]
    assert one.claims(platforms[0]) == []
    assert any("podman and skopeo" in warning for warning in one.person.warnings)


def test_an_index_in_an_index_is_signed_to_its_end(one: Migration, owner: Person) -> None:
    inner = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [
                {
                    "mediaType": OCI_MANIFEST,
                    "digest": owner.world.push("deep"),
                    "size": len(manifest("deep")),
                    "platform": {"os": "linux", "architecture": "riscv64"},
                }
            ],
        }
    ).encode()
    digest = owner.world.fake.registry.push(REGISTRY_PATH, "inner", inner, OCI_INDEX)
    top, platforms = push_index(
        owner.world, "multi", {"mediaType": OCI_INDEX, "digest": digest, "size": len(inner)}
    )
    owner.client().sign([f"{GUN}:multi"])
    done = one.done(f"{GUN}:multi")[f"{GUN}:multi"]
    deep = digest_of(manifest("deep"))
    assert [each.digest for each in done.manifests] == [top, *platforms, digest, deep]
    assert len(one.claims(deep)) == 1


def test_a_platform_of_several_indexes_has_a_text_for_each_name_and_one_bundle(
    migration: Migration, owner: Person
) -> None:
    push_index(owner.world, "a")
    _, platforms = push_index(owner.world, "b", attestation(owner.world))
    owner.client().sign([f"{GUN}:a", f"{GUN}:b"])
    migration.done()
    for digest in platforms:
        assert [claim.reference for claim in migration.claims(digest)] == [f"{GUN}:a", f"{GUN}:b"]
        assert len(migration.bundles(digest)) == 1


# What is never signed


def test_a_tag_that_moved_is_not_signed_and_the_others_are(migration: Migration, owner: Person) -> None:
    digests = release(owner, "1", "2", "3")
    moved = owner.world.push("2", "somebody else's")
    found = migration.run()
    assert isinstance(found[f"{GUN}:2"], DigestMismatchError)
    assert [text for text, done in found.items() if not isinstance(done, NotarypyError)] == [
        f"{GUN}:1",
        f"{GUN}:3",
    ]
    for digest in (digests["2"], moved):
        assert (migration.claims(digest), migration.bundles(digest)) == ([], [])


def test_a_tag_that_is_gone_or_not_signed_is_not_signed(one: Migration, owner: Person) -> None:
    release(owner, "1")
    owner.world.push("unsigned")
    assert isinstance(one.failed(f"{GUN}:unsigned"), TagUnsignedError)
    owner.world.fake.registry.images.delete_tag(REGISTRY_PATH, "1")
    assert isinstance(one.failed(f"{GUN}:1"), ImageMissingError)


def test_what_has_expired_is_not_signed(one: Migration, owner: Person) -> None:
    release(owner, "1")
    one.world.fake.notary.renews = False
    one.world.clock.advance(timedelta(days=4000))
    assert isinstance(one.failed(), ExpiredError)


def test_what_expires_before_its_turn_comes_is_not_signed(one: Migration, owner: Person) -> None:
    release(owner, "1")

    def later(request: Request) -> Response | None:
        if request.url.endswith("/manifests/1"):
            one.world.clock.advance(timedelta(days=4000))
        return None

    one.run(dry_run=True)
    one.world.fake.notary.renews = False
    one.world.fake.before.append(later)
    assert isinstance(one.failed(f"{GUN}:1"), ExpiredError)


def test_a_required_signer_that_lacks_is_said(one: Migration, owner: Person) -> None:
    release(owner, "1")
    error = one.failed(signers=["bob"])
    assert isinstance(error, SignerMissingError)
    assert one.done(signers=["jeff"])


def test_a_root_that_is_pinned_elsewhere_is_said_once(one: Migration, owner: Person) -> None:
    release(owner, "1", "2")
    found = one.run(root="0" * 64)
    assert list(found) == [GUN]
    assert isinstance(found[GUN], RootNotPinnedError)
    assert isinstance(one.failed(GUN, client={"pins": ("1" * 64,)}), VerificationError)


@pytest.mark.parametrize(("mode", "error"), [("skip", NotVerifiedError), ("audit", SignerMissingError)])
def test_what_a_policy_lets_pass_unverified_is_not_signed(
    one: Migration, owner: Person, tmp_path: Path, mode: str, error: type[NotarypyError]
) -> None:
    release(owner, "1")
    path = tmp_path / "policy.toml"
    required = "" if mode == "skip" else "first_use = true\nsigners.all = ['bob']\n"
    path.write_text(f"[scope.\"{GUN}\"]\nmode = '{mode}'\n{required}")
    assert isinstance(one.failed(client={"policy": str(path)}), error)


def test_a_mirror_is_signed_under_the_name_of_what_it_mirrors(
    one: Migration, owner: Person, tmp_path: Path
) -> None:
    digest = release(owner, "1")["1"]
    one.world.push("1", path="mirror/app")
    path = tmp_path / "policy.toml"
    mirror = f"{GUN.partition('/')[0]}/mirror/app"
    path.write_text(f"[scope.\"{mirror}\"]\nsigned_as = '{GUN}'\nfirst_use = true\n")
    done = one.done(mirror, client={"policy": str(path)})[f"{mirror}:1"]
    assert (done.reference, done.name, done.signed_as) == (f"{mirror}:1", f"{GUN}:1", GUN)
    images = one.world.fake.registry.images
    data = images.manifest("mirror/app", images.tags("mirror/app")[simplesigning.tag_of(digest)])
    assert data is not None
    (layer,) = simplesigning.layers(data.data)
    text = images.blob("mirror/app", layer.payload.digest)
    assert text is not None
    assert simplesigning.read(text).reference == f"{GUN}:1"
    assert one.claims(digest) == []


@pytest.mark.parametrize("mirrored", [False, True])
def test_what_a_policy_requires_of_cosign_is_there_afterwards(
    migration: Migration, owner: Person, tmp_path: Path, *, mirrored: bool
) -> None:
    release(owner, "1")
    migration.world.push("1", path="mirror/app")
    name = f"{GUN.partition('/')[0]}/mirror/app" if mirrored else GUN
    (tmp_path / "release.pub").write_bytes(migration.key.pem)
    path, more = tmp_path / "policy.toml", f"signed_as = '{GUN}'\n" if mirrored else ""
    path.write_text(
        f"[scope.\"{name}\"]\nfirst_use = true\nrequire = ['notary', 'cosign']\n"
        f"cosign.all = ['{tmp_path / 'release.pub'}']\n{more}"
    )
    reader = owner.world.person("reader").client(policy=str(path))
    with pytest.raises(CosignMissingError):
        reader.verify(f"{name}:1")
    assert migration.done(name, client={"policy": str(path)})
    assert [one.reference for one in reader.verify(f"{name}:1").cosign] == [f"{GUN}:1"]


def test_an_image_of_docker_hub_is_signed_under_its_whole_name(one: Migration) -> None:
    owner, fake = one.world.person("owner"), one.world.fake
    fake.services["registry-1.docker.io"] = fake.registry
    digest = one.world.push("3", path="library/alpine")
    owner.client().sign(["alpine:3"], init=True)
    done = one.done("alpine")["alpine:3"]
    assert done.name == "docker.io/library/alpine:3"
    known = fake.registry.images.tags("library/alpine")[simplesigning.tag_of(digest)]
    manifest_at_tag = fake.registry.images.manifest("library/alpine", known)
    assert manifest_at_tag is not None
    (layer,) = simplesigning.layers(manifest_at_tag.data)
    text = fake.registry.images.blob("library/alpine", layer.payload.digest)
    assert text is not None
    assert simplesigning.read(text).reference == done.name


def test_a_repository_that_cannot_be_read_ends_no_other(one: Migration, owner: Person) -> None:
    release(owner, "1")
    other = f"{GUN.partition('/')[0]}/nothing/here"
    found = one.run(other, GUN)
    assert isinstance(found[other], RepositoryMissingError)
    assert not isinstance(found[f"{GUN}:1"], NotarypyError)


def test_a_repository_without_signed_tags_has_nothing_to_sign(one: Migration, owner: Person) -> None:
    assert isinstance(one.failed(), NothingThereError)
    assert owner.warnings == []


def test_a_digest_alone_is_no_tag(one: Migration, owner: Person) -> None:
    digest = release(owner, "1")["1"]
    with pytest.raises(UsageError, match="no tag"):
        one.run(f"{GUN}@{digest}")
    assert one.done(f"{GUN}:1@{digest}")
    assert isinstance(one.failed(f"{GUN}:1@sha256:{'0' * 64}"), DigestMismatchError)


def test_a_tag_with_a_digest_is_judged_beside_the_tag_alone(one: Migration, owner: Person) -> None:
    release(owner, "1")
    found = one.run(f"{GUN}:1", f"{GUN}:1@sha256:{'0' * 64}", GUN)
    assert list(found) == [f"{GUN}:1", f"{GUN}:1@sha256:{'0' * 64}"]
    assert [isinstance(done, DigestMismatchError) for done in found.values()] == [False, True]


@pytest.mark.parametrize("forms", [[], ["both"], ["sig", "x"]])
def test_forms_that_are_none_are_a_mistake(one: Migration, forms: list[str]) -> None:
    with pytest.raises(TypeError):
        one.run(forms=forms)


# Others, and bad moments


def sign_foreign(migration: Migration, digest: str, name: str) -> bytes:
    """Have somebody else sign a digest in the classic form."""
    key = ec.generate_private_key(ec.SECP256R1())
    text = simplesigning.payload(simplesigning.Claim(name, digest))
    tag = simplesigning.tag_of(digest)
    signature = key.sign(text, ec.ECDSA(SHA256()))
    config, made = simplesigning.with_layers(migration.at(tag), {text: signature})
    registry = migration.world.fake.registry
    registry.put_blob(REGISTRY_PATH, text)
    registry.put_blob(REGISTRY_PATH, config)
    registry.push(REGISTRY_PATH, tag, made, OCI_MANIFEST)
    return signature


def test_signatures_of_others_stay(one: Migration, owner: Person) -> None:
    digest = release(owner, "1")["1"]
    theirs = sign_foreign(one, digest, f"{GUN}:1")
    one.done()
    data = one.at(simplesigning.tag_of(digest))
    assert data is not None
    assert next(layer.signature for layer in simplesigning.layers(data)) == theirs
    assert len(simplesigning.layers(data)) == 2
    assert len(one.claims(digest)) == 1


@pytest.mark.parametrize("moment", range(4))
def test_what_others_write_meanwhile_is_kept_and_ours_gets_in(
    one: Migration, owner: Person, moment: int
) -> None:
    """Somebody signs just after the manifest was asked for the n-th time, so whatever goes on from there."""
    digest = release(owner, "1")["1"]
    tag, seen, theirs = simplesigning.tag_of(digest), [0], list[bytes]()

    def meanwhile(request: Request, answer: Response) -> Response:
        if request.method == "GET" and request.url.endswith(tag):
            seen[0] += 1
            if seen[0] == moment + 1:
                theirs.append(sign_foreign(one, digest, f"{GUN}:other"))
        return answer

    one.world.fake.after.append(meanwhile)
    one.done()
    assert len(one.claims(digest)) == 1
    data = one.at(tag)
    assert data is not None
    kept = [layer.signature for layer in simplesigning.layers(data)]
    # Between the last look and the write nobody can see it; then theirs is lost, and nobody says it is there.
    assert moment == 2 or set(theirs) <= set(kept)
    assert len(one.signer.messages) <= 3


def test_what_was_lost_to_others_is_put_again_and_not_signed_again(one: Migration, owner: Person) -> None:
    digest = release(owner, "1")["1"]
    tag, lost = simplesigning.tag_of(digest), list[str]()

    def overwritten(request: Request, answer: Response) -> Response:
        if request.method == "PUT" and request.url.endswith(tag) and len(lost) < 4:
            lost.append(tag)
            one.world.fake.registry.images.delete_tag(REGISTRY_PATH, tag)
            sign_foreign(one, digest, f"{GUN}:other")
        return answer

    one.world.fake.after.append(overwritten)
    one.done(forms=["sig"])
    texts = [message for message in one.signer.messages if b"docker-reference" in message]
    assert (len(lost), len(texts), len(one.claims(digest))) == (4, 1, 1)


def test_a_bundle_that_was_lost_is_put_again_and_not_signed_again(one: Migration, owner: Person) -> None:
    digest = release(owner, "1")["1"]
    images, lost = one.world.fake.registry.images, list[str]()

    def deleted(request: Request, answer: Response) -> Response:
        if (
            "/referrers/" in request.url
            and len(lost) < 2
            and (listed := images.referrers(REGISTRY_PATH, digest))
        ):
            lost.append(listed[0])
            images.delete_manifest(REGISTRY_PATH, listed[0])
        return answer

    one.world.fake.after.append(deleted)
    one.done(forms=["bundle"])
    signed = [message for message in one.signer.messages if message.startswith(b"DSSEv1")]
    assert (len(set(lost)), len(lost), len(signed), len(one.bundles(digest))) == (1, 2, 1, 1)


@pytest.mark.parametrize("form", ["sig", "bundle"])
def test_a_tag_that_holds_something_else_is_named(one: Migration, owner: Person, form: str) -> None:
    digest = release(owner, "1")["1"]
    one.world.fake.registry.referrers = False
    tag = simplesigning.tag_of(digest) if form == "sig" else referrerlist.tag_of(digest)
    other = (
        manifest("other") if form == "bundle" else json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    )
    one.world.fake.registry.push(REGISTRY_PATH, tag, other, OCI_MANIFEST if form == "bundle" else OCI_INDEX)
    (error,) = one.run(forms=[form]).values()
    assert isinstance(error, VerificationError)
    assert any(f"at the tag {tag} of " in line for line in error.why)


def test_a_registry_that_keeps_nothing_is_found_out(one: Migration, owner: Person) -> None:
    digest = release(owner, "1")["1"]
    tag = simplesigning.tag_of(digest)

    def forgotten(request: Request, answer: Response) -> Response:
        if request.method == "PUT" and request.url.endswith(tag):
            one.world.fake.registry.images.delete_tag(REGISTRY_PATH, tag)
        return answer

    one.world.fake.after.append(forgotten)
    (error,) = one.run().values()
    assert isinstance(error, UnconfirmedPublishError)
    assert f"no valid text for {GUN}:1" in error.why
    assert len(one.bundles(digest)) == 1


def test_a_root_key_signs_nothing_wherever_it_is(one: Migration, owner: Person) -> None:
    release(owner, "1")
    (root,) = (info.keyid for info in owner.client().keys.list() if info.role == "root")
    store = KeyStore(owner.client().settings.trust_dir / "private")
    found = store.unlock(root, PassphraseChain([CallbackSource(lambda _: PASSPHRASE)]))
    one.signer = found  # type: ignore[assignment]  # any signer will do
    with pytest.raises(UsageError, match=f"is a root key of {GUN}"):
        one.run()
    assert not [line for line in one.world.requests() if line.startswith(WRITING)]


def test_a_key_that_cannot_sign_is_asked_once(one: Migration, owner: Person) -> None:
    tags = [str(number) for number in range(40)]
    release(owner, *tags)
    one.run(dry_run=True)
    asked = len(one.signer.messages)
    one.signer.error = KeyAccessError("the service says no")
    found = one.run()
    assert len(found) == len(tags)
    assert {str(done) for done in found.values()} == {"the service says no"}
    assert len(one.signer.messages) - asked <= 16  # those that were under way
    one.signer.error = None
    assert len(one.done()) == len(tags)


def test_a_passphrase_is_asked_for_once_however_many_sign_at_a_time(owner: Person, tmp_path: Path) -> None:
    release(owner, *map(str, range(40)))
    owner.key("release")
    asked = []

    def answer(request: PassphraseRequest) -> str:
        asked.append(request.role)
        return PASSPHRASE

    world = owner.world
    client = Client(
        server=SERVER,
        trust_dir=owner.trust_dir,
        passphrases=answer,
        transport=world.fake,
        clock=world.clock,
    )
    with client:
        done = [outcome.get().states for _, outcome in client.migration.cosign([GUN], key="release")]
    assert done == [{"written"}] * 40
    assert asked == ["release"]
    assert not list(tmp_path.glob("*.key"))


def test_an_interruption_leaves_what_is_done_and_says_so(
    one: Migration, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_WINDOW", 8)  # so that there is something left to be interrupted
    tags = [str(number) for number in range(60)]
    release(owner, *tags)
    one.run(dry_run=True)
    finished: list[str] = []
    interrupts = iter([signal.SIGINT])

    def interrupt(_: Request) -> None:
        for each in interrupts:
            signal.raise_signal(each)

    def interrupted() -> None:
        with one.person.client(signers=[one.signer]) as client:
            for text, outcome in client.migration.cosign([GUN], key=one.signer.public.canonical_id):
                if isinstance(outcome.error, UnfinishedError):
                    continue
                assert outcome.get().states == {"written"}
                finished.append(text)
                if len(finished) == 5:
                    one.world.fake.before.append(interrupt)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert 5 <= len(finished) < len(tags)
    one.world.fake.before.clear()
    done = one.done()
    assert all(done[text].states == {"there"} for text in finished)


class KilledError(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("lost", ["before", "after"])
def test_killed_anywhere_and_started_again_it_finishes_without_doing_anything_twice(
    migration: Migration, owner: Person, lost: str
) -> None:
    _, platforms = push_index(owner.world, "multi")
    digests = release(owner, "1")
    owner.world.push("latest", "1")
    owner.client().sign([f"{GUN}:multi", f"{GUN}:latest"])
    migration.run(dry_run=True)
    hooks, kills = migration.world.fake, 0
    for step in range(1, 400):
        count = iter(range(step))

        def kill(request: Request, answer: Response | None = None, count: Iterator[int] = count) -> Any:  # noqa: ANN401 - both kinds of hook
            if request.method not in {"GET", "HEAD"} and next(count, None) is None:
                raise KilledError
            return answer

        getattr(hooks, lost).append(kill)
        try:
            migration.run()
        except KilledError:
            kills += 1
        else:
            break
        finally:
            getattr(hooks, lost).clear()
    assert kills > 3
    names = {digests["1"]: [f"{GUN}:1", f"{GUN}:latest"], platforms[0]: [f"{GUN}:multi"]}
    for digest, expected in names.items():
        assert sorted(claim.reference for claim in migration.claims(digest)) == expected
        assert len(migration.bundles(digest)) == 1
    before = len(migration.signer.messages)
    assert {state for done in migration.done().values() for state in done.states} == {"there"}
    assert len(migration.signer.messages) == before


@pytest.mark.slow
def test_a_thousand_tags_take_one_refresh_and_one_request_each_beside_what_is_written(
    migration: Migration, owner: Person
) -> None:
    tags = [f"v{number}" for number in range(1000)]
    digests = {tag: owner.world.push(tag) for tag in tags}
    owner.client().sign([f"{GUN}:{tag}" for tag in tags])
    owner.world.push("v500", "moved")
    migration.run(f"{GUN}:v500")
    signed = len(migration.signer.messages)
    migration.world.requests()

    found = migration.run()
    assert list(found) == [f"{GUN}:{tag}" for tag in tags]
    failed = {text for text, done in found.items() if isinstance(done, NotarypyError)}
    assert failed == {f"{GUN}:v500"}
    assert len(migration.signer.messages) - signed == 2 * 999
    lines = Counter(migration.world.requests())
    # One refresh, and one look past caches before the moved tag is refused.
    assert sum(count for line, count in lines.items() if ".json" in line) == 2
    # The moved tag is asked for again: what was signed meanwhile might be what is served.
    assert {count for line, count in lines.items() if "/manifests/v" in line and "500" not in line} == {1}
    assert lines["PUT /v2/team/app/manifests/sha256-HASH.sig"] == 999
    assert lines["PUT /v2/team/app/manifests/sha256:HASH"] == 999

    done = migration.run()
    assert len(migration.signer.messages) - signed == 2 * 999
    lines = Counter(migration.world.requests())
    assert not [line for line in lines if line.startswith(WRITING)]
    assert sum(lines.values()) <= 1 + 1000 + 1 + 6 * 999
    for tag in ("v1", "v999"):
        one = done[f"{GUN}:{tag}"]
        assert not isinstance(one, NotarypyError)
        assert one.states == {"there"}
        assert len(migration.claims(digests[tag])) == len(migration.bundles(digests[tag])) == 1
