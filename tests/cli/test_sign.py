"""`sign`: where REFs come from, and what is said about each."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

from notarypy.errors import Advice, ImageMissingError, RepositoryMissingError
from support.commands import written
from support.results import D1, D2, INITIALISED, REPO, signed

if TYPE_CHECKING:
    from pathlib import Path

    from support.commands import Run, StubClient

DEFAULTS = {
    "signer": None,
    "custom": None,
    "init": False,
    "dry_run": False,
    "discard_unverified": False,
    "local": False,
}


@pytest.fixture(autouse=True)
def signing(stub: StubClient) -> None:
    stub.answers["sign"] = lambda texts, **_: [signed(text.rpartition(":")[2]) for text in texts]


def test_it_says_what_was_signed(run: Run, stub: StubClient) -> None:
    outcome = run("sign", f"{REPO}:1").expect(0)
    assert (outcome.out, outcome.err) == (f"signed {REPO}:1 {D1}\n", "")
    assert stub.calls == [("sign", ([f"{REPO}:1"],), DEFAULTS)]
    assert stub.asking is True


def test_an_index_names_its_platforms(run: Run, stub: StubClient) -> None:
    stub.answers["sign"] = [signed(platforms=("linux/amd64", "linux/arm64"))]
    assert run("sign", REPO).expect(0).out == f"signed {REPO}:1 {D1} (index: linux/amd64, linux/arm64)\n"


def test_a_moved_tag_says_what_it_was(run: Run, stub: StubClient) -> None:
    stub.answers["sign"] = [signed(previous=D2)]
    assert run("sign", REPO).expect(0).out == f"signed {REPO}:1 {D1}\n{REPO}:1 was {D2} now {D1}\n"


def test_what_was_signed_already_says_so(run: Run, stub: StubClient) -> None:
    stub.answers["sign"] = [signed(published=False, already=True)]
    for argv in (["sign", REPO], ["sign", "--dry-run", REPO]):
        assert run(*argv).expect(0).out == f"already signed {REPO}:1 {D1}\n"


def test_a_dry_run_says_what_it_would_do(run: Run, stub: StubClient) -> None:
    stub.answers["sign"] = [signed(published=False, previous=D2)]
    outcome = run("sign", "--dry-run", REPO).expect(0)
    assert outcome.out == (
        f"would be signed {REPO}:1 {D1} in targets/jeff, targets/releases\n{REPO}:1 is {D2}, would be {D1}\n"
    )
    assert stub.calls[0][2]["dry_run"] is True


def test_roles_that_list_an_old_digest_are_named(run: Run, stub: StubClient) -> None:
    stub.answers["sign"] = [signed(also_old=("targets/bob",))]
    assert run("sign", REPO).expect(0).err == (
        f"notarypy: warning: targets/bob still lists another digest for {REPO}:1\n"
    )


def test_one_call_per_repository_and_the_others_go_on(run: Run, stub: StubClient) -> None:
    def sign(texts: list[str], **_: object) -> object:
        return (
            ImageMissingError("no such tag") if texts[0].startswith(REPO) else [signed(repository="b.test/b")]
        )

    stub.answers["sign"] = sign
    outcome = run("sign", f"{REPO}:1", "b.test/b:1", f"{REPO}:2", "--json").expect(3)
    assert [call[1][0] for call in stub.calls] == [[f"{REPO}:1", f"{REPO}:2"], ["b.test/b:1"]]
    oks = {result["ref"]: result["ok"] for result in outcome.document["results"]}
    assert oks == {f"{REPO}:1": False, f"{REPO}:2": False, "b.test/b:1": True}
    assert run("sign", f"{REPO}:1", f"{REPO}:2").expect(3).err.count("no such tag") == 1


def test_results_carry_the_ref_as_it_was_written(run: Run, stub: StubClient) -> None:
    stub.answers["sign"] = [signed("latest", repository="docker.io/library/alpine")]
    (result,) = run("sign", "alpine", "--json").expect(0).document["results"]
    assert (result["ref"], result["repository"], result["tag"]) == (
        "alpine",
        "docker.io/library/alpine",
        "latest",
    )


def test_a_library_error_may_name_the_next_command(run: Run, stub: StubClient) -> None:
    stub.answers["sign"] = RepositoryMissingError("none", advice=Advice("renew", gun=REPO))
    assert run("sign", REPO).expect(3).err.endswith(f"  fix: notarypy renew {REPO}\n")


def test_options_reach_the_client(run: Run, stub: StubClient, home: Path) -> None:
    custom = written(home / "c.json", '\ufeff{"a":1}')
    argv = ["--signer", "jeff", "--custom", custom, "--init", "--discard-unverified"]
    run("sign", *argv, f"{REPO}:1").expect(0)
    assert stub.calls[0][2] == {
        "signer": "jeff",
        "custom": b'{"a":1}',
        "init": True,
        "dry_run": False,
        "discard_unverified": True,
        "local": False,
    }


@pytest.mark.parametrize("data", ["", "{", '{"a":1.5}', '"<"', '{"a":1,"a":2}'])
def test_custom_data_is_checked_first(run: Run, stub: StubClient, home: Path, data: str) -> None:
    run("sign", "--custom", written(home / "c.json", data), f"{REPO}:1").expect(2)
    assert stub.calls == []


def test_refs_come_from_a_file(run: Run, stub: StubClient, home: Path) -> None:
    lines = f"\ufeff# a release\n\n  {REPO}:2  # the second\r\n{REPO}:3"
    run("sign", f"{REPO}:1", "--from-file", written(home / "refs", lines)).expect(0)
    assert stub.calls[0][1] == ([f"{REPO}:1", f"{REPO}:2", f"{REPO}:3"],)


def test_refs_come_from_standard_input(run: Run, stub: StubClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{REPO}:2\n".encode())))
    run("sign", "--from-file", "-").expect(0)
    assert stub.calls[0][1] == ([f"{REPO}:2"],)


def test_a_bad_line_is_named_by_its_number(run: Run, stub: StubClient, home: Path) -> None:
    name = written(home / "refs", f"{REPO}:1\n# fine\nNOT ONE\n")
    outcome = run("sign", "--from-file", name).expect(2)
    assert f'line 3 of {name}: "NOT ONE" is not an image reference [usage]' in outcome.err
    assert stub.calls == []


@pytest.mark.parametrize("data", [b"\xff\xfe", b"a" * (16 * 1024 * 1024 + 1)])
def test_a_file_that_is_no_text_is_a_usage_error(run: Run, stub: StubClient, home: Path, data: bytes) -> None:
    run("sign", "--from-file", written(home / "refs", data)).expect(2)
    assert stub.calls == []


@pytest.mark.parametrize("data", ["", "# nothing\n"])
def test_a_file_that_names_nothing_is_nothing_to_do(run: Run, home: Path, data: str) -> None:
    outcome = run("sign", "--from-file", written(home / "empty", data)).expect(12)
    assert "names no image [operation.nothing]" in outcome.err


@pytest.mark.parametrize(("data", "encoding"), [(b"\xff\xfea\0", "UTF-16"), (b"a\nb\xe4", "ENCODING")])
def test_what_is_not_utf_8_is_told_how_to_become_it(run: Run, home: Path, data: bytes, encoding: str) -> None:
    path = written(home / "refs", data)
    outcome = run("sign", "--from-file", path).expect(2)
    assert f"fix: convert it: iconv -f {encoding} -t UTF-8 {path}" in outcome.err


@pytest.mark.parametrize("name", ["missing", ".", "nul\0"])
@pytest.mark.parametrize("option", ["--from-file", "--digest-file", "--custom"])
def test_a_file_that_cannot_be_read_is_a_usage_error(
    run: Run, stub: StubClient, option: str, name: str
) -> None:
    outcome = run("sign", option, name, f"{REPO}:1").expect(2)
    assert "cannot read" in outcome.err
    assert stub.calls == []


@pytest.mark.parametrize(
    ("ref", "asked"),
    [(f"{REPO}:1", f"{REPO}:1@{D1}"), (REPO, f"{REPO}:latest@{D1}"), (f"{REPO}:1@{D1}", f"{REPO}:1@{D1}")],
)
def test_a_metadata_file_binds_the_digest(
    run: Run, stub: StubClient, home: Path, ref: str, asked: str
) -> None:
    stub.answers["sign"] = [signed()]
    meta = {"containerimage.digest": D1, "containerimage.config.digest": D2, "other": [1.5]}
    run("sign", "--digest-file", written(home / "m.json", json.dumps(meta)), ref).expect(0)
    assert stub.calls[0][1] == ([asked],)


@pytest.mark.parametrize(
    "text",
    [
        D1,
        f"{D1}\n",
        f"{REPO}:1@{D1}\n",
        f"{REPO}@{D1}\nother.example/x:1@{D2}\n",
        json.dumps({"app": {"containerimage.digest": D1}}),
        json.dumps({"containerimage.digest": D1, "image.name": f"{REPO}:sha-1"}),
        json.dumps({"app": {"containerimage.digest": D1}, "again": {"containerimage.digest": D1}}),
        json.dumps(
            {
                "app": {"containerimage.digest": D1, "image.name": f"x:1,{REPO}:1"},
                "db": {"containerimage.digest": D2, "image.name": f"{REPO}:2"},
            }
        ),
    ],
)
def test_what_other_builders_write_binds_the_digest(
    run: Run, stub: StubClient, home: Path, text: str
) -> None:
    stub.answers["sign"] = [signed()]
    run("sign", "--digest-file", written(home / "digest", text), f"{REPO}:1").expect(0)
    assert stub.calls[0][1] == ([f"{REPO}:1@{D1}"],)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no digest",
        f"{D1} and more",
        f"{D1}\n{D2}\n",
        f"other.example/x:1@{D1}",
        json.dumps({"containerimage.digest": D1, "image.name": "other.example/x:1"}),
        json.dumps({"containerimage.digest": D1, "containerimage.descriptor": {"digest": D2}}),
        f'{{"containerimage.digest": "{D1}", "containerimage.digest": "{D1}"}}',
        json.dumps({"app": {"containerimage.digest": D1}, "db": {"containerimage.digest": D2}}),
        json.dumps(
            {
                "app": {"containerimage.digest": D1, "image.name": f"{REPO}:1"},
                "db": {"containerimage.digest": D2, "image.name": f"{REPO}:1"},
            }
        ),
    ],
)
def test_of_several_digests_none_is_guessed(run: Run, stub: StubClient, home: Path, text: str) -> None:
    run("sign", "--digest-file", written(home / "digest", text), f"{REPO}:1").expect(2)
    assert stub.calls == []


@pytest.mark.parametrize(
    ("data", "refs"),
    [
        ({"containerimage.digest": D1}, [f"{REPO}:1", f"{REPO}:2"]),
        ({"containerimage.digest": D1}, [f"{REPO}:1@{D2}"]),
        ({"containerimage.digest": "sha256:12"}, [f"{REPO}:1"]),
        ({"containerimage.digest": 7}, [f"{REPO}:1"]),
        ({}, [f"{REPO}:1"]),
        ([], [f"{REPO}:1"]),
    ],
)
def test_a_metadata_file_that_does_not_fit_is_a_usage_error(
    run: Run, stub: StubClient, home: Path, data: object, refs: list[str]
) -> None:
    run("sign", "--digest-file", written(home / "m.json", json.dumps(data)), *refs).expect(2)
    assert stub.calls == []


def test_nesting_without_end_is_no_traceback(run: Run, home: Path) -> None:
    run("sign", "--digest-file", written(home / "m.json", "[" * 100_000), f"{REPO}:1").expect(2)


@pytest.mark.parametrize("refs", [[], [f"{REPO}@{D1}"], [f"{REPO}:1", "NOT ONE"]])
def test_refs_that_cannot_be_signed_are_usage_errors(run: Run, stub: StubClient, refs: list[str]) -> None:
    run("sign", *refs).expect(2)
    assert stub.calls == []


def test_local_pushes_first(run: Run, stub: StubClient) -> None:
    run("sign", "--local", f"{REPO}:1").expect(0)
    assert stub.calls == [("sign", ([f"{REPO}:1"],), {**DEFAULTS, "local": True})]


@pytest.mark.parametrize(
    "argv", [(f"{REPO}:1@{D1}",), (f"{REPO}:1", "--dry-run"), (f"{REPO}:1", "--digest-file", "meta.json")]
)
def test_local_goes_with_no_digest_and_no_rehearsal(
    run: Run, stub: StubClient, home: Path, argv: tuple[str, ...]
) -> None:
    written(home / "meta.json", json.dumps({"containerimage.digest": D1}))
    outcome = run("sign", "--local", *argv).expect(2)
    assert "leave out" in outcome.err
    assert stub.calls == []


def test_new_trust_data_is_told_once_as_init_tells_it(run: Run, stub: StubClient) -> None:
    stub.answers["init"] = INITIALISED
    told = run("init", REPO).expect(0).out
    stub.answers["sign"] = [signed(created=INITIALISED), signed("2")]
    done = run("sign", "--init", f"{REPO}:1", f"{REPO}:2").expect(0).out
    assert done == f"{told}signed {REPO}:1 {D1}\nsigned {REPO}:2 {D1}\n"
