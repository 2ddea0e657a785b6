"""How often `notarypy serve` asks the servers: once for all who want to know the same of a repository."""

from __future__ import annotations

import contextlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from interop.harness import serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from interop.harness.gateway import Gateway
    from interop.harness.images import Repository
    from interop.harness.people import Person
    from interop.harness.services import Authority

PODS, CONNECTIONS = 1000, 20
MAX_AGE = 3.0
# What is asked for is looked at again when it has two thirds of its age, so that nobody waits for that.
LEAST_AGE = MAX_AGE * 2 / 3
TAGS = ("1", "2", "3")


@pytest.fixture
def pin(alice: Person, repository: Repository) -> str:
    """Sign some tags, and return the pin of the repository's root."""
    said = alice.notarypy("init", repository.name).expect(0).text
    for tag in TAGS:
        repository.push(tag)
    alice.notarypy("sign", *map(repository.ref, TAGS)).expect(0)
    return said.partition("root pin: ")[2].split()[0]


@pytest.fixture
def service(
    bob: Person, repository: Repository, pin: str, front: Gateway, authority: Authority, tmp_path: Path
) -> Iterator[serving.Serving]:
    """Run a service that asks through the gateways, which count."""
    bob.use(front.endpoint)
    policy = tmp_path / "policy.toml"
    policy.write_text(f'[scope."{repository.name}"]\nroots.ids = ["{pin}"]\n')
    options = ("--policy", str(policy), "--trust-dir", str(bob.trust_dir), "--max-age", f"{MAX_AGE:g}s")
    with serving.Serving(tmp_path / "serve", authority, bob.environment, options) as running:
        yield running


def review(*images: str) -> bytes:
    """Return the review of a pod that is about to be created."""
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {"containers": containers}}
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    request = {"uid": "u", "kind": kind, "operation": "CREATE", "namespace": "n", "object": pod}
    document = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    return json.dumps(document).encode()


def admitted(service: serving.Serving, reviews: Sequence[bytes]) -> None:
    """Have all these pods admitted, over several connections."""

    def some(mine: Sequence[bytes]) -> None:
        with contextlib.closing(service.connection()) as connection:
            for body in mine:
                connection.request("POST", "/admit/mutate", body, {"Content-Type": "application/json"})
                answer = json.load(connection.getresponse())
                assert answer["response"]["allowed"], answer

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(some, [reviews[start::CONNECTIONS] for start in range(CONNECTIONS)]))


def test_a_thousand_pods_of_one_image_are_one_refresh(
    service: serving.Serving, repository: Repository, front: Gateway
) -> None:
    body = review(repository.ref("1"))
    admitted(service, [body] * PODS)
    cold = front.requests("GET")
    assert cold.count("root.json") == 1
    time.sleep(MAX_AGE)
    front.forget()
    begun = time.monotonic()
    admitted(service, [body] * PODS)
    looks = front.requests("GET")
    # One, however many ask; and one more for each time that a slow machine lets pass meanwhile.
    assert set(looks) == {"timestamp.json"}
    assert 1 <= len(looks) <= 1 + (time.monotonic() - begun) / LEAST_AGE


def test_all_images_of_a_repository_share_it(
    service: serving.Serving, repository: Repository, front: Gateway
) -> None:
    begun = time.monotonic()
    admitted(
        service, [review(*map(repository.ref, TAGS)), *(review(repository.ref(tag)) for tag in TAGS)] * 20
    )
    asked = front.requests("GET")
    assert asked.count("root.json") == 1
    assert 1 <= asked.count("timestamp.json") <= 1 + (time.monotonic() - begun) / LEAST_AGE
