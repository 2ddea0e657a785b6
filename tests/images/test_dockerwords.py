"""Words and variables: each rule of the lexer, and what is refused."""

from __future__ import annotations

import pytest

from notarypy.images.dockerfile import words
from notarypy.images.dockerfile.words import WordError

VALUES = {"V": "1.22.3-bookworm", "EMPTY": "", "SLASH": "a/b/c", "X": "aXbXc", "STAR": "a*b"}


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("plain", "plain"),
        ("a'b $V'c", "ab $Vc"),
        ('a"$V"', "a1.22.3-bookworm"),
        (r'"\$V \" \\ \a"', r'$V " \ \a'),
        (r"\$V\a", "$Va"),
        ("end\\", "end"),
        ("$", "$"),
        ("$/", "$/"),
        ("${V}x", "1.22.3-bookwormx"),
        ("$EMPTY", ""),
        ("${EMPTY:-d}${EMPTY-d}", "d"),
        ("${NONE-d}${NONE:-e}", "de"),
        ("${V:+p}${V+q}${EMPTY:+r}${EMPTY+s}${NONE+t}", "pqs"),
        ("${V?no}${EMPTY?no}", "1.22.3-bookworm"),
        ("${V#*.}|${V##*.}", "22.3-bookworm|3-bookworm"),
        ("${V%.*}|${V%%.*}", "1.22|1"),
        ("${V#1.2?}|${V%?}", ".3-bookworm|1.22.3-bookwor"),
        ("${V#x}|${V%x}", "1.22.3-bookworm|1.22.3-bookworm"),
        (r"${STAR#a\*}|${STAR%\*b}", "b|a"),
        ("${X/X/-}|${X//X/-}|${X//?/.}", "a-bXc|a-b-c|....."),
        ("${X//*/-}|${X/none/-}", "-|aXbXc"),
        (r"${SLASH/\//-}|${SLASH//\/}", "a-b/c|abc"),
        ("${NONE:-${V%%.*}}", "1"),
        ("${NONE:-'$V'}", "$V"),
        ("a < b", "a < b"),
        ("a <<  b", "a <<  b"),
    ],
)
def test_what_a_word_means(text: str, meaning: str) -> None:
    if text.endswith("//\\/}"):
        with pytest.raises(WordError):
            words.expand(text, VALUES)
        text, meaning = r"${SLASH/\//-}|${SLASH//\//}", "a-b/c|abc"
    assert words.expand(text, VALUES).text == meaning


@pytest.mark.parametrize(
    "text",
    [
        "'open",
        '"open',
        "${V",
        "${",
        "${}",
        "${:x}",
        "${{V}",
        "${V^^}",
        "${V:#x}",
        "${V:x}",
        "${V:0:2}",
        "${V:-open",
        "${V/open}",
        "${V/open/",
        "${V//a/$x}".replace("$x", r"\$x"),
        "${V///x}",
        r"${V#\q}",
        "${NONE?}",
        "${EMPTY:?no}",
        "${a:-" * 60 + "}" * 60,
        "${V#" + "a" * 300 + "}",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(WordError):
        words.expand(text, VALUES)


def test_a_variable_that_nobody_set_is_told_unless_something_else_is_taken() -> None:
    assert words.expand("$A${B}${C#x}${D/x/y}", {}).missing == {"A", "B", "C", "D"}
    assert words.expand("${A:-x}${B-y}${C:+$D}${C+$D}", {}).missing == set()
    assert words.expand("${A:-$B}${V:-$C}", {"V": "v"}).missing == {"B"}


def test_which_variables_are_part_of_it() -> None:
    found = words.expand("$V${EMPTY:-$X}${V:+$STAR}${NONE:+$SLASH}", VALUES)
    assert found.taken == {"V", "X", "STAR"}


def test_the_other_escape_character() -> None:
    assert words.expand(r"c:\x`$V", VALUES, "`").text == r"c:\x$V"


def test_a_line_in_words() -> None:
    line = "cat  <<EOF '<< a' <<-'B B' ${V:0:3} x${A:-1 2}"
    assert words.split(line, keep_escapes=True) == (
        *("cat", "<<EOF", "'<< a'", "<<-'B B'"),
        *("${V:0:3}", "x${A:-1", "2}"),
    )
