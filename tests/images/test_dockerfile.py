"""Every file of `fixtures/dockerfiles`, and what its images are or why it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from notarypy.errors import BuildFileError
from notarypy.images import occurrences
from notarypy.images.dockerfile import stages
from notarypy.images.dockerfile.variables import BuildOptions

CORPUS = Path(__file__).parents[2] / "fixtures" / "dockerfiles"
EXPECTED: dict[str, dict[str, Any]] = json.loads((CORPUS / "expected.json").read_text(encoding="utf-8"))
DIGEST = f"sha256:{'d' * 64}"


def text_of(name: str) -> str:
    return occurrences.decode((CORPUS / f"{name}.dockerfile").read_bytes(), name)


def options_of(name: str) -> BuildOptions:
    told = EXPECTED[name].get("options", {})
    return BuildOptions(told.get("build_args", {}), told.get("platform"), told.get("target"))


GOOD = sorted(name for name in EXPECTED if "images" in EXPECTED[name])
BAD = sorted(name for name in EXPECTED if "error" in EXPECTED[name])


def test_every_file_is_listed() -> None:
    assert sorted(EXPECTED) == sorted(path.stem for path in CORPUS.glob("*.dockerfile"))
    assert len(EXPECTED) >= 60


@pytest.mark.parametrize("name", GOOD)
def test_the_images_are_those_that_a_build_takes(name: str) -> None:
    found = stages.parse(text_of(name), name, options_of(name))
    assert [[each.what, each.image, each.line] for each in found.occurrences] == EXPECTED[name]["images"]


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_understood_is_refused_with_its_line(name: str) -> None:
    line, part = EXPECTED[name]["error"]
    with pytest.raises(BuildFileError) as caught:
        stages.parse(text_of(name), "Dockerfile", options_of(name))
    assert caught.value.message.startswith(f"Dockerfile:{line}: ")
    assert part in caught.value.message


@pytest.mark.parametrize("name", GOOD)
def test_a_file_without_new_names_is_the_same_to_the_byte(name: str) -> None:
    found = stages.parse(text_of(name), name, options_of(name))
    assert (
        occurrences.encode(occurrences.rewrite(found.text, {}))
        == (CORPUS / f"{name}.dockerfile").read_bytes()
    )


@pytest.mark.parametrize("name", GOOD)
def test_pinned_it_has_the_same_structure_and_nothing_else_changes(name: str) -> None:
    found = stages.parse(text_of(name), name, options_of(name))
    names = {each: occurrences.pinned(each.image, DIGEST) for each in found.occurrences}
    text = occurrences.rewrite(found.text, names)
    again = stages.parse(text, name, options_of(name))
    assert again.outline() == found.outline()
    assert [each.image for each in again.occurrences] == list(names.values())
    assert _around(text, again.occurrences) == _around(found.text, found.occurrences)


def _around(text: str, named: tuple[occurrences.Occurrence, ...]) -> list[str]:
    """Return what stands between the images."""
    edges = [0, *(edge for each in named for edge in (each.start, each.end)), len(text)]
    return [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("FROM a\nRUN <<EOF\nfrom evil\nEOF\n", (2,)),
        ("FROM a\nRUN true\nCOPY <<EOF /\nCOPY --from=evil a b\nEOF\n", (3,)),
        ("FROM a\nRUN <<EOF\nRUN --mount=target=/x,from=evil make\nEOF\n", (2,)),
        ('FROM a\nRUN <<EOF\nCOPY --fr"om"=evil a b\nEOF\n', (2,)),
        ("FROM a\nRUN <<EOF\nFR\\\n# c\nOM evil\nEOF\n", (2,)),
        ("FROM a\nRUN <<EOF\necho from here\nEOF\n", ()),
    ],
)
def test_heredocs_that_older_builders_would_take_images_from(text: str, lines: tuple[int, ...]) -> None:
    assert stages.parse(text, "Dockerfile").hidden == lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("FROM a AS Build\nFROM b\nCOPY --from=build x y\n", (3,)),
        ("FROM a AS Build\nFROM build\n", (2,)),
        ("FROM a AS Build\nFROM b\nCOPY --from=Build x y\nCOPY --from=0 x y\n", ()),
        ("ARG X=base\nFROM a AS base\nFROM ${X}\n", (3,)),
        ('FROM a AS base\nFROM "base"\n', ()),
        ("# escape=`\nFROM a\n", (1,)),
        ("# escape=\\\nFROM a\n", ()),
        ("FROM a\nRUN echo \\\\ \t\r\nRUN true\n", (2,)),
        ("FROM a\n # echo \\\\\nRUN true\n", ()),
    ],
)
def test_what_other_builders_read_in_another_way(text: str, lines: tuple[int, ...]) -> None:
    assert stages.parse(text, "Dockerfile").hidden == lines


@pytest.mark.parametrize("text", ["# check=skip=all\n# escape=`\nFROM a\n", "#\u00a0escape=`\nFROM a\n"])
def test_directives_that_older_releases_do_not_see_are_refused(text: str) -> None:
    with pytest.raises(BuildFileError, match="not every release of BuildKit"):
        stages.parse(text, "Dockerfile")


def test_what_is_left_out_is_told() -> None:
    text = "FROM a AS one\nONBUILD COPY --from=two a b\nFROM b AS two\nFROM c\n"
    assert stages.parse(text, "D", BuildOptions(target="two")).notes == (
        "D: left alone, as they come after the target: 2",
        'D:2: ONBUILD COPY --from means a stage "two" of later builds',
    )


def test_the_stages() -> None:
    found = stages.parse("FROM a AS One\nFROM one\nFROM scratch AS x\n", "D").stages
    assert [(stage.number, stage.name, stage.line, stage.base, stage.parent) for stage in found] == [
        (0, "one", 1, "a", None),
        (1, "", 2, "", 0),
        (2, "x", 3, "", None),
    ]


def test_numbers_of_stages_are_read_to_their_last_digit() -> None:
    text = "FROM a\nFROM b\nFROM c\n"
    for number in ("0000001", "0" * 5000 + "1"):
        (note,) = stages.parse(text, "D", BuildOptions(target=number)).notes
        assert note == "D: left alone, as they come after the target: 2"
        copied = stages.parse(f"{text}COPY --from={number} x y\n", "D")
        assert [each.image for each in copied.occurrences] == ["a", "b", "c"]
        assert list(copied.taken.values()) == [1]
    for number in ("1000000", "10000000000000000000", "9" * 5000, "+1", "-1"):
        with pytest.raises(BuildFileError, match="no stage"):
            stages.parse(text, "D", BuildOptions(target=number))
    too_long = stages.parse(f"{text}COPY --from={2**63} x y\n", "D")  # not a number to BuildKit
    assert too_long.occurrences[-1].image == str(2**63)
    with pytest.raises(BuildFileError, match="not built yet"):
        stages.parse(f"{text}COPY --from={2**63 - 1} x y\n", "D")


def test_many_stages_images_and_flags() -> None:
    number = 3000
    text = "".join(f"FROM a:1 AS s{each}\nCOPY --from=s{max(each - 1, 0)} a b\n" for each in range(1, number))
    flags = "RUN " + "--mount=type=bind,from=b:1 \\\n" * number + "true\n"
    found = stages.parse(f"FROM a:1 AS s0\n{text}{flags}", "D")
    assert len(found.stages) == number
    assert len(found.occurrences) == 2 * number
    assert len(found.instructions) == 2 * number


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (["FROM a", "COPY <<EOF /x", "FROM b", "EOF"], None),
        (["FROM a", "RUN true"], None),
        (["FROM a", "COPY <<CMD /x", "FROM b", "CMD"], 2),
        (["FROM a", "COPY <<cmd /x", "", "# EOF", "cmd"], 2),
        (["FROM a", "COPY <<CMD /x", "some text", "CMD"], None),
        (["FROM a", "COPY <<EOF /x", "FROM b \\", "EOF"], 2),
        (["FROM a", "COPY <<EOF /x", "FROM b \\ ", "# more", "", "EOF"], 2),
        (["FROM a", "COPY <<EOF /x", "FROM b `", "EOF"], 2),
        (["FROM a", "COPY <<EOF \\", "/x", "EOF"], None),
        (["FROM a", "COPY <<CMD <<EOF /", "FROM b", "CMD", "EOF"], None),
        (["FROM a", "COPY <<CMD /x", "CMD", "RUN <<END", "END"], None),
        (["FROM a", "RUN <<-CMD", "\tFROM b", "\tCMD"], 2),
    ],
)
def test_what_a_release_without_heredocs_would_build(lines: list[str], line: int | None) -> None:
    found = stages.parse("\n".join([*lines, ""]), "Dockerfile")
    assert found.heredoc_of_instructions() == line
    assert line is None or line in found.hidden
