"""Two machines: trust data is exported beside a Notary server, and used where there is none any more.

The server is the real one, with trust data by Go notary on it, and it is off when the second machine begins.
"""

from __future__ import annotations

import contextlib
import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from interop.harness import images, listener, programs, services
from interop.harness.people import Person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOBODY = {"NOTARYPY_FIRST_USE": ""}


@dataclass
class Exported:
    """What the first machine leaves: archives, and what it was answered while the server was on."""

    repository: images.Repository
    others: images.Repository
    older: Path
    tar: Path
    pin: str
    served: dict[str, images.Manifest]
    inspected: dict[str, str]


@pytest.fixture
def exported(
    tmp_path: Path, authority: services.Authority, new_repository: Callable[[], images.Repository]
) -> Exported:
    """Sign with notarypy, docker's rules and Go notary; export; and switch the server off."""
    repository, others = new_repository(), new_repository()
    with services.notary_server(tmp_path / "switched-off", authority) as server:
        alice = Person(tmp_path / "first", server)
        alice.own(repository.name)
        served = {
            "1": repository.push("1", media_type=images.OCI_MANIFEST),
            "2": repository.push_index("2"),
        }
        for tag in served:
            alice.notarypy("sign", repository.ref(tag)).expect(0)
        older = tmp_path / "older.tar"
        alice.notarypy("export", repository.name, "-o", older).expect(0)
        alice.notarypy("--yes", "key", "rotate", repository.name, "root").expect(0)
        alice.notary("init", others.name, "-p").expect(0)
        served["3"] = others.push("3", media_type=images.OCI_MANIFEST)
        alice.notary_add(others.name, "3", served["3"]).expect(0)
        served["4"] = repository.push("4", media_type=images.OCI_MANIFEST)
        alice.notarypy("sign", repository.ref("4")).expect(0)
        tar = tmp_path / "trust.tar"
        run = alice.notarypy("export", "--all", "--images", "-o", tar).expect(0)
        assert "wrote" in run.stdout
        inspected = {
            each.name: alice.notarypy("inspect", each.name).expect(0).stdout for each in (repository, others)
        }
        pin = _pin(alice, repository.name)
    return Exported(repository, others, older, tar, pin, served, inspected)


def _pin(person: Person, repository: str) -> str:
    """Return the pin of the root that is trusted."""
    document = person.notarypy("--json", "--offline", "verify", "--no-registry", f"{repository}:1").document
    pin: str = document["results"][0]["evidence"]["root_pins"][0]
    return pin


@pytest.fixture
def away(tmp_path: Path, authority: services.Authority) -> Person:
    """Return somebody on the second machine, whose server does not answer any more."""
    nobody = services.Endpoint(f"localhost:{services.free_port()}", authority.file)
    return Person(tmp_path / "second", nobody)


def test_the_same_answers_as_beside_the_server(exported: Exported, away: Person) -> None:
    here = ("--from", exported.tar)
    for tag in ("1", "2", "4"):
        ref, pinned = exported.repository.ref(tag), exported.repository.pinned(exported.served[tag])
        refused = away.notarypy("verify", "--offline", *here, ref, **NOBODY).expect(11)
        assert exported.pin in refused.stderr
        found = away.notarypy("verify", "--offline", *here, "--root", exported.pin, ref, **NOBODY)
        assert found.expect(0).stdout == f"{pinned}\n"
        assert "as of" in found.stderr
        # the registry is still there: it is compared
        assert away.notarypy("verify", *here, ref).expect(0).stdout == f"{pinned}\n"
    for name, before in exported.inspected.items():
        assert away.notarypy("inspect", "--offline", *here, name).expect(0).stdout == before
    pinned = exported.others.pinned(exported.served["3"])
    assert away.notarypy("verify", *here, exported.others.ref("3")).expect(0).stdout == f"{pinned}\n"
    assert not away.trust_dir.exists()


def test_an_import_makes_offline_work(exported: Exported, away: Person) -> None:
    away.notarypy("import", exported.tar, **NOBODY).expect(11)
    away.notarypy("import", exported.older, "--root", exported.pin, **NOBODY).expect(4)  # rotated since
    away.notarypy("import", exported.older).expect(0)
    before = away.files()
    away.notarypy("import", exported.tar).expect(0)
    assert away.files() != before
    stored = away.files()
    for tag in ("1", "2", "4"):
        run = away.notarypy("--offline", "verify", exported.repository.ref(tag), **NOBODY)
        assert run.expect(0).stdout == f"{exported.repository.pinned(exported.served[tag])}\n"
    away.notarypy("--offline", "verify", exported.others.ref("3"), **NOBODY).expect(0)
    refused = away.notarypy("import", exported.older).expect(4)
    assert "[trust.rollback]" in refused.stderr or "[trust.root_changed]" in refused.stderr
    assert away.files() == stored
    for name, before_it in exported.inspected.items():
        assert away.notarypy("--offline", "inspect", name).expect(0).stdout == before_it


def test_a_pin_of_an_earlier_root_leads_to_the_present_one(exported: Exported, away: Person) -> None:
    older = ("verify", "--offline", "--from", exported.older, exported.repository.ref("1"))
    first = away.notarypy("--json", *older)
    (pin,) = first.expect(0).document["results"][0]["evidence"]["root_pins"]
    assert pin != exported.pin
    ref = exported.repository.ref("4")
    away.notarypy("verify", "--offline", "--from", exported.tar, "--root", pin, ref, **NOBODY).expect(0)
    away.notarypy("import", exported.tar, exported.repository.name, "--root", pin, **NOBODY).expect(0)


@pytest.mark.parametrize("days", [20, 400])
def test_it_ends_on_any_clock(exported: Exported, away: Person, days: int) -> None:
    ref, here = exported.repository.ref("1"), ("--from", str(exported.tar))
    away.notarypy("import", exported.tar).expect(0)
    stored = away.files()
    for argv in (
        ("verify", "--offline", *here, ref), ("--offline", "verify", ref), ("import", str(exported.tar)),
        ("pin", *here, str(_dockerfile(away, ref))),
    ):  # fmt: skip
        assert "[trust.expired]" in away.notarypy_later(days, *argv).expect(5).stderr
    assert away.files() == stored
    assert "days ago" in away.notarypy_later(10, "verify", "--offline", *here, ref).expect(0).stderr


def test_a_clock_that_was_set_back_extends_nothing(exported: Exported, away: Person) -> None:
    ref = exported.repository.ref("1")
    away.notarypy("import", exported.tar).expect(0)
    clock = {"LD_PRELOAD": programs.faketime_library(), "FAKETIME": "-1h"}
    verify = ("--offline", "verify", ref)
    for argv, said in (((*verify, "--from", exported.tar), "still to come"), (verify, "of unknown age")):
        run = away.notarypy(*argv, **clock)
        assert run.code in {0, 5}  # the root's certificate may be younger than that
        assert run.code == 5 or said in run.stderr


def _dockerfile(person: Person, ref: str) -> Path:
    path = person.home / "Dockerfile"
    path.write_text(f"FROM {ref}\n")
    return path


# -- images


def test_skopeo_reads_the_images_by_their_names(exported: Exported, tmp_path: Path) -> None:
    for tag, kind in (("1", "manifest"), ("2", "index")):
        source, directory = f"oci-archive:{exported.tar}:{exported.repository.ref(tag)}", tmp_path / kind
        programs.run(
            ["skopeo", "--insecure-policy", "copy", "--all", source, f"dir:{directory}"],
            {"HOME": str(tmp_path)},
        ).expect(0)
        assert (directory / "manifest.json").read_bytes() == exported.served[tag].body


def test_a_registry_in_the_air_gap(
    exported: Exported, away: Person, new_repository: Callable[[], images.Repository], tmp_path: Path
) -> None:
    mirror, policy = new_repository(), tmp_path / "policy.toml"
    policy.write_text(
        f'[scope."{mirror.name}"]\nsigned_as = "{exported.repository.name}"\nroots.ids = ["{exported.pin}"]\n'
    )
    source = f"oci-archive:{exported.tar}:{exported.repository.ref('2')}"
    away.notarypy("push", source, mirror.ref("2")).expect(0)
    here = ("--policy", policy, "--from", exported.tar)
    expected = f"{mirror.pinned(exported.served['2'])}\n"
    assert away.notarypy("verify", *here, mirror.ref("2"), **NOBODY).expect(0).stdout == expected
    away.notarypy("pull", *here, mirror.ref("2"), f"oci:{tmp_path}/pulled", **NOBODY).expect(0)
    mirror.push("2", "something else")
    assert "[trust.digest_mismatch]" in away.notarypy("verify", *here, mirror.ref("2")).expect(4).stderr
    away.notarypy("import", exported.tar, "--policy", policy).expect(0)
    offline = away.notarypy("--offline", "verify", "--policy", policy, mirror.ref("2"), **NOBODY)
    assert offline.expect(0).stdout == expected


# -- docker and Go notary


@contextlib.contextmanager
def served(folder: Path, authority: services.Authority) -> Iterator[services.Endpoint]:
    """Serve files as any web server does."""

    class Files(listener.Handler):
        def answer(self) -> None:
            path = folder / self.path.partition("?")[0].lstrip("/")
            if path.is_dir():
                self.reply(200, b"")
            elif path.is_file():
                self.reply(200, path.read_bytes())
            else:
                self.reply(404, b"not found")

        do_GET = answer  # noqa: N815 - as http.server calls it

    with listener.listening(Files, authority.server_context("files")) as server:
        yield services.Endpoint(f"localhost:{server.server_port}", authority.file)


def test_any_web_server_stands_in_for_docker_and_go_notary(
    exported: Exported, away: Person, authority: services.Authority, tmp_path: Path
) -> None:
    with tarfile.open(exported.tar) as opened:
        for member in opened:
            if member.name.startswith("notary/"):
                opened.extract(member, tmp_path / "web", filter="data")
    with served(tmp_path / "web" / "notary", authority) as endpoint:
        away.use(endpoint)
        listed = away.notary("list", exported.repository.name).expect(0).stdout
        assert all(exported.served[tag].sha256 in listed for tag in ("1", "2", "4"))
        docker = json.loads(away.inspection(exported.repository.name))
        assert docker == json.loads(exported.inspected[exported.repository.name])
        away.notarypy("verify", "--no-registry", exported.repository.ref("4")).expect(0)
