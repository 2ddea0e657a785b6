"""Eight publishers at the same time: all succeed, and every tag is there afterwards."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from interop.harness import programs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from interop.harness.images import Manifest, Repository
    from interop.harness.people import Person

PUBLISHERS = 8
GO_ATTEMPTS = 60


def sign_at_once(people: Sequence[Person], repository: Repository) -> dict[str, Manifest]:
    """Let each sign a tag of its own in a process of its own; return the tags."""
    tags = {f"tag-{number}": repository.push(f"tag-{number}") for number in range(len(people))}
    running = [
        person.start_notarypy("sign", repository.ref(tag)) for person, tag in zip(people, tags, strict=True)
    ]
    for process in running:
        programs.collect(process, timeout=120).expect(0)
    return tags


def all_there(reader: Person, repository: Repository, tags: dict[str, Manifest]) -> None:
    listing = reader.notary("list", repository.name, "-r", "targets/releases").expect(0).stdout
    for tag, manifest in tags.items():
        assert tag in listing
        assert manifest.sha256 in listing
    reader.notarypy("verify", *(repository.ref(tag) for tag in tags)).expect(0)


def test_with_one_trust_directory(alice: Person, bob: Person, repository: Repository) -> None:
    alice.own(repository.name)
    tags = sign_at_once([alice] * PUBLISHERS, repository)
    all_there(bob, repository, tags)
    all_there(alice, repository, tags)


def with_same_keys(owner: Person, person: Callable[[str], Person]) -> list[Person]:
    people = [person(f"publisher-{number}") for number in range(PUBLISHERS)]
    for each in people:
        owner.share_keys_with(each)
    return people


def test_with_eight_trust_directories(
    alice: Person, bob: Person, person: Callable[[str], Person], repository: Repository
) -> None:
    alice.own(repository.name)
    all_there(bob, repository, sign_at_once(with_same_keys(alice, person), repository))


def test_with_a_go_publisher_among_them(
    alice: Person, bob: Person, person: Callable[[str], Person], repository: Repository
) -> None:
    alice.own(repository.name)
    go = person("go")
    alice.share_keys_with(go)
    image = repository.push("by-go")
    codes: list[int] = []

    def publish() -> None:
        # Go notary loses races and does not try again by itself.
        while not codes or (codes[-1] != 0 and len(codes) < GO_ATTEMPTS):
            run = go.notary_add(repository.name, "by-go", image, "targets/releases", "targets/jeff")
            codes.append(run.code)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        tags = sign_at_once(with_same_keys(alice, person), repository)
    finally:
        thread.join()
    assert codes[-1] == 0
    all_there(bob, repository, {**tags, "by-go": image})


def test_with_signers_who_share_no_key(
    alice: Person, bob: Person, person: Callable[[str], Person], repository: Repository
) -> None:
    people = [person(name) for name in ("ann", "ben", "cem")]
    for signer in people:
        name = signer.home.name
        key, certificate = signer.new_key(name)
        signer.notarypy("key", "load", key, "--name", name).expect(0)
        alice.notarypy("signer", "add", "--key", certificate, name, repository.name).expect(0)
    all_there(bob, repository, sign_at_once(people, repository))


def test_readers_who_know_nothing_with_one_trust_directory_while_others_publish(
    alice: Person, bob: Person, repository: Repository
) -> None:
    alice.own(repository.name)
    repository.push("1")
    alice.notarypy("sign", repository.ref("1")).expect(0)
    running = []
    for number in range(PUBLISHERS):
        running.append(bob.start_notarypy("verify", repository.ref("1")))
        if number % 3 == 0:
            repository.push(f"more-{number}")
            running.append(alice.start_notarypy("sign", repository.ref(f"more-{number}")))
    for process in running:
        programs.collect(process, timeout=120).expect(0)
    verified = bob.notarypy("verify", repository.ref("1"), repository.ref("more-0")).expect(0)
    assert verified.stderr == ""
