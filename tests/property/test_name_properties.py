"""What holds for every name, path and date."""

from __future__ import annotations

import posixpath
from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from notarypy.errors import InvalidNameError, MetadataError
from notarypy.tuf import roles
from notarypy.tuf.fields import format_time, parse_time
from support.strategies import delegations, moments, segments, zones

paths = st.lists(st.text("ab/", max_size=4), max_size=4).map(tuple)


@given(st.text(max_size=40) | st.text("ab./\\%*\0", max_size=12))
@example("..")
@example("a/../b")
def test_a_repository_name_is_safe_below_any_folder_or_refused(gun: str) -> None:
    try:
        roles.check_gun(gun)
    except InvalidNameError:
        return
    below = posixpath.normpath(f"/trust/tuf/{gun}")
    assert below == f"/trust/tuf/{gun}"
    assert not set(gun) & set("\\?#%*\0\n")
    assert gun.encode()


@given(st.lists(st.text("abcXYZ09.:_-+ \u00e9", min_size=1, max_size=8), min_size=1, max_size=5))
def test_ordinary_segments_make_a_repository_name(parts: list[str]) -> None:
    gun = "/".join(part for part in parts if part not in {".", ".."}) or "x"
    assert roles.check_gun(gun) == gun


@given(delegations)
def test_delegations_are_roles_below_a_role(role: str) -> None:
    assert roles.is_delegation(role)
    assert roles.check_role(role) == role
    assert roles.signer_role(role) == role
    above = roles.parent(role)
    assert above == roles.TARGETS or roles.is_delegation(above)
    assert role.startswith(f"{above}/")


@given(st.text(max_size=30) | st.text("targetsA./-_*\n", max_size=20).map("targets/".__add__))
def test_any_text_is_a_clean_role_or_none(role: str) -> None:
    if roles.is_delegation(role):
        assert posixpath.normpath(role) == role
        assert role == role.lower()
        assert role.isascii()
        assert len(role) < 256
        assert ".." not in role


@given(segments)
def test_a_signer_name_and_its_role_are_one_to_one(name: str) -> None:
    try:
        role = roles.signer_role(name)
    except InvalidNameError:
        assert name[0] in "-_" or name == "releases"
    else:
        assert roles.signer_name(role) == name


@given(paths, paths, st.text("ab/", max_size=8))
def test_a_narrowed_role_never_says_more_than_the_role_above(
    allowed: tuple[str, ...], own: tuple[str, ...], name: str
) -> None:
    left = roles.narrowed(allowed, own)
    if roles.covers(left, name):
        assert roles.covers(allowed, name)
        assert roles.covers(own, name)
    assert set(left) <= set(own)
    assert roles.narrowed(allowed, left) == left
    assert left == tuple(path for path in own if roles.covers(allowed, path))


@given(paths, st.text("ab/", max_size=8))
def test_the_shortest_paths_admit_what_all_of_them_cover(own: tuple[str, ...], name: str) -> None:
    assert roles.admits(roles.shortest(own), name) is roles.covers(own, name)


@given(moments)
def test_a_written_date_reads_back(moment: datetime) -> None:
    text = format_time(moment)
    assert parse_time(text, "x") == moment
    assert text.endswith("Z")
    assert ".0Z" not in text
    assert "0Z" not in text.partition(".")[2]


@given(moments, zones)
def test_the_time_zone_of_the_signer_does_not_matter(moment: datetime, zone: object) -> None:
    from datetime import timezone

    assert isinstance(zone, timezone)
    text = moment.astimezone(zone).isoformat()
    assert parse_time(text, "x") == moment
    assert format_time(moment.astimezone(zone)) == format_time(moment)


@given(moments, st.integers(0, 999))
def test_nanoseconds_are_read_and_cut_off(moment: datetime, nanoseconds: int) -> None:
    text = f"{moment:%H:%M:%S}.{moment.microsecond:06}{nanoseconds:03}Z"
    assert parse_time(f"{moment.year:04}-{moment.month:02}-{moment.day:02}T{text}", "x") == moment


@given(st.text("0123456789-+:.TZtz ", max_size=40) | st.text(max_size=30))
def test_any_text_is_a_date_or_malformed(text: str) -> None:
    try:
        moment = parse_time(text, "x")
    except MetadataError:
        return
    assert moment.tzinfo is UTC
    assert datetime.fromisoformat(text[:19]).replace(tzinfo=UTC).year - moment.year in {-1, 0, 1}
