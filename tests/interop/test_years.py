"""Years go by for everybody: the server, those who renew without people, and those who read with Go.

notary-server, Go notary and docker have clocks that are moved as ours are: `interop.harness.clock`.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from interop.harness import clock, people, programs, services

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from subprocess import Popen

    from interop.harness.images import Manifest, Repository
    from interop.harness.people import Person
    from interop.harness.programs import Run
    from interop.harness.services import Authority, Endpoint

# For three years, with nights in the 180 and in the 90 days before an end; then for ten.
NIGHTS = (*range(0, 877, 146), 949, 1022, 1168, 2044, 3066, 3504, 3577, 3723)
TARGETS_RENEWED, ROOT_RENEWED = 1022, 3577
WARNED: dict[int, list[str]] = {
    876: [],
    949: ["targets"],
    1022: ["targets"],
    1168: [],
    3504: ["root"],
    3723: [],
}
AFTER_TARGETS, AFTER_ROOT = 1110, 3700


@dataclass
class World:
    """A server and people with one clock; alice owns a repository and jeff signs, each on a machine."""

    server: Endpoint
    repository: Repository
    alice: Person
    jeff: Person
    bob: Person
    image: Manifest
    others: list[Person]

    def at(self, day: int) -> None:
        """Let it be so many days later for everybody."""
        assert self.server.pid is not None
        clock.move(self.server.pid, day * clock.DAY)
        for someone in (self.alice, self.jeff, self.bob, *self.others):
            someone.days = day

    def newcomer(self, home: Path) -> Person:
        """Return somebody who has seen nothing yet."""
        someone = people.Person(home, self.server)
        someone.days = self.bob.days
        self.others.append(someone)
        return someone

    def renewed(self, who: Person) -> Run:
        """Return what cron does on somebody's machine."""
        return programs.collect(self.renewing(who))

    def renewing(self, who: Person) -> Popen[str]:
        """Return the beginning of that."""
        return who.start_notarypy("renew", "--quiet", self.repository.name)

    def go_reads(self, who: Person | None = None) -> bool:
        """Tell whether Go notary reads the signed tag."""
        done = (who or self.bob).notary("list", self.repository.name)
        return done.code == 0 and self.image.sha256 in done.stdout

    def docker_reads(self, who: Person | None = None) -> bool:
        """Tell whether docker reads the signed tag, and who signed it."""
        said = (who or self.bob).inspection(self.repository.ref("1"))
        return self.image.sha256 in said and '"jeff"' in said


@pytest.fixture
def world(tmp_path: Path, workshop: Path, authority: Authority, repository: Repository) -> Iterator[World]:
    with services.notary_server(workshop / f"years-{tmp_path.name}", authority) as server:
        alice, jeff, bob = (people.Person(tmp_path / name, server) for name in ("alice", "jeff", "bob"))
        jeff.notarypy("key", "generate", "jeff", "--dir", jeff.home).expect(0)
        image = repository.push("1")
        alice.notarypy("init", repository.name, "--signer", "jeff", "--key", jeff.home / "jeff.pub").expect(0)
        jeff.notarypy("sign", repository.ref("1")).expect(0)
        yield World(server, repository, alice, jeff, bob, image, [])


def test_cron_keeps_a_repository_alive(world: World, tmp_path: Path) -> None:
    name = world.repository.name
    done: dict[str, list[int]] = {"alice": [], "jeff": []}
    sleepers = [world.newcomer(tmp_path / kind) for kind in ("ours", "go")]
    sleepers[0].notarypy("verify", world.repository.ref("1")).expect(0)
    assert world.go_reads(sleepers[1])
    for night in NIGHTS:
        world.at(night)
        if night in WARNED:
            warned = world.bob.notarypy("verify", world.repository.ref("1")).expect(0).stderr
            assert [
                role for role in ("targets", "root") if f"{role} of {name} expires on" in warned
            ] == WARNED[night]
        for who, said in (("jeff", world.renewed(world.jeff)), ("alice", world.renewed(world.alice))):
            if said.text:  # else it was silent: nothing was due
                done[who].append(night)
            expected = 6 if who == "jeff" and said.text else 0  # the owner's roles are not his to sign
            said.expect(expected)
            assert expected == 0 or "of these keys must be here" in said.stderr
        assert world.go_reads(), night
        if night in {0, TARGETS_RENEWED, 1168, ROOT_RENEWED, 3723}:
            assert world.docker_reads(), night
    assert done == {
        "alice": [TARGETS_RENEWED, 2044, 3066, ROOT_RENEWED],
        "jeff": [TARGETS_RENEWED, 2044, 3066, ROOT_RENEWED],
    }
    world.alice.notarypy("status", "--check", name).expect(0)
    # Who read it last under the first root, which is over: Go follows no more until its cache is gone.
    sleepers[0].notarypy("verify", world.repository.ref("1")).expect(0)
    assert not world.go_reads(sleepers[1])
    shutil.rmtree(sleepers[1].trust_dir / "tuf" / name)
    assert world.go_reads(sleepers[1])
    late = world.newcomer(tmp_path / "late")
    assert world.go_reads(late)
    assert world.docker_reads(world.newcomer(tmp_path / "later"))
    late.notarypy("verify", world.repository.ref("1")).expect(0)


def test_once_the_root_is_over_its_owner_makes_it_anew_and_nobody_else_can(
    world: World, tmp_path: Path
) -> None:
    name, ref = world.repository.name, world.repository.ref("1")
    world.bob.notarypy("verify", ref).expect(0)
    pin = world.alice.notarypy("--json", "init", name).expect(0).document["results"][0]["root_pins"][0]
    world.at(AFTER_ROOT)
    mallory, gopher = world.newcomer(tmp_path / "mallory"), world.newcomer(tmp_path / "gopher")
    world.bob.notarypy("verify", ref).expect(8)  # the server has no timestamp to give
    assert "ended" in world.bob.notarypy("status", "--check", name).expect(5).stdout
    for who in (world.jeff, mallory):
        world.renewed(who).expect(6)
        assert who.notarypy("init", name).code == who.notarypy("sign", "--init", ref).code == 8
    assert gopher.notary("init", name, "-p").code != 0
    refused = world.renewed(world.alice).expect(1).stderr
    assert "takes no update once the certificate of the root that it has is over" in refused
    world.alice.notarypy("delete", "--remote", "--confirm", name, name).expect(0)
    world.alice.notarypy("forget", "--yes", name).expect(0)
    world.alice.notarypy("init", name, "--signer", "jeff", "--key", world.jeff.home / "jeff.pub").expect(0)
    for who in (world.jeff, world.bob):
        who.notarypy("verify", ref).expect(4)
        who.notarypy("trust", name, "--root", pin).expect(0)
    world.jeff.notarypy("sign", ref).expect(0)
    world.bob.notarypy("verify", ref).expect(0)
    assert world.go_reads(world.newcomer(tmp_path / "late"))
    assert world.docker_reads(world.newcomer(tmp_path / "later"))
    # Whoever deletes and begins anew without the root key convinces nobody.
    mallory.notarypy("delete", "--remote", "--confirm", name, name).expect(0)
    mallory.notarypy("init", name).expect(0)
    world.bob.notarypy("verify", ref).expect(4)


def test_what_has_ended_is_recovered_by_its_owner_and_by_nobody_else(world: World, tmp_path: Path) -> None:
    name, ref = world.repository.name, world.repository.ref("1")
    assert world.go_reads()
    world.bob.notarypy("verify", ref).expect(0)
    world.at(AFTER_TARGETS)
    mallory, gopher = world.newcomer(tmp_path / "mallory"), world.newcomer(tmp_path / "gopher")
    world.bob.notarypy("status", "--check", name).expect(5)

    def is_over() -> None:
        assert not world.go_reads()
        world.bob.notarypy("verify", ref).expect(5)

    is_over()
    # A delegate may sign his own roles anew, which does not bring it back.
    assert "targets: ended on" in world.renewed(world.jeff).expect(6).stderr
    world.jeff.notarypy("sign", ref).expect(5)
    assert world.jeff.notary_add(name, "2", world.image, "targets/jeff").code != 0
    is_over()
    # The server lets everybody write here: what keeps a stranger out are keys.
    world.renewed(mallory).expect(6)
    assert mallory.notarypy("init", name).code in {4, 5}
    assert mallory.notarypy("sign", "--init", ref).code in {4, 5}
    for arguments in (("init", name, "-p"), ("publish", name)):
        assert gopher.notary(*arguments).code != 0
    assert gopher.notary_add(name, "1", world.image).code != 0
    is_over()
    # Two that overlap, as cron's may, renew once.
    for each in [world.renewing(world.alice) for _ in range(2)]:
        programs.collect(each).expect(0)
    (found,) = world.bob.notarypy("--json", "status", name).expect(0).document["results"]
    assert {role["role"]: role["version"] for role in found["roles"]}["targets"] == 2
    world.renewed(world.jeff).expect(0)
    world.bob.notarypy("verify", ref).expect(0)
    assert world.go_reads()
    assert world.docker_reads(world.newcomer(tmp_path / "late"))
    world.bob.notarypy("status", "--check", name).expect(0)
