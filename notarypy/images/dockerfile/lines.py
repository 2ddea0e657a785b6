"""A Dockerfile as instructions: directives, continued lines, comments, flags and heredocs.

What it is: the first half of reading one, by the rules of BuildKit's parser. What it is not: it does not know
what an instruction means, except where that decides which lines belong to it.

Rules:

1. Directives (`# escape=`, `# syntax=`, `# check=`) stand in the first lines, before anything else; the same
   one twice is an error. Another escape character must not depend on what older releases of BuildKit do not
   know: `# check=` before it, or odd blanks.
2. A line that ends with the escape character goes on. Within it, comment lines and empty lines are left out.
3. After the keyword come flags, words that begin with `--`; quotes and escapes in them are taken away.
4. The heredocs of ADD, COPY and RUN take whole lines, up to their own end. What stands in them is no
   instruction.
5. The image that reads a file instead of BuildKit's own parser stands in `# syntax=`, in the first line or
   after `#!`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice

from notarypy.images import occurrences
from notarypy.images.dockerfile import words
from notarypy.images.dockerfile.words import SPACE, WordError
from notarypy.limits import DEFAULT
from notarypy.values import dataclass, replace

_WITH_HEREDOCS = frozenset({"add", "copy", "run"})
_OTHERS = {"arg", "cmd", "entrypoint", "env", "expose", "from", "healthcheck", "label", "maintainer"}
KEYWORDS = _WITH_HEREDOCS | _OTHERS | {"onbuild", "shell", "stopsignal", "user", "volume", "workdir"}
_DIRECTIVE = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*([^\n]+?)[\t\n\f\r ]*\Z")
_ODD_BLANK = re.compile(r"[^\S\t ]")
_DIRECTIVES = frozenset({"escape", "syntax", "check"})
_BLANKS = re.compile(r"[\t\v\f\r ]+")
_HEREDOC = re.compile(r"[0-9]*<<(-?)[\t\n\f\r ]*([^<]*)\Z")
_BOM = "\ufeff"
# Flags are read byte by byte: only ASCII's blanks part them, and these bytes inside of other characters.
_ASCII_BLANKS = "\t\n\v\f\r "
_LAST_OF_ASCII = "\x7f"
_SPLITTING = frozenset({0x85, 0xA0})
_LONE_BLANKS = ("\udc85", "\udca0")


@dataclass(frozen=True)
class Word:
    """A piece of text, and where in the file each of its characters stands."""

    text: str
    at: Sequence[int]

    def part(self, start: int, end: int | None = None) -> Word:
        """Return some of it."""
        return Word(self.text[start:end], self.at[start:end])

    def strip(self) -> Word:
        """Return it without blanks around."""
        start = len(self.text) - len(self.text.lstrip(SPACE))
        return self.part(start, max(start, len(self.text.rstrip(SPACE))))

    def words(self, limit: int = 0) -> list[Word]:
        """Return it split at blanks, at `limit` places at most if that is not 0."""
        found, start = [], 0
        for blanks in islice(_BLANKS.finditer(self.text), limit or None):
            found.append(self.part(start, blanks.start()))
            start = blanks.end()
        return [*found, self.part(start)]


@dataclass(frozen=True)
class Instruction:
    """One instruction, from one line to the `last`: keyword in lower case, flags, and what follows them.

    `trigger` is what follows ONBUILD; `heredocs` are their texts.
    """

    keyword: str
    flags: tuple[Word, ...]
    rest: Word
    line: int
    last: int
    trigger: Instruction | None = None
    heredocs: tuple[str, ...] = ()


def mount_parts(mount: Word) -> Iterator[tuple[str, Word | None]]:
    """Return the parts of a mount as they are written, and what `from` is for those that say so."""
    start = 0
    for part in mount.text.split(","):
        key, equals, _ = part.partition("=")
        is_source = equals and lower(key) == "from"
        yield part, mount.part(start + len(key) + 1, start + len(part)) if is_source else None
        start += len(part) + 1


def lower(text: str) -> str:
    """Return text in lower case, letter by letter as Go does."""
    return "".join("i" if c == "\u0130" else c.lower() for c in text)


def read(text: str, source: str) -> tuple[str, tuple[Instruction, ...]]:
    """Return the escape character and all instructions; raise BuildFileError if the rules are broken."""
    reader = _LineReader(text, source)
    found = list(reader.instructions())
    if not found:
        raise occurrences.failure(source, 1, "there is no instruction")
    return reader.escape, tuple(found)


def frontend(text: str) -> tuple[Word, int] | None:
    """Return the image that `# syntax=` names, and its line (rule 5)."""
    start, line, seen = int(text.startswith(_BOM)), 1, set[str]()
    if text.startswith("#!", start):
        start, line = text.find("\n", start) + 1 or len(text), 2
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        value = text[start:end].removesuffix("\r")
        match = _directive(value)
        if match is None or (key := match[1].lower()) in seen:
            return None
        if key == "syntax":
            begin = start + len(value) - len(match.string) + match.start(2)
            name = match[2].partition(" ")[0]
            return Word(name, range(begin, begin + len(name))), line
        seen.add(key)
        start, line = end + 1, line + 1
    return None


def _directive(line: str) -> re.Match[str] | None:
    match = _DIRECTIVE.match(line[1:].lstrip(SPACE)) if line.startswith("#") else None
    return match if match is not None and match[1].lower() in _DIRECTIVES else None


class _LineReader:
    """One walk over the lines of a file."""

    def __init__(self, text: str, source: str) -> None:
        self.escape, self.failure = "\\", partial(occurrences.failure, source)
        self.lines = text.split("\n")
        if not self.lines[-1]:
            self.lines.pop()
        self.start, self.number = 0, 0
        self.seen: set[str] | None = set()

    def instructions(self) -> Iterator[Instruction]:
        while self.number < len(self.lines):
            body = self._first()
            body, goes_on = self._continued(body)
            line = self.number
            if not body.text and not goes_on:
                continue
            pieces = [body]
            while goes_on and self.number < len(self.lines):
                body = self._next()
                if body.text.lstrip(SPACE)[:1] in ("", "#"):
                    continue
                body, goes_on = self._continued(body)
                pieces.append(body)
            whole = Word("".join(piece.text for piece in pieces), [at for piece in pieces for at in piece.at])
            yield self._with_heredocs(self._split(whole, line), whole)

    def _next(self) -> Word:
        line, start = self.lines[self.number], self.start
        most = DEFAULT.dockerfile_line_bytes
        if len(line.encode(errors="surrogateescape")) > most:
            raise self.failure(self.number + 1, f"the line has more than {most} bytes")
        self.number, self.start = self.number + 1, start + len(line) + 1
        line = line.rstrip("\r")
        return Word(line, range(start, start + len(line)))

    def _first(self) -> Word:
        body = self._next()
        if self.number == 1 and body.text.startswith(_BOM):
            body = body.part(1)
        body = body.part(len(body.text) - len(body.text.lstrip(SPACE)))
        self._directive(body.text)
        return body.part(0, 0) if body.text.startswith("#") else body

    def _directive(self, line: str) -> None:
        """Take a directive, or note that there are no more (rule 1)."""
        if self.seen is None:
            return
        match = _directive(line)
        if match is None:
            self.seen = None
            return
        key = match[1].lower()
        if key in self.seen:
            raise self.failure(self.number, f"there is a second directive {key}")
        self.seen.add(key)
        if key == "escape":
            if match[2] not in ("\\", "`"):
                raise self.failure(self.number, f'"{match[2]}" is no escape character', why="\\ and ` are")
            if match[2] != self.escape and ("check" in self.seen or _ODD_BLANK.search(line)):
                why = "write # escape= in the first line, with plain blanks"
                raise self.failure(self.number, "not every release of BuildKit sees this directive", why)
            self.escape = match[2]

    def _continued(self, body: Word) -> tuple[Word, bool]:
        """Return a line without the escape character at its end, and whether there was one."""
        text = body.text.rstrip("\t ")
        before = text[:-1]
        if not text.endswith(self.escape) or before.endswith(self.escape):
            return body, False
        return body.part(0, len(before)), True

    def _split(self, whole: Word, line: int) -> Instruction:
        """Return keyword, flags and the rest of an instruction (rule 3)."""
        keyword, *rest = whole.strip().words(1)
        name = lower(keyword.text)
        if name not in KEYWORDS:
            raise self.failure(line, f'"{keyword.text[:40]}" is no instruction')
        flags, arguments = self._flags(rest[0] if rest else whole.part(0, 0), line)
        trigger = None
        if name == "onbuild":
            if flags or not arguments.strip().text:
                raise self.failure(line, "ONBUILD needs an instruction")
            trigger = self._split(arguments, line)
            if trigger.keyword in {"onbuild", "from", "maintainer"}:
                raise self.failure(line, f"{trigger.keyword.upper()} is not allowed after ONBUILD")
        return Instruction(name, tuple(flags), arguments.strip(), line, self.number, trigger)

    def _flags(self, text: Word, line: int) -> tuple[list[Word], Word]:
        found: list[Word] = []
        position = 0
        while True:
            while position < len(text.text) and text.text[position] in _ASCII_BLANKS:
                position += 1
            if text.text.startswith(_LONE_BLANKS, position):
                self._refuse_splitting(text.text[position], line)
            if not text.text.startswith("--", position):
                return found, text.part(position)
            flag, position = self._flag(text, position, line)
            if flag.text == "--":
                return found, text.part(position)
            if flag.text:
                found.append(flag)

    def _flag(self, text: Word, position: int, line: int) -> tuple[Word, int]:
        """Return the flag that begins here, without quotes and escapes, and where it ends."""
        kept, quote = [], ""
        while position < len(text.text):
            character = text.text[position]
            if character in _ASCII_BLANKS and not quote:
                break
            if not quote and character > _LAST_OF_ASCII:
                self._refuse_splitting(character, line)
            if character == quote or (not quote and character in "'\""):
                quote = "" if quote else character
            elif character != self.escape:
                kept.append(position)
            elif position + 1 < len(text.text):
                position += 1
                self._refuse_splitting("" if quote else text.text[position], line)
                kept.append(position)
            position += 1
        return Word("".join(text.text[i] for i in kept), [text.at[i] for i in kept]), position

    def _refuse_splitting(self, text: str, line: int) -> None:
        if _SPLITTING.intersection(text.encode(errors="surrogateescape")):
            what = "a character among the flags is a blank to BuildKit"
            raise self.failure(line, what, "write it elsewhere")

    def _with_heredocs(self, found: Instruction, whole: Word) -> Instruction:
        """Return an instruction with the lines of its heredocs taken (rule 4)."""
        acting = found.trigger or found
        if acting.keyword not in _WITH_HEREDOCS or "<<" not in whole.text or self._is_json(acting):
            return found
        texts = []
        for name, chomp in self._heredocs(whole.text, found.line):
            lines: list[str] = []
            while True:
                if self.number == len(self.lines):
                    raise self.failure(found.line, f'the heredoc "{name}" has no end')
                line = self._next().text
                if (line.lstrip("\t") if chomp else line) == name:
                    break
                lines.append(line)
            texts.append("\n".join(lines))
        return replace(found, last=self.number, heredocs=tuple(texts))

    def _heredocs(self, line: str, number: int) -> list[tuple[str, bool]]:
        """Return the end of each heredoc that a line begins, and whether tabs are taken away."""
        try:
            parts = words.split(line, keep_escapes=True)
        except WordError:
            return []  # BuildKit sees no heredoc in a line that it cannot split
        found = []
        for word in parts:
            match = _HEREDOC.match(word)
            if match is None or not match[2]:
                continue
            try:
                names = words.split(match[2], keep_quotes=False)
            except WordError as error:
                raise self.failure(number, "the heredoc is not understood", str(error)) from None
            if len(names) == 1:
                found.append((names[0], bool(match[1])))
        return found

    def _is_json(self, found: Instruction) -> bool:
        if not found.rest.text.startswith("["):
            return False
        try:  # JSON has no NaN, which `int` refuses
            value, end = json.JSONDecoder(parse_constant=int).raw_decode(found.rest.text)
        except (ValueError, RecursionError):
            return False
        if found.rest.text[end:].strip(" \t\r\n"):
            why = "not every release of BuildKit sees it"
            raise self.failure(found.line, "a heredoc stands behind a JSON array", why)
        if not all(isinstance(each, str) for each in value):
            raise self.failure(found.line, "the JSON array has something else than texts in it")
        return True
