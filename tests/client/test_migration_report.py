"""How far repositories are on their way out: served, signed the new way, and what would be lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.cosign import signaturekeys
from notarypy.cosign.signatures import FORMS
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.errors import (
    AuthenticationError,
    DigestMismatchError,
    ExpiredError,
    FirstUseError,
    ImageMissingError,
    NothingThereError,
    NotMigratedError,
    NotVerifiedError,
    OutOfScopeError,
    RepositoryMissingError,
    RepositoryVanishedError,
    ServerError,
    SignerMissingError,
    UnreachableError,
    UnsupportedKeyError,
)
from notarypy.remote.http.messages import Response
from notarypy.testing import FakeSigner
from notarypy.tuf import roles
from support.author import GUN
from support.cosigned import CosignedImage, SigningKey
from support.people import REGISTRY_PATH, manifest, owned, publishing, push_index
from support.stage import JEFF, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from notarypy.client.api import Client
    from notarypy.client.migrate.inventory import ReportedRepository, ReportedTag
    from support.people import Person, World

OURS = SigningKey()


def reported(
    client: Client,
    *repositories: str,
    keys: dict[str, bytes] | None = None,
    root: str | None = None,
    forms: Sequence[str] = (),
) -> list[ReportedRepository]:
    """Return what is reported; any signature that counts will do, unless forms are wanted."""
    given = {"ours.pub": OURS.key.pem} if keys is None else keys
    found = client.migration.report(repositories or [GUN], keys=given, root=root, forms=forms)
    return [outcome.get() for outcome in found]


def tags(found: ReportedRepository) -> dict[str, ReportedTag]:
    return {tag.tag: tag for tag in found.tags}


def losses(found: ReportedRepository) -> dict[str, str]:
    return {loss.name: "\n".join((loss.text, *loss.details)) for loss in found.losses}


def cosigned(
    world: World, tag: str, *, classic: str = "", bundle: bool = False, key: SigningKey = OURS
) -> None:
    image = CosignedImage(world.fake, REGISTRY_PATH, manifest(tag))
    if classic:
        image.classic(key, classic)
    if bundle:
        image.bundle(key)


def _release(world: World, owner: Person) -> None:
    for tag in ("2", "10", "1"):
        world.push(tag)
        owner.client().sign([f"{GUN}:{tag}"])


@pytest.fixture
def owner(world: World) -> Person:
    """The owner of tags 1, 2 and 10, which jeff signed."""
    return publishing(world, _release, "jeff")


@pytest.mark.usefixtures("owner")
def test_tags_are_reported_with_what_is_signed_and_by_whom(world: World) -> None:
    (found,) = reported(world.person("reader").client())
    assert [tag.tag for tag in found.tags] == ["1", "2", "10"]
    tag = found.tags[0]
    assert (tag.digest, tag.size) == (world.push("1"), len(manifest("1")))
    assert (tag.role, tag.signers, tag.served, tag.platforms) == ("targets/releases", ("jeff",), "same", ())
    assert tag.expires == min(entry.expires for entry in found.roles if entry.expires)
    assert (found.repository, found.signed_as, found.time) == (GUN, None, world.clock())
    assert found.root_pins == world.person("reader").client().refresh(GUN).root.pins


@pytest.mark.usefixtures("owner")
def test_nothing_signed_the_new_way_is_exit_3(world: World) -> None:
    (found,) = reported(world.person("reader").client())
    assert isinstance(found.error, NotMigratedError)
    assert found.error.exit_code == 3
    assert found.error.why == ("1, 2, 10",)
    assert not any(tag.migrated for tag in found.tags)


@pytest.mark.usefixtures("owner")
def test_a_repository_is_done_when_every_tag_is_signed_in_either_form(world: World) -> None:
    cosigned(world, "1", classic=f"{GUN}:1", bundle=True)
    cosigned(world, "2", bundle=True)
    cosigned(world, "10", classic=GUN)  # as cosign names it
    world.push("1"), world.push("2"), world.push("10")
    (found,) = reported(world.person("reader").client())
    assert found.error is None
    assert {tag: sorted(one.form for one in each.signatures) for tag, each in tags(found).items()} == {
        "1": ["bundle", "sig"], "2": ["bundle"], "10": ["sig"],
    }  # fmt: skip
    assert {one.key for tag in found.tags for one in tag.signatures} == {"ours.pub"}


@pytest.mark.usefixtures("owner")
def test_a_tag_is_done_when_nothing_is_left_to_sign(world: World) -> None:
    cosigned(world, "1", classic=f"{GUN}:1", bundle=True)
    cosigned(world, "2", bundle=True)
    cosigned(world, "10", classic=GUN, bundle=True)  # podman and skopeo want the tag
    for tag in ("1", "2", "10"):
        world.push(tag)
    reader = world.person("reader").client()
    (found,) = reported(reader, forms=FORMS)
    assert {name: (tag.migrated, tag.missing) for name, tag in tags(found).items()} == {
        "1": (True, ()), "2": (False, ("sig",)), "10": (False, ("sig",)),
    }  # fmt: skip
    assert isinstance(found.error, NotMigratedError)
    assert (found.error.message, found.error.why) == (
        f"2 of 3 released tags of {GUN} are signed the new way in part",
        ("2 lacks sig", "10 lacks sig"),
    )
    assert reported(reader, forms=["bundle"])[0].error is None


def test_each_name_of_a_digest_and_each_platform_has_to_be_signed(world: World) -> None:
    digest, _ = push_index(world, "1")
    push_index(world, "2")
    owned(world).client().sign([f"{GUN}:1", f"{GUN}:2"])
    signer = FakeSigner()
    keys = {"ours.pub": signaturekeys.of(signer.public).pem}
    with world.person("migrator").client(signers=[signer], first_use=True) as client:
        for text, children in (("1", True), ("2", False)):
            key = signer.public.canonical_id
            for _, outcome in client.migration.cosign([f"{GUN}:{text}"], key=key, children=children):
                assert outcome.get().digest == digest
        found = tags(reported(client, keys=keys, forms=FORMS)[0])
        assert (found["1"].missing, found["2"].missing) == (
            (),
            ("sig of linux/amd64", "sig of linux/arm64/v8"),
        )
        (whole,) = (one.get() for one in client.migration.report([GUN], keys=keys, children=False))
        assert whole.error is None


@pytest.mark.usefixtures("owner")
def test_signatures_that_cannot_be_read_do_not_hide_what_is_served(world: World) -> None:
    world.attacker.answer(Response(500), path=r".*/manifests/sha256-.*\.sig", times=100)
    (found,) = reported(world.person("reader").client(), forms=FORMS)
    assert {(tag.served, tag.problem is None) for tag in found.tags} == {("same", False)}
    assert isinstance(found.error, ServerError)
    assert not any("not signed" in line for line in found.error.why)


@pytest.mark.usefixtures("owner")
def test_signatures_by_other_keys_and_for_other_names_are_counted_and_do_not_count(world: World) -> None:
    cosigned(world, "1", classic=f"{GUN}:1", bundle=True, key=SigningKey())
    cosigned(world, "2", classic=f"{GUN}:3")
    world.push("1"), world.push("2")
    (found,) = reported(world.person("reader").client())
    assert [[(one.form, one.count) for one in tag.others] for tag in found.tags] == [
        [("sig", 1), ("bundle", 1)], [("sig", 1)], [],
    ]  # fmt: skip
    assert found.tags[1].others[0].why == f"it is for {GUN}:3"
    assert isinstance(found.error, NotMigratedError)


def test_a_bundle_for_another_tag_of_the_same_image_is_not_for_this_one(world: World) -> None:
    owner = owned(world)
    for tag in ("1", "2"):
        world.push(tag, "1")
        owner.client().sign([f"{GUN}:{tag}"])
    cosigned(world, "1", classic=f"{GUN}:2", bundle=True)
    (found,) = reported(world.person("reader").client())
    one, two = found.tags
    assert one.signatures == ()
    assert {other.form for other in one.others} == {"sig", "bundle"}
    assert {each.form for each in two.signatures} == {"sig", "bundle"}


@pytest.mark.usefixtures("owner")
def test_of_a_file_with_several_keys_any_will_do(world: World) -> None:
    cosigned(world, "1", bundle=True)
    world.push("1")
    both = SigningKey().key.pem + OURS.key.pem
    (found,) = reported(world.person("reader").client(), keys={"both.pub": both})
    assert [one.key for one in found.tags[0].signatures] == ["both.pub"]


def test_a_mirror_is_signed_by_the_name_of_what_it_mirrors(world: World, tmp_path: Path) -> None:
    world.push("1")
    owned(world).client().sign([f"{GUN}:1"])
    mirror = f"{REGISTRY_HOST}/mirror/app"
    image = CosignedImage(world.fake, "mirror/app", manifest("1"))
    image.classic(OURS, f"{GUN}:1")
    file = tmp_path / "policy.toml"
    file.write_text(f'[scope."{mirror}"]\nsigned_as = "{GUN}"\nfirst_use = true\n')
    (found,) = reported(world.person("reader").client(policy=str(file)), mirror)
    assert (found.repository, found.signed_as, found.error) == (mirror, GUN, None)
    assert found.tags[0].signatures[0].reference == f"{GUN}:1"


@pytest.mark.usefixtures("owner")
def test_without_a_key_nothing_counts(world: World) -> None:
    cosigned(world, "1", bundle=True)
    world.push("1")
    (found,) = reported(world.person("reader").client(), keys={})
    assert found.tags[0].signatures == ()
    assert [one.form for one in found.tags[0].others] == ["bundle"]


@pytest.mark.usefixtures("owner")
def test_a_tag_that_moved_and_one_that_is_gone_are_told_apart(world: World) -> None:
    other = world.push("1", "other")
    images = world.fake.registry.images
    images.delete_manifest(REGISTRY_PATH, world.push("2"))
    (found,) = reported(world.person("reader").client())
    moved, gone, same = found.tags
    assert (moved.served, moved.found, moved.kept) == ("moved", other, True)
    assert (gone.served, gone.found, gone.kept) == ("gone", None, False)
    assert same.served == "same"
    assert isinstance(found.error, DigestMismatchError)
    assert found.error.why[0] == f"1: signed {moved.digest}, served {other}"
    assert any("gone" in line for line in found.error.why)
    assert any("not signed the new way" in line for line in found.error.why)


@pytest.mark.usefixtures("owner")
def test_a_tag_that_is_gone_is_exit_3(world: World) -> None:
    world.fake.registry.images.delete_manifest(REGISTRY_PATH, world.push("2"))
    (found,) = reported(world.person("reader").client())
    assert isinstance(found.error, ImageMissingError)


@pytest.mark.usefixtures("owner")
def test_trust_data_is_read_once_and_the_registry_asked_once_for_each_tag(world: World) -> None:
    reported(world.person("reader").client())
    lines = world.requests()
    assert sum(line == "GET timestamp.json" for line in lines) == 1
    asked = [line for line in lines if "/manifests/" in line and "sha256" not in line]
    assert len(asked) == 3


@pytest.mark.usefixtures("owner")
def test_a_registry_that_cannot_be_reached_is_asked_once(world: World) -> None:
    world.attacker.refuse_connections(path=".*/manifests/.*")
    (found,) = reported(world.person("reader").client())
    assert {tag.served for tag in found.tags} == {"unknown"}
    assert isinstance(found.error, UnreachableError)
    assert "1, 2, 10" in found.error.why[-1]
    assert found.losses


@pytest.mark.usefixtures("owner")
def test_who_may_not_read_a_repository_hears_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise AuthenticationError("registry.test lets nobody read app")

    monkeypatch.setattr("notarypy.client.session.Session.manifest", denied)
    (found,) = reported(world.person("reader").client())
    assert isinstance(found.error, AuthenticationError)
    assert {tag.problem.code for tag in found.tags if tag.problem} == {"auth.denied"}


@pytest.mark.usefixtures("owner")
def test_without_a_network_the_registry_was_not_looked_at(world: World) -> None:
    world.person("reader").client().refresh(GUN)
    world.requests()
    (found,) = reported(world.person("reader").client(offline=True))
    assert isinstance(found.error, NothingThereError)
    assert {tag.served for tag in found.tags} == {"unknown"}
    assert world.requests() == []


@pytest.mark.usefixtures("owner")
def test_repositories_that_cannot_be_read_end_nothing(world: World) -> None:
    missing, vanished = f"{REGISTRY_HOST}/missing", f"{REGISTRY_HOST}/vanished"
    world.person("owner").client().init(vanished)
    reader = world.person("reader")
    reader.client().refresh(vanished)
    world.fake.notary.store.delete(vanished, world.clock())
    found = reported(reader.client(), missing, GUN, vanished)
    assert [one.repository for one in found] == [missing, GUN, vanished]
    assert isinstance(found[0].error, RepositoryMissingError)
    assert len(found[1].tags) == 3
    assert isinstance(found[2].error, RepositoryVanishedError)
    assert (found[2].tags, found[2].losses) == ((), ())


@pytest.mark.usefixtures("owner")
def test_a_first_use_that_nobody_decided_is_in_the_report(world: World) -> None:
    (found,) = reported(world.person("reader").client(first_use=False))
    assert isinstance(found.error, FirstUseError)


def test_metadata_that_has_ended_is_shown_and_stays_refused(world: World) -> None:
    stage = Stage(world)
    stage.know()
    world.clock.now += timedelta(days=30)
    (found,) = reported(stage.reader.client())
    assert isinstance(found.error, ExpiredError)
    assert [(tag.tag, tag.served, tag.signers) for tag in found.tags] == [("1", "same", ("jeff",))]
    assert any("not signed the new way" in line for line in found.error.why)


def test_a_signer_whose_delegation_has_ended_is_no_signer(world: World) -> None:
    stage = Stage(world)
    stage.author.targets[JEFF] = replace(
        stage.author.targets[JEFF], expires=world.clock() + timedelta(days=1)
    )
    stage.publish(JEFF)
    stage.know()
    world.clock.now += timedelta(days=2)
    (found,) = reported(stage.reader.client())
    assert tags(found)["1"].signers == ()
    assert "targets/jeff" in losses(found)["untrusted"]
    assert next(entry.problem for entry in found.roles if entry.role == JEFF)


def test_releases_that_have_ended_are_the_error_of_the_repository(world: World) -> None:
    stage = Stage(world)
    file = stage.author.targets[roles.RELEASES]
    stage.author.targets[roles.RELEASES] = replace(file, expires=world.clock() + timedelta(days=1))
    stage.publish(roles.RELEASES)
    stage.know()
    world.clock.now += timedelta(days=2)
    (found,) = reported(stage.reader.client())
    assert isinstance(found.error, ExpiredError)
    assert [tag.tag for tag in found.tags] == ["1"]


@pytest.mark.usefixtures("owner")
def test_what_the_trust_policy_requires_is_reported_for_each_tag(world: World, tmp_path: Path) -> None:
    cosigned(world, "1", bundle=True)
    world.push("1")
    file = tmp_path / "policy.toml"
    file.write_text(f'[scope."{GUN}"]\nsigners.all = ["alice"]\nfirst_use = true\n')
    client = world.person("reader").client(policy=str(file))
    (found,) = reported(client)
    assert isinstance(found.error, SignerMissingError)
    assert found.error.exit_code == 10
    assert not found.tags[0].migrated
    assert found.tags[0].signatures


@pytest.mark.usefixtures("owner")
def test_a_repository_out_of_all_scopes_is_reported_as_that(world: World, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('[scope."elsewhere.test"]\nfirst_use = true\n')
    (found,) = reported(world.person("reader").client(policy=str(file)))
    assert isinstance(found.error, OutOfScopeError)


@pytest.mark.usefixtures("owner")
def test_what_the_policy_skips_is_looked_at_all_the_same(world: World, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(f'[scope."{GUN}"]\nmode = "skip"\n')
    (found,) = reported(world.person("reader").client(policy=str(file)))
    assert len(found.tags) == 3
    assert isinstance(found.error, NotVerifiedError)


@pytest.mark.usefixtures("owner")
def test_an_audit_is_no_reason_to_sign_anew(world: World, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(f'[scope."{GUN}"]\nmode = "audit"\nsigners.all = ["alice"]\nfirst_use = true\n')
    (found,) = reported(world.person("reader").client(policy=str(file)))
    assert isinstance(found.error, SignerMissingError)
    assert {tag.served for tag in found.tags} == {"same"}


def test_names_that_can_be_no_tags_are_said(world: World) -> None:
    stage = Stage(world)
    for name in ("a b", "x" * 200, "../x", "<script>"):
        stage.author.add(name, b"x", roles.RELEASES)
    stage.publish(roles.RELEASES)
    (found,) = reported(stage.reader.client())
    odd = [tag for tag in found.tags if tag.tag != "1"]
    assert len(odd) == 4
    assert {tag.served for tag in odd} == {"unknown"}
    assert all(isinstance(tag.problem, NothingThereError) for tag in odd)
    assert not any("script" in line or "%3C" in line for line in world.requests())


def test_losses_say_what_there_is_here(world: World) -> None:
    stage = Stage(world)
    author = stage.author
    author.delegate("targets/dev", [author.key("a"), author.key("b")], paths=("dev-",), threshold=2)
    author.add("dev-1", manifest("1"), "targets/dev")
    author.add("dev-1", manifest("1"), roles.RELEASES)
    author.add("dev-2", manifest("2"), "targets/dev")
    stage.publish(roles.TARGETS, roles.RELEASES)
    (found,) = reported(stage.reader.client())
    said = losses(found)
    assert "targets/dev: only tags that begin with dev-" in said["paths"]
    assert "targets/dev: 2 of 2 keys have to sign" in said["thresholds"]
    assert "1 tag signed by dev" in said["signers"]
    assert "dev-1" in said["binding"]
    assert "dev-2: dev" in said["unreleased"]
    assert f"snapshot {author.snapshot_version}" in said["rollback"]
    assert f"{author.expiry(roles.TIMESTAMP):%Y-%m-%d} (timestamp)" in said["expiry"]
    assert found.server is not None
    assert found.server in said["timestamp"]
    assert "jeff" in said["revoking"]
    assert author.root.pins[0][:12] in said["rotation"]


@pytest.mark.usefixtures("owner")
def test_a_repository_without_limits_loses_none(world: World) -> None:
    (found,) = reported(world.person("reader").client())
    assert not {"paths", "thresholds", "custom", "unreleased", "untrusted"} & losses(found).keys()


def test_data_beside_the_digest_is_a_loss(world: World) -> None:
    owner = owned(world)
    world.push("1")
    owner.client().sign([f"{GUN}:1"], custom=b'{"build":7}')
    (found,) = reported(world.person("reader").client())
    assert losses(found)["custom"].endswith("\n1")


def test_long_lists_are_cut(world: World) -> None:
    owner = owned(world)
    for number in range(13):
        world.push(f"t{number}", "one")
    owner.client().sign([f"{GUN}:t{number}" for number in range(13)])
    (found,) = reported(world.person("reader").client())
    assert "t9, and 3 more" in (found.error.why[0] if found.error else "")
    assert "and 3 more" in losses(found)["binding"]


def test_a_key_that_is_none_is_named() -> None:
    from notarypy.client.api import Client

    with pytest.raises(UnsupportedKeyError) as caught:
        next(Client().migration.report([GUN], keys={"broken.pub": b"-----BEGIN CERTIFICATE-----"}))
    assert "broken.pub" in caught.value.why[-1]


class Steps:
    """What a progress is given."""

    def __init__(self) -> None:
        self.total = self.done = 0
        self.ended = False

    def begin(self, _what: str, total: int) -> None:
        self.total = total

    def moved(self, count: int) -> None:
        self.done += count

    def end(self) -> None:
        self.ended = True


@pytest.mark.usefixtures("owner")
def test_the_progress_reaches_its_end_whatever_fails(world: World) -> None:
    steps = Steps()
    client = world.person("reader").client()
    list(client.migration.report([GUN, f"{REGISTRY_HOST}/missing"], progress=steps))
    assert steps.ended
    assert steps.done == steps.total > 0
