"""The trust policy: what it adds to a verification, and what nothing can take away from one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.cli.text.advice import advice
from notarypy.client.verdicts import AppliedPolicy, SkippedImage, VerifiedImage
from notarypy.client.verify.sharing import MetadataCache
from notarypy.errors import (
    Advice,
    ConfigurationError,
    DigestMismatchError,
    ExpiredError,
    NotVerifiedError,
    OutOfScopeError,
    PolicyError,
    RepositoryMissingError,
    RootNotPinnedError,
    SignerMissingError,
    TagUnsignedError,
    TooOldError,
    UsageError,
)
from notarypy.tuf import roles
from support.author import GUN
from support.people import SERVER, manifest, publishing

if TYPE_CHECKING:
    from notarypy.client.api import Client
    from support.people import Person, World

MIRROR = "registry.test/mirror/app"
FREE = "first_use = true\n"


def _release(world: World, owner: Person) -> None:
    world.push("2")
    owner.client().sign([f"{GUN}:2"])
    owner.client().add_signer("bob", GUN, [owner.key("bob")])
    world.push("1")
    owner.client().sign([f"{GUN}:1"])


@pytest.fixture
def owner(world: World) -> Person:
    """The owner of a repository whose tag 1 jeff and bob signed, and 2 jeff alone."""
    return publishing(world, _release, "jeff")


@pytest.fixture
def reader(world: World, owner: Person) -> Person:
    """Somebody who has never read the owner's repository."""
    assert owner.cache()
    return world.person("reader")


def policed(person: Person, *lines: str, scope: str = GUN, **flags: Any) -> Client:  # noqa: ANN401 - as Person.client names them
    """Return a client of somebody whose policy has one scope with these lines."""
    text = "\n".join((f'[scope."{scope}"]', *lines))
    return with_policy(person, text, **flags)


def with_policy(person: Person, text: str, **flags: Any) -> Client:  # noqa: ANN401 - as Person.client names them
    path = person.world.base / "policy.toml"
    path.write_text(text)
    return person.client(policy=str(path), **flags)


def verified(client: Client, text: str, **how: Any) -> VerifiedImage:  # noqa: ANN401 - as admit names them
    image = client.verify_unless_skipped(text, **how)
    assert isinstance(image, VerifiedImage)
    return image


# -- rule 1: scopes


def test_without_a_policy_nothing_changes(reader: Person) -> None:
    assert verified(reader.client(), f"{GUN}:1") == reader.client().verify(f"{GUN}:1")
    assert reader.client().verify(f"{GUN}:1").policy is None


def test_the_usual_policy_file_counts_too(world: World, reader: Person) -> None:
    path = world.base / ".config" / "notarypy" / "policy.toml"
    path.parent.mkdir(parents=True)
    path.write_text("")
    for use in (reader.client().verify, reader.client().verify_unless_skipped, reader.client().refresh):
        with pytest.raises(OutOfScopeError):
            use(f"{GUN}:1")
    assert world.requests() == []
    assert policed(reader, FREE).verify(f"{GUN}:1").tag == "1"


def test_a_repository_without_a_scope_is_refused_before_anything_is_asked(
    world: World, reader: Person
) -> None:
    client = policed(reader, "mode = 'audit'", scope="registry.test/other")
    with pytest.raises(OutOfScopeError):
        client.verify_unless_skipped(f"{GUN}:1", signers=["jeff"])
    assert world.requests() == []


def test_the_result_names_scope_and_mode(reader: Person) -> None:
    image = policed(reader, FREE, scope="registry.test").verify(f"{GUN}:1")
    assert image.policy == AppliedPolicy("registry.test", "enforce")
    assert (image.repository, image.signed_as) == (GUN, None)


@pytest.mark.parametrize("content", ["scope = 1", "[scope.'registry.test']\nsigner = ['jeff']"])
def test_a_policy_that_cannot_be_used_fails_closed(world: World, reader: Person, content: str) -> None:
    client = with_policy(reader, content)
    with pytest.raises(ConfigurationError) as first:
        client.verify(f"{GUN}:1")
    with pytest.raises(ConfigurationError) as second:
        client.verify(f"{GUN}:2")
    assert first.value is second.value
    with pytest.raises(ConfigurationError):
        reader.client(policy=str(world.base / "none.toml")).verify(f"{GUN}:1")
    assert world.requests() == []


@pytest.mark.usefixtures("reader")
def test_publishing_does_not_read_the_policy(owner: Person) -> None:
    client = with_policy(owner, "nonsense")
    assert client.sign([f"{GUN}:1"])
    assert client.renew(GUN, only=["targets"])


# -- signers


@pytest.mark.parametrize(
    ("lines", "tags"),
    [
        ("signers.all = ['jeff']", "12"),
        ("signers.all = ['jeff', 'bob']", "1"),
        ("signers.any = ['bob', 'jeff', 'eve']", "12"),
        ("signers.any = ['bob', 'jeff', 'eve']\nsigners.threshold = 2", "1"),
        ("signers.any = ['bob', 'jeff', 'eve']\nsigners.threshold = 3", ""),
        ("signers.everyone = true", "1"),
        ("signers.all = ['jeff']\nsigners.any = ['bob', 'eve']", "1"),
    ],
)
def test_required_signers(reader: Person, lines: str, tags: str) -> None:
    client = policed(reader, FREE, lines)
    for tag in "12":
        if tag in tags:
            assert client.verify(f"{GUN}:{tag}").tag == tag
        else:
            with pytest.raises(SignerMissingError) as caught:
                client.verify(f"{GUN}:{tag}")
            assert f'required by scope "{GUN}"' in caught.value.why[-1]


def test_what_the_caller_demands_is_added(reader: Person) -> None:
    client = policed(reader, FREE, "signers.all = ['jeff']")
    assert client.verify(f"{GUN}:1", signers=["bob"]).tag == "1"
    with pytest.raises(SignerMissingError, match="by bob"):
        client.verify(f"{GUN}:2", signers=["bob"])
    with pytest.raises(SignerMissingError, match="by bob"):
        client.verify(f"{GUN}:2", all_signers=True)
    with pytest.raises(SignerMissingError, match="by eve"):
        policed(reader, FREE, "signers.all = ['eve']").verify(f"{GUN}:1", signers=["bob"])


# -- ages


def test_a_timestamp_that_was_not_renewed_gets_too_old(world: World, reader: Person) -> None:
    world.fake.notary.renews = False
    client = policed(reader, FREE, "max_age.timestamp = '3d'")
    assert client.verify(f"{GUN}:1").tag == "1"
    world.clock.advance(timedelta(days=4))
    with pytest.raises(TooOldError) as caught:
        client.verify(f"{GUN}:1")
    assert caught.value.facts["role"] == "timestamp"
    assert caught.value.advice == Advice("timestamp-renewed")
    assert reader.client().verify(f"{GUN}:1").tag == "1"


def test_signatures_get_too_old(world: World, owner: Person, reader: Person) -> None:
    client = policed(reader, FREE, "max_age.signatures = '4w'")
    assert client.verify(f"{GUN}:1").tag == "1"
    world.clock.advance(timedelta(weeks=5))
    with pytest.raises(TooOldError) as caught:
        client.verify(f"{GUN}:1")
    assert caught.value.facts["role"] == roles.RELEASES
    assert caught.value.advice == Advice("renew-role", role=roles.RELEASES, gun=GUN)
    world.push("3")
    owner.client().sign([f"{GUN}:3"])
    assert client.verify(f"{GUN}:1").tag == "1"


# -- rule 3: audit


def test_audit_tells_what_enforce_would_refuse(reader: Person) -> None:
    image = policed(reader, FREE, "mode = 'audit'", "signers.all = ['bob']").verify(f"{GUN}:2")
    assert image.policy is not None
    assert [error.code for error in image.policy.unmet] == ["policy.signer_missing"]
    (told,) = [line for line in reader.warnings if line.startswith("audit: ")]
    assert "is not signed by bob [policy.signer_missing]: targets/bob does not list this tag" in told
    reader.warnings.clear()
    assert policed(reader, FREE, "mode = 'audit'", "signers.all = ['bob']").verify(f"{GUN}:1").policy == (
        AppliedPolicy(GUN, "audit")
    )
    assert reader.warnings == []


def test_audit_does_not_soften_what_the_caller_demands(reader: Person) -> None:
    with pytest.raises(SignerMissingError):
        policed(reader, FREE, "mode = 'audit'").verify(f"{GUN}:2", signers=["bob"])


def test_audit_does_not_soften_the_verification(world: World, reader: Person) -> None:
    client = policed(reader, FREE, "mode = 'audit'")
    with pytest.raises(TagUnsignedError):
        client.verify(f"{GUN}:3")
    world.push("1", "other")
    with pytest.raises(DigestMismatchError):
        client.verify(f"{GUN}:1")
    world.fake.notary.renews = False
    world.clock.advance(timedelta(days=30))
    with pytest.raises(ExpiredError):
        client.verify(f"{GUN}:1")


@pytest.mark.parametrize("line", [f"roots.ids = ['{'0' * 64}']", ""])
def test_audit_does_not_soften_the_roots(reader: Person, line: str) -> None:
    with pytest.raises(RootNotPinnedError):
        policed(reader, "mode = 'audit'", line).verify(f"{GUN}:1")
    assert reader.cache() == {}


# -- rule 4: skip


def test_a_skipped_image_is_what_the_registry_serves(world: World, reader: Person) -> None:
    digest = world.push("unsigned")
    image = policed(reader, "mode = 'skip'").verify_unless_skipped(f"{GUN}:unsigned")
    assert isinstance(image, SkippedImage)
    assert (image.reference, image.tag) == (f"{GUN}@{digest}", "unsigned")
    assert image.size == len(manifest("unsigned"))
    assert image.policy == AppliedPolicy(GUN, "skip")
    assert world.requests() == ["GET /v2/team/app/manifests/unsigned"]
    assert [line for line in reader.warnings if f"{GUN}@{digest} is NOT VERIFIED" in line]
    assert reader.cache() == {}


def test_a_skipped_digest_is_taken_as_it_is(world: World, reader: Person) -> None:
    digest = "sha256:" + "0" * 64
    client = policed(reader, "mode = 'skip'")
    image = client.verify_unless_skipped(f"{GUN}@{digest}", registry=False)
    assert isinstance(image, SkippedImage)
    assert (image.digest, image.size) == (digest, None)
    assert world.requests() == []


@pytest.mark.parametrize("flags", [{"offline": True}, {"gun": True}, {}])
def test_nobody_can_name_a_skipped_tag_without_the_registry(reader: Person, flags: dict[str, Any]) -> None:
    client = policed(reader, "mode = 'skip'", **flags)
    with pytest.raises(UsageError, match="nobody can say"):
        client.verify_unless_skipped(f"{GUN}:1", registry=bool(flags))


def test_verify_returns_nothing_that_was_not_verified(reader: Person) -> None:
    with pytest.raises(NotVerifiedError) as caught:
        policed(reader, "mode = 'skip'").verify(f"{GUN}:1")
    assert isinstance(caught.value, PolicyError)


def test_skip_does_not_skip_what_the_caller_demands(owner: Person, reader: Person) -> None:
    (pin,) = owner.client().offered_root(GUN).offered
    client = policed(reader, "mode = 'skip'")
    for demand in ({"signers": ["jeff"]}, {"root": pin}):
        image = verified(client, f"{GUN}:2", **demand)
        assert image.signers == ("jeff",)
        assert image.policy is None
    with pytest.raises(SignerMissingError):
        client.verify_unless_skipped(f"{GUN}:2", all_signers=True)
    with pytest.raises(RootNotPinnedError):
        client.verify_unless_skipped(f"{GUN}:2", root="0" * 64)


# -- servers and mirrors


def test_the_policys_server_counts(world: World, reader: Person) -> None:
    client = policed(reader, FREE, f"server = '{SERVER}'", server="https://another.test")
    assert client.verify(f"{GUN}:1").tag == "1"
    assert [line for line in reader.warnings if "https://another.test is not asked" in line]
    reader.warnings.clear()
    assert policed(reader, FREE, f"server = '{SERVER}'").verify(f"{GUN}:1").tag == "1"
    assert not [line for line in reader.warnings if "is not asked" in line]
    assert world.requests()


def test_a_mirror_is_verified_as_what_it_mirrors(world: World, reader: Person) -> None:
    digest = world.push("1", path="mirror/app")
    client = policed(reader, FREE, "signed_as = 'registry.test/team'", scope="registry.test/mirror")
    image = client.verify(f"{MIRROR}:1")
    assert image.reference == f"{MIRROR}@{digest}"
    assert image.signed_as == GUN
    assert "GET /v2/mirror/app/manifests/1" in world.requests()
    assert set(reader.cache(GUN)) >= set(roles.BASE_ROLES)
    assert reader.cache(MIRROR) == {}


def test_a_mirror_that_serves_something_else_is_refused(world: World, reader: Person) -> None:
    world.push("1", "other", path="mirror/app")
    client = policed(reader, FREE, "signed_as = 'registry.test/team'", scope="registry.test/mirror")
    with pytest.raises(DigestMismatchError) as caught:
        client.verify(f"{MIRROR}:1")
    assert MIRROR in caught.value.message
    assert f"notarypy sign {GUN}:1" in advice(caught.value)


def test_a_mirror_without_a_mapping_has_trust_data_of_its_own(world: World, reader: Person) -> None:
    world.push("1", path="mirror/app")
    with pytest.raises(RepositoryMissingError):
        policed(reader, FREE, scope="registry.test").verify(f"{MIRROR}:1")


def test_pins_for_a_mirror_are_those_of_its_scope_and_of_what_it_mirrors(
    world: World, owner: Person, reader: Person
) -> None:
    world.push("1", path="mirror/app")
    (pin,) = owner.client().offered_root(GUN).offered
    mapped = "signed_as = 'registry.test/team'"
    good = policed(reader, mapped, f"roots.ids = ['{pin}']", scope="registry.test/mirror", pins=(pin,))
    assert good.verify(f"{MIRROR}:1").tag == "1"
    bad = policed(reader, mapped, f"roots.ids = ['{pin}']", scope="registry.test/mirror", pins=("0" * 64,))
    with pytest.raises(RootNotPinnedError):
        bad.verify(f"{MIRROR}:1")


# -- metadata that is shared


def test_metadata_is_read_as_the_policy_says(world: World, reader: Person) -> None:
    world.push("1", path="mirror/app")
    client = policed(reader, FREE, "signed_as = 'registry.test/team'", scope="registry.test/mirror")
    metadata = client.refresh(MIRROR)
    assert metadata.gun == GUN
    assert client.verify(f"{MIRROR}:1", metadata=metadata).tag == "1"
    with pytest.raises(RootNotPinnedError):
        policed(reader).refresh(GUN)
    assert policed(reader, "mode = 'skip'").refresh(GUN).gun == GUN


def test_a_cache_refreshes_once_for_each_scope(world: World, reader: Person) -> None:
    text = '[scope."registry.test"]\nfirst_use = true\n[scope."registry.test/mirror"]\nfirst_use = true\n'
    client = with_policy(reader, text + 'signed_as = "registry.test/team"')
    cache = MetadataCache()
    for tag in "12":
        world.push(tag, path="mirror/app")
        for name in (GUN, MIRROR):
            assert verified(client, f"{name}:{tag}", cache=cache).repository == name
    assert world.requests().count("GET timestamp.json") == 2


def test_a_cache_fails_once(world: World, reader: Person) -> None:
    cache, client = MetadataCache(), reader.client()
    errors = []
    for tag in "12":
        with pytest.raises(RepositoryMissingError) as caught:
            client.verify_unless_skipped(f"registry.test/none:{tag}", cache=cache)
        errors.append(caught.value)
    assert errors[0] is errors[1]
    asked = [line for line in world.requests() if "manifests" not in line]
    assert asked == ["GET root.json"] * 2  # the second one past any cache
