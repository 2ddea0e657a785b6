"""After a rotation of ours docker and Go notary go on, as we do after one of theirs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from interop.harness.gateway import Gateway
    from interop.harness.images import Manifest, Repository
    from interop.harness.people import Person

ROTATIONS = {
    "root": ("root", "--yes"),
    "targets": ("targets",),
    "snapshot here": ("snapshot",),
    "snapshot at the server": ("snapshot", "--server-managed"),
    "timestamp": ("timestamp", "--server-managed"),
}


@pytest.fixture
def image(alice: Person, bob: Person, repository: Repository) -> Manifest:
    """Make a repository that everybody trusts already."""
    alice.own(repository.name)
    image = repository.push("1")
    alice.notarypy("sign", repository.ref("1")).expect(0)
    bob.notary("list", repository.name).expect(0)
    return image


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_everybody_follows_our_rotation(
    alice: Person, bob: Person, repository: Repository, image: Manifest, rotation: str
) -> None:
    told = json.loads(
        alice.notarypy("--json", "key", "rotate", repository.name, *ROTATIONS[rotation]).expect(0).stdout
    )
    (result,) = told["results"]
    assert result["published"]
    assert result["old"] != result["new"]
    assert image.sha256 in bob.notary("list", repository.name, "-r", "targets/releases").expect(0).stdout
    row = json.loads(bob.inspection(repository.name))[0]
    assert [tag["Digest"] for tag in row["SignedTags"]] == [image.sha256]
    root = next(entry for entry in row["AdministrativeKeys"] if entry["Name"] == "Root")
    assert len(root["Keys"]) == len(result["root_pins"]) == 1
    again = repository.push("2")
    alice.notary_add(repository.name, "2", again, "targets/releases", "targets/jeff").expect(0)
    bob.notarypy("verify", repository.ref("1"), repository.ref("2")).expect(0)


def test_all_rotations_one_after_the_other(
    alice: Person, bob: Person, repository: Repository, image: Manifest
) -> None:

    for role in ("root", "targets", "root"):
        alice.notarypy("key", "rotate", "--yes", repository.name, role).expect(0)
    alice.notary("key", "rotate", repository.name, "root", text="yes\n").expect(0)
    alice.notarypy("key", "rotate", "--yes", repository.name, "root").expect(0)
    assert image.sha256 in bob.notary("list", repository.name, "-r", "targets/releases").expect(0).stdout
    bob.notarypy("verify", repository.ref("1")).expect(0)


def _hide_roots(front: Gateway) -> None:
    """Let nobody who asks through the gateway see a root by its version."""
    front.rewrite = lambda path, body: b"{}" if re.search(r"/\d+\.root\.json", path) else body


def _signatures(person: Person, repository: Repository) -> int:
    """Return how many keys signed the root that somebody has seen last."""
    root = json.loads((person.metadata(repository.name) / "root.json").read_text())
    return len({entry["keyid"] for entry in root["signatures"]})


def test_go_clients_that_trust_only_an_old_root_follow_at_once(
    alice: Person, bob: Person, repository: Repository, image: Manifest, front: Gateway
) -> None:
    """Bob has seen the first root and none since, and nobody shows him the ones in between."""
    bob.use(front.endpoint)
    for _ in range(3):
        alice.notarypy("key", "rotate", "--yes", repository.name, "root").expect(0)
    _hide_roots(front)
    assert "root" in bob.notary("list", repository.name).expect(1).stdout
    assert bob.docker("trust", "inspect", repository.name).code != 0
    told = alice.notarypy(
        "--json", "key", "rotate", "--yes", repository.name, "root", "--legacy", "9"
    ).expect(0)
    assert len(json.loads(told.stdout)["results"][0]["legacy"]) == 3
    assert image.sha256 in bob.notary("list", repository.name, "-r", "targets/releases").expect(0).stdout
    assert image.sha256 in bob.inspection(repository.name)
    bob.notarypy("verify", repository.ref("1")).expect(0)
    assert _signatures(bob, repository) == 5


def test_we_follow_go_notary_at_once_and_sign_with_as_many_keys(
    alice: Person, bob: Person, repository: Repository, image: Manifest, front: Gateway
) -> None:
    bob.use(front.endpoint)
    bob.notarypy("verify", repository.ref("1")).expect(0)
    for _ in range(3):
        alice.notary("key", "rotate", repository.name, "root", text="yes\n").expect(0)
    _hide_roots(front)
    bob.notarypy("verify", repository.ref("1")).expect(4)
    alice.notary("key", "rotate", repository.name, "root", "--legacy", "3", text="yes\n").expect(0)
    bob.notarypy("verify", repository.ref("1")).expect(0)
    assert _signatures(bob, repository) == 5
    alice.notarypy("key", "rotate", repository.name, "targets", "--legacy", "4").expect(0)
    assert image.sha256 in bob.notary("list", repository.name, "-r", "targets/releases").expect(0).stdout
    assert _signatures(bob, repository) == 5
