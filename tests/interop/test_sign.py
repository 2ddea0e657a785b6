"""What `sign` publishes, and when it publishes nothing."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from interop.harness.images import OCI_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from interop.harness.gateway import Gateway
    from interop.harness.images import Repository
    from interop.harness.people import Person


@pytest.fixture
def owner(alice: Person, front: Gateway, repository: Repository) -> Person:
    """Return the owner of the repository, who publishes through the gateway."""
    alice.own(repository.name)
    alice.use(front.endpoint)
    front.forget()
    return alice


def server_snapshot_version(person: Person, repository: Repository) -> int:
    """Return the snapshot version that a fresh look at the server finds."""
    person.notary("list", repository.name).expect(0)
    snapshot = json.loads((person.metadata(repository.name) / "snapshot.json").read_bytes())
    version = snapshot["signed"]["version"]
    assert isinstance(version, int)
    return version


def test_an_already_signed_digest_publishes_nothing(
    owner: Person, front: Gateway, repository: Repository
) -> None:
    repository.push("1")
    owner.notarypy("sign", repository.ref("1")).expect(0)
    front.forget()
    again = owner.notarypy("sign", repository.ref("1")).expect(0)
    assert front.requests("POST") == []
    assert "already signed" in again.text.lower()


def test_a_moved_tag_is_signed_anew_and_says_so(owner: Person, bob: Person, repository: Repository) -> None:
    old = repository.push("1")
    owner.notarypy("sign", repository.ref("1")).expect(0)
    new = repository.push("1", "rebuilt")
    said = owner.notarypy("sign", repository.ref("1")).expect(0).text
    assert f"was {old.digest}" in said
    assert f"now {new.digest}" in said
    assert bob.notarypy("verify", repository.ref("1")).expect(0).stdout == f"{repository.pinned(new)}\n"


def test_an_index_is_signed_as_the_index(owner: Person, bob: Person, repository: Repository) -> None:
    index = repository.push_index("multi")
    owner.notarypy("sign", repository.ref("multi")).expect(0)
    assert bob.notarypy("verify", repository.ref("multi")).expect(0).stdout == f"{repository.pinned(index)}\n"
    found = bob.notary("lookup", repository.name, "multi").expect(0).stdout
    assert f"sha256:{index.sha256} {index.size}" in found


def test_an_oci_image_is_signed_like_any(owner: Person, bob: Person, repository: Repository) -> None:
    image = repository.push("oci", media_type=OCI_MANIFEST)
    owner.notarypy("sign", repository.ref("oci")).expect(0)
    assert bob.notarypy("verify", repository.ref("oci")).expect(0).stdout == f"{repository.pinned(image)}\n"


def test_many_tags_from_a_file_are_one_publish(
    owner: Person, bob: Person, front: Gateway, repository: Repository
) -> None:
    tags = [f"v{number}" for number in range(12)]
    lines = ["# a release", *(repository.ref(tag) for tag in tags), ""]
    for tag in tags:
        repository.push(tag)
    before = server_snapshot_version(bob, repository)
    owner.notarypy("sign", "--from-file", "-", text="\n".join(lines)).expect(0)
    assert front.requests("POST") == [""]
    assert server_snapshot_version(bob, repository) == before + 1
    bob.notarypy("verify", *(repository.ref(tag) for tag in tags)).expect(0)


def test_a_bad_line_in_a_file_is_named_before_anything_is_asked(
    owner: Person, front: Gateway, repository: Repository
) -> None:
    listing = owner.home / "tags"
    listing.write_text(f"{repository.ref('1')}\n# fine\nnot a reference\n")
    run = owner.notarypy("sign", "--from-file", listing).expect(2)
    assert re.search(r"\b3\b", run.stderr.replace(str(listing), "the file"))
    assert front.seen == []


def test_a_repository_is_signed_wholly_or_not_at_all_and_others_go_on(
    owner: Person,
    bob: Person,
    repository: Repository,
    new_repository: Callable[[], Repository],
) -> None:
    other = new_repository()
    owner.notarypy("init", other.name).expect(0)
    repository.push("1")
    other.push("1")
    refs = (repository.ref("1"), repository.ref("none"), other.ref("1"))
    run = owner.notarypy("--json", "sign", *refs).expect(3)
    oks = {result["ref"]: result["ok"] for result in run.document["results"]}
    assert oks[other.ref("1")] is True
    assert oks[repository.ref("none")] is False
    bob.notarypy("verify", other.ref("1")).expect(0)
    bob.notarypy("verify", repository.ref("1")).expect(3)


def test_several_repositories_are_one_publish_each(
    owner: Person,
    front: Gateway,
    repository: Repository,
    new_repository: Callable[[], Repository],
) -> None:
    other = new_repository()
    owner.notarypy("init", other.name).expect(0)
    refs = [each.ref(tag) for each in (repository, other) for tag in ("1", "2")]
    for each in (repository, other):
        each.push("1")
        each.push("2")
    front.forget()
    owner.notarypy("sign", *refs).expect(0)
    assert len(front.requests("POST")) == 2
    owner.notarypy("verify", *refs).expect(0)


def test_a_dry_run_publishes_nothing(owner: Person, front: Gateway, repository: Repository) -> None:
    repository.push("1")
    before = owner.files()
    owner.notarypy("sign", "--dry-run", repository.ref("1")).expect(0)
    assert front.requests("POST") == []
    assert owner.files() == before
    owner.notarypy("verify", repository.ref("1")).expect(3)


def test_a_digest_signs_what_the_tag_was(owner: Person, bob: Person, repository: Repository) -> None:
    old = repository.push("1")
    repository.push("1", "rebuilt")
    owner.notarypy("sign", f"{repository.ref('1')}@{old.digest}").expect(0)
    assert old.sha256 in bob.notary("lookup", repository.name, "1").expect(0).stdout
    owner.notarypy("sign", repository.pinned(old)).expect(2)


def test_a_new_repository_is_made_only_when_asked_for(
    alice: Person, bob: Person, repository: Repository
) -> None:
    repository.push("1")
    refused = alice.notarypy("sign", repository.ref("1")).expect(3)
    assert "notarypy init" in refused.stderr
    assert not list(alice.trust_dir.glob("private/*"))
    alice.notarypy("sign", "--init", repository.ref("1")).expect(0)
    bob.notarypy("verify", repository.ref("1")).expect(0)
    assert json.loads(alice.inspection(repository.name))[0]["SignedTags"][0]["Signers"] == ["Repo Admin"]


def test_custom_data_goes_where_go_reads_it(owner: Person, bob: Person, repository: Repository) -> None:
    repository.push("1")
    custom = owner.home / "custom.json"
    custom.write_text('{"build":7,"from":"main"}')
    owner.notarypy("sign", "--custom", custom, repository.ref("1")).expect(0)
    bob.notary("list", repository.name).expect(0)
    releases = json.loads((bob.metadata(repository.name) / "targets" / "releases.json").read_bytes())
    assert releases["signed"]["targets"]["1"]["custom"] == {"build": 7, "from": "main"}


def test_a_covered_role_without_its_passphrase_stops_it_unless_narrowed(
    owner: Person, bob: Person, repository: Repository
) -> None:
    def signers() -> list[str]:
        (tag,) = json.loads(bob.inspection(repository.ref("1")))[0]["SignedTags"]
        return sorted(tag["Signers"])

    repository.push("1")
    key, certificate = owner.new_key("locked")
    other = "another-passphrase"
    owner.notarypy("key", "load", key, "--name", "locked", NOTARYPY_PASSPHRASE_LOCKED=other).expect(0)
    owner.notarypy("signer", "add", "--key", certificate, "locked", repository.name).expect(0)
    owner.notarypy("sign", repository.ref("1")).expect(6)
    owner.notarypy("sign", "--signer", "jeff", repository.ref("1")).expect(0)
    assert signers() == ["jeff"]
    owner.notarypy("sign", repository.ref("1"), NOTARYPY_PASSPHRASE_LOCKED=other).expect(0)
    assert signers() == ["jeff", "locked"]
    bob.notarypy("verify", "--all-signers", repository.ref("1")).expect(0)
