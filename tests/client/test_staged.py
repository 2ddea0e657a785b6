"""Staged changes through the client: listed, dropped, and published all at once."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from notarypy import PublicKey, StagedContent, StagedDetails, files
from notarypy.errors import (
    ConfigurationError,
    InvalidNameError,
    KeyNotAuthorisedError,
    StorageError,
    UsageError,
)
from notarypy.limits import Limits
from notarypy.tuf.changes import State
from support.author import GUN
from support.people import owned

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from notarypy.client.stagingapi import Staging
    from notarypy.tuf.fields import TargetFile
    from support.people import Person, World

RELEASES = "targets/releases"


@pytest.fixture
def owner(world: World) -> Person:
    return owned(world, "jeff")


def staging(person: Person, *, offline: bool = False) -> Staging:
    return person.client(gun=True, offline=offline).staging


def content(text: str = "", custom: bytes | None = None) -> StagedContent:
    data = text.encode()
    return StagedContent(len(data), hashlib.sha256(data).digest(), hashlib.sha512(data).digest(), custom)


def change_files(person: Person) -> list[Path]:
    return sorted((person.trust_dir / "tuf" / GUN / "changelist").iterdir())


def texts(person: Person) -> list[dict[str, object]]:
    """Return what is staged, decoded."""
    found = [json.loads(path.read_bytes()) for path in change_files(person)]
    return [{**one, "data": one["data"] and json.loads(base64.b64decode(one["data"]))} for one in found]


def read(world: World) -> State:
    """Return the repository as somebody reads it who has no key."""
    return State.of(world.person("reader").client().refresh(GUN))


def published(world: World, role: str = "targets") -> Mapping[str, TargetFile]:
    return read(world).targets[role].targets


def test_nothing_is_asked_and_nothing_unlocked_to_stage(world: World, owner: Person) -> None:
    world.requests()
    calls = staging(owner, offline=True)
    calls.add_target(GUN, "1", content("x"))
    calls.remove_target(GUN, "2", roles=["targets", RELEASES])
    calls.witness(GUN, [RELEASES])
    assert [(one.number, one.action, one.role, one.type, one.path) for one in calls.list(GUN)] == [
        (0, "create", "targets", "target", "1"),
        (1, "delete", "targets", "target", "2"),
        (2, "delete", RELEASES, "target", "2"),
        (3, "update", RELEASES, "witness", ""),
    ]
    assert [one.file for one in calls.list(GUN)] == [path.name for path in change_files(owner)]
    assert world.requests() == []


def test_all_of_it_is_published_at_once_and_the_files_go(world: World, owner: Person) -> None:
    calls = staging(owner)
    calls.add_target(GUN, "1", content("x"))
    calls.add_target(GUN, "2", content("y"))
    world.requests()
    done = calls.publish(GUN)
    assert world.requests().count("POST") == 1
    assert [one.path for one in done.published] == ["1", "2"]
    assert (done.uploaded, done.dropped, done.created, done.begun) == (("targets",), (), False, None)
    assert change_files(owner) == []
    assert list(published(world)) == ["1", "2"]


def test_nothing_staged_publishes_nothing(world: World, owner: Person) -> None:
    world.requests()
    done = staging(owner).publish(GUN)
    assert (done.published, done.uploaded) == ((), ())
    assert "POST" not in world.requests()


def test_nothing_staged_needs_no_lock(world: World, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    staging(owner).add_target(GUN, "1", content("x"))
    staging(owner).reset(GUN, None)
    real = files.locked

    def refused(path: Path, timeout: float) -> AbstractContextManager[None]:
        if path.name == ".notarypy-staged.lock":
            raise StorageError(f"cannot lock {path}")
        return real(path, timeout)

    monkeypatch.setattr(files, "locked", refused)
    assert staging(owner).publish(GUN).published == ()
    staging(owner).reset(GUN, None)
    monkeypatch.undo()
    staging(owner).add_target(GUN, "1", content("x"))
    monkeypatch.setattr(files, "locked", refused)
    for call in (staging(owner).publish, partial(staging(owner).reset, numbers=None)):
        with pytest.raises(StorageError, match="cannot lock"):
            call(GUN)
    assert "1" not in published(world)


def test_what_is_true_already_publishes_nothing_and_is_done(world: World, owner: Person) -> None:
    calls = staging(owner)
    calls.add_target(GUN, "1", content("x"))
    calls.publish(GUN)
    calls.add_target(GUN, "1", content("x"))
    calls.remove_target(GUN, "nothing")
    world.requests()
    done = calls.publish(GUN)
    assert (len(done.published), done.uploaded, change_files(owner)) == (2, (), [])
    assert "POST" not in world.requests()


def test_the_custom_data_of_an_entry_is_the_one_that_was_staged(world: World, owner: Person) -> None:
    calls = staging(owner)
    for custom in (b'{"b": 1, "a": [2]}', None, b"null"):
        calls.add_target(GUN, "1", content("x", custom))
        calls.publish(GUN)
        found = published(world)["1"].custom
        assert found == ({"a": [2], "b": 1} if custom == b'{"b": 1, "a": [2]}' else None)


def test_custom_data_is_staged_in_the_order_that_is_signed(owner: Person) -> None:
    """Go signs it as it stands there, and nobody accepts another order."""
    staging(owner).add_target(GUN, "1", content("x", b'{"b": {"d": 1, "c": 2},  "a": "\xc3\xa9"}'))
    [path] = change_files(owner)
    data = base64.b64decode(json.loads(path.read_bytes())["data"])
    assert data.endswith('"custom":{"a":"é","b":{"c":2,"d":1}}}'.encode())


@pytest.mark.parametrize(
    "custom", [b"1.5", b'{"a":1,"a":2}', b"1}{", b'1,"x":2', b'"<"', b'"\\n"', b"9007199254740993", b""]
)
def test_custom_data_that_go_could_not_sign_is_not_staged(owner: Person, custom: bytes) -> None:
    with pytest.raises(ConfigurationError):
        staging(owner).add_target(GUN, "1", content("x", custom))
    assert staging(owner).list(GUN) == []


def test_what_nobody_could_publish_is_not_staged(owner: Person) -> None:
    calls = staging(owner)
    for role in ("targets/UP", "targets/*", "root", "snapshot", "x"):
        with pytest.raises(InvalidNameError):
            calls.add_target(GUN, "1", content(), roles=[role])
        with pytest.raises(InvalidNameError):
            calls.add_delegation(GUN, role, (), [""])
    for name in ("", "a\nb", "a\x7f", "\udcff"):
        with pytest.raises(InvalidNameError):
            calls.add_target(GUN, name, content())
    for path in ("a\nb", "a\x7f", "\udcff"):
        with pytest.raises(InvalidNameError):
            calls.add_delegation(GUN, "targets/a", (), [path])
    with pytest.raises(InvalidNameError):
        calls.remove_target(GUN, "\udcff")
    with pytest.raises(InvalidNameError):
        calls.remove_delegation_paths(GUN, "targets/a", ["\udcff"])
    with pytest.raises(UsageError):
        calls.remove_delegation_keys(GUN, "targets/a", ["\udcff"])
    with pytest.raises(UsageError):
        calls.purge_keys(GUN, ["\udcff"])
    for wrong in (StagedContent(1), StagedContent(1, b"x"), StagedContent(-1, bytes(32))):
        with pytest.raises(UsageError):
            calls.add_target(GUN, "1", wrong)
    with pytest.raises(UsageError):
        calls.add_delegation(GUN, "targets/a")
    with pytest.raises(TypeError):
        calls.add_target(GUN, "1", content(), roles="targets")
    assert calls.list(GUN) == []


@pytest.mark.parametrize("name", ["", "a\x7f"])
def test_names_that_go_gave_are_published_and_taken_away(world: World, owner: Person, name: str) -> None:
    calls = staging(owner)
    calls.add_target(GUN, "1", content("x"))
    [path] = change_files(owner)
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "path": name}))
    calls.publish(GUN)
    assert list(published(world)) == [name]
    calls.remove_target(GUN, name)
    calls.publish(GUN)
    assert list(published(world)) == []


def test_the_list_has_what_each_change_contains(world: World, owner: Person) -> None:
    calls, key = staging(owner), world.person("bob").key("bob")
    found = PublicKey.from_pem(key).canonical_id
    calls.add_target(GUN, "1", content("x", b'{"a": 1}'))
    calls.add_target(GUN, "2", StagedContent(0, bytes(32)))
    calls.remove_target(GUN, "1")
    calls.add_delegation(GUN, "targets/a", [key], ["p", ""])
    calls.remove_delegation_keys(GUN, "targets/a", ["0" * 64])
    calls.remove_delegation_paths(GUN, "targets/a", ["q"])
    calls.remove_delegation_paths(GUN, "targets/a", all_paths=True)
    change_files(owner)[2].write_text('{"action":"create","role":"targets","type":"target","data":"e30="}')
    sha256, sha512 = hashlib.sha256(b"x").hexdigest(), hashlib.sha512(b"x").hexdigest()
    assert [one.details for one in calls.list(GUN)] == [
        StagedDetails(length=1, sha256=sha256, sha512=sha512, custom={"a": 1}),
        StagedDetails(length=0, sha256="0" * 64),
        StagedDetails(problem="the entry has no usable length"),
        StagedDetails(add_keys=(found,), threshold=1),
        StagedDetails(add_paths=("p", "")),
        StagedDetails(remove_keys=("0" * 64,)),
        StagedDetails(remove_paths=("q",)),
        StagedDetails(clear_paths=True),
    ]


def test_what_was_described_is_staged_as_it_is(world: World, owner: Person) -> None:
    client = owner.client(gun=True)
    found = client.targets.describe(io.BytesIO(b"x"))
    client.staging.add_target(GUN, "1", found)
    client.staging.add_target(GUN, "2", StagedContent.of(replace(found, custom={"a": "\u00e9"})))
    client.staging.publish(GUN)
    listed = published(world)
    assert listed["1"] == found
    assert (listed["2"].hashes, listed["2"].custom) == (found.hashes, {"a": "\u00e9"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"length": 5.5}, {"length": "5"}, {"length": True}, {"sha256": "00" * 32}, {"sha512": 1},
        {"custom": "{}"}, {"custom": {"a": 1}},
    ],
)  # fmt: skip
def test_content_of_another_kind_is_a_mistake_at_once(owner: Person, wrong: dict[str, Any]) -> None:
    [name] = wrong
    with pytest.raises(TypeError, match=f"^{name} takes "):
        staging(owner).add_target(GUN, "1", StagedContent(**{"length": 1, "sha256": bytes(32), **wrong}))
    assert staging(owner).list(GUN) == []


def test_what_names_no_role_or_no_pem_is_a_mistake(owner: Person) -> None:
    calls = staging(owner)
    for call in (
        partial(calls.add_target, GUN, "1", content(), roles=()),
        partial(calls.remove_target, GUN, "1", roles=()),
        partial(calls.witness, GUN, []),
    ):
        with pytest.raises(UsageError, match="no role was given"):
            call()
    text: Any = owner.key("jeff").decode()
    with pytest.raises(TypeError, match="keys takes PEM as bytes"):
        calls.add_delegation(GUN, "targets/a", [text], [""])


def test_numbers_that_are_dropped_are_those_of_the_list(owner: Person) -> None:
    calls = staging(owner)
    for name in "abcd":
        calls.remove_target(GUN, name)
    assert calls.reset(GUN, [1, 3, 1]) == 2
    assert [(one.number, one.path) for one in calls.list(GUN)] == [(0, "a"), (1, "c")]
    for wrong in ([0, 2], [-1]):
        with pytest.raises(UsageError, match="there is no staged change"):
            calls.reset(GUN, wrong)
    assert len(calls.list(GUN)) == 2
    assert calls.reset(GUN) == 2
    assert calls.reset(GUN) == 0
    assert calls.list(GUN) == []


def test_while_a_file_is_no_change_nothing_is_published(world: World, owner: Person) -> None:
    calls = staging(owner)
    calls.add_target(GUN, "1", content("x"))
    junk = change_files(owner)[0].with_name("0_junk.change")
    junk.write_bytes(b"junk")
    assert [one.number for one in calls.list(GUN)] == [0]
    calls.reset(GUN, [0])
    assert change_files(owner) == [junk]
    calls.add_target(GUN, "2", content("x"))
    kept = change_files(owner)
    world.requests()
    with pytest.raises(UsageError, match=r"0_junk\.change is no staged change") as caught:
        calls.publish(GUN)
    assert caught.value.facts["path"] == str(junk)
    assert "POST" not in world.requests()
    assert change_files(owner) == kept
    assert any("0_junk.change is no staged change" in warning for warning in owner.warnings)
    junk.unlink()
    calls.publish(GUN)
    assert list(published(world)) == ["2"]
    junk.symlink_to(owner.trust_dir)
    calls.reset(GUN)
    assert change_files(owner) == []


def test_what_is_no_role_of_targets_is_not_staged_to_be_signed_anew(owner: Person) -> None:
    for role in ("root", "snapshot", "timestamp", "bogus", "", "targets/", "targets/*", "\udcff"):
        with pytest.raises(InvalidNameError):
            staging(owner).witness(GUN, ["targets", role])
    assert staging(owner).list(GUN) == []


def test_a_key_that_was_replaced_is_no_reason_for_a_warning(world: World, owner: Person) -> None:
    """As keys usually are: the old one goes, and the new one comes, in either order."""
    calls, jeff, bob = staging(owner), owner.key("jeff"), world.person("bob").key("bob")
    old, new = (PublicKey.from_pem(key).canonical_id for key in (jeff, bob))
    calls.add_delegation(GUN, "targets/new", [jeff], [""])
    calls.publish(GUN)
    for changes in ((old, bob), (new, jeff)):
        calls.remove_delegation_keys(GUN, "targets/new", [changes[0]])
        calls.add_delegation(GUN, "targets/new", [changes[1]])
        calls.publish(GUN)
    assert not any("keys left" in warning for warning in owner.warnings)


def test_an_impossible_change_fails_all_and_names_its_number(world: World, owner: Person) -> None:
    calls = staging(owner)
    calls.add_target(GUN, "1", content("x"))
    calls.add_target(GUN, "2", content("x"), roles=["targets/nobody"])
    world.requests()
    with pytest.raises(InvalidNameError, match="has no role targets/nobody") as caught:
        calls.publish(GUN)
    assert "POST" not in world.requests()
    assert caught.value.facts["staged"] == 1
    assert caught.value.advice is not None
    assert caught.value.advice.values == {"number": 1, "gun": GUN}
    assert len(calls.list(GUN)) == 2
    calls.reset(GUN, [1])
    assert len(calls.publish(GUN).published) == 1


def test_a_witness_of_nobody_is_dropped_and_said_and_the_rest_goes_on(world: World, owner: Person) -> None:
    calls = staging(owner)
    calls.witness(GUN, ["targets/nobody", "targets"])
    calls.add_target(GUN, "1", content("x"))
    done = calls.publish(GUN)
    assert [one.number for one in done.published] == [1, 2]
    [dropped] = done.dropped
    assert (dropped.change.number, dropped.change.role) == (0, "targets/nobody")
    assert dropped.why == f"{GUN} has no role targets/nobody"
    assert change_files(owner) == []
    assert list(published(world)) == ["1"]


@pytest.mark.usefixtures("owner")
def test_a_missing_key_names_the_changes_that_need_it(world: World) -> None:
    """A signer without the targets key."""
    signer = world.person("signer")
    calls = staging(signer)
    calls.add_target(GUN, "1", content("x"), roles=[RELEASES])
    calls.add_target(GUN, "2", content("x"))
    with pytest.raises(KeyNotAuthorisedError) as caught:
        calls.publish(GUN)
    assert caught.value.facts["staged"] in ([0], [1])
    assert len(calls.list(GUN)) == 2


@pytest.mark.parametrize("limits", [Limits(staged_changes=2), Limits(staged_bytes=100)])
def test_more_than_can_be_read_can_be_dropped(owner: Person, limits: Limits) -> None:
    staging(owner).witness(GUN, ["targets"] * 3)
    calls = owner.client(gun=True, limits=limits).staging
    for use in (calls.list, calls.publish, lambda gun: calls.reset(gun, [0])):
        with pytest.raises(StorageError, match="too much is staged") as caught:
            use(GUN)
        assert caught.value.advice is not None
        assert caught.value.advice.name == "drop-staged"
    assert calls.reset(GUN) == 3
    assert calls.list(GUN) == []


def test_no_more_is_staged_than_can_be_read(owner: Person) -> None:
    calls = owner.client(gun=True, limits=Limits(staged_bytes=500)).staging
    for _ in range(6):
        calls.witness(GUN, ["targets"])
    with pytest.raises(StorageError, match="too much is staged"):
        calls.witness(GUN, ["targets"])
    assert len(calls.list(GUN)) == 6


def test_to_drop_what_is_not_there_makes_nothing(world: World) -> None:
    nobody = world.person("nobody")
    with pytest.raises(UsageError) as caught:
        staging(nobody).reset(GUN, [0])
    assert caught.value.why == ("nothing is staged",)
    assert staging(nobody).reset(GUN) == 0
    assert not nobody.trust_dir.exists()


def test_other_commands_leave_staged_changes_alone(world: World, owner: Person) -> None:
    staging(owner).add_target(GUN, "staged", content("x"))
    world.push("1")
    owner.warnings.clear()
    owner.client().sign([f"{GUN}:1"])
    assert [w for w in owner.warnings if "staged" in w] == [
        f"1 change is staged, and left alone: `notarypy notary publish {GUN}` publishes that"
    ]
    assert len(change_files(owner)) == 1
    owner.warnings.clear()
    staging(owner).publish(GUN)
    assert [w for w in owner.warnings if "staged" in w] == []
    assert "staged" in published(world)
