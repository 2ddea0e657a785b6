"""A verifier that runs long, over the real servers: what it shares, refuses, and leaves behind."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from interop.harness import services
from notarypy.errors import NetworkError, RepositoryVanishedError, TagUnsignedError
from notarypy.service.verifier import Verifier
from notarypy.storage.settings.settings import load
from support.verifiers import Ticks, until

if TYPE_CHECKING:
    from interop.harness.images import Repository
    from interop.harness.people import Person
    from notarypy.service.verifier import Verdict

SECONDS = 60.0


def pinned(person: Person, repository: Repository) -> str:
    """Return the scope of a repository of somebody's, who signs two tags of it."""
    person.own(repository.name)
    for tag in ("1", "2"):
        repository.push(tag)
        person.notarypy("sign", repository.ref(tag)).expect(0)
    (result,) = json.loads(person.notarypy("--json", "inspect", repository.name).expect(0).stdout)["results"]
    return f'[scope."{repository.name}"]\nroots.ids = {json.dumps(result["root_keys"])}\n'


def verifier(
    notary: services.Endpoint, policy: Path, ticks: Ticks, *, name: str = "trust", max_age: float = 30.0
) -> Verifier:
    flags = {
        "server": notary.url,
        "tlscacert": str(notary.ca),
        "trust_dir": str(policy.parent / name),
        "policy": str(policy),
    }
    return Verifier(load(flags, {}, policy.parent), max_age=max_age, clock=ticks)


def asked(service: Verifier, image: str) -> Verdict:
    return service.ask(image).result(SECONDS)


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_server_that_hangs_holds_up_nobody_else(
    alice: Person, repository: Repository, notary: services.Endpoint, tmp_path: Path
) -> None:
    policy, ticks = tmp_path / "policy.toml", Ticks()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # nobody accepts what comes there
        hung = f"{repository.name.partition('/')[0]}/hung"
        policy.write_text(
            f'{pinned(alice, repository)}[scope."{hung}"]\nroots.ids = ["{"0" * 64}"]\n'
            f'server = "https://localhost:{silent.getsockname()[1]}"\n'
        )
        with closing(verifier(notary, policy, ticks)) as service:
            waiting = [service.ask(f"{hung}:{number}") for number in range(50)]
            for tag in "12":
                assert asked(service, repository.ref(tag)).ok
            assert not any(future.done() for future in waiting)
            assert service.inquiries.pool.busy == 1


def test_what_is_published_is_seen_by_all_and_a_server_without_it_is_refused(
    alice: Person,
    repository: Repository,
    notary: services.Endpoint,
    authority: services.Authority,
    tmp_path: Path,
) -> None:
    policy, ticks = tmp_path / "policy.toml", Ticks()
    policy.write_text(pinned(alice, repository))
    with (
        closing(verifier(notary, policy, ticks)) as one,
        closing(verifier(notary, policy, ticks, name="other", max_age=0)) as two,
    ):
        assert asked(one, repository.ref("1")).ok
        assert asked(two, repository.ref("1")).ok
        alice.notarypy("revoke", repository.ref("1")).expect(0)
        ticks.now += 1
        assert isinstance(asked(two, repository.ref("1")).image, TagUnsignedError)
        ticks.now += 29
        assert isinstance(asked(one, repository.ref("1")).image, TagUnsignedError)
        assert asked(one, repository.ref("2")).ok
    with services.notary_server(tmp_path / "empty", authority) as empty:
        service = verifier(empty, policy, ticks)
        with closing(service):
            assert isinstance(asked(service, repository.ref("2")).image, RepositoryVanishedError)
            ticks.now += 60
    with closing(verifier(empty, policy, ticks)) as service:
        assert isinstance(asked(service, repository.ref("2")).image, NetworkError)


def test_nothing_is_left_open_over_thousands_of_questions(
    alice: Person, repository: Repository, notary: services.Endpoint, tmp_path: Path
) -> None:
    policy, ticks, threads = tmp_path / "policy.toml", Ticks(), threading.active_count()
    policy.write_text(pinned(alice, repository))
    before = descriptors()
    with closing(verifier(notary, policy, ticks)) as service:
        used = 0
        for number in range(20):
            for _ in range(200):
                assert all(asked(service, repository.ref(tag)).ok for tag in "12")
            ticks.now += 31
            assert number == 0 or descriptors() <= used
            used = max(used, descriptors() + 4) if number == 0 else used
        assert service.looks == 20
    until(lambda: threading.active_count() <= threads and descriptors() <= before)
