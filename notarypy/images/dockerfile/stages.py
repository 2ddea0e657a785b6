"""A Dockerfile's stages, and the images that a build of it takes.

What it is: the second half of reading one: what FROM, `COPY --from` and `RUN --mount=from=` mean, as BuildKit
decides it. What it is not: a builder; instructions that name no image are not checked.

Rules:

1. Stages are numbered from 0; their names are lower case. FROM takes an earlier stage of that name, else an
   image; `scratch` is neither. FROM knows no numbers.
2. `COPY --from` takes a stage by name or number, else an image; `RUN --mount=from=` by name, else an image.
   Either may name a stage only once it is built, and has no variables.
3. The variables in FROM are those of `variables`; one without a value is an error.
4. What ONBUILD names is wanted by the builds that come from this image. A name that could be a stage there is
   left to them (kind `trigger`), unless a stage of this very file is built from this one: the trigger acts
   there.
5. With a target, stages behind it are left out. Those before it count, needed or not: not every builder
   leaves them out.
6. Where releases of BuildKit disagree, or nobody can say which image is meant, the file is refused. What
   other builders read in another way is listed (`hidden`), for whoever runs one to refuse: a heredoc that
   would name an image if its lines were instructions, another escape character than a backslash, two of them
   at the end of a line, which some take for a line that goes on, and a stage that is named in other letters
   than it has, or by a variable: to buildah that is an image.
7. Releases of BuildKit before 0.10, as in docker 20.10, know no heredocs. They refuse nearly every file that
   has one; a file that they would build from other lines is for whoever runs one to refuse, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

from notarypy.errors import Advice
from notarypy.images import occurrences
from notarypy.images.dockerfile import lines, words
from notarypy.images.dockerfile.lines import Instruction, Word, lower
from notarypy.images.dockerfile.variables import BuildOptions, Variables
from notarypy.images.dockerfile.words import SPACE, WordError
from notarypy.images.occurrences import Kind, Occurrence
from notarypy.values import dataclass

_STAGE_NAME = re.compile(r"[a-z][a-z0-9\-_.]*")
_ESCAPES = ("\\", "`")
_INTEGER = re.compile(r"([+-]?)0*([0-9]{1,19})")
_MOUNT = "--mount="
_TWICE = re.compile(r"\\\\[ \t]*\r*\Z")
_CONTINUED = re.compile(r"\\[ \t\r]*\n")
_NAMING = re.compile(r"^\s*(from|copy|run|onbuild)\s", re.IGNORECASE | re.MULTILINE)
_FLAGS = {
    "from": {"platform"},
    "add": {"chown", "chmod", "link", "exclude", "checksum", "keep-git-dir", "unpack"},
    "copy": {"from", "chown", "chmod", "link", "exclude", "parents"},
    "run": {"mount", "network", "security", "device"},
}
_REPEATABLE = frozenset({"exclude", "mount", "device"})


@dataclass(frozen=True)
class Stage:
    """One stage, with its name in lower case, or empty, and the line of its FROM.

    It begins with the image `base`, or with the stage of the number `parent`, or with `scratch`.
    """

    number: int
    name: str
    line: int
    base: str
    parent: int | None


@dataclass(frozen=True)
class Dockerfile:
    """A Dockerfile that was read: its stages up to the target, its images in the order of the text.

    `notes` are for a person; `disputed` are some of the `hidden` lines; `taken` has the number of the stage
    that each name of one means, by where the name begins.
    """

    text: str
    instructions: tuple[Instruction, ...]
    stages: tuple[Stage, ...]
    occurrences: tuple[Occurrence, ...]
    notes: tuple[str, ...]
    disputed: tuple[int, ...]
    taken: Mapping[int, int]
    escape: str

    @property
    def hidden(self) -> tuple[int, ...]:
        """The lines that builders other than BuildKit may read in another way (rules 6 and 7)."""
        heredocs = [found.line for found in self.instructions if any(map(_may_name, found.heredocs))]
        ends = [
            number
            for number, line in enumerate(self.text.split("\n"), start=1)
            if _TWICE.search(line) and not line.lstrip(SPACE).startswith("#")
        ]
        older = self.heredoc_of_instructions()
        return tuple(sorted({*heredocs, *ends, *self.disputed, *([] if older is None else [older])}))

    def heredoc_of_instructions(self) -> int | None:
        """Return the line of a heredoc if releases of BuildKit that know none could build the file (rule 7).

        They refuse a file, before they look for any image, if a line of a heredoc is no instruction to them:
        it has another first word, and the line before it does not go on. The usual end, as EOF, is one.
        """
        rows = self.text.split("\n")
        found = [each for each in self.instructions if each.heredocs]
        if any(_is_refused(rows, number) for each in found for number in range(each.line, each.last)):
            return None
        return found[0].line if found else None

    def outline(self) -> tuple[object, ...]:
        """Return all that must stay the same when images get other names: stages, words, what names each."""
        named = {at for each in self.occurrences for at in range(each.start, each.end)}

        def kept(word: Word) -> str:
            return "".join(c for c, at in zip(word.text, word.at, strict=True) if at not in named)

        def rest(found: Instruction) -> tuple[str, ...]:
            acting = found.trigger or found
            return (found.keyword, *map(kept, (*acting.flags, acting.rest)), *found.heredocs)

        return (
            tuple((stage.number, stage.name, stage.parent, bool(stage.base)) for stage in self.stages),
            tuple(each.what for each in self.occurrences),
            tuple(map(rest, self.instructions)),
        )


def parse(text: str, source: str, options: BuildOptions | None = None) -> Dockerfile:
    """Read a Dockerfile; raise BuildFileError if it breaks the rules or does not say what images it means."""
    escape, instructions = lines.read(text, source)
    reader = _StageReader(source, escape, options or BuildOptions(), instructions)
    reader.run(text, instructions)
    found = tuple(sorted(reader.occurrences, key=lambda each: each.start))
    rest = tuple(reader.notes), tuple(reader.disputed), reader.taken, escape
    return Dockerfile(text, instructions, tuple(reader.stages), found, *rest)


def number_of(wanted: str, names: Sequence[str], source: str) -> int:
    """Return the number of the stage to build: the last of that name, or else of that number."""
    if lower(wanted) in names:
        return len(names) - 1 - names[::-1].index(lower(wanted))
    number = _integer(wanted)
    if number is None or wanted[0] in "+-" or number >= len(names):
        raise occurrences.failure(source, 1, f'there is no stage "{wanted}" to build')
    return number


def _integer(text: str) -> int | None:
    """Return a number as BuildKit reads it, with 64 bits; None for what it takes for a name."""
    match = _INTEGER.fullmatch(text)
    number = int(match[1] + match[2]) if match else None
    return number if number is not None and -(2**63) <= number < 2**63 else None


def _may_name(heredoc: str) -> bool:
    """Tell whether a line of a heredoc would be an instruction that can name an image."""
    lines = [line for line in heredoc.split("\n") if line.lstrip(SPACE)[:1] not in ("", "#")]
    return _NAMING.search(_CONTINUED.sub("", "\n".join(lines))) is not None


def _is_refused(rows: Sequence[str], number: int) -> bool:
    """Tell whether a line is certainly no instruction, and no part of one, to who knows no heredocs."""
    first = _word(rows[number])
    before = next((row for row in reversed(rows[:number]) if _word(row)), "")
    return bool(first) and lower(first) not in lines.KEYWORDS and not before.rstrip(SPACE).endswith(_ESCAPES)


def _word(row: str) -> str:
    """Return the first word of a line, nothing for an empty line and a comment."""
    found = row.strip(SPACE)
    return "" if not found or found.startswith("#") else Word(found, range(len(found))).words(1)[0].text


class _StageReader:
    """One walk over the instructions."""

    def __init__(
        self, source: str, escape: str, options: BuildOptions, instructions: tuple[Instruction, ...]
    ) -> None:
        self.source, self.escape, self.target = source, escape, options.target
        self.failure = partial(occurrences.failure, source)
        self.variables = Variables(options, escape, source)
        self.spelled = [self._name(found) for found in instructions if found.keyword == "from"]
        self.names = [lower(name) for name in self.spelled]
        if not self.names:
            raise self.failure(1, "there is no FROM")
        self.newest = {name: number for number, name in enumerate(self.names) if name}
        self.earlier: dict[str, int] = {}
        self.children: dict[int, int] = {}
        self.stages: list[Stage] = []
        self.occurrences: list[Occurrence] = []
        self.notes: list[str] = []
        self.disputed = [] if escape == "\\" else [1]
        self.taken: dict[int, int] = {}

    def run(self, text: str, instructions: tuple[Instruction, ...]) -> None:
        """Read everything: first the stages, then what they take from elsewhere."""
        last = number_of(self.target, self.names, self.source) if self.target else len(self.names) - 1
        self.variables.values.setdefault("TARGETSTAGE", self.target or self.names[-1] or "default")
        frontend = lines.frontend(text)
        if frontend is not None:
            self._occurrence(frontend[0], frontend[0].text, frontend[1], "# syntax", "frontend")
        taking: list[tuple[int, Instruction]] = []
        for found in instructions:
            if found.keyword == "from":
                if len(self.stages) > last:  # rule 5
                    left = [name or str(number) for number, name in enumerate(self.names)][last + 1 :]
                    note = f"left alone, as they come after the target: {', '.join(left)}"
                    self.notes.append(f"{self.source}: {note}")
                    break
                self._from(found)
            elif self.stages:
                taking.append((len(self.stages) - 1, found))
            elif found.keyword == "arg":
                self.variables.declare(found.rest.text, found.line)
            else:
                raise self.failure(found.line, f"{found.keyword.upper()} stands before the first FROM")
        for stage, found in taking:
            self._sources(stage, found.trigger or found, triggered=found.trigger is not None)

    def _name(self, found: Instruction) -> str:
        words = [word.text for word in found.rest.words()]
        if not words[0] or len(words) not in {1, 3}:
            raise self.failure(found.line, "FROM takes an image, or an image AS name")
        if len(words) == 1:
            return ""
        if words[1].casefold() != "as" or not _STAGE_NAME.fullmatch(lower(words[2])):
            raise self.failure(found.line, f'"{words[1]} {words[2]}" gives no stage a name')
        return words[2]

    def _from(self, found: Instruction) -> None:
        self._flag(found, "platform")
        word = found.rest.words()[0]
        base = self.variables.expand(word.text, found.line)
        parent, image = self.earlier.get(lower(base)), ""
        number = len(self.stages)
        self._compare(word.text if "$" in word.text else base, parent, found.line)
        if parent is not None:
            self.taken[word.at[0]] = parent
            self.children.setdefault(parent, number)
        elif base != "scratch":
            image = base
            self._occurrence(word, base, found.line, "FROM")
        name = self.names[number]
        self.stages.append(Stage(number, name, found.line, image, parent))
        if name:
            self.earlier[name] = number

    def _sources(self, stage: int, found: Instruction, *, triggered: bool) -> None:
        if found.keyword not in _FLAGS:
            return
        flag = self._flag(found, "from")
        if found.keyword == "copy" and flag is not None:
            self._source(stage, flag, found.line, "COPY --from", triggered=triggered)
        if found.keyword == "run":
            for mount in found.flags:
                if mount.text.startswith(_MOUNT):
                    for value in self._mounted(mount.part(len(_MOUNT)), found.line):
                        self._source(stage, value, found.line, "RUN --mount", triggered=triggered)

    def _mounted(self, mount: Word, line: int) -> list[Word]:
        if '"' in mount.text:
            raise self.failure(line, "a quote is part of --mount", advice=Advice("write-without"))
        found = [value for _, value in lines.mount_parts(mount) if value is not None]
        if len(found) > 1:
            raise self.failure(line, "--mount has two from")
        return found

    def _source(self, stage: int, word: Word, line: int, what: str, *, triggered: bool) -> None:
        """Note an image, unless it is a stage (rules 2 and 4)."""
        if word.text in {"", "scratch"}:
            return
        plain = ""
        with suppress(WordError):
            plain = words.expand(word.text, {}, self.escape).text
        if plain != word.text:
            raise self.failure(line, f'{what}: "{word.text}" has variables', advice=Advice("name-stage"))
        acts = self.children.get(stage) if triggered else stage
        number = _integer(word.text) if what.startswith("COPY") else None
        if number is None:
            number = self.newest.get(lower(word.text))
            self._compare(word.text, number, line)
        what = f"ONBUILD {what}" if triggered else what
        if number is None:
            possible = acts is None and _STAGE_NAME.fullmatch(lower(word.text))
            self._occurrence(word, word.text, line, what, "trigger" if possible else "base")
        elif acts is None:  # the trigger acts in other builds alone
            self.notes.append(f'{self.source}:{line}: {what} means a stage "{word.text}" of later builds')
        elif not 0 <= number < acts:
            what = f'{what}: the stage "{word.text}" is not built yet'
            raise self.failure(line, what, advice=Advice("name-earlier-stage"))
        else:
            self.taken[word.at[0]] = number

    def _compare(self, name: str, stage: int | None, line: int) -> None:
        """Note a stage's name that is not written as the stage has it (rule 6)."""
        if stage is not None and name != self.spelled[stage]:
            self.disputed.append(line)

    def _occurrence(self, word: Word, image: str, line: int, what: str, kind: Kind = "base") -> None:
        self.occurrences.append(Occurrence(image, word.text, line, word.at[0], word.at[-1] + 1, what, kind))

    def _flag(self, found: Instruction, name: str) -> Word | None:
        """Return the value of a flag, after a look at all of them."""
        wanted, seen = None, set()
        for flag in found.flags:
            key, equals, _ = flag.text[2:].partition("=")
            if key not in _FLAGS[found.keyword]:
                raise self.failure(found.line, f'{found.keyword.upper()} has no flag "--{key}"')
            if key in seen and key not in _REPEATABLE:
                raise self.failure(found.line, f"--{key} is there twice")
            seen.add(key)
            if key == name:
                if not equals:
                    raise self.failure(found.line, f"--{key} needs a value")
                wanted = flag.part(len(key) + 3)
        return wanted
