"""A Dockerfile written so that no builder can read it in two ways.

What it is: the copy for builders that do not read by BuildKit's rules (buildah, podman, kaniko, docker's
classic one). What it is not: a list of what these get wrong; where the copy could be read in another way at
all, there is none.

Rules:

1. No directive, no comment, no empty line. One instruction is one line: continued lines are joined as
   BuildKit joins them. The keyword comes first, in capitals.
2. Every stage gets a name of its own, in lower case, that stands nowhere else; whatever took a stage by
   another spelling, or by number, takes it by that name.
3. FROM, `COPY --from` and `from` in a mount name an image as it was worked out: nothing is left to variables.
4. Refused: heredocs and what looks like one; a line that ends with a backslash; backslashes and backticks
   where the backtick is the escape character; control characters; very long lines; quotes and escapes in
   flags; variables in mounts, which some put in before they split the mount; ONBUILD with an image or a
   stage; `scratch`, or nothing, as a source.
5. What was written is read once more, by a reader that knows nothing but lines and words (`check`): its
   images must be the ones that were verified, in their order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NoReturn

from notarypy.errors import Advice
from notarypy.images import occurrences
from notarypy.images.dockerfile.lines import KEYWORDS, Instruction, Word, lower, mount_parts
from notarypy.images.dockerfile.stages import Dockerfile, number_of
from notarypy.limits import DEFAULT
from notarypy.values import dataclass

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_PLAIN_FLAG = re.compile(r"--[A-Za-z0-9._:/@\[\]$(){}+%~=,!*?#-]+")
_NAME = re.compile(r"[A-Za-z0-9._:/@\[\]-]+")
_HEREDOCS = frozenset({"add", "copy", "run", "onbuild"})
_REWRITE = Advice("take-buildx-or-rewrite")
_FROM, _MOUNT = "--from=", "--mount="


@dataclass(frozen=True)
class Plain:
    """The copy; names of its stages are the prefix and their number."""

    text: str
    prefix: str

    def stage(self, found: Dockerfile, wanted: str, source: str) -> str:
        """Return the name here of the stage to build; raise BuildFileError if there is no such stage."""
        return f"{self.prefix}{number_of(wanted, [stage.name for stage in found.stages], source)}"


def write(found: Dockerfile, source: str, avoid: Sequence[str] = ()) -> Plain:
    """Return a Dockerfile in lines that all builders read alike; raise BuildFileError by rule 4.

    No name of a stage stands in the texts to `avoid` either.
    """
    prefix = "s"
    while any(re.search(prefix + "[0-9]", lower(text)) for text in (found.text, *avoid)):
        prefix += "s"
    writer = _Writer(found, source, prefix)
    return Plain("".join(f"{writer.line(each)}\n" for each in found.instructions), prefix)


def check(plain: Plain, images: Sequence[str], source: str) -> None:
    """Raise BuildFileError if the copy names anything but these images in their order (rule 5)."""
    stages: list[str] = ["scratch"]
    seen: list[str] = []
    for line in plain.text.split("\n")[:-1]:
        keyword, *words = line.split(" ")
        if keyword.lower() not in KEYWORDS or line.endswith("\\"):
            _misread(source)
        seen += [name for name in _named(keyword, words, source) if name not in stages]
        if keyword == "FROM":
            if words[-2:] != ["AS", f"{plain.prefix}{len(stages) - 1}"]:
                _misread(source)
            stages.append(words[-1])
    if seen != list(images):
        _misread(source)


def _named(keyword: str, words: Sequence[str], source: str) -> Iterator[str]:
    if keyword == "ONBUILD":
        keyword, *words = words
    flags = next((place for place, word in enumerate(words) if not word.startswith("--")), len(words))
    for flag in words[:flags]:
        if flag.startswith(_FROM):
            yield flag.removeprefix(_FROM)
        for part in flag.removeprefix(_MOUNT).split(",") if flag.startswith(_MOUNT) else ():
            if part.startswith("from="):
                yield part.removeprefix("from=")
            elif "from" in part.partition("=")[0].lower():
                _misread(source)
    if keyword == "FROM":
        yield words[flags]


def _misread(source: str) -> NoReturn:
    what = "no copy can be made of it that every builder reads alike"
    raise occurrences.failure(source, 1, what, advice=Advice("take-buildx"))


class _Writer:
    """One walk over the instructions."""

    def __init__(self, found: Dockerfile, source: str, prefix: str) -> None:
        self.source, self.prefix, self.stages = source, prefix, 0
        self.odd = "\\`" if found.escape != "\\" else ""
        self.names = {occurrence.start: occurrence.image for occurrence in found.occurrences}
        self.names |= {start: f"{prefix}{number}" for start, number in found.taken.items()}

    def line(self, found: Instruction) -> str:
        """Return the line of an instruction (rule 1)."""
        whole = self._plain(found.trigger or found, found)
        whole = f"ONBUILD {whole}" if found.trigger else whole
        if _CONTROL.search(whole):
            self._refuse(found, "a control character stands here")
        if whole.endswith("\\"):
            self._refuse(found, "it ends with a backslash")
        if any(character in whole for character in self.odd):
            self._refuse(found, "the escape character is a backtick, and it has one or a backslash")
        if found.heredocs or (found.keyword in _HEREDOCS and "<<" in whole):
            self._refuse(found, "it is, or looks like, a heredoc", Advice("take-buildx-or-pin"))
        most = DEFAULT.instruction_bytes
        if len(whole.encode(errors="surrogateescape")) > most:
            self._refuse(found, f"it has more than {most} bytes")
        return whole

    def _plain(self, found: Instruction, outer: Instruction) -> str:
        flags = [self._flag(flag, found, outer) for flag in found.flags]
        rest = found.rest.text
        if found.keyword == "from":
            # Only `scratch` is neither an image nor a stage.
            base = self._checked(self.names.get(found.rest.words()[0].at[0], "scratch"), found)
            rest = f"{base} AS {self.prefix}{self.stages}"
            self.stages += 1
        if rest.startswith("--"):
            self._refuse(outer, "it has an argument that looks like a flag")
        return " ".join([found.keyword.upper(), *flags, *filter(None, [rest])])

    def _flag(self, flag: Word, found: Instruction, outer: Instruction) -> str:
        text = flag.text
        if found.keyword == "copy" and text.startswith(_FROM):
            text = _FROM + self._source(flag.part(len(_FROM)), outer)
        if found.keyword == "run" and text.startswith(_MOUNT):
            text = self._mount(flag.part(len(_MOUNT)), outer)
        if not _PLAIN_FLAG.fullmatch(text):
            self._refuse(outer, "a flag has other characters than letters, digits and plain signs")
        return text

    def _mount(self, mount: Word, outer: Instruction) -> str:
        if "$" in mount.text:
            self._refuse(outer, "a mount has a variable")
        return _MOUNT + ",".join(
            part if value is None else f"from={self._source(value, outer)}"
            for part, value in mount_parts(mount)
        )

    def _source(self, word: Word, outer: Instruction) -> str:
        name = self.names.get(word.at[0]) if word.text else None
        if name is None or outer.trigger is not None:
            self._refuse(outer, f'"{word.text}" is neither an image nor a stage of this build')
        return self._checked(name, outer)

    def _checked(self, name: str, outer: Instruction) -> str:
        if not _NAME.fullmatch(name):
            self._refuse(outer, f'"{name}" is no name of an image')
        return name

    def _refuse(self, found: Instruction, why: str, advice: Advice = _REWRITE) -> NoReturn:
        what = "builders other than BuildKit may take other images here"
        raise occurrences.failure(self.source, found.line, what, why, advice)
