from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notarypy.limits import DEFAULT, Limits
from notarypy.remote.pushstream import (
    NonsenseError,
    PushError,
    PushOutcome,
    SilentError,
    TooMuchError,
    outcome,
)
from support.dockerd import Record, aux, said

if TYPE_CHECKING:
    from collections.abc import Iterable

D1, D2 = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
LAYER: Record = {
    "status": "Pushing",
    "progressDetail": {"current": 1, "total": 2},
    "id": "aa11",
    "progress": "[=>]",
}
OTHER: Record = {"status": "The push refers to repository [localhost:5000/app]"}


def read(*records: Record, end: bytes = b"\r\n") -> PushOutcome:
    lines = (record if isinstance(record, bytes) else json.dumps(record).encode() for record in records)
    return outcome(io.BytesIO(end.join([*lines, b""])), "1")


@pytest.mark.parametrize(
    "records",
    [
        [OTHER, LAYER, said("1", D1, 528), aux("1", D1, 528)],
        [OTHER, LAYER, aux("1", D1, 528)],
        [OTHER, LAYER, said("1", D1, 528)],
        [aux("2", D2, 1), said("2", D2, 1), aux("1", D1, 528)],
        [{"aux": {"other": 1}}, {"aux": 5}, {"status": 7}, {}, aux("1", D1, 528)],
        [{"id": "aa11", "status": f"1: digest: {D2} size: 1"}, aux("1", D1, 528)],
    ],
    ids=["both", "aux", "text", "other tag", "other records", "a layer's text"],
)
@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\n\n"])
def test_a_push_that_succeeded(records: Iterable[Record], end: bytes) -> None:
    assert read(*records, end=end) == PushOutcome(D1, 528)


def test_the_last_line_needs_no_end() -> None:
    assert outcome(io.BytesIO(json.dumps(aux("1", D1, 2)).encode()), "1") == PushOutcome(D1, 2)


def test_a_part_of_an_index_is_told_apart() -> None:
    note: Record = {
        "aux": {"manifestPushedInsteadOfIndex": True, "originalIndex": {}, "selectedManifest": {}}
    }
    assert read(note, said("1", D1, 528)) == PushOutcome(D1, 528, partial=True)


@pytest.mark.parametrize(
    "records",
    [
        [],
        [OTHER, LAYER],
        [aux("2", D1, 528)],
        [said("2", D1, 528)],
        [aux("1", D1, 528), said("1", D2, 528)],
        [aux("1", D1, 528), aux("1", D1, 529)],
        [{"status": f"x 1: digest: {D1} size: 528"}],
        [{"status": f"1: digest: {D1} size: 528 "}],
        [{"status": f"1: digest: {D1} size: -1"}],
    ],
)
def test_a_push_that_does_not_say_what(records: list[Record]) -> None:
    with pytest.raises(SilentError):
        read(*records)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ({"errorDetail": {"message": "no"}, "error": "other"}, "no"),
        ({"error": "no"}, "no"),
        ({"errorDetail": {"code": 1}, "error": "no"}, "no"),
        ({"errorDetail": {"code": 1}}, "an error without words"),
        ({"error": ""}, "an error without words"),
        ({"error": {"deep": 1}}, "an error without words"),
        ({"errorDetail": "no"}, "an error without words"),
    ],
)
def test_an_error_counts_whatever_else_is_said(record: Record, text: str) -> None:
    for records in ([record, aux("1", D1, 528)], [aux("1", D1, 528), record]):
        with pytest.raises(PushError) as caught:
            read(*records)
        assert str(caught.value) == text


@pytest.mark.parametrize(
    "record",
    [
        b"x",
        b"[]",
        b'""',
        b"{",
        b"\xff",
        b"[" * 60_000,
        aux("1", "sha256:1", 528),
        aux("1", D1.upper(), 528),
        aux("1", f"sha512:{'1' * 128}", 528),
        aux("1", D1, 0),
        aux("1", D1, -1),
        {"aux": {"Tag": "1", "Digest": D1, "Size": True}},
        aux("1", D1, 5 * 1024 * 1024),
        {"aux": {"Tag": "1"}},
        {"aux": {"Tag": "1", "Digest": [D1], "Size": "528"}},
        {"status": f"1: digest: {'x' * 71} size: 528"},
        {"status": f"1: digest: {D1} size: 0"},
    ],
)
def test_nonsense_is_refused(record: Record) -> None:
    with pytest.raises(NonsenseError):
        read(record, aux("1", D1, 528))


@pytest.mark.parametrize(
    "data", [b"x" * (DEFAULT.daemon_line_bytes + 1), b"{" + b" " * DEFAULT.daemon_line_bytes + b"}\n"]
)
def test_a_line_has_a_limit(data: bytes) -> None:
    with pytest.raises(TooMuchError):
        outcome(io.BytesIO(data), "1")


def test_the_stream_has_a_limit() -> None:
    with pytest.raises(TooMuchError):
        outcome(io.BytesIO(b"{}\n" * 40_000), "1", Limits(daemon_stream_bytes=100_000))


@given(
    st.lists(
        st.binary(max_size=200) | st.sampled_from([b"{}\n", json.dumps(aux("1", D1, 5)).encode() + b"\n"])
    )
)
def test_any_bytes_end_in_a_digest_or_an_error(parts: list[bytes]) -> None:
    try:
        pushed = outcome(io.BytesIO(b"".join(parts)), "1")
    except (PushError, SilentError, NonsenseError, TooMuchError):
        return
    assert pushed == PushOutcome(D1, 5)
