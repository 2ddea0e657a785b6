"""The copy for other builders: what is written, what is refused, and the last look at it."""

from __future__ import annotations

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import BuildFileError
from notarypy.images import occurrences
from notarypy.images.dockerfile import portable, stages
from notarypy.images.dockerfile.portable import Plain


def plain(text: str, *avoid: str) -> Plain:
    """Return the copy, after the last look at it."""
    found = stages.parse(text, "D")
    written = portable.write(found, "D", avoid)
    images = [occurrence.image for occurrence in found.occurrences if occurrence.kind != "frontend"]
    portable.check(written, images, "D")
    return written


def test_directives_comments_and_continued_lines_are_gone() -> None:
    text = "\ufeff# syntax=x\n# escape=`\n\n# c\nfrom a:1\nRUN a `\n# c\n\n  && b `\n  c\n  user  7  \n"
    assert plain(text).text == "FROM a:1 AS s0\nRUN a   && b   c\nUSER 7\n"


def test_stages_get_names_of_their_own() -> None:
    text = (
        "ARG B=1\nFROM a:$B AS Up\nFROM --platform=linux/arm64 up AS up\nCOPY --from=0 --link x y\n"
        "FROM scratch\nCOPY --chown=1:2 --from=UP x y\nRUN --mount=FROM=up,target=/x --network=none true\n"
    )
    assert plain(text).text.splitlines() == [
        "ARG B=1",
        "FROM a:1 AS s0",
        "FROM --platform=linux/arm64 s0 AS s1",
        "COPY --from=s0 --link x y",
        "FROM scratch AS s2",
        "COPY --chown=1:2 --from=s1 x y",
        "RUN --mount=from=s1,target=/x --network=none true",
    ]


def test_the_names_of_stages_stand_nowhere_else() -> None:
    assert plain("FROM s0:1 AS x\nFROM x\n").text == "FROM s0:1 AS ss0\nFROM ss0 AS ss1\n"
    assert plain("FROM a\n", "--build-context=S0=.").text == "FROM a AS ss0\n"


def test_what_looks_like_a_flag_of_a_program_stays() -> None:
    text = 'FROM a\nRUN x --from=evil --mount=from=evil\nENTRYPOINT ["a", "--from=b"]\nONBUILD RUN x\n'
    assert plain(text).text == text.replace("FROM a", "FROM a AS s0")


def test_targets() -> None:
    text = "FROM a AS One\nFROM b AS two\nFROM c AS TWO\n"
    found, written = stages.parse(text, "D"), plain(text)
    assert [written.stage(found, name, "D") for name in ("one", "ONE", "0", "1", "two", "0000001")] == [
        "s0", "s0", "s0", "s1", "s2", "s1",
    ]  # fmt: skip
    for name in ("3", "three", "-1", "\u0661", "1000000"):
        with pytest.raises(BuildFileError, match="no stage"):
            written.stage(found, name, "D")


@pytest.mark.parametrize(
    "lines",
    [
        "RUN <<EOF\nFROM b\nEOF",
        "COPY <<a /b\na",
        "RUN cat <<< x",
        "ONBUILD RUN cat <<x\nx",
        "CMD echo \\\\\nUSER 7",
        "CMD echo \\\\ \nUSER 7",
        "RUN a\rb",
        "RUN a\x0bb",
        "RUN a\x00b",
        "RUN -- --mount=from=x a",
        'COPY --chown="a b" x y',
        "RUN --mount=type=bind,target=$X a",
        "ONBUILD COPY --from=b:1 x y",
        "ONBUILD RUN --mount=from=b:1 x",
        "COPY --from=scratch x y",
        "FROM \\$X",
        "COPY --from= x y",
        "RUN --mount=from=,target=/x y",
        f"RUN {'x' * 61440}",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(lines: str) -> None:
    with pytest.raises(BuildFileError, match="D:2: ") as caught:
        plain(f"FROM a\n{lines}\n")
    assert "--builder buildx" in advice(caught.value)


@pytest.mark.parametrize("line", ["RUN a \\b", "ENV A=`b"])
def test_another_escape_character_changes_nothing(line: str) -> None:
    assert plain("# escape=`\nFROM a\nRUN a `\n b\n").text == "FROM a AS s0\nRUN a  b\n"
    with pytest.raises(BuildFileError, match="D:3: "):
        plain(f"# escape=`\nFROM a\n{line}\n")


@pytest.mark.parametrize(
    "text",
    [
        "FROM b AS s0\n",
        "FROM a AS s0\nFROM b AS s1\n",
        "FROM a AS s0\nFROM s1 AS s1\n",
        "FROM a AS x\n",
        "FROM a\n",
        "FROM --platform=b a AS s0\nCOPY --from=b x y\n",
        "FROM a AS s0\nCOPY --link --from=b x y\n",
        "FROM a AS s0\nRUN --mount=from=b x\n",
        "FROM a AS s0\nRUN --mount=type=bind,From=s0 x\n",
        "FROM a AS s0\nONBUILD COPY --from=b x y\n",
        "FROM a AS s0\nRUN x \\\n",
        "FROM a AS s0\n# x\n",
        "FROM a AS s0\n\n",
        "# FROM a AS s0\n",
    ],
)
def test_the_last_look_knows_nothing_but_lines_and_words(text: str) -> None:
    portable.check(Plain("FROM a AS s0\nCOPY --from=s0 x y\n", "s"), ["a"], "D")
    with pytest.raises(BuildFileError, match="no copy can be made"):
        portable.check(Plain(text, "s"), ["a"], "D")


def test_bytes_that_are_blanks_to_some_do_not_hide_a_flag() -> None:
    """Blanks before flags are told byte by byte: a lone 0xA0 is one, though it is no character."""
    for byte in (b"\xa0", b"\x85"):
        with pytest.raises(BuildFileError, match="D:2: "):
            stages.parse(occurrences.decode(b"FROM a\nCOPY " + byte + b"--from=b x y\n", "D"), "D")
