"""Two people on two machines sign one role that takes both; Go notary and docker read what they signed."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import pytest

from interop.harness import databases, services
from interop.harness.together import TEAM, Team

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.people import Person


@pytest.fixture(scope="module", params=["memory", "postgresql"])
def notary(
    request: pytest.FixtureRequest, workshop: Path, authority: services.Authority
) -> Iterator[services.Endpoint]:
    """Return a server with memory, and one over a database."""
    with contextlib.ExitStack() as running:
        directory = workshop / f"together-{request.param}"
        if request.param == "memory":
            yield running.enter_context(services.notary_server(directory, authority))
            return
        signer = running.enter_context(services.notary_signer(directory, authority))
        storage = running.enter_context(databases.postgresql(directory / "database.log"))
        yield running.enter_context(
            services.notary_server(directory / "server", authority, trust_service=signer, storage=storage)
        )


@pytest.fixture
def team(person: Callable[[str], Person], repository: Repository) -> Team:
    return Team(person, repository)


def test_two_people_release_a_tag_and_nobody_does_alone(team: Team, person: Callable[[str], Person]) -> None:
    reader, repository = person("reader"), team.repository
    image = repository.push("1")
    before = team.versions(reader)
    alone = team.ann.notarypy("sign", repository.ref("1")).expect(6)
    assert "--offline-part" in alone.stderr
    part = team.ann.home / "app.part"
    team.ann.notarypy("sign", "--offline-part", part, repository.ref("1")).expect(0)
    half = team.ann.notarypy("sign", "--join", part).expect(6)
    assert "1 of 2" in half.stderr
    assert team.versions(reader) == before
    assert not team.released(reader, "1")

    # Bob's machine has no network by then, and knows the repository from before.
    team.bob.notarypy("delegate", "list", repository.name).expect(0)
    copy = team.handed(part, team.bob)
    signed = team.bob.notarypy("sign", "--offline", "--yes", "--offline-part", copy).expect(0)
    assert f"tag 1: sha256:{image.sha256}" in signed.stdout
    team.bob.notarypy("sign", "--join", copy).expect(0)

    assert team.released(reader, "1")
    listed = reader.notary("list", repository.name, "-r", "targets/releases").expect(0).stdout
    assert image.sha256 in listed
    assert image.sha256 in reader.notary("list", repository.name, "-r", TEAM).expect(0).stdout
    [inspection] = json.loads(reader.inspection(repository.ref("1")))
    assert [row["Signers"] for row in inspection["SignedTags"]] == [["team"]]


def test_go_notary_and_docker_release_nothing_alone_either(
    team: Team, person: Callable[[str], Person]
) -> None:
    reader, repository = person("reader"), team.repository
    image, before = repository.push("1"), team.versions(reader)
    assert team.ann.notary_add(repository.name, "1", image, TEAM, "targets/releases").code != 0
    assert team.versions(reader) == before
    assert not team.released(reader, "1")


def test_two_people_take_a_tag_away_and_change_who_signs(team: Team, person: Callable[[str], Person]) -> None:
    reader, repository = person("reader"), team.repository
    repository.push("1")
    part = team.ann.home / "app.part"
    team.ann.notarypy("sign", "--offline-part", part, repository.ref("1")).expect(0)
    copy = team.handed(part, team.bob)
    team.bob.notarypy("sign", "--yes", "--join", copy).expect(0)
    assert team.released(reader, "1")

    gone = team.bob.home / "gone.part"
    assert team.bob.notarypy("revoke", repository.ref("1")).code == 6
    team.bob.notarypy("revoke", "--offline-part", gone, repository.ref("1")).expect(0)
    back = team.handed(gone, team.ann)
    team.ann.notarypy("sign", "--yes", "--join", back).expect(0)
    assert not team.released(reader, "1")

    # The owner lets one signature do, which takes nobody else's; the part that was made before is outdated.
    again = team.bob.home / "again.part"
    team.bob.notarypy("sign", "--offline-part", again, repository.ref("1")).expect(0)
    team.owner.notarypy("delegate", "add", "team", repository.name, "--threshold", "1").expect(0)
    assert team.bob.notarypy("sign", "--join", again).code == 9
    team.bob.notarypy("sign", repository.ref("1")).expect(0)
    assert team.released(reader, "1")
