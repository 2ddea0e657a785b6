"""`notary add`, `addhash`, `remove`, `list`, `lookup`, `verify`: Go notary's words; streams."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.cli.gonotary import targets as commands
from notarypy.cli.text import terminal
from notarypy.devserver.core import NOTARY_HOST
from notarypy.remote.http import attempts
from support.people import prepared

if TYPE_CHECKING:
    from notarypy.devserver.core import Fake
    from support.commands import Outcome, Run

GUN = "collection.test/files"
DATA, OTHER = b"some content\n", b"other content\n"
SHA256, SHA512 = hashlib.sha256(DATA).hexdigest(), hashlib.sha512(DATA).hexdigest()


@pytest.fixture
def file(home: Path) -> Path:
    """Return a file with some content, in the working directory."""
    path = home / "file"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def listed(notary: Run, fake: Fake, home: Path) -> Run:
    """Return `notary` where some content is published."""

    def make() -> None:
        (home / "file").write_bytes(DATA)
        said(notary("add", GUN, "v1", "file", "-p"), 0)

    prepared(fake, home, __name__, make)
    return notary


def said(outcome: Outcome, code: int) -> str:
    """Return standard output; nothing is said on standard error where all is well."""
    assert outcome.code == code, outcome
    return outcome.out


def staged(home: Path) -> list[dict[str, Any]]:
    """Return the change files, with their data decoded."""
    folder = home / ".notary" / "tuf" / GUN / "changelist"
    found = [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.change"))]
    for one in found:
        one["data"] = one["data"] and json.loads(b64decode(one["data"]))
    return found


def test_a_file_is_staged_with_both_hashes(notary: Run, file: Path, home: Path) -> None:
    out = said(notary("add", GUN, "v1", file.name), 0)
    assert out == f'Addition of target "v1" to repository "{GUN}" staged for next publish.\n'
    (change,) = staged(home)
    assert (change["action"], change["role"], change["type"], change["path"]) == (
        *("create", "targets", "target"),
        "v1",
    )
    assert change["data"]["length"] == len(DATA)
    raw = {kind: b64decode(text).hex() for kind, text in change["data"]["hashes"].items()}
    assert raw == {"sha256": SHA256, "sha512": SHA512}


def test_each_role_has_a_change_of_its_own(notary: Run, file: Path, home: Path) -> None:
    said(notary("add", GUN, "v1", file.name, "-r", "targets/a,targets/b", "--roles", "targets"), 0)
    assert [one["role"] for one in staged(home)] == ["targets/a", "targets/b", "targets"]
    out = said(notary("remove", GUN, "v1", "-r", "targets/a,targets/b"), 0)
    assert out == f"Removal of v1 from {GUN} staged for next publish.\n"
    assert [(one["action"], one["role"], one["data"]) for one in staged(home)[3:]] == [
        ("delete", "targets/a", None),
        ("delete", "targets/b", None),
    ]


@pytest.mark.parametrize(
    ("hashes", "kinds"),
    [
        (("--sha256", SHA256), "sha256"),
        (("--sha512", SHA512.upper()), "sha512"),
        (("--sha512", SHA512, "--sha256", SHA256), "sha256, sha512"),
    ],
)
def test_a_hash_is_staged_as_it_is_given(
    notary: Run, home: Path, hashes: tuple[str, ...], kinds: str
) -> None:
    out = said(notary("addhash", GUN, "v1", "7", *hashes), 0)
    assert out == f'Addition of target "v1" by {kinds} hash to repository "{GUN}" staged for next publish.\n'
    (change,) = staged(home)
    raw = {kind: b64decode(text).hex() for kind, text in change["data"]["hashes"].items()}
    assert raw == {kind: {"sha256": SHA256, "sha512": SHA512}[kind] for kind in kinds.split(", ")}


@pytest.mark.parametrize(
    ("text", "size", "warned"),
    [
        *(("7", 7, False), ("0", 0, False), ("+5", 5, False), ("1_000", 1000, False), ("0x10", 16, False)),
        *(("0b11", 3, False), ("0o17", 15, True), ("010", 8, True), ("0_7", 7, False), ("00", 0, False)),
    ],
)
def test_a_size_is_read_as_go_reads_it(
    notary: Run, home: Path, text: str, size: int, *, warned: bool
) -> None:
    outcome = notary("addhash", GUN, "v1", text, "--sha256", SHA256)
    said(outcome, 0)
    assert staged(home)[0]["data"]["length"] == size
    assert (f"{text} is read as octal" in outcome.err) is warned


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("six", "--sha256", SHA256), 'strconv.ParseInt: parsing "six": invalid syntax'),
        (("", "--sha256", SHA256), 'strconv.ParseInt: parsing "": invalid syntax'),
        (("08", "--sha256", SHA256), 'strconv.ParseInt: parsing "08": invalid syntax'),
        (("1__0", "--sha256", SHA256), 'strconv.ParseInt: parsing "1__0": invalid syntax'),
        ((" 8", "--sha256", SHA256), 'strconv.ParseInt: parsing " 8": invalid syntax'),
        (("9" * 5000, "--sha256", SHA256), f'strconv.ParseInt: parsing "{"9" * 5000}": value out of range'),
        ((str(2**63), "--sha256", SHA256), f'strconv.ParseInt: parsing "{2**63}": value out of range'),
        (("7", "--sha256", "abc"), "invalid sha256 hex contents provided"),
        (("7", "--sha256", SHA512), "invalid sha256 hex contents provided"),
        (("7", "--sha512", "zz" * 64), "invalid sha512 hex contents provided"),
        (("7", "--sha256", f"{SHA256[:-1]} "), "invalid sha256 hex contents provided"),
        (("7",), "Must specify a GUN, target, byte size of target data, and at least one hash"),
        (
            ("7", "--sha256", ""),
            "Must specify a GUN, target, byte size of target data, and at least one hash",
        ),
        (
            ("7", "--sha256", SHA256, "-r", "nope"),
            "tuf: invalid role nope. cannot add targets to this role",
        ),
        (("7", "--sha256", SHA256, "--custom", "none"), "open none: no such file or directory"),
    ],
)
def test_what_cannot_be_staged_by_hash(notary: Run, home: Path, words: tuple[str, ...], text: str) -> None:
    outcome = notary("addhash", GUN, "v1", *words)
    assert (outcome.code, outcome.out, staged(home)) == (2, "", [])
    assert outcome.err.splitlines()[0] == f"* fatal: {text}"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("none",), "open none: no such file or directory"),
        (("",), "open : no such file or directory"),
        ((".",), "read .: is a directory"),
        (("-",), "open -: no such file or directory"),
        (("file", "-r", "root"), "tuf: invalid role root. cannot add targets to this role"),
        (("file", "-r", "targets/*"), "tuf: invalid role targets/*. cannot add targets to this role"),
        (("file", "--custom", "none"), "open none: no such file or directory"),
    ],
)
def test_files_that_cannot_be_added(
    notary: Run, file: Path, home: Path, words: tuple[str, ...], text: str
) -> None:
    assert file.exists()
    outcome = notary("add", GUN, "v1", *words)
    assert (outcome.code, outcome.out, staged(home)) == (2, "", [])
    assert outcome.err.splitlines()[0] == f"* fatal: {text}"


@pytest.mark.parametrize(
    ("data", "where"),
    [("", "line 1, column 1"), ("nojson", "line 1, column 1"), ("{\n 1}", "line 2, column 2")],
)
def test_where_custom_data_is_wrong_is_counted_in_its_file(
    notary: Run, file: Path, home: Path, data: str, where: str
) -> None:
    (home / "custom").write_text(data)
    outcome = notary("add", GUN, "v1", file.name, "--custom", "custom").expect(2)
    assert f" at {where}\n" in outcome.err


def test_custom_data_is_attached(notary: Run, file: Path, home: Path) -> None:
    (home / "custom").write_text('{"b": 1, "a": [2]}')
    said(notary("add", GUN, "v1", file.name, "--custom", "custom"), 0)
    assert staged(home)[0]["data"]["custom"] == {"a": [2], "b": 1}


def test_what_is_published_is_listed_and_looked_up(listed: Run, file: Path) -> None:
    said(listed("addhash", GUN, "only512", "7", "--sha512", SHA512, "-p"), 0)
    assert said(listed("list", GUN), 0) == (
        f"NAME       DIGEST{' ' * 62}SIZE (BYTES)    ROLE\n"
        f"----       ------{' ' * 62}------------    ----\n"
        f"only512{' ' * 72}7               targets\n"
        f"v1         {SHA256}    {len(DATA)}              targets\n"
    )
    assert said(listed("lookup", GUN, "v1"), 0) == f"v1 sha256:{SHA256} {len(DATA)}\n"
    assert said(listed("lookup", GUN, "only512"), 0) == "only512 sha256: 7\n"
    assert file.exists()


def test_nothing_listed_is_said_as_go_says_it(listed: Run) -> None:
    nothing = "\nNo targets present in this repository.\n\n"
    assert said(listed("list", GUN, "-r", "targets/none"), 0) == nothing
    assert said(listed("list", GUN, "-r="), 0) == nothing
    assert said(listed("list", GUN, "-r", ","), 0) == said(listed("list", GUN), 0)
    said(listed("remove", GUN, "v1", "-p"), 0)
    assert said(listed("list", GUN), 0) == nothing


def test_a_name_that_is_not_listed(listed: Run) -> None:
    outcome = listed("lookup", GUN, "v2")
    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.err.splitlines()[0] == "* fatal: No valid trust data for v2"
    outcome = listed("verify", GUN, "v2", "-i", "file")
    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.err.startswith(
        "* fatal: error retrieving target by name:v2, error:No valid trust data for v2\n"
    )


def test_a_repository_that_is_not_there(notary: Run) -> None:
    for words in (("list", GUN), ("lookup", GUN, "v1")):
        outcome = notary(*words)
        assert (outcome.code, outcome.out) == (3, "")
        assert f"{NOTARY_HOST} does not have trust data for {GUN}" in outcome.err.splitlines()[0]


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch, listed: Run) -> Any:  # noqa: ANN401 - a function
    """Return a function that verifies what is piped in."""

    def call(data: bytes, *words: str) -> Outcome:
        given = io.TextIOWrapper(io.BytesIO(data))
        monkeypatch.setattr(commands, "_standard_input", lambda: given_as(given))
        return listed("verify", GUN, "v1", *words)

    return call


def given_as(stream: io.TextIOWrapper) -> Any:  # noqa: ANN401 - a context
    """Return a context whose value is the bytes of a stream."""
    from contextlib import nullcontext

    return nullcontext(stream.buffer)


def test_content_is_printed_if_it_is_what_is_listed(piped: Any) -> None:  # noqa: ANN401
    assert said(piped(DATA), 0) == DATA.decode()
    assert said(piped(DATA, "-q"), 0) == ""
    for data in (OTHER, DATA + b"more", DATA[:-1], b""):
        outcome = piped(data)
        assert (outcome.code, outcome.out) == (4, "")
        assert outcome.err.splitlines()[0] == (
            "* fatal: data not present in the trusted collection, sha256 checksum for v1 did not match: "
            f"expected {SHA256}"
        )


def test_standard_input_is_read(listed: Run) -> None:
    outcome = listed("verify", GUN, "v1", typed=DATA.decode())
    assert (outcome.code, outcome.out) == (0, DATA.decode())


def test_a_size_that_is_not_the_signed_one_is_said(listed: Run) -> None:
    said(listed("addhash", GUN, "odd", "7", "--sha256", hashlib.sha256(b"x").hexdigest(), "-p"), 0)
    outcome = listed("verify", GUN, "odd", typed="x")
    assert (outcome.code, outcome.out) == (4, "")
    assert "size for odd did not match: expected 7 bytes" in outcome.err


def test_files_are_read_and_written(listed: Run, file: Path, home: Path) -> None:
    out = home / "out"
    assert said(listed("verify", GUN, "v1", "-i", file.name), 0) == DATA.decode()
    assert said(listed("verify", GUN, "v1", "-i", file.name, "-o", "out"), 0) == ""
    assert out.read_bytes() == DATA
    out.write_bytes(b"old")
    file.write_bytes(OTHER)
    assert listed("verify", GUN, "v1", "-i", file.name, "-o", "out").code == 4
    assert out.read_bytes() == b"old"
    assert said(listed("verify", GUN, "v1", "-i", "out", "-o", "file", "-q"), 4) == ""
    assert file.read_bytes() == OTHER


def test_a_name_of_standard_output_is_standard_output(listed: Run, file: Path) -> None:
    assert said(listed("verify", GUN, "v1", "-i", file.name, "-o", "/dev/stdout"), 0) == DATA.decode()


def test_a_pipe_by_its_number_is_written_to(listed: Run, file: Path) -> None:
    reading, writing = os.pipe()
    assert said(listed("verify", GUN, "v1", "-i", file.name, "-o", f"/dev/fd/{writing}"), 0) == ""
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        assert stream.read() == DATA


@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}", "/proc/{pid}/fd/{}", "link"])
def test_what_is_open_already_is_written_to_and_not_replaced(
    listed: Run, file: Path, home: Path, name: str
) -> None:
    """A log, say, in which something stands already, and to which more is written."""
    with (home / "log").open("wb", buffering=0) as log:
        log.write(b"before ")
        output = name.format(log.fileno(), pid=os.getpid())
        (home / "link").symlink_to(f"/dev/fd/{log.fileno()}")
        assert said(listed("verify", GUN, "v1", "-i", file.name, "-o", output), 0) == ""
        log.write(b" after")
    assert (home / "log").read_bytes() == b"before " + DATA + b" after"


def test_what_is_not_open_cannot_be_written_to(listed: Run, file: Path) -> None:
    outcome = listed("verify", GUN, "v1", "-i", file.name, "-o", "/dev/fd/987")
    assert (outcome.code, outcome.err.splitlines()[0]) == (1, "* fatal: cannot write /dev/fd/987")


def test_quiet_writes_no_file_either(listed: Run, file: Path, home: Path) -> None:
    outcome = listed("verify", GUN, "v1", "-i", file.name, "-o", "out", "-q")
    assert (outcome.code, outcome.out) == (0, "")
    assert "nothing is written to out" in outcome.err
    assert not (home / "out").exists()


def test_nothing_is_left_where_it_is_ended(
    listed: Run, file: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended:
        def begin(self, _what: str, _total: int) -> None:
            assert list(home.glob(".notarypy-*"))

        def moved(self, _count: int) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

        def end(self) -> None:
            pass

    monkeypatch.setattr(commands, "_progress", lambda _: Ended())
    assert listed("verify", GUN, "v1", "-i", file.name, "-o", "out").code == 128 + signal.SIGTERM
    assert not list(home.glob(".notarypy-*"))
    assert not (home / "out").exists()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("-i", "none"), 2, "open none: no such file or directory"),
        (("-i", "."), 2, "read .: is a directory"),
        (("-i", "file", "-o", "none/out"), 1, "open none/out: no such file or directory"),
        (("-i", "file", "-o", "."), 1, "open .: is a directory"),
        (("-i", "file", "-o", ".notary/private/x.key"), 2, "inside of the trust directory"),
    ],
)
def test_files_that_cannot_be_read_or_written(
    listed: Run, words: tuple[str, ...], code: int, text: str
) -> None:
    outcome = listed("verify", GUN, "v1", *words)
    assert (outcome.code, outcome.out) == (code, "")
    assert text in outcome.err.splitlines()[0]


def test_without_a_server_what_is_cached_is_used_and_said(
    listed: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "backoff", lambda _: 0.0)
    nowhere = ("-s", "https://nowhere.test")
    for words in (("list", GUN), ("lookup", GUN, "v1"), ("verify", GUN, "v1", "-i", file.name)):
        expected = said(listed(*words), 0)
        outcome = listed(*words, *nowhere)
        assert (outcome.code, outcome.out) == (0, expected)
        assert "this is what is cached here" in outcome.err
    assert listed("verify", GUN, "v1", "-i", __file__, *nowhere).code == 4


def test_progress_is_shown_to_who_looks_at_a_terminal(
    monkeypatch: pytest.MonkeyPatch, notary: Run, file: Path
) -> None:
    said_of_it: list[object] = []

    class Work:
        said = said_of_it

        def begin(self, what: str, total: int) -> None:
            self.said += [what, total]

        def moved(self, count: int) -> None:
            self.said.append(count)

        def end(self) -> None:
            self.said.append("end")

    class Line:
        def work(self) -> Work:
            return Work()

    monkeypatch.setattr(terminal, "progress_line", Line)
    said(notary("add", GUN, "v1", file.name), 0)
    assert said_of_it == [file.name, len(DATA), len(DATA), "end"]


def test_a_pipe_can_be_added(notary: Run, home: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, DATA)
    os.close(writing)
    said(notary("add", GUN, "v1", f"/dev/fd/{reading}"), 0)
    os.close(reading)
    assert staged(home)[0]["data"]["length"] == len(DATA)
