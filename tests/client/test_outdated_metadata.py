"""Dates are noted, and nothing else is let pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from notarypy.client.metadata.lenientrefresh import OutdatedMetadata
from notarypy.errors import RollbackError, SignatureError
from notarypy.tuf import roles
from support.author import GUN, NOW
from support.repository import DAY, delegated, finish

EVER = NOW + 100 * 365 * DAY
ALL = {*roles.BASE_ROLES, "targets/a"}


def read(files: dict[str, bytes], seen: dict[str, bytes] | None = None) -> OutdatedMetadata:
    """Verify a repository at a time when all of it is over."""
    found = OutdatedMetadata(GUN, EVER, seen)
    found.first_root(files[roles.ROOT])
    found.update_timestamp(files[roles.TIMESTAMP])
    found.update_snapshot(files[roles.SNAPSHOT])
    found.update_targets(files[roles.TARGETS])
    finish(found, files)
    return found


def test_what_is_over_is_read_and_noted() -> None:
    found = read(delegated("targets/a").repository())
    assert set(found.expired) == ALL
    assert set(found.targets) == {roles.TARGETS, "targets/a"}
    assert found.failures == {}


def test_other_faults_are_refused_as_ever() -> None:
    author = delegated("targets/a")
    new = author.repository()
    author.targets[roles.TARGETS] = replace(author.targets[roles.TARGETS], version=9)
    newer = author.repository()
    with pytest.raises(RollbackError):
        read(new, seen={roles.TARGETS: newer[roles.TARGETS]})
    with pytest.raises(SignatureError):
        read({**new, roles.TIMESTAMP: new[roles.TIMESTAMP].replace(b'"version":1', b'"version":2', 1)})


def test_under_a_new_root_dates_are_looked_at_again() -> None:
    author = delegated("targets/a")
    found = read(author.repository())
    author.next_root()
    found.update_root(author.file(roles.ROOT))
    assert found.expired == {}
