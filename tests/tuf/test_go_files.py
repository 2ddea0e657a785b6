"""Files written by Go programs: rebuilt byte for byte, and verified as whole repositories."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.errors import ExpiredError, SignatureError
from notarypy.tuf import envelope, policy, roles
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.fields import format_time, parse_time
from notarypy.tuf.metadata import Root, Snapshot, Targets, Timestamp
from notarypy.tuf.trusted import TrustedMetadata
from support.repository import GO, load, releases, top, tree

if TYPE_CHECKING:
    from pathlib import Path

FILES = sorted(path for path in GO.rglob("*.json") if path.parent != GO and path.name != "inspect.json")
LAB = datetime(2026, 11, 24, tzinfo=UTC)
ALPINE = datetime(2018, 7, 25, tzinfo=UTC)
OLD = datetime(2017, 1, 1, tzinfo=UTC)


def role_of(path: Path) -> str:
    name = path.stem.split(".")[-1]
    return f"targets/{name}" if path.parent.name == "targets" else name


def name_of(path: Path) -> str:
    return path.relative_to(GO).as_posix()


def test_there_are_files_to_rebuild() -> None:
    assert len(FILES) > 60


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_storage_form_rebuilds_every_file_of_go(path: Path) -> None:
    data = path.read_bytes()
    file = Envelope.parse(data, role_of(path))
    assert envelope.seal(file.signed, file.signatures) == data


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_model_rebuilds_every_file_of_go_but_for_the_nanoseconds(path: Path) -> None:
    data, role = path.read_bytes(), role_of(path)
    file = Envelope.parse(data, role)
    kinds: dict[str, Any] = {"root": Root, "snapshot": Snapshot, "timestamp": Timestamp}
    value = kinds[role].from_signed(file.signed) if role in kinds else Targets.from_signed(file.signed, role)
    rebuilt = value.to_signed()
    expires = file.signed["expires"]
    assert parse_time(rebuilt["expires"], role) == parse_time(expires, role)
    assert envelope.seal({**rebuilt, "expires": expires}, file.signatures) == data


def test_dates_of_go_survive_to_the_microsecond() -> None:
    for path in FILES:
        written = Envelope.parse(path.read_bytes(), "x").signed["expires"]
        if written.endswith("Z"):
            assert written.startswith(format_time(parse_time(written, "x")).removesuffix("Z"))


@pytest.mark.parametrize(
    ("folder", "gun", "now", "released", "signers"),
    [
        ("docker-ecdsa-rsa/server", "localhost:15000/hp/demo", LAB, None, None),
        ("docker-repo-admin/server", "localhost:15000/hp/adm", LAB, None, None),
        ("notary-ecdsa-rsa/server", "localhost/app/two", LAB, None, None),
        ("notary-ecdsa-rsa/client/tuf/localhost/app/two/metadata", "localhost/app/two", LAB, None, None),
        ("notary-root-rotations/server", "localhost/app/rot", LAB, None, None),
        ("notary-0.1/tuf/docker.com/notary0.1/samplerepo/metadata", "docker.com/notary0.1/samplerepo", OLD,
         {"LICENSE"}, {"targets"}),
        ("notary-0.3/tuf/docker.com/notary0.3/tst/metadata", "docker.com/notary0.3/tst", OLD,
         {"LICENSE", "change", "hello"}, {"targets", "targets/releases"}),
    ],
)  # fmt: skip
def test_whole_trees_of_go_verify(
    folder: str, gun: str, now: datetime, released: set[str] | None, signers: set[str] | None
) -> None:
    files = tree(folder)
    trusted = load(files, gun=gun, now=now)
    assert trusted.failures == {}
    names = set(policy.released_names(trusted))
    assert names
    assert released is None or names == released
    assert signers is None or set(trusted.targets) == signers
    assert all(trusted.files[role] == files[role] for role in trusted.files)


@pytest.mark.parametrize("name", ["edge-releases-without-keys", "notary-signer-backed"])
def test_trees_without_a_known_name_verify_for_the_name_in_their_certificate(name: str) -> None:
    files = tree(f"{name}/server")
    trusted = load(files, gun=common_name(files["root"]), now=LAB)
    assert roles.TARGETS in trusted.targets


def common_name(data: bytes) -> str:
    from cryptography.x509.oid import NameOID

    from notarypy.tuf.keys import leaf_certificate

    root = Root.from_signed(Envelope.parse(data, "root").signed)
    certificate = leaf_certificate(root.signers("root")[0])
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def test_releases_without_keys_lists_nothing_and_the_tag_falls_back_to_targets() -> None:
    files = tree("edge-releases-without-keys/server")
    trusted = load(files, gun=common_name(files["root"]), now=LAB)
    assert isinstance(trusted.failures[roles.RELEASES], SignatureError)
    assert releases(trusted) == {
        name: ("targets", entry) for name, entry in trusted.targets["targets"].targets.items()
    }


def test_docker_signers_and_released_tags_are_as_docker_shows_them() -> None:
    trusted = load(tree("docker-ecdsa-rsa/server"), gun="localhost:15000/hp/demo", now=LAB)
    released = releases(trusted)
    shown = {
        name: (entry.sha256, set(policy.signers(trusted, name, entry)))
        for name, (_, entry) in released.items()
    }
    assert shown == inspected(GO / "docker-ecdsa-rsa" / "inspect.json")


def inspected(path: Path) -> dict[str, tuple[str, set[str]]]:
    import json

    document = json.loads(path.read_bytes())[0]
    return {
        row["SignedTag"]: (
            row["Digest"],
            {f"targets/{name}" for name in row["Signers"] or [] if name != "Repo Admin"},
        )
        for row in document["SignedTags"]
    }


def test_alpine_of_2018_verifies_inside_its_dates() -> None:
    files = tree("dockerhub-alpine-2018")
    trusted = load(files, gun="docker.io/library/alpine", now=ALPINE)
    released = releases(trusted)
    role, latest = released["latest"]
    assert len(released) == 13
    assert (role, latest.length) == ("targets", 2029)
    assert latest.sha256 == "7043076348bf5040220df6ad703798fd8593a0918d06d3ce30c6c93be117e430"


def test_alpine_of_2018_is_expired_today() -> None:
    files = tree("dockerhub-alpine-2018")
    with pytest.raises(ExpiredError) as caught:
        load(files, gun="docker.io/library/alpine", now=LAB)
    assert caught.value.facts["role"] == "timestamp"


def test_the_root_chain_1_to_7_is_walked_link_by_link() -> None:
    folder = GO / "notary-root-rotations" / "server"
    trusted = TrustedMetadata("localhost/app/rot", LAB)
    trusted.first_root((folder / "1.root.json").read_bytes())
    for version in range(2, 8):
        assert trusted.update_root((folder / f"{version}.root.json").read_bytes()).version == version
    files = tree("notary-root-rotations/server")
    trusted.update_timestamp(files["timestamp"])
    trusted.update_snapshot(files["snapshot"])
    assert trusted.outdated_root() is None
    assert trusted.update_targets(files["targets"]).version == 4


def test_pretty_printed_files_fail_for_hashes_cover_bytes() -> None:
    import json

    from notarypy.errors import VerificationError

    files = tree("docker-repo-admin/server")
    pretty = json.dumps(json.loads(files["snapshot"]), indent=1).encode()
    with pytest.raises(VerificationError, match="snapshot has the wrong length"):
        top({**files, "snapshot": pretty}, gun="localhost:15000/hp/adm", now=LAB)
