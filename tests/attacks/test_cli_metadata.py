"""Attacks as a person at the command line sees them: exit code, words, facts, and an untouched disk."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.remote.http.messages import Response
from notarypy.tuf import canonical, roles
from support.author import GUN, Author
from support.repository import rewritten
from support.stage import JEFF
from support.victim import REF

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.tuf.canonical import JsonObject
    from support.victim import Victim

pytestmark = pytest.mark.slow

PINNED = "0" * 64


def _vouched(victim: Victim, files: Mapping[str, bytes]) -> None:
    """Serve files with a snapshot and a timestamp that are signed with the server's stolen keys."""
    author = victim.stage.author
    author.snapshot_version += 1
    author.timestamp_version += 1
    snapshot = author.snapshot(files)
    victim.stage.serve({**files, roles.SNAPSHOT: snapshot, roles.TIMESTAMP: author.timestamp(snapshot)})


# -- rule 8, 9: going back


def test_an_older_repository_is_a_rollback(victim: Victim) -> None:
    old = victim.stage.served()
    victim.stage.publish()
    victim.knows()
    victim.stage.serve(old)
    facts = victim.refuses(4, "trust.rollback", "an older timestamp than before", "version 1, seen before: 2")
    assert facts == {"role": "timestamp", "offered": 1, "seen": 2}
    victim.recovers()


@pytest.mark.parametrize("role", [roles.TARGETS, roles.RELEASES, JEFF])
def test_with_the_servers_keys_an_older_and_smaller_file_is_a_rollback(victim: Victim, role: str) -> None:
    author = victim.stage.author
    old = author.file(role)
    author.add("more", b"more", role)
    victim.stage.publish(role)
    victim.knows()
    _vouched(victim, {**author.files(), role: old})
    facts = victim.refuses(4, "trust.rollback", f"an older {role} than before", "version 1, seen before: 2")
    assert facts["role"] == role
    victim.recovers()


def test_with_the_servers_keys_a_delegation_cannot_be_hidden(victim: Victim) -> None:
    victim.knows()
    files = victim.stage.author.files()
    del files[roles.RELEASES]
    _vouched(victim, files)
    facts = victim.refuses(4, "trust.rollback", "the snapshot no longer lists targets/releases")
    assert facts["role"] == roles.RELEASES
    victim.recovers()


def test_new_content_under_an_old_version_is_refused(victim: Victim) -> None:
    victim.knows()
    victim.stage.author.snapshot_version += 1
    victim.stage.serve(victim.stage.author.repository())
    assert victim.refuses(4, "trust.rollback", "timestamp changed without a new version", "version 1 twice")
    victim.recovers()


# -- rules 4, 10: standing still


def test_a_frozen_repository_expires(victim: Victim) -> None:
    victim.knows()
    victim.stage.world.clock.advance(timedelta(days=15))
    facts = victim.refuses(5, "trust.expired", f"{GUN} is expired: timestamp ended on", "did not renew")
    assert facts["role"] == "timestamp"
    assert facts["expires"].startswith("2026-12-07T12:00")
    victim.stage.author.now = victim.stage.world.clock()
    victim.recovers()


def test_an_expired_repository_is_no_better_offline(victim: Victim) -> None:
    victim.knows()
    victim.stage.world.clock.advance(timedelta(days=15))
    victim.refuses(5, "trust.expired", "timestamp ended on", argv=("--offline", "verify", REF))


def test_a_fresh_timestamp_does_not_revive_an_expired_root(victim: Victim) -> None:
    victim.knows()
    world, author = victim.stage.world, victim.stage.author
    world.clock.advance(timedelta(days=3651))
    author.now = world.clock()
    _vouched(victim, author.files())
    facts = victim.refuses(5, "trust.expired", f"{GUN} is expired: root ended on")
    assert facts["role"] == "root"


# -- rules 1, 2, 3, 5: another root


def test_another_root_is_an_alarm(victim: Victim) -> None:
    victim.knows()
    trusted = victim.stage.author.root.pins
    mallory = Author(GUN)
    mallory.assign(roles.ROOT, [mallory.root_key("mallory")])
    mallory.assign(roles.TIMESTAMP, [mallory.key("mallory too")])
    mallory.snapshot_version = mallory.timestamp_version = 9
    victim.stage.serve(mallory.repository())
    facts = victim.refuses(4, "trust.root_changed", "another root than the one you trust", trusted[0])
    assert facts["trusted"] == list(trusted)
    assert facts["offered"] == list(mallory.root.pins)
    victim.recovers()


def test_a_root_for_another_repository_founds_nothing(victim: Victim) -> None:
    other = Author("registry.test/team/other")
    victim.stage.serve(other.repository())
    facts = victim.refuses(4, "trust.invalid", "no usable certificate", 'for "registry.test/team/other"')
    assert facts["role"] == "root"
    assert victim.files() == {}
    victim.stage.serve(victim.stage.author.repository())
    victim.recovers()


def test_a_root_that_is_not_the_pinned_one_is_refused(victim: Victim) -> None:
    argv = ("verify", "--root", PINNED, REF)
    for _ in ("cold", "warm"):
        facts = victim.refuses(4, "trust.root_not_pinned", "is not a pinned one", "offered: ", argv=argv)
        assert facts["offered"] == list(victim.stage.author.root.pins)
        victim.knows()
    victim.recovers()


def test_a_root_that_is_announced_and_withheld_is_noticed(victim: Victim) -> None:
    victim.knows()
    old = victim.stage.served()[roles.ROOT]
    victim.stage.rotate_root("root 2")
    victim.stage.publish()
    answer = Response(200, {}, old)
    victim.stage.world.attacker.answer(answer, path=r".*/root(\.[0-9a-f]{64})?\.json")
    facts = victim.refuses(4, "trust.invalid", "root")
    assert facts["role"] == "root"
    victim.recovers()


def test_a_repository_that_vanished_is_an_alarm(victim: Victim) -> None:
    victim.knows()
    victim.stage.world.attacker.delete(GUN)
    facts = victim.refuses(
        4, "trust.repo_vanished", f"no longer has the trust data of {GUN}", "notarypy forget"
    )
    assert facts["gun"] == GUN
    victim.recovers()


# -- rules 6, 7, 12: wrong keys, wrong hashes, wrong content


@pytest.mark.parametrize("role", [roles.TIMESTAMP, roles.SNAPSHOT, roles.TARGETS])
def test_a_file_by_other_keys_is_refused(victim: Victim, role: str) -> None:
    victim.knows()
    author = victim.stage.author
    wrong = [author.key("mallory")]
    files = author.files()
    author.bump()
    if role == roles.TARGETS:
        files[role] = rewritten(author, role, _same, wrong)
    author.snapshot_version = author.timestamp_version = 2
    files[roles.SNAPSHOT] = author.snapshot(files)
    if role == roles.SNAPSHOT:
        files[role] = author.seal(canonical.decode(files[role])["signed"], wrong)
    files[roles.TIMESTAMP] = author.timestamp(files[roles.SNAPSHOT])
    if role == roles.TIMESTAMP:
        files[role] = author.seal(canonical.decode(files[role])["signed"], wrong)
    victim.stage.serve(files)
    facts = victim.refuses(4, "trust.signature", f"{role} is not signed by enough", "0 valid of 1 needed")
    assert facts["role"] == role
    assert (facts["threshold"], facts["valid"], len(facts["accepted"])) == (1, [], 1)
    victim.recovers()


def test_releases_by_another_key_release_nothing(victim: Victim) -> None:
    known = victim.knows()
    author = victim.stage.author
    author.bump(roles.RELEASES)
    forged = rewritten(author, roles.RELEASES, _same, [author.key("mallory")])
    _vouched(victim, {**author.files(), roles.RELEASES: forged})
    told = victim.run("verify", REF).expect(4)
    assert "targets/releases is not signed by enough of its keys [trust.signature]" in told.err
    assert (told.out, forged in victim.files().values()) == ("", False)
    # What is honest in the new publish was verified, and is kept.
    moved = {name for name, data in victim.files().items() if known.get(name) != data}
    assert moved == {f"tuf/{GUN}/metadata/{role}.json" for role in (roles.SNAPSHOT, roles.TIMESTAMP)}
    victim.recovers()


@pytest.mark.parametrize("role", [roles.SNAPSHOT, roles.TARGETS, JEFF])
def test_files_of_different_moments_do_not_go_together(victim: Victim, role: str) -> None:
    old = victim.stage.served()[role]
    victim.knows()
    victim.stage.release("2")
    victim.stage.publish(roles.TARGETS, JEFF, roles.RELEASES)
    victim.stage.world.attacker.answer(Response(200, {}, old), path=rf".*/{role}\.[0-9a-f]{{64}}\.json")
    facts = victim.refuses(4, "trust.invalid", role, "promised")
    assert facts["role"] == role
    victim.recovers()


@pytest.mark.parametrize("data", [b"null", b'{"signed": null, "signatures": []}', b"\xff\xfe{}"])
def test_junk_is_malformed(victim: Victim, data: bytes) -> None:
    victim.knows()
    victim.stage.serve({roles.TIMESTAMP: data})
    assert victim.refuses(4, "trust.malformed", "timestamp")["role"] == "timestamp"
    victim.recovers()


def test_a_web_page_is_no_metadata_and_no_alarm(victim: Victim) -> None:
    victim.knows()
    victim.stage.serve({roles.TIMESTAMP: b"<html>"})
    victim.refuses(8, "net.not_notary", "a web page came")
    victim.recovers()


def test_a_registry_that_serves_something_else_is_told(victim: Victim) -> None:
    victim.knows()
    evil = victim.stage.world.push("1", "evil")
    facts = victim.refuses(4, "trust.digest_mismatch", "another content than the signed one", evil)
    assert facts["served"] == evil
    victim.stage.world.push("1")
    victim.recovers()


# -- servers that do not answer are no reason to believe the cache


@pytest.mark.parametrize(
    ("status", "exit_code", "code"),
    [
        (401, 7, "auth.denied"),
        (404, 8, "net.not_notary"),  # a Notary server says in JSON what it does not have
        (500, 8, "net.server"),
        (302, 8, "net.not_notary"),
    ],
)
def test_a_server_that_answers_anything_else_gets_no_old_data_used(
    victim: Victim, status: int, exit_code: int, code: str
) -> None:
    victim.knows()
    victim.stage.world.attacker.answer(Response(status, {"location": "http://evil.test/"}, b""))
    victim.refuses(exit_code, code)
    victim.recovers()


def test_no_connection_gets_no_old_data_used(victim: Victim) -> None:
    victim.knows()
    victim.stage.world.attacker.refuse_connections()
    victim.refuses(8, "net.unreachable")
    victim.recovers()


def _same(signed: JsonObject) -> JsonObject:
    return signed
