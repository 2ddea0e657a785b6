"""`sign --local` through a real docker daemon: pushed and signed in one step, to the digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interop.harness import services
from interop.harness.images import Repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from interop.harness.people import Person


@pytest.fixture(autouse=True)
def _with_daemon(alice: Person, bob: Person, dockerd: str) -> None:
    for someone in (alice, bob):
        someone.environment["DOCKER_HOST"] = dockerd


def pushed(person: Person, reference: str) -> str:
    """Return what the daemon remembers as pushed, `REPO@DIGEST`."""
    run = person.docker("image", "inspect", "--format", "{{index .RepoDigests 0}}", reference)
    return run.expect(0).stdout.strip()


def test_what_is_pushed_is_signed(alice: Person, bob: Person, repository: Repository) -> None:
    alice.own(repository.name)
    alice.build(repository.ref("1"))
    run = alice.notarypy("sign", "--local", "--json", repository.ref("1")).expect(0)
    [result] = run.document["results"]
    assert f"{repository.name}@{result['digest']}" == pushed(alice, repository.ref("1"))
    verified = bob.notarypy("verify", "--signer", "jeff", repository.ref("1")).expect(0).stdout.strip()
    assert verified == pushed(alice, repository.ref("1"))
    bob.docker_trusting("pull", repository.ref("1")).expect(0)


def test_a_new_image_replaces_the_old_one(alice: Person, bob: Person, repository: Repository) -> None:
    alice.build(repository.ref("1"))
    alice.notarypy("sign", "--local", "--init", repository.ref("1")).expect(0)
    first = pushed(alice, repository.ref("1"))
    alice.build(repository.ref("1"), "changed")
    run = alice.notarypy("sign", "--local", repository.ref("1")).expect(0)
    assert f"was {first.partition('@')[2]} now " in run.stdout
    assert bob.notarypy("verify", repository.ref("1")).expect(0).stdout.strip() not in {"", first}


def test_several_tags_at_once(alice: Person, bob: Person, repository: Repository) -> None:
    alice.own(repository.name)
    references = [repository.ref(tag) for tag in ("1", "2", "latest")]
    for reference in references:
        alice.build(reference)
    alice.notarypy("sign", "--local", *references).expect(0)
    assert len(bob.notarypy("verify", *references).expect(0).stdout.split()) == len(references)


def test_a_registry_with_a_login(
    alice: Person, registry_with_login: services.Endpoint, unique: Callable[[], str]
) -> None:
    repository = Repository(registry_with_login, unique())
    alice.trust("certs.d", registry_with_login)
    alice.build(repository.ref("1"))
    for word in ("--json", "-vvv"):
        run = alice.notarypy("sign", word, "--local", "--init", repository.ref("1")).expect(7)
        assert "auth.denied" in run.text
    wrong = "wrong-passw0rd"
    alice.log_in(registry_with_login.host, services.REGISTRY_USER, wrong)
    run = alice.notarypy("sign", "-vvv", "--local", "--init", repository.ref("1")).expect(7)
    assert wrong not in run.text
    alice.log_in(registry_with_login.host, services.REGISTRY_USER, services.REGISTRY_PASSWORD)
    run = alice.notarypy("sign", "-vvv", "--local", "--init", repository.ref("1")).expect(0)
    assert services.REGISTRY_PASSWORD not in run.text
    alice.notarypy("verify", repository.ref("1")).expect(0)


def test_an_image_that_the_daemon_does_not_have(alice: Person, repository: Repository) -> None:
    alice.own(repository.name)
    repository.push("1")
    before = alice.files()
    run = alice.notarypy("sign", "--local", repository.ref("1")).expect(3)
    assert "registry.not_found" in run.stderr
    assert f"docker tag IMAGE {repository.ref('1')}" in run.stderr
    assert alice.files() == before


def test_nothing_is_pushed_where_nothing_can_be_signed(alice: Person, repository: Repository) -> None:
    alice.build(repository.ref("1"))
    run = alice.notarypy("sign", "--local", repository.ref("1")).expect(3)
    assert "trust.repo_missing" in run.stderr
    assert alice.docker("pull", repository.ref("1")).code == 1


def test_a_registry_that_is_not_there(alice: Person, repository: Repository) -> None:
    alice.notarypy("init", repository.name).expect(0)
    gone = f"localhost:{services.free_port()}/{repository.path}"
    alice.build(f"{gone}:1")
    run = alice.notarypy("sign", "--local", "--init", f"{gone}:1").expect(8)
    assert "could not push" in run.stderr


def test_no_daemon(alice: Person, repository: Repository) -> None:
    alice.own(repository.name)
    run = alice.notarypy("sign", "--local", repository.ref("1"), DOCKER_HOST="unix:///nonexistent/socket")
    assert "net.unreachable" in run.expect(8).stderr
    assert "/nonexistent/socket" in run.stderr
    run = alice.notarypy("sign", "--local", repository.ref("1"), DOCKER_HOST="ssh://somebody@host")
    assert "usage.config" in run.expect(2).stderr
    assert "without --local" in run.stderr
