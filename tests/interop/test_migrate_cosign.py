"""`migrate cosign` against a real Notary server and a registry without the referrers API: who gets signed."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from interop.harness import images, programs
from interop.harness.softhsm import PIN, SoftHsm
from notarypy.cosign import signaturekeys, sigstorebundle, simplesigning
from notarypy.images import referrerlist

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interop.harness.gateway import Gateway
    from interop.harness.images import Manifest, Repository
    from interop.harness.people import Person

WRITING = {"PUT", "POST", "PATCH"}


class Signed:
    """What our key has signed in a repository, as anybody reads it there."""

    def __init__(self, repository: Repository, public: Path) -> None:
        self.repository, self._key = repository, signaturekeys.load(public.read_bytes())

    def names(self, image: Manifest) -> list[str]:
        """Return the names that the classic signatures of an image are for."""
        tag = simplesigning.tag_of(image.digest)
        if not self.repository.has(tag):
            return []
        found = []
        for layer in simplesigning.layers(self.repository.manifest(tag)):
            text = self.repository.blob(layer.payload.digest)
            if self._key.verify(layer.signature, text):
                claim = simplesigning.read(text)
                assert claim.digest == image.digest
                found.append(claim.reference)
        return found

    def bundles(self, image: Manifest) -> int:
        """Return how many bundles there are of an image in the list at its tag."""
        tag = referrerlist.tag_of(image.digest)
        if not self.repository.has(tag):
            return 0
        entries = referrerlist.at_tag(self.repository.manifest(tag), image.digest).entries
        found = 0
        for entry in entries:
            assert entry.artifact_type == sigstorebundle.MEDIA_TYPE
            for layer in sigstorebundle.layers(self.repository.manifest(entry.digest)):
                bundle = sigstorebundle.read(self.repository.blob(layer.digest))
                found += self._key.verify(bundle.signatures[0], bundle.message)
        return found


@pytest.fixture
def key(alice: Person) -> Path:
    return alice.new_key("release")[0]


@pytest.fixture
def public(key: Path) -> Path:
    path = key.with_suffix(".pub")
    programs.openssl("ec", "-in", key, "-pubout", "-out", path)
    return path


@pytest.fixture
def signed(repository: Repository, public: Path) -> Signed:
    return Signed(repository, public)


def sign(owner: Person, repository: Repository, *tags: str) -> dict[str, Manifest]:
    """Push and sign tags."""
    pushed = {tag: repository.push(tag) for tag in tags}
    owner.own(repository.name)
    owner.notarypy("sign", *map(repository.ref, tags)).expect(0)
    return pushed


def test_a_moved_tag_is_reported_and_the_others_are_signed(
    alice: Person, bob: Person, repository: Repository, signed: Signed, key: Path
) -> None:
    pushed = sign(alice, repository, "1", "2", "3")
    moved = repository.push("2", "by somebody else")
    unsigned = repository.push("4")

    run = bob.notarypy("migrate", "cosign", repository.name, "--key", key).expect(4)
    assert run.stdout.splitlines() == [
        f"signed {repository.ref('1')} {pushed['1'].digest}",
        f"signed {repository.ref('3')} {pushed['3'].digest}",
        "3 tags: 2 signed, 1 not signed",
    ]
    assert f"served: {moved.digest}" in run.stderr
    for image in (pushed["2"], moved, unsigned):
        assert (signed.names(image), signed.bundles(image)) == ([], 0)
    for tag in ("1", "3"):
        assert (signed.names(pushed[tag]), signed.bundles(pushed[tag])) == ([repository.ref(tag)], 1)

    repository.tag(pushed["2"], "2")
    again = bob.notarypy("migrate", "cosign", repository.name, "--key", key).expect(0)
    assert again.stdout.splitlines()[-1] == "3 tags: 1 signed, 2 already signed"
    assert (signed.names(pushed["1"]), signed.bundles(pushed["1"])) == ([repository.ref("1")], 1)


def test_what_has_ended_or_lacks_a_signer_is_not_signed(
    alice: Person, bob: Person, repository: Repository, signed: Signed, key: Path
) -> None:
    image = sign(alice, repository, "1")["1"]
    words = ("migrate", "cosign", repository.ref("1"), "--key", str(key))
    bob.notarypy(*words, "--signer", "carol").expect(10)
    bob.notarypy(*words, "--root", "0" * 64).expect(4)
    bob.notarypy_later(4000, *words).expect(5)
    assert (signed.names(image), signed.bundles(image)) == ([], 0)
    bob.notarypy(*words, "--signer", "jeff").expect(0)
    assert (signed.names(image), signed.bundles(image)) == ([repository.ref("1")], 1)


def test_killed_again_and_again_it_finishes_without_doing_anything_twice(
    alice: Person,
    bob: Person,
    repository: Repository,
    registry_front: Gateway,
    signed: Signed,
    key: Path,
) -> None:
    behind = images.repository(registry_front.endpoint, repository.path)
    tags = [f"v{number}" for number in range(30)]
    pushed = {tag: repository.push(tag) for tag in tags}
    alice.own(behind.name)
    alice.notarypy("sign", *map(behind.ref, tags)).expect(0)
    kills = 0
    for after in (10, 60, 150, 300, 500):
        registry_front.forget()
        running = bob.start_notarypy("migrate", "cosign", behind.name, "--key", key)
        while running.poll() is None and _writes(registry_front) < after:
            time.sleep(0.01)
        if running.poll() is None:
            running.kill()
            kills += 1
        programs.collect(running)
    assert kills >= 3
    bob.notarypy("migrate", "cosign", behind.name, "--key", key).expect(0)
    for tag in tags:
        assert (signed.names(pushed[tag]), signed.bundles(pushed[tag])) == ([behind.ref(tag)], 1)
    registry_front.forget()
    bob.notarypy("migrate", "cosign", behind.name, "--key", key).expect(0)
    assert _writes(registry_front) == 0


def _writes(front: Gateway) -> int:
    return sum(seen.method in WRITING for seen in list(front.seen))


def test_after_ctrl_c_it_says_what_is_signed(
    alice: Person, bob: Person, repository: Repository, registry_front: Gateway, key: Path
) -> None:
    behind = images.repository(registry_front.endpoint, repository.path)
    tags = [f"v{number}" for number in range(60)]
    for tag in tags:
        repository.push(tag)
    alice.own(behind.name)
    alice.notarypy("sign", *map(behind.ref, tags)).expect(0)
    registry_front.forget()
    running = bob.start_notarypy("migrate", "cosign", behind.name, "--key", key)
    while _writes(registry_front) < 250 and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    stopped = programs.collect(running).expect(-signal.SIGINT)
    signed_then = [line.split()[1] for line in stopped.stdout.splitlines() if line.startswith("signed ")]
    assert 0 < len(signed_then) < len(tags)
    again = bob.notarypy("migrate", "cosign", behind.name, "--key", key).expect(0)
    assert set(signed_then) <= {
        line.split()[2] for line in again.stdout.splitlines() if line.startswith("already signed ")
    }


def test_a_token_signs_many_tags_and_its_pin_is_read_once(
    alice: Person, bob: Person, repository: Repository, tmp_path: Path
) -> None:
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.make_token("release")
    uri = hsm.make_key("release", "cosign")
    pushed = sign(alice, repository, *map(str, range(8)))
    bob.environment |= hsm.environment
    bob.environment["NOTARYPY_PASSPHRASE_RELEASE"] = PIN
    bob.notarypy("key", "add", uri, "--name", "release").expect(0)
    run = bob.notarypy("-vv", "migrate", "cosign", repository.name, "--key", "release").expect(0)
    assert run.stdout.splitlines()[-1] == f"{len(pushed)} tags: {len(pushed)} signed"
    assert PIN not in run.stdout + run.stderr
    assert run.stderr.count("logged in to") == 1


@pytest.mark.slow
def test_a_thousand_tags(
    alice: Person,
    bob: Person,
    repository: Repository,
    registry_front: Gateway,
    front: Gateway,
    signed: Signed,
    key: Path,
) -> None:
    alice.use(front.endpoint)
    bob.use(front.endpoint)
    behind = images.repository(registry_front.endpoint, repository.path)
    tags = [f"v{number}" for number in range(1000)]
    pushed = [repository.push(f"content-{number}") for number in range(50)]
    for number, tag in enumerate(tags):
        repository.tag(pushed[number % 50], tag)
    alice.own(behind.name)
    (alice.home / "tags").write_text("\n".join(map(behind.ref, tags)))
    alice.notarypy("sign", "--from-file", alice.home / "tags").expect(0)
    for running in (front, registry_front):
        running.forget()
    document = bob.notarypy("--json", "migrate", "cosign", behind.name, "--key", key).expect(0).document
    assert [result["ref"] for result in document["results"]] == [behind.ref(tag) for tag in tags]
    assert {state for result in document["results"] for state in _states(result)} == {"written"}
    # One look at each file, and at no file twice.
    looked = Counter(front.requests("GET"))
    assert looked["timestamp.json"] == 1
    assert set(looked.values()) == {1}
    asked = Counter(
        urlsplit(seen.path).path.rpartition("/")[2]
        for seen in registry_front.seen
        if seen.method == "GET" and "/manifests/v" in seen.path
    )
    assert asked == dict.fromkeys(tags, 1)
    puts = [path for path in registry_front.requests("PUT") if path.endswith(".sig")]
    assert len(puts) == 50
    for number in (0, 49):
        names = [behind.ref(tag) for tag in tags[number::50]]
        assert (signed.names(pushed[number]), signed.bundles(pushed[number])) == (names, 1)
    registry_front.forget()
    again = bob.notarypy("migrate", "cosign", behind.name, "--key", key).expect(0)
    assert again.stdout.splitlines()[-1] == "1000 tags: 1000 already signed"
    assert _writes(registry_front) == 0


def _states(result: dict[str, Any]) -> list[str]:
    return [one[form] for one in result["manifests"] for form in ("sig", "bundle")]


def test_many_who_sign_the_same_digest_at_once_keep_each_others_signatures_or_say_so(
    alice: Person, person: Callable[[str], Person], repository: Repository
) -> None:
    image = sign(alice, repository, "1")["1"]
    people = [person(f"signer{number}") for number in range(3)]
    keys = {someone: someone.new_key("own")[0] for someone in people}
    running = [
        someone.start_notarypy("migrate", "cosign", repository.ref("1"), "--key", keys[someone])
        for someone in people
    ]
    for process in running:
        programs.collect(process).expect(0)
    # Whoever wrote between the last look and the write of another one may have to do it again.
    for someone in people:
        someone.notarypy("migrate", "cosign", repository.ref("1"), "--key", keys[someone]).expect(0)
    layers = json.loads(repository.manifest(simplesigning.tag_of(image.digest)))["layers"]
    assert len(layers) >= len(people)
    for someone in people:
        path = keys[someone].with_suffix(".pub")
        programs.openssl("ec", "-in", keys[someone], "-pubout", "-out", path)
        assert set(Signed(repository, path).names(image)) == {repository.ref("1")}
