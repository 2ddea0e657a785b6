"""Where `notary` differs from Go's on purpose: the rows of docs/go-notary.md that take more than a line each.

What lines can show is in `scripts/notary.txt`; every row of the page is shown in one of the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from docs import pages
from interop import test_authentication, test_old_folders
from interop.harness import gokeys, gopair, goscript
from interop.harness.programs import openssl
from interop.test_go_notary_lines import LINES, forked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from interop.harness.forking import Forker
    from interop.harness.gateway import Gateway
    from interop.harness.gopair import Pair
    from interop.harness.gosides import Side
    from interop.harness.programs import Run
    from interop.harness.services import Endpoint

    Row = Callable[["Pair", "Gateway"], None]

ROWS: dict[str, Row] = {}
# Rows that other tests show, which run Go notary too.
ELSEWHERE = {
    "old-keys": test_old_folders.test_go_writes_an_old_copy_over_a_newer_one_and_we_do_not,
    "login": test_authentication.test_go_asks_for_a_login_always_and_notary_where_there_is_none,
}


def row(name: str) -> Callable[[Row], Row]:
    """Take a function for the test of a row."""

    def note(test: Row) -> Row:
        ROWS[name] = test
        return test

    return note


@pytest.fixture
def pair(notary: Endpoint, forker: Forker, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pair]:
    with gopair.pair(tmp_path, notary, request.node.name, forked(forker)) as made:
        yield made


def run(side: Side, source: str) -> Run:
    return side.run(goscript.parsed(source))


def both(pair: Pair, *sources: str) -> None:
    """Run lines on both sides, which succeed."""
    for source in sources:
        for side in (pair.go, pair.ours):
            run(side, source).expect(0)


@row("unwritable")
def reading_takes_no_right_to_write(pair: Pair, _: Gateway) -> None:
    both(pair, "init {R} -p", "add {R} first hello -p")
    gos, ours = (run(side, "-d /proc/none list {R}") for side in (pair.go, pair.ours))
    assert gos.expect(1).stdout.startswith("\n* fatal: mkdir")
    assert ours.expect(0).stdout == run(pair.go, "list {R}").stdout
    assert "its root is trusted this once, as it could not be stored" in ours.stderr


@row("staged-meanwhile")
def what_is_staged_while_something_is_published_stays(pair: Pair, front: Gateway) -> None:
    both(pair, "init {R} -p", "add {R} first hello")
    left = []
    for side in (pair.go, pair.ours):

        def stage(path: str, body: bytes, side: Side = side) -> bytes:
            if path.endswith("/_trust/tuf/"):  # the upload is done, and its answer is on the way
                gopair.staged_by_go(side, "add {R} second hello").expect(0)
            return body

        front.rewrite = stage
        run(side, f"-s {front.endpoint.url} publish {{R}}").expect(0)
        left.append(len(side.staged(side.names["R"])))
    assert left == [0, 1]


@row("no-utf-8")
def a_name_that_is_no_utf_8_is_refused(pair: Pair, front: Gateway) -> None:
    del front
    for source in ("add {R} '\udcff' hello", "remove {R} '\udcff'", "delegation purge {R} --key '\udcff'"):
        theirs, ours = run(pair.go, source), run(pair.ours, source)
        assert (theirs.code, ours.code) == (0, 2), f"{theirs}\n{ours}"
        assert "UTF-8" in ours.stderr


@row("witness-untrusted")
def a_role_whose_keys_went_is_signed_again_only_as_it_was_known(pair: Pair, front: Gateway) -> None:
    del front
    both(
        pair,
        "init {R} -p",
        "key import jo.key -r jo",
        "key import jeff.key -r jeff",
        "delegation add {R} targets/a jo.crt --all-paths -p",
        "add {R} v1 hello -r targets/a -p",
        "delegation add {R} targets/a jeff.crt -p",
        "delegation remove {R} targets/a {id:jo} -p",
        "delete {R}",
        "witness {R} targets/a",
    )
    theirs, ours = run(pair.go, "publish {R}"), run(pair.ours, "publish {R}")
    assert (theirs.code, ours.code) == (0, 4), f"{theirs}\n{ours}"


@row("delete-others")
def whoever_would_delete_others_too_is_asked(pair: Pair, front: Gateway) -> None:
    del front
    both(pair, "init {R} -p", "init {R}-too -p")
    theirs, ours = (run(side, "delete {R} --remote") for side in (pair.go, pair.ours))
    assert (theirs.code, ours.code) == (0, 2), f"{theirs}\n{ours}"
    there = [bool(side.served(f"{side.names['R']}-too", "root")) for side in (pair.go, pair.ours)]
    assert there == [False, True]


@row("rotate-legacy")
def earlier_root_keys_that_are_not_here_are_named(pair: Pair, front: Gateway) -> None:
    del front
    both(pair, "init {R} -p")
    gone = {side.home: side.filled("{root:R}") for side in (pair.go, pair.ours)}
    both(pair, "key rotate {R} root <<yes")
    for side in (pair.go, pair.ours):
        (side.trust_dir / "private" / f"{gone[side.home]}.key").unlink()
    theirs, ours = (run(side, "key rotate {R} root --legacy 3 <<yes") for side in (pair.go, pair.ours))
    assert (theirs.code, ours.code) == (0, 0), f"{theirs}\n{ours}"
    assert gone[pair.go.home][:7] not in theirs.stderr
    assert gone[pair.ours.home][:7] in ours.stderr, ours


@row("old-certificates")
def a_certificate_that_was_trusted_is_what_the_first_root_must_have(pair: Pair, front: Gateway) -> None:
    del front
    both(pair, "init {R} -p", "delete {R}")
    for side in (pair.go, pair.ours):
        gun = side.names["R"]
        folder = side.trust_dir / "trusted_certificates" / gun
        folder.mkdir(parents=True)
        subject = "/CN=" + gun.replace("/", r"\/")
        made = folder / "made.crt"
        openssl(
            *("req", "-new", "-x509", "-days", "365", "-key", side.home / "jo.key", "-subj", subject),
            *("-out", made, "-addext", "basicConstraints=critical,CA:false"),
        )
        made.rename(folder / f"{gokeys.certificate_id(made.read_bytes())}.crt")
    theirs, ours = run(pair.go, "list {R}"), run(pair.ours, "list {R}")
    assert (theirs.code, ours.code) == (0, 4), f"{theirs}\n{ours}"


@row("lost")
def what_the_server_has_lost_is_not_made_anew(pair: Pair, front: Gateway) -> None:
    del front
    both(pair, "init {R} -p", "list {R}", "-d gone delete {R} --remote")
    theirs, ours = run(pair.go, "publish {R}"), run(pair.ours, "publish {R}")
    assert (theirs.code, ours.code) == (0, 4), f"{theirs}\n{ours}"


def test_every_row_of_the_page_is_shown() -> None:
    listed = [pages.code(cells[0]) for cells in pages.table(pages.read("docs/go-notary.md"), "row")]
    shown = {name for line in LINES for name in line.differs} | ROWS.keys() | ELSEWHERE.keys()
    assert set(listed) == shown
    assert len(listed) == len(shown)


@pytest.mark.parametrize("name", list(ROWS))
def test_the_two_differ_as_the_page_says(pair: Pair, front: Gateway, name: str) -> None:
    ROWS[name](pair, front)
