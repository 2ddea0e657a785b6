"""`pin` as a call of the library: a value with the new file, or an exception."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.errors import (
    BuildFileError,
    DigestMismatchError,
    InvalidNameError,
    RepositoryMissingError,
    TagUnsignedError,
    UsageError,
)
from support.author import GUN

if TYPE_CHECKING:
    from support.people import Person, World


@pytest.fixture
def alice(world: World) -> Person:
    return world.person("alice")


@pytest.fixture
def digest(world: World, alice: Person) -> str:
    """Return the digest of tag 1, which is signed; tag 2 is not."""
    found = world.push("1")
    world.push("2")
    client = alice.client()
    client.init(GUN)
    client.sign([f"{GUN}:1"])
    alice.warnings.clear()
    return found


def test_the_new_file_and_what_vouches_for_each_image(alice: Person, digest: str) -> None:
    found = alice.client().images.pin(f"FROM {GUN}:1 AS x\nFROM x\n".encode())
    assert found.data == f"FROM {GUN}:1@{digest} AS x\nFROM x\n".encode()
    (image,) = found.images
    assert (image.line, image.what, image.digest, image.previous) == (1, "FROM", digest, None)
    assert image.is_new
    assert image.verified is not None
    assert image.verified.role == "targets"
    assert found.changed


def test_every_image_is_tried_and_the_file_raises_the_first_failure(alice: Person, digest: str) -> None:
    found = alice.client().images.pin(f"FROM {GUN}:2\nFROM {GUN}:1\nFROM {GUN}x:1\n".encode(), source="D")
    assert [type(error) for error in found.failures] == [TagUnsignedError, RepositoryMissingError]
    assert found.images[1].digest == digest
    for get in (lambda: found.data, lambda: found.changed, found.policy):
        with pytest.raises(TagUnsignedError) as caught:
            get()
        assert caught.value.message == f"D:1: {GUN}:2 is not signed"
        assert caught.value.facts["line"] == 1
        assert caught.value.exit_code == 3


def test_another_digest_of_the_tag(alice: Person, digest: str) -> None:
    text = f"FROM {GUN}:1@sha256:{'0' * 64}\n".encode()
    assert alice.client().images.pin(text).images[0].previous == f"sha256:{'0' * 64}"
    checked = alice.client().images.pin(text, check=True)
    assert [type(error) for error in checked.failures] == [DigestMismatchError]
    good = alice.client().images.pin(f"FROM {GUN}:1@{digest}\n".encode(), check=True)
    assert (good.changed, good.images[0].is_new) == (False, False)


def test_a_file_that_does_not_say_which_images_it_means(alice: Person) -> None:
    for text in (b"", b"FROM $X\n", b"FROM a b\n", b"x" * (1024 * 1024 + 1)):
        with pytest.raises(BuildFileError):
            alice.client().images.pin(text)
    (failure,) = alice.client().images.pin(b"FROM Upper\n").failures
    assert isinstance(failure, InvalidNameError)
    assert failure.message.startswith("Dockerfile:1: ")


@pytest.mark.usefixtures("digest")
def test_a_quote_that_cannot_be_replaced_is_refused(alice: Person) -> None:
    text = f'FROM scratch\nRUN --mount=type=bind,from={GUN[:4]}"{GUN[4:]}:1,target=/x" true\n'
    with pytest.raises(BuildFileError, match="an image cannot be replaced"):
        alice.client().images.pin(text.encode())


def test_a_policy_is_for_builds(alice: Person, digest: str) -> None:
    compose = f"services: {{a: {{image: '{GUN}:1'}}}}\n".encode()
    found = alice.client().images.pin(compose, source="c.yaml")
    assert digest.encode() in found.data
    with pytest.raises(UsageError, match="no Dockerfile"):
        found.policy()


@pytest.mark.parametrize(
    "text", ["volumes: {data: {}}", "name: a\nnetworks:\n  b:\nx-c: d", "include: [e.yml]"]
)
def test_a_compose_file_may_be_without_services(alice: Person, text: str) -> None:
    found = alice.client().images.pin(text.encode(), source="x.yml")
    assert (found.data, found.images) == (text.encode(), ())
    with pytest.raises(BuildFileError, match="neither a compose file nor"):
        alice.client().images.pin(f"{text}\nimage: a:1\n".encode(), source="x.yml")


def test_what_a_file_is(alice: Person) -> None:
    with pytest.raises(BuildFileError, match="neither a compose file nor"):
        alice.client().images.pin(b"a: b\n", source="x.yml")
    with pytest.raises(BuildFileError, match="several documents"):
        alice.client().images.pin(b"services: {}\n---\nservices: {}\n", source="x.yml")
    with pytest.raises(BuildFileError, match="no services"):
        alice.client().images.pin(b"services:\n", source="x.yml")
    with pytest.raises(BuildFileError, match="is empty"):
        alice.client().images.pin(b"# none\n", kind="compose")
    assert alice.client().images.pin(b"# none\n", source="x.yml").images == ()
    assert alice.client().images.pin(b"a: b\n", kind="k8s").kind == "k8s"
