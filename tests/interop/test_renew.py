"""What we renewed docker and Go notary read, and what has ended is told in time."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy import Client
from notarypy.storage.settings.settings import load

if TYPE_CHECKING:
    from interop.harness.images import Manifest, Repository
    from interop.harness.people import Person

ALWAYS = ("--within", "4000d")


@pytest.fixture
def image(alice: Person, bob: Person, repository: Repository) -> Manifest:
    """Make a repository that everybody trusts already."""
    alice.own(repository.name)
    image = repository.push("1")
    alice.notarypy("sign", repository.ref("1")).expect(0)
    bob.notary("list", repository.name).expect(0)
    return image


def test_everybody_reads_what_we_renewed(
    alice: Person, bob: Person, repository: Repository, image: Manifest
) -> None:
    (result,) = json.loads(alice.notarypy("--json", "renew", *ALWAYS, repository.name).expect(0).stdout)[
        "results"
    ]
    renewed = {role["role"]: role for role in result["renewed"]}
    assert set(renewed) == {"root", "targets", "targets/jeff", "targets/releases"}
    assert renewed["root"]["version"] == 2
    assert image.sha256 in bob.notary("list", repository.name, "-r", "targets/releases").expect(0).stdout
    (row,) = json.loads(bob.inspection(repository.name))
    root = next(entry for entry in row["AdministrativeKeys"] if entry["Name"] == "Root")
    assert len(root["Keys"]) == len(result["root_pins"]) == 1
    bob.notarypy("verify", repository.ref("1")).expect(0)
    again = repository.push("2")
    alice.notary_add(repository.name, "2", again, "targets/releases", "targets/jeff").expect(0)
    bob.notarypy("verify", repository.ref("2")).expect(0)


def test_a_snapshot_key_of_go_is_renewed_with_the_rest(
    alice: Person, bob: Person, repository: Repository
) -> None:
    alice.notary("init", repository.name, "-p").expect(0)
    image = repository.push("1")
    alice.notary_add(repository.name, "1", image).expect(0)
    told = json.loads(alice.notarypy("--json", "renew", *ALWAYS, repository.name).expect(0).stdout)
    assert {role["role"] for role in told["results"][0]["renewed"]} == {"root", "targets", "snapshot"}
    assert image.sha256 in bob.notary("list", repository.name).expect(0).stdout
    bob.notarypy("verify", repository.ref("1")).expect(0)


@pytest.mark.usefixtures("image")
def test_what_will_end_is_told_in_time(alice: Person, bob: Person, repository: Repository) -> None:
    alice.notarypy("status", "--check", repository.name).expect(0)
    alice.notarypy("status", "--check", "--within", "1200d").expect(5)
    table = bob.notarypy("status", repository.name).expect(0).stdout
    assert "targets/releases" in table
    assert "yes" not in table
    refused = bob.notarypy("renew", *ALWAYS, repository.name).expect(6)
    assert "targets/releases" in refused.stderr


@pytest.mark.parametrize("ended", [("ROOT",), ("TARGETS",), ("ROOT", "TARGETS")], ids="-".join)
def test_a_repository_that_has_ended_comes_back(
    alice: Person,
    bob: Person,
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    ended: tuple[str, ...],
) -> None:
    short = timedelta(seconds=8)
    image = repository.push("1")
    for name in ended:
        for module in ("tuf.plan", "client.publish.initialise"):
            monkeypatch.setattr(f"notarypy.{module}.{name}_LIFETIME", short, raising=False)
    start = time.monotonic()
    with Client(load({}, alice.environment, alice.home)) as client:
        client.init(repository.name)
    bob.notary("list", repository.name).expect(0)
    time.sleep(max(0.0, start + short.total_seconds() - time.monotonic()) + 1)
    alice.notarypy("verify", repository.ref("1")).expect(5)
    assert bob.notary("list", repository.name).code != 0
    due = "|".join(sorted(name.lower() for name in ended))
    found = json.loads(bob.notarypy("--json", "status", repository.name).expect(0).stdout)["results"][0]
    assert "|".join(sorted(role["role"] for role in found["roles"] if role["due"])) == due
    alice.notarypy("renew", repository.name).expect(0)
    alice.notarypy("sign", repository.ref("1")).expect(0)
    assert image.sha256 in bob.notary("list", repository.name).expect(0).stdout
    bob.notarypy("verify", repository.ref("1")).expect(0)
