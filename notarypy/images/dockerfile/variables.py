"""The variables that FROM may use: build arguments, those of the platform, and ARG.

What it is: names to values, in the order in which BuildKit lets them count. What it is not: the expansion of
a word (`words`).

Rules:

1. ARG before the first FROM sets a variable; a build argument of that name counts instead of its default.
   Build arguments that no ARG declares do not count.
2. The variables of the target platform are known when the platform is given; those of the machine that builds
   are not. A build argument, or ARG with a default, counts over them.
3. A default that uses a variable without a value has none itself, whatever a builder makes of it: whoever
   uses it gets an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from notarypy.errors import Advice
from notarypy.images import occurrences, platforms
from notarypy.images.dockerfile import words
from notarypy.images.dockerfile.words import SPACE, WordError
from notarypy.values import dataclass, field

_OF_TARGET = ("TARGETPLATFORM", "TARGETOS", "TARGETOSVERSION", "TARGETARCH", "TARGETVARIANT")
_OF_BUILDER = ("BUILDPLATFORM", "BUILDOS", "BUILDOSVERSION", "BUILDARCH", "BUILDVARIANT")


@dataclass(frozen=True)
class BuildOptions:
    """Options of a builder that decide which images are meant: build arguments, and what it builds.

    The platform is `os/architecture[/variant]`; the target is a stage by name or number, None for the last.
    """

    arguments: Mapping[str, str] = field(default_factory=dict)
    platform: str | None = None
    target: str | None = None


class Variables:
    """The variables, as far as the file was read."""

    def __init__(self, options: BuildOptions, escape: str, source: str) -> None:
        self.options, self.escape, self.failure = options, escape, partial(occurrences.failure, source)
        self.values = _of_platform(options.platform, source)
        self.hollow: dict[str, str | None] = {}
        for name in (*_OF_TARGET, *_OF_BUILDER, "TARGETSTAGE"):
            if name in options.arguments:
                self.values[name] = options.arguments[name]

    def declare(self, text: str, line: int) -> None:
        """Take an ARG (rule 1)."""
        for word in _words(text, self.escape):
            name, equals, default = word.partition("=")
            if not name:
                raise self.failure(line, "ARG needs a name")
            if name in self.options.arguments:
                self.values[name], self.hollow[name] = self.options.arguments[name], None
            elif equals:
                found = self._expand(default, line)
                self.values[name], self.hollow[name] = found.text, self._hollow_part(found)

    def expand(self, text: str, line: int) -> str:
        """Return what a word of FROM means; raise BuildFileError if a variable in it has no value."""
        found = self._expand(text, line)
        lacking = self._hollow_part(found)
        if lacking is not None:
            given = Advice("give-argument", option="--build-arg", name=lacking)
            advice = Advice("name-platform") if lacking in _OF_TARGET else given
            raise self.failure(line, f'"{text}" names no image: {lacking} has no value', advice=advice)
        if not found.text:
            raise self.failure(line, f'"{text}" names no image', why="it is empty")
        return found.text

    def _hollow_part(self, found: words.Expanded) -> str | None:
        """Return a variable without a value that a text is made with (rule 3)."""
        parts = (*sorted(found.missing), *map(self.hollow.get, sorted(found.taken)))
        return next((part for part in parts if part is not None), None)

    def _expand(self, text: str, line: int) -> words.Expanded:
        try:
            return words.expand(text, self.values, self.escape)
        except WordError as error:
            raise self.failure(line, f'"{text}" is not understood', why=str(error)) from None


def _of_platform(platform: str | None, source: str) -> dict[str, str]:
    """Return the variables of a platform (rule 2)."""
    if platform is None:
        return {}
    parts = platforms.parts(platform)
    if parts is None:
        why = "one is os/architecture[/variant]"
        raise occurrences.failure(source, 1, f'"{platform}" is not one platform', why)
    system, machine, variant = parts
    whole = "/".join(filter(None, parts))
    return dict(zip(_OF_TARGET, (whole, system, "", machine, variant), strict=True))


def _words(text: str, escape: str) -> list[str]:
    found, word, quote, position = [], "", "", 0
    while position < len(text):
        character = text[position]
        position += 1
        if not quote and character in SPACE:
            found.append(word)
            word = ""
            continue
        if character == escape and quote != "'":
            if position == len(text):
                break
            character += text[position]
            position += 1
        elif character in ("'", '"') and quote in ("", character):
            quote = "" if quote else character
        word += character
    return list(filter(None, [*found, word]))
