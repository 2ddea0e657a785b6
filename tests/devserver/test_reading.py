from __future__ import annotations

from pathlib import Path

import pytest

from notarypy.devserver.calls import FormPart, Refused
from notarypy.devserver.checks import read_part, rewritten
from notarypy.errors import MetadataError
from notarypy.tuf import roles
from notarypy.tuf.envelope import Envelope
from support.author import Author

GO = Path(__file__).parents[2] / "fixtures" / "go"


def go_files() -> list[tuple[str, Path]]:
    found = []
    for folder in sorted(GO.glob("*/server")):
        for path in sorted(folder.rglob("*.json")):
            role = path.relative_to(folder).with_suffix("").as_posix().rpartition(".")[2]
            if role != roles.TIMESTAMP:
                found.append((role, path))
    return found


@pytest.mark.parametrize(
    ("role", "path"), go_files(), ids=[path.relative_to(GO).as_posix() for _, path in go_files()]
)
def test_files_by_go_are_in_storage_form(role: str, path: Path) -> None:
    data = path.read_bytes()
    assert rewritten(Envelope.parse(data, role), role) == data


@pytest.mark.parametrize(
    ("date", "again"),
    [
        ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
        ("2030-01-01T00:00:00.000Z", "2030-01-01T00:00:00Z"),
        ("2030-01-01T00:00:00.120Z", "2030-01-01T00:00:00.12Z"),
        ("2030-01-01T00:00:00.123456789-05:00", "2030-01-01T00:00:00.123456789-05:00"),
        ("2030-01-01T00:00:00+00:00", "2030-01-01T00:00:00Z"),
    ],
)
def test_dates_are_rewritten_as_go_does(date: str, again: str) -> None:
    author = Author()
    signed = {**author.root.to_signed(), "expires": date}
    file = Envelope.parse(author.seal(signed, author.signers(roles.ROOT)), roles.ROOT)
    assert again.encode() in rewritten(file, roles.ROOT)


def test_what_has_no_structure_cannot_be_rewritten() -> None:
    author = Author()
    file = Envelope.parse(author.seal({"_type": "Root"}, author.signers(roles.ROOT)), roles.ROOT)
    with pytest.raises(MetadataError):
        rewritten(file, roles.ROOT)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'"text"',
        b'{"signed":1}',
        b'{"signed":{"version":1.0}}',
        b'{"signed":{"version":true}}',
        b'{"signed":{"version":"1"}}',
        b'{"signed":{"expires":0}}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_malformed_json(data: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read_part(FormPart("root", data))
    assert refused.value.code == "MALFORMED_JSON"


@pytest.mark.parametrize("data", [b"{}", b'{"signed":{}}', b' {"signed":{}} and more'])
def test_first_look_leaves_the_rest_for_later(data: bytes) -> None:
    assert read_part(FormPart("targets/a.json", data))[1].version == 0
