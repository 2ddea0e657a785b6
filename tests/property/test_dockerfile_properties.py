"""Any Dockerfile: read or refused, the same to the byte, and with digests the same but for the images."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from notarypy.errors import BuildFileError, InvalidNameError
from notarypy.images import occurrences
from notarypy.images.dockerfile import portable, stages, words
from notarypy.images.dockerfile.variables import BuildOptions
from notarypy.images.dockerfile.words import WordError

DIGEST = f"sha256:{'d' * 64}"
LINES = st.sampled_from(
    [
        *("FROM alpine:3", "FROM a/b AS one", "from one as Two", "FROM $IMAGE", "FROM ${IMAGE:-x}:${TAG#v}"),
        *("ARG IMAGE=busybox", "ARG TAG", "# comment", "", "# escape=`", "# syntax=docker/dockerfile:1"),
        *("COPY --from=one a b", "COPY --from=0 a b", "COPY --link --from=x.test/y:1 a b", "ADD a b"),
        *(
            "RUN --mount=type=bind,from=tools:1,target=/t make",
            "RUN <<EOF",
            "EOF",
            "RUN a \\",
            "  b `",
            "CMD a",
        ),
        *(
            "ONBUILD COPY --from=one a b",
            "ONBUILD RUN --mount=from=x/y true",
            'FROM "quoted":1',
            "FROM scratch",
        ),
    ]
)
TEXTS = st.one_of(
    st.lists(LINES, max_size=12).map("\n".join),
    st.lists(LINES, max_size=12).map("\r\n".join),
    st.lists(st.one_of(LINES, st.text(max_size=10)), max_size=8).map("\n".join),
)
TOLD = BuildOptions({"TAG": "v2"})


def read(text: str) -> stages.Dockerfile | None:
    try:
        return stages.parse(text, "Dockerfile", TOLD)
    except BuildFileError:
        return None


@given(TEXTS)
def test_places_are_where_the_names_stand(text: str) -> None:
    found = read(text)
    if found is not None:
        assert occurrences.rewrite(text, {}) == text
        ends = [place for each in found.occurrences for place in (each.start, each.end)]
        assert ends == sorted(ends)
        assert all(each.start < each.end for each in found.occurrences)


@given(TEXTS)
def test_pinned_it_is_the_same_but_for_the_images(text: str) -> None:
    found = read(text)
    if found is None:
        return
    try:
        names = {each: occurrences.pinned(each.image, DIGEST) for each in found.occurrences}
    except InvalidNameError:
        return
    again = read(occurrences.rewrite(text, names))
    if again is not None and again.outline() == found.outline():
        assert [each.image for each in again.occurrences] == list(names.values())
    else:
        # Only where a quote or an escape is part of a name's place.
        assert any(set(text[each.start : each.end]) & set("'\"\\`$\n") for each in found.occurrences)


@given(TEXTS)
def test_the_copy_for_other_builders_has_the_same_stages_and_images(text: str) -> None:
    found = read(text)
    if found is None:
        return
    images = [each.image for each in found.occurrences if each.kind != "frontend"]
    try:
        plain = portable.write(found, "Dockerfile")
    except BuildFileError:
        return
    portable.check(plain, images, "Dockerfile")
    again = read(plain.text)
    assert again is not None
    assert [each.image for each in again.occurrences] == images
    assert [(each.base, each.parent) for each in again.stages] == [
        (each.base, each.parent) for each in found.stages
    ]
    assert [each.keyword for each in again.instructions] == [each.keyword for each in found.instructions]
    assert again.hidden == ()


@given(st.binary(max_size=200))
def test_bytes_survive(data: bytes) -> None:
    assert occurrences.encode(occurrences.decode(data, "Dockerfile")) == data


@given(st.text(alphabet="ab$_{}:-+?#%/*\\'\"<` 1", max_size=30))
def test_words_mean_something_or_are_refused(text: str) -> None:
    try:
        found = words.expand(text, {"a": "1*b", "b": ""})
        words.split(text)
    except WordError:
        return
    assert not found.taken - {"a", "b"}
