"""`export`, `import` and `--from`: words in, calls, what is said, and the exit code."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.errors import NothingThereError, RepositoryMissingError, RollbackError, UnreachableError
from support.commands import written
from support.results import EXPORTED, IMPORTED, INSPECTION, PIN, PULLED, REPO, STATUS, image

if TYPE_CHECKING:
    from pathlib import Path

    from support.commands import Run, StubClient

TAR = "trust.tar"


class Held:
    """An archive of these repositories."""

    def __init__(self, *guns: str) -> None:
        self.repositories = dict.fromkeys(guns)


@pytest.fixture(autouse=True)
def scripted(stub: StubClient) -> None:
    stub.answers |= {
        "archives.export": EXPORTED,
        "archives.import_repository": lambda _, gun, **__: replace(IMPORTED, repository=gun),
        "archives.open": Held(REPO, f"{REPO}/other"),
    }


# -- export


def test_export_says_until_when_each_is_good(run: Run, stub: StubClient, home: Path) -> None:
    outcome = run("export", REPO, "-o", TAR).expect(0)
    assert outcome.out.splitlines() == [
        f"exported {REPO}: it ends on 2027-01-02T03:04:05Z",
        f"  {EXPORTED.repositories[0].images[0]}",
        "wrote trust.tar: 1 repository",
    ]
    ((name, (names, path), options),) = stub.calls
    assert (name, names, path) == ("archives.export", [REPO], TAR)
    assert options.pop("failed") is not None
    assert options == {"images": False, "root": None, "progress": None, "steps": None}
    assert home.is_dir()


def test_export_takes_images_a_pin_and_a_list(run: Run, stub: StubClient, home: Path) -> None:
    names = written(home / "list", f"{REPO}:1 # one\n{REPO}/b\n")
    outcome = run("export", REPO, "--from-file", names, "--images", "--root", PIN, "-o", TAR).expect(0)
    assert outcome.out.endswith("wrote trust.tar: 1 repository, 1 image\n")
    ((_, (found, _), options),) = stub.calls
    assert found == [REPO, f"{REPO}:1", f"{REPO}/b"]
    assert (options["images"], options["root"]) == (True, PIN)


def test_export_of_everything_that_is_known(run: Run, stub: StubClient) -> None:
    stub.answers["repositories"] = [REPO, "coll"]
    outcome = run("export", "--all", "-o", TAR).expect(12)
    assert stub.calls[-1][1][0] == [REPO]
    assert "coll was not looked at" in outcome.err
    stub.answers["repositories"] = []
    assert "no repository is known here" in run("export", "--all", "-o", TAR).expect(12).err


def test_what_fails_is_named_and_the_worst_counts(run: Run, stub: StubClient) -> None:
    def export(*_: object, failed: Any, **__: object) -> object:  # noqa: ANN401 - a function
        failed(f"{REPO}/a", RepositoryMissingError("no trust data"))
        failed(f"{REPO}:2", UnreachableError("no registry"))
        return EXPORTED

    stub.answers["archives.export"] = export
    outcome = run("export", REPO, f"{REPO}/a", "--images", "-o", TAR).expect(3)
    assert f"for: {REPO}/a" in outcome.err
    assert f"for: {REPO}:2" in outcome.err
    assert "wrote trust.tar" in outcome.out
    results = run("--json", "export", REPO, "-o", TAR).expect(3).document["results"]
    assert [(each["ref"], each["ok"]) for each in results] == [
        (f"{REPO}/a", False), (f"{REPO}:2", False), (REPO, True),
    ]  # fmt: skip


def test_when_nothing_is_left_the_worst_failure_counts(run: Run, stub: StubClient) -> None:
    def export(*_: object, failed: Any, **__: object) -> object:  # noqa: ANN401 - a function
        failed(REPO, UnreachableError("no server"))
        raise NothingThereError("no archive was written")

    stub.answers["archives.export"] = export
    assert run("export", REPO, "-o", TAR).expect(8).out == ""


@pytest.mark.parametrize(
    "argv",
    [
        ("export",), ("export", REPO), ("export", "-o", TAR), ("export", REPO, "-o", "-"),
        ("export", REPO, "-o", ""), ("export", "--all", REPO, "-o", TAR), ("export", "A B", "-o", TAR),
        ("export", "--root", "1", REPO, "-o", TAR), ("import",), ("import", ""), ("import", TAR, "A B"),
        ("import", TAR, f"{REPO}:1"), ("import", TAR, "--root", "1"),
        ("verify", "--from", "", REPO),
    ],
)  # fmt: skip
def test_words_are_read_before_anything_is_done(run: Run, stub: StubClient, argv: tuple[str, ...]) -> None:
    run(*argv).expect(2)
    assert stub.calls == []


def test_a_folder_that_is_not_there_is_said_at_once(run: Run, stub: StubClient) -> None:
    run("export", REPO, "-o", "none/trust.tar").expect(1)
    assert stub.calls == []


# -- import


def test_import_takes_all_that_is_in_it(run: Run, stub: StubClient) -> None:
    outcome = run("import", TAR).expect(0)
    assert outcome.out.splitlines() == [
        f"imported {REPO}: it ends on 2027-01-02T03:04:05Z",
        f"imported {REPO}/other: it ends on 2027-01-02T03:04:05Z",
    ]
    assert [call[1] for call in stub.calls[1:]] == [(TAR, REPO), (TAR, f"{REPO}/other")]
    assert stub.asking is False


def test_import_of_some_under_a_pin(run: Run, stub: StubClient) -> None:
    stub.answers["archives.import_repository"] = replace(IMPORTED, changed=False)
    assert "the same is here already" in run("import", TAR, "alpine", "--root", PIN).expect(0).out
    expected = ("archives.import_repository", (TAR, "docker.io/library/alpine"), {"root": PIN})
    assert stub.calls == [expected]


def test_one_that_fails_ends_no_other(run: Run, stub: StubClient) -> None:
    def imported(_: str, gun: str, **__: object) -> object:
        return RollbackError("older than before") if gun == REPO else replace(IMPORTED, repository=gun)

    stub.answers["archives.import_repository"] = imported
    outcome = run("import", TAR).expect(4)
    assert f"for: {REPO}" in outcome.err
    assert f"imported {REPO}/other" in outcome.out


def test_an_archive_of_nothing(run: Run, stub: StubClient) -> None:
    stub.answers["archives.open"] = Held()
    run("import", TAR).expect(12)


# -- --from


@pytest.mark.parametrize(
    "argv",
    [("verify", REPO), ("inspect", REPO), ("status", REPO), ("pull", REPO, "oci:x")],
)
def test_an_archive_in_place_of_a_server(run: Run, stub: StubClient, argv: tuple[str, ...]) -> None:
    stub.answers |= {"verify_unless_skipped": image(), "inspect": INSPECTION, "status": STATUS}
    stub.answers["images.pull"] = PULLED
    run(argv[0], "--from", TAR, *argv[1:]).expect(0)
    assert stub.options["archive"] == TAR
    run(*argv).expect(0)
    assert "archive" not in stub.options
