"""Our reading of instructions beside that of BuildKit's own parser, which the package `dockerfile` wraps."""

from __future__ import annotations

from pathlib import Path

import dockerfile as oracle  # type: ignore[import-not-found]  # a library of Go without types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notarypy.errors import BuildFileError
from notarypy.images import occurrences
from notarypy.images.dockerfile import lines

CORPUS = sorted((Path(__file__).parents[2] / "fixtures" / "dockerfiles").glob("*.dockerfile"))
# Why we refuse a file that the oracle reads: what comes after it in BuildKit would, or we do on purpose.
LATER = (
    "is no instruction",
    "ONBUILD needs an instruction",
    "not allowed after ONBUILD",
    "is a blank to BuildKit",
    "behind a JSON array",
    "not every release of BuildKit",
)
# Why the oracle refuses a file that we read: it looks into instructions that name no image.
INNER = ("must have two arguments", "can't find =", "must be comprised of strings")
# Where the oracle, which has the parser of an older BuildKit, cannot tell.
OLDER = ("${", "<< ", "<<\t", "<<\r")
PIECES = [
    *[
        "FROM a",
        "FROM a AS b",
        "\n",
        "\n",
        "\n",
        "\\\n",
        "\\",
        "`",
        "# c\n",
        "#escape=`\n",
        "# syntax = x:1\n",
    ],
    *["RUN ", "COPY ", "ADD ", "ONBUILD ", "ENV A=b", "ARG A=$B", "HEALTHCHECK NONE", "CMD ", "--from=x "],
    *["--mount=type=bind,from=x ", "<<EOF", "<<-EOF", "<<'EOF'", "EOF\n", "\tEOF\n", "EOF", "  ", "\t", "'"],
    *['"', "$", "<", "[", "a", "--", "-- ", "\r\n", "\v", "|", "/", "cat ", "3", "$X", '["a"]'],
]


def ours(text: str) -> list[object] | str:
    """Return what we read: keyword, keyword of the trigger, lines, flags, heredocs."""
    try:
        _, found = lines.read(text, "Dockerfile")
    except BuildFileError as error:
        return error.message
    return [
        (
            each.keyword,
            each.trigger.keyword if each.trigger else None,
            each.line,
            each.last,
            [flag.text for flag in each.flags] if each.trigger is None else [],
            [heredoc.replace("\r", "") for heredoc in each.heredocs] if each.trigger is None else [],
        )
        for each in found
    ]


def theirs(text: str) -> list[object] | str:
    """Return the same from the oracle, which has neither flags nor heredocs of a trigger."""
    try:
        found = oracle.parse_string(text)
    except (oracle.GoParseError, UnicodeDecodeError) as error:
        return str(error)
    return [
        (
            (each.cmd or "").lower(),
            each.sub_cmd.lower() if each.sub_cmd else None,
            each.start_line,
            each.end_line,
            list(each.flags) if (each.cmd or "").lower() != "onbuild" else [],
            [heredoc.content.replace("\r", "").removesuffix("\n") for heredoc in each.heredocs],
        )
        for each in found
    ]


def compare(text: str) -> None:
    mine, other = ours(text), theirs(text)
    if isinstance(mine, str) and (isinstance(other, str) or any(part in mine for part in LATER)):
        return
    if isinstance(other, str) and any(part in other for part in INNER):
        return
    if mine != other and any(part in text for part in OLDER):
        return
    assert mine == other


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_files_of_the_corpus(path: Path) -> None:
    text = occurrences.decode(path.read_bytes(), path.name)
    if text.isascii():
        compare(text)
    else:
        assert path.stem in NOT_ASCII


# Their bytes do not come through the oracle's interface whole.
NOT_ASCII = {
    "byte-order-mark",
    "not-utf-8",
    "no-break-space-before-from",
    "stage-name-with-kelvin-sign",
    "character-that-splits-flags",
}


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_any_lines(text: str) -> None:
    compare(f"FROM a\n{text}")
    compare(text)
