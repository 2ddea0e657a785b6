from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.errors import NotarypyError
from support.fakes import make_fake, open_desk, read_repository
from support.rows import accepted, harmful, refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.devserver.core import Fake
    from support.uploads import Answer, Row

ROWS = (*accepted.ROWS, *refused.ROWS, *harmful.ROWS)


def names(row: Row) -> str:
    return row.title


def check(row: Row, answer: Answer, *, strict: bool) -> None:
    if not row.code or (row.strict and not strict):
        assert answer.status == 200, answer
        return
    assert answer.status == 400
    assert answer.error["code"] == row.code
    if row.name:
        assert answer.error["detail"]["Name"] == row.name
        assert row.text in answer.error["detail"]["Error"]["Msg"]


@pytest.mark.parametrize("row", ROWS, ids=names)
def test_strict_server(row: Row) -> None:
    check(row, row.play(open_desk(make_fake())), strict=True)


@pytest.mark.parametrize("row", ROWS, ids=names)
def test_server_that_is_as_lax_as_the_real_one(row: Row) -> None:
    check(row, row.play(open_desk(make_fake(strict=False))), strict=False)


@pytest.mark.parametrize("row", accepted.ROWS, ids=names)
def test_an_accepted_update_leaves_a_readable_repository(row: Row) -> None:
    fake = make_fake()
    row.play(open_desk(fake))
    failed = set(read_repository(fake).failures)
    assert failed == ({"targets/releases"} if "key swapped" in row.title else set())


@pytest.mark.parametrize("row", harmful.DEADLY, ids=names)
def test_a_lax_server_is_left_with_an_unreadable_repository(row: Row) -> None:
    fake = make_fake(strict=False)
    row.play(open_desk(fake))
    with pytest.raises(NotarypyError):
        read_repository(fake)


@pytest.mark.parametrize("row", [*refused.ROWS, *harmful.ROWS], ids=names)
def test_a_refused_update_changes_nothing(row: Row) -> None:
    fake = make_fake()
    states: list[object] = []
    desk = open_desk(fake)
    post = desk.post

    def watched(files: Mapping[str, bytes] | list[tuple[str, bytes]]) -> Answer:
        states.append(stored(fake, desk.gun))
        return post(files)

    desk.post = watched  # type: ignore[method-assign] # to look at the server just before the last upload
    assert row.play(desk).status == 400
    assert not states or stored(fake, desk.gun) == states[-1]


def stored(fake: Fake, gun: str) -> dict[str, object]:
    return {role: fake.notary.store.current(gun, role) for role in fake.notary.store.roles(gun)}
