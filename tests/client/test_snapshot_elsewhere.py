"""The snapshot's key is neither here nor at the server: nobody here can publish, and hears so in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.errors import AuthenticationError, KeyNotAuthorisedError, RefusedUpdateError
from notarypy.remote.http.messages import Response
from notarypy.tuf import roles
from support import layouts
from support.author import GUN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.people import Person, World

REF = f"{GUN}:1"
SNAPSHOT_KEY = r".*/snapshot\.key"


@pytest.fixture
def signer(world: World) -> Person:
    """Return a signer with a delegation key alone, whose repository's snapshot key the owner kept."""
    signer = world.person("signer")
    owner = world.person("owner").client()
    owner.init(GUN, snapshot="local")
    world.push("1")
    owner.sign([REF])
    owner.add_signer("signer", GUN, [signer.key("signer")])
    signer.client().refresh(GUN)
    world.requests()
    return signer


def _sign(signer: Person, _: Path) -> None:
    signer.client().sign([REF])


def _try(signer: Person, _: Path) -> None:
    signer.client().sign([REF], dry_run=True)


def _push(signer: Person, folder: Path) -> None:
    signer.client().images.push_and_sign(f"oci:{layouts.layout(folder / 'image')}", f"{GUN}:2")


def _copy(signer: Person, _: Path) -> None:
    signer.client().images.copy(REF, f"{GUN}:2", sign=True)


@pytest.mark.parametrize("attempt", [_sign, _try, _push, _copy])
def test_every_way_to_sign_names_the_key_that_is_missing(
    world: World, signer: Person, tmp_path: Path, attempt: Callable[[Person, Path], None]
) -> None:
    before = signer.cache()
    with pytest.raises(KeyNotAuthorisedError, match="cannot sign the snapshot") as caught:
        attempt(signer, tmp_path)
    [kept] = world.person("owner").client().refresh(GUN).root.signers(roles.SNAPSHOT)
    assert caught.value.facts["role"] == roles.SNAPSHOT
    assert caught.value.facts["accepted"] == [kept.canonical_id]
    assert kept.canonical_id[:7] in caught.value.why[0]
    assert not any("/blobs/uploads/" in line or "PUT" in line for line in world.requests())
    assert signer.cache() == before


def test_who_has_the_key_hears_nothing_of_it(world: World, signer: Person) -> None:
    owner = world.person("owner")
    owner.client().keys.load(signer.client().keys.export(["signer"]), name="signer")
    world.requests()
    owner.client().sign([REF], dry_run=True)
    assert "GET snapshot.key" not in world.requests()
    assert owner.client().sign([REF])[0].published


def test_a_key_handed_over_to_the_server_will_do(world: World, signer: Person) -> None:
    world.person("owner").client().keys.rotate(GUN, "snapshot", server_managed=True)
    signer.client().sign([REF], dry_run=True)
    assert signer.client().sign([REF])[0].published


@pytest.mark.parametrize("status", [404, 500])
def test_a_server_that_does_not_say_counts_as_having_it(world: World, signer: Person, status: int) -> None:
    world.attacker.answer(Response(status), path=SNAPSHOT_KEY)
    signer.client(timeout=0.1).sign([REF], dry_run=True)
    with pytest.raises(RefusedUpdateError):
        signer.client(timeout=0.1).sign([REF])


def test_a_dry_run_needs_no_right_to_publish_and_a_push_does(
    world: World, signer: Person, tmp_path: Path
) -> None:
    world.attacker.answer(Response(401), path=SNAPSHOT_KEY)
    _try(signer, tmp_path)
    with pytest.raises(AuthenticationError):
        _push(signer, tmp_path)
    with pytest.raises(RefusedUpdateError):
        _sign(signer, tmp_path)


def test_where_nothing_is_to_be_signed_nothing_is_asked(world: World, signer: Person) -> None:
    owner = world.person("owner")
    owner.client().keys.load(signer.client().keys.export(["signer"]), name="signer")
    owner.client().sign([REF])
    world.requests()
    signer.client().sign([REF], dry_run=True)
    assert "GET snapshot.key" not in world.requests()
