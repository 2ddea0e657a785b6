"""A publish is done when it can be read back, whatever the server or the connection made of the upload."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interop.harness.gateway import Upload

if TYPE_CHECKING:
    from interop.harness.gateway import Gateway
    from interop.harness.images import Repository
    from interop.harness.people import Person


@pytest.fixture
def owner(alice: Person, front: Gateway, repository: Repository) -> Person:
    """Return the owner of a repository with a tag to sign, whose next publish goes through the gateway."""
    alice.own(repository.name)
    repository.push("1")
    alice.use(front.endpoint)
    front.forget()
    return alice


def test_an_answer_that_is_lost_is_settled_by_looking(
    owner: Person, bob: Person, front: Gateway, repository: Repository
) -> None:
    front.upload = Upload.CUT
    owner.notarypy("sign", repository.ref("1")).expect(0)
    assert front.requests("POST") == [""]
    bob.notarypy("verify", repository.ref("1")).expect(0)


def test_an_upload_that_never_arrives_is_not_reported_as_done(
    owner: Person, bob: Person, front: Gateway, repository: Repository
) -> None:
    before = owner.files()
    front.upload = Upload.SWALLOW
    owner.notarypy("sign", "--retry-for", "1", repository.ref("1")).expect(8)
    assert owner.files() == before
    bob.notarypy("verify", repository.ref("1")).expect(3)
    front.upload = Upload.FORWARD
    owner.notarypy("sign", repository.ref("1")).expect(0)


@pytest.mark.parametrize("upload", [Upload.DROP, Upload.EMPTY], ids=["dropped", "emptied"])
def test_an_accepted_upload_that_is_not_served_is_a_failure(
    owner: Person, bob: Person, front: Gateway, repository: Repository, upload: Upload
) -> None:
    front.upload = upload
    run = owner.notarypy("sign", repository.ref("1")).expect(4)
    assert "[publish.unconfirmed]" in run.stderr
    bob.notarypy("verify", repository.ref("1")).expect(3)
    front.upload = Upload.FORWARD
    owner.notarypy("sign", repository.ref("1")).expect(0)
    bob.notarypy("verify", repository.ref("1")).expect(0)


def test_a_first_publish_whose_answer_is_lost_keeps_its_keys(
    alice: Person, bob: Person, front: Gateway, repository: Repository
) -> None:
    alice.use(front.endpoint)
    front.upload = Upload.CUT
    alice.notarypy("init", repository.name).expect(0)
    front.upload = Upload.FORWARD
    repository.push("1")
    alice.notarypy("sign", repository.ref("1")).expect(0)
    bob.notarypy("verify", repository.ref("1")).expect(0)


def test_a_first_publish_that_is_dropped_can_be_done_again(
    alice: Person, front: Gateway, repository: Repository
) -> None:
    alice.use(front.endpoint)
    front.upload = Upload.DROP
    alice.notarypy("init", repository.name).expect(4)
    front.upload = Upload.FORWARD
    alice.notarypy("init", repository.name).expect(0)
    repository.push("1")
    alice.notarypy("sign", repository.ref("1")).expect(0)
