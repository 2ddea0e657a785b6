from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from notarypy.cli.text.advice import advice
from notarypy.client.publish import maintenance
from notarypy.client.publish.pipeline import publisher_for
from notarypy.errors import (
    Advice,
    ExpiredError,
    InvalidNameError,
    KeyNotAuthorisedError,
    RefusedUpdateError,
    ServerError,
    SignatureError,
    TrustError,
    UsageError,
)
from notarypy.keys.signers.keyfile import LocalSigner
from notarypy.keys.signers.rootcertificate import root_certificate
from notarypy.tuf import canonical, roles
from notarypy.tuf.changes import AddDelegation, RemoveKeys
from notarypy.tuf.keys import certificates, public_key_of
from notarypy.tuf.rootchanges import AssignKeys
from notarypy.tuf.signerkeys import load_public_pem
from support.author import GUN, private_key
from support.chains import as_on_yubikey, authority, leaf, pem
from support.people import copy_of, pem_of, released

if TYPE_CHECKING:
    from notarypy.client.verdicts import RoleStatus
    from notarypy.tuf.changes import Change
    from support.people import Person, World

JEFF = "targets/jeff"
YEAR = timedelta(days=365)


@pytest.fixture
def owner(world: World) -> Person:
    return released(world, "jeff")


def _status(person: Person) -> dict[str, RoleStatus]:
    return {status.role: status for status in person.client().status(GUN).roles}


def _verifies(world: World) -> bool:
    try:
        world.person("newcomer").client().verify(f"{GUN}:1")
    except (ExpiredError, ServerError):  # under an expired root a server makes no timestamps any more
        return False
    return True


# -- status


def test_every_role_has_a_date_and_says_whose_keys_are_here(world: World, owner: Person) -> None:
    status = owner.client().status(GUN)
    found = {role.role: role for role in status.roles}
    assert set(found) == {*roles.BASE_ROLES, JEFF, roles.RELEASES}
    assert status.due == ()
    assert {name for name, role in found.items() if role.signable} == {
        roles.ROOT,
        roles.TARGETS,
        JEFF,
        roles.RELEASES,
    }
    assert all(role.expires is not None for role in found.values())
    assert not any(role.here for role in _status(world.person("reader")).values())


def test_what_ends_within_the_window_is_due(world: World, owner: Person) -> None:
    world.clock.now += timedelta(days=3 * 365 - 60)
    due = {status.role for status in owner.client().status(GUN).due}
    assert due == {roles.TARGETS, JEFF, roles.RELEASES}
    assert owner.client().status(GUN, within=timedelta(days=30)).due == ()
    assert owner.warnings == []


def test_what_is_over_is_shown_and_not_refused(world: World, owner: Person) -> None:
    world.clock.now += 4 * YEAR
    assert {JEFF, roles.TARGETS} <= {status.role for status in owner.client().status(GUN).due}
    world.clock.now += 7 * YEAR
    assert {roles.ROOT, roles.TIMESTAMP} <= {status.role for status in owner.client().status(GUN).due}
    assert {roles.ROOT} <= {status.role for status in world.person("reader").client().status(GUN).due}


def test_what_is_over_is_shown_to_who_pinned_an_earlier_root(world: World, owner: Person) -> None:
    pins = owner.client().refresh(GUN).root.roles[roles.ROOT].keyids
    owner.client().keys.rotate(GUN, "root")
    world.clock.now += 4 * YEAR
    found = world.person("reader").client(pins=pins).status(GUN)
    assert {JEFF, roles.TARGETS} <= {status.role for status in found.due}
    with pytest.raises(ExpiredError):
        world.person("verifier").client(pins=pins).verify(f"{GUN}:1")


def test_nothing_of_this_reaches_those_who_verify(world: World, owner: Person) -> None:
    world.clock.now += 4 * YEAR
    before = owner.cache()
    owner.client().status(GUN)
    assert owner.cache() == before
    with pytest.raises(ExpiredError) as caught:
        owner.client().verify(f"{GUN}:1")
    assert advice(caught.value).endswith(f"notarypy renew {GUN}")


# -- renew


def test_nothing_is_due_in_a_fresh_repository(world: World, owner: Person) -> None:
    done = owner.client().renew(GUN)
    assert (done.renewed, done.published) == ((), False)
    assert not any(line.startswith("POST") for line in world.requests())


def test_what_soon_ends_is_signed_again_and_says_the_same(world: World, owner: Person) -> None:
    world.clock.now += 3 * YEAR - timedelta(days=60)
    world.requests()
    done = owner.client().renew(GUN)
    assert world.requests().count("POST") == 1
    assert {status.role for status in done.renewed} == {roles.TARGETS, JEFF, roles.RELEASES}
    assert done.published
    assert owner.client().status(GUN).due == ()
    assert world.person("reader").client().verify(f"{GUN}:1").signers == ("jeff",)
    assert owner.client().renew(GUN).published is False


@pytest.mark.parametrize("years", [4, 9.9, 10.1, 15])
def test_a_repository_that_has_ended_comes_back(world: World, owner: Person, years: float) -> None:
    before = owner.client().refresh(GUN).root.roles[roles.ROOT].keyids
    long_time_reader = world.person("long-time reader")
    long_time_reader.client().verify(f"{GUN}:1")
    world.clock.now += years * YEAR
    assert not _verifies(world)
    done = owner.client().renew(GUN)
    assert _verifies(world)
    long_time_reader.client().verify(f"{GUN}:1")
    world.person("pinned").client(pins=before).verify(f"{GUN}:1")
    assert (owner.client().refresh(GUN).root.roles[roles.ROOT].keyids != before) == (years > 9)
    world.person("pinned later").client(pins=done.root_pins).verify(f"{GUN}:1")
    world.clock.now += 2 * YEAR
    assert _verifies(world)


def test_it_comes_back_without_anything_in_the_cache(world: World, owner: Person) -> None:
    world.clock.now += 11 * YEAR
    other = copy_of(world, owner)
    other.client().renew(GUN)
    assert _verifies(world)


def test_a_signer_renews_what_it_can_and_names_the_rest(world: World, owner: Person) -> None:
    jeff = world.person("jeff")
    owner.client().add_signer("bob", GUN, [jeff.key("bob")])
    jeff.client().sign([f"{GUN}:1"])
    world.clock.now += 4 * YEAR
    with pytest.raises(KeyNotAuthorisedError) as caught:
        jeff.client().renew(GUN)
    assert set(caught.value.facts["left"]) == {roles.TARGETS, JEFF}  # type: ignore[call-overload]
    assert set(caught.value.facts["renewed"]) == {"targets/bob", roles.RELEASES}  # type: ignore[call-overload]
    assert owner.client().renew(GUN).published
    assert _verifies(world)


def test_who_has_no_key_publishes_nothing(world: World, owner: Person) -> None:  # noqa: ARG001 - makes it
    world.clock.now += 4 * YEAR
    with pytest.raises(KeyNotAuthorisedError):
        world.person("stranger").client().renew(GUN)
    assert not any(line.startswith("POST") for line in world.requests())


def test_a_role_that_is_named_is_renewed_whatever_its_date(world: World, owner: Person) -> None:
    before = _status(owner)
    done = owner.client().renew(GUN, only=[roles.TARGETS, roles.ROOT])
    after = _status(owner)
    assert {status.role for status in done.renewed} == {roles.TARGETS, roles.ROOT}
    for role in (roles.TARGETS, roles.ROOT):
        assert after[role].version == (before[role].version or 0) + 1
    assert after[JEFF].version == before[JEFF].version
    [key] = owner.client().refresh(GUN).root.signers(roles.ROOT)
    assert done.root_pins == (key.canonical_id,)
    assert _verifies(world)


def test_a_role_that_is_named_with_a_time_is_renewed_when_it_is_due(world: World, owner: Person) -> None:
    def publishes() -> bool:
        return owner.client().renew(GUN, within=YEAR, only=[roles.ROOT]).published

    assert not publishes()
    world.clock.now += 9 * YEAR + timedelta(days=10)
    assert publishes()
    assert not publishes()


def test_a_root_that_is_named_gets_a_later_end(world: World, owner: Person) -> None:
    before = _status(owner)[roles.ROOT].expires
    world.clock.now += YEAR
    owner.client().renew(GUN, only=[roles.ROOT])
    assert _status(owner)[roles.ROOT].expires == (before or world.clock.now) + YEAR
    assert owner.warnings == []


def test_a_root_whose_end_does_not_move_is_warned_of(
    world: World, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "_made_itself", lambda _: False)  # as one that an authority made
    world.clock.now += YEAR
    owner.client().renew(GUN, only=[roles.ROOT])
    assert any("does not move: its certificate stays" in warning for warning in owner.warnings)


def test_a_clock_that_is_behind_shortens_nothing(world: World, owner: Person) -> None:
    world.clock.now += YEAR
    owner.client().renew(GUN, only=[roles.TARGETS])
    world.clock.now -= YEAR / 2
    world.requests()
    with pytest.raises(UsageError, match="a new one would earlier") as caught:
        owner.client().renew(GUN, only=[roles.TARGETS])
    assert caught.value.advice == Advice("set-clock")
    assert not any(line.startswith("POST") for line in world.requests())


def test_by_a_clock_before_the_certificate_nobody_can_tell(world: World, owner: Person) -> None:
    world.clock.now -= YEAR
    client = owner.client()
    for look in (lambda: client.status(GUN), lambda: client.renew(GUN, only=[roles.TARGETS])):
        with pytest.raises(ExpiredError, match="out of date") as caught:
            look()
        assert caught.value.advice == Advice("set-clock")
        assert "this machine's clock says" in caught.value.why[-1]


def test_what_the_server_signs_is_its_own_to_renew(owner: Person) -> None:
    with pytest.raises(KeyNotAuthorisedError) as caught:
        owner.client().renew(GUN, only=[roles.SNAPSHOT])
    assert caught.value.advice == Advice("timestamp-renewed")


def test_a_snapshot_key_that_is_here_renews_the_snapshot(world: World, owner: Person) -> None:
    owner.client().keys.rotate(GUN, "snapshot")
    owner.client().renew(GUN, only=["snapshot"])
    world.clock.now += 3 * YEAR - timedelta(days=20)
    owner.client().renew(GUN)
    world.clock.now += 2 * YEAR
    assert _verifies(world)


@pytest.mark.parametrize("role", ["targets/nobody", "timestamp"])
def test_a_role_that_cannot_be_renewed_is_a_mistake(owner: Person, role: str) -> None:
    with pytest.raises(InvalidNameError):
        owner.client().renew(GUN, only=[role])


def test_a_key_that_is_not_here_is_named(world: World, owner: Person) -> None:
    bob = world.person("bob")
    owner.client().add_signer("bob", GUN, [bob.key("bob")])
    bob.client().sign([f"{GUN}:1"])
    with pytest.raises(KeyNotAuthorisedError) as caught:
        owner.client().renew(GUN, only=["targets/bob"])
    assert bob.client().keys.find("bob").keyid[:7] in " ".join(caught.value.why)


def test_a_listed_key_without_a_certificate_stands_in_nobodys_way(world: World, owner: Person) -> None:
    bare = public_key_of(private_key("bare"))
    keys = [*owner.client().refresh(GUN).root.signers(roles.ROOT), bare]
    publisher = publisher_for(owner.client()._session, GUN)  # noqa: SLF001 - what no command can
    publisher.publish(lambda _: [AssignKeys(roles.ROOT, keys)])
    assert not _status(owner)[roles.ROOT].due
    world.clock.now += 11 * YEAR
    assert _status(owner)[roles.ROOT].due
    assert bare.keyid in owner.client().renew(GUN).root_pins
    assert _verifies(world)


@pytest.mark.parametrize("signed", ["by Go notary on a YubiKey", "by somebody else"])
def test_a_certificate_whose_own_signature_is_no_good(world: World, signed: str) -> None:
    owner, key = world.person("owner"), private_key("root")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    (world.base / "root.pem").write_bytes(pem_of(key))
    made = root_certificate(LocalSigner(key), GUN, world.clock())
    [certificate] = certificates(made)
    other = private_key("other") if signed == "by somebody else" else key
    assert isinstance(other, ec.EllipticCurvePrivateKey)
    faulty = as_on_yubikey(certificate, other)
    owner.client().init(GUN, root_key=str(world.base / "root.pem"), root_cert=faulty)
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    assert _verifies(world)
    world.clock.now += 11 * YEAR
    if signed == "by somebody else":
        with pytest.raises(KeyNotAuthorisedError, match="could not be renewed") as caught:
            owner.client().renew(GUN)
        assert "which an authority made" in caught.value.why[0]
    else:
        owner.client().renew(GUN)
        assert _verifies(world)


def test_a_certificate_of_an_authority_takes_the_authority_or_another_key(world: World) -> None:
    owner = world.person("owner")
    path = world.base / "root.pem"
    path.write_bytes(pem_of(private_key("leaf")))
    certificate = pem(leaf(), authority(name="ca"))
    owner.client().init(GUN, root_key=str(path), root_cert=certificate)
    world.push("1")
    owner.client().sign([f"{GUN}:1"])
    world.clock.now += 11 * YEAR
    with pytest.raises(KeyNotAuthorisedError) as caught:
        owner.client().renew(GUN)
    assert "which an authority made" in caught.value.why[0]
    assert advice(caught.value).endswith(f"notarypy key rotate {GUN} root --key KEY")
    assert owner.client().keys.rotate(GUN, "root", key="root").published
    owner.client().renew(GUN)
    assert _verifies(world)


# -- what is never signed again


def test_what_cannot_be_verified_is_not_renewed(world: World, owner: Person) -> None:
    other = load_public_pem(owner.key("other"), world.clock())
    old = owner.client().keys.find("jeff").keyid
    changes: list[Change] = [RemoveKeys(JEFF, frozenset({old})), AddDelegation(JEFF, [other])]
    publisher_for(owner.client()._session, GUN).publish(lambda _: changes)  # noqa: SLF001 - below what it offers
    before = world.attacker.current(GUN, JEFF)
    world.clock.now += 4 * YEAR
    owner.client().renew(GUN)
    assert world.attacker.current(GUN, JEFF) == before
    with pytest.raises(KeyNotAuthorisedError) as caught:
        owner.client().renew(GUN, only=[JEFF])
    assert "0 valid of 1 needed" in " ".join(caught.value.why)
    assert world.attacker.current(GUN, JEFF) == before


def test_an_expired_targets_file_with_a_wrong_signature_stops_everything(world: World, owner: Person) -> None:
    document = canonical.decode(world.attacker.current(GUN, roles.TARGETS))
    document["signed"]["targets"] = {"evil": {"hashes": {"sha256": "A" * 43 + "="}, "length": 1}}
    world.attacker.publish(GUN, {roles.TARGETS: canonical.encode(document)})
    world.clock.now += 4 * YEAR
    with pytest.raises((SignatureError, TrustError)):
        owner.client().renew(GUN)
    assert not any(line.startswith("POST") for line in world.requests())


def test_an_old_copy_is_no_date_but_a_rollback(world: World, owner: Person) -> None:
    owner.client().renew(GUN, only=[roles.TARGETS])
    world.attacker.serve_version(GUN, "timestamp", 1)
    world.clock.now += 4 * YEAR
    world.fake.notary.renews = False
    with pytest.raises(TrustError):
        owner.client().renew(GUN)


def test_a_server_that_takes_nothing_under_an_ended_root_is_told(
    world: World, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise RefusedUpdateError("refused", why="INVALID_UPDATE", advice=Advice("say", text="no"))

    monkeypatch.setattr("notarypy.client.publish.pipeline.Publisher.publish", refused)
    world.clock.now += timedelta(days=3 * 365 - 60)
    with pytest.raises(RefusedUpdateError) as caught:
        owner.client().renew(GUN)
    assert caught.value.why == ("INVALID_UPDATE",)
    world.clock.now += 8 * YEAR
    with pytest.raises(RefusedUpdateError) as caught:
        owner.client().renew(GUN)
    assert "takes no update once the certificate" in caught.value.why[-1]
    assert f"notarypy delete --remote {GUN}" in advice(caught.value)


@pytest.mark.parametrize(("years", "refused"), [(4, True), (11, False)])
def test_an_old_timestamp_is_taken_only_under_an_expired_root(
    world: World, owner: Person, years: int, *, refused: bool
) -> None:
    world.fake.notary.renews = False
    world.clock.now += years * YEAR
    if refused:
        with pytest.raises(ExpiredError) as caught:
            owner.client().renew(GUN)
        assert caught.value.facts["role"] == roles.TIMESTAMP
        assert not any(line.startswith("POST") for line in world.requests())
    else:
        owner.client().renew(GUN)
        assert _verifies(world)


def test_a_lost_answer_is_looked_after(world: World, owner: Person) -> None:
    world.clock.now += 4 * YEAR
    world.attacker.lose_answers(times=1)
    before = _status(owner)
    assert owner.client().renew(GUN).published
    assert _status(owner)[roles.TARGETS].version == (before[roles.TARGETS].version or 0) + 1
    assert _verifies(world)


def test_a_race_loses_nothing(world: World, owner: Person) -> None:
    world.clock.now += 4 * YEAR
    other = copy_of(world, owner)
    world.attacker.before_upload(lambda: other.client().renew(GUN, only=[roles.TARGETS]))
    owner.client().renew(GUN)
    assert owner.client().status(GUN).due == ()
    assert _verifies(world)
