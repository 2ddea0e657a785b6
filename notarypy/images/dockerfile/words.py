"""Words of a Dockerfile: quotes, escapes and variables, as BuildKit's lexer takes them.

What it is: one word, or one line, to the text that it means. What it is not: it does not know which variables
there are, nor where in the file the word stands.

Rules:

1. `'...'` is literal. In `"..."` variables count, and the escape character before `"`, `$` and itself.
   Elsewhere the escape character makes the next character literal.
2. `$NAME`, `${NAME}`, and with `-`, `+` and `?` also after `:`, which takes empty for unset. `#`, `##`, `%`
   and `%%` cut a pattern off, `/` and `//` replace one. In patterns only `*` and `?` are special. Anything
   else in `${...}` is an error.
3. A variable without a value is empty, and is noted. Where an operator says what to do without a value,
   nothing is missing.
4. `<<` joins what follows it after blanks: that is how heredocs are recognised.
"""

from __future__ import annotations

from collections.abc import Mapping

from notarypy.limits import DEFAULT
from notarypy.values import dataclass

# White space as Go's unicode.IsSpace has it; Python's counts four control characters more.
SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"  # noqa: E501 - one constant
_SPECIAL_NAMES = "@*#?-$!"
_ANY, _MANY = object(), object()


class WordError(Exception):
    """Why a word means nothing; whoever knows the line adds it."""


@dataclass(frozen=True)
class Expanded:
    """What a word means: the text, the same split at blanks outside of quotes, and what it was made with.

    Variables are `missing` that had no value (rule 3); the value of those that were `taken` is part of it.
    """

    text: str
    words: tuple[str, ...]
    missing: frozenset[str]
    taken: frozenset[str]


def expand(text: str, values: Mapping[str, str], escape: str = "\\") -> Expanded:
    """Return what a word means; raise WordError if quotes or braces are open, or an operator is unknown."""
    return _Lexer(text, values, escape).run()


def split(text: str, *, keep_quotes: bool = True, keep_escapes: bool = False) -> tuple[str, ...]:
    """Return the words of a line with variables as they are written; see `expand`."""
    lexer = _Lexer(text, {}, "\\")
    lexer.literal, lexer.keep_quotes, lexer.keep_escapes = True, keep_quotes, keep_escapes
    return lexer.run().words


class _Lexer:
    """One walk over a text."""

    def __init__(self, text: str, values: Mapping[str, str], escape: str) -> None:
        self.text, self.values, self.escape = text, values, escape
        self.position, self.depth, self.size = 0, 0, 0
        self.literal = self.keep_quotes = self.keep_escapes = False
        self.missing: set[str] = set()
        self.taken: set[str] = set()
        self.words: list[str] = []
        self.word = ""

    def run(self) -> Expanded:
        text = self.until(None, keep_escapes=self.keep_escapes)
        self._end_word()
        return Expanded(text, tuple(self.words), frozenset(self.missing), frozenset(self.taken))

    def peek(self) -> str:
        """Return the next character; empty at the end."""
        return self.text[self.position : self.position + 1]

    def next(self) -> str:
        found = self.peek()
        self.position += len(found)
        return found

    def until(self, stop: str | None, *, keep_escapes: bool) -> str:
        """Return what stands before a character outside of quotes, which is taken too."""
        self.depth += 1
        if self.depth > DEFAULT.word_levels:
            raise WordError("variables are nested too deeply")
        outermost, kept = stop is None, self.keep_escapes
        self.keep_escapes = keep_escapes
        parts: list[str] = []
        while (character := self.peek()) and character != stop:
            parts.append(self._one(character, outermost=outermost))
        if stop is not None and not self.next():
            raise WordError(f'there is no closing "{stop}"')
        self.depth, self.keep_escapes = self.depth - 1, kept
        return "".join(parts)

    def _one(self, character: str, *, outermost: bool) -> str:
        special = {"$": self._variable, "<": self._heredoc, "'": self._single, '"': self._double}
        raw = character in {"<", "'", '"', self.escape}
        if character in special:
            found = special[character]()
        else:
            self.position += 1
            found = character
            if raw:
                found = (character if self.keep_escapes else "") + self.next()
        for part in found if outermost else "":
            if not raw and part in SPACE:
                self._end_word()
            else:
                self.word += part
        return found

    def _end_word(self) -> None:
        if self.word:
            self.words.append(self.word)
        self.word = ""

    def _single(self) -> str:
        end = self.text.find("'", self.position + 1)
        if end < 0:
            raise WordError("there is no closing '")
        found = self.text[self.position : end + 1]
        self.position = end + 1
        return found if self.keep_quotes else found[1:-1]

    def _double(self) -> str:
        quote = self.next()
        parts = []
        while (character := self.peek()) != quote:
            if not character:
                raise WordError('there is no closing "')
            parts.append(self._variable() if character == "$" else self._quoted())
        self.position += 1
        inner = "".join(parts)
        return f"{quote}{inner}{quote}" if self.keep_quotes else inner

    def _quoted(self) -> str:
        character = self.next()
        if character != self.escape:
            return character
        kept = character if self.keep_escapes else ""
        if not self.peek():
            return kept
        return kept + (self.next() if self.peek() in ('"', "$", self.escape) else character)

    def _heredoc(self) -> str:
        """Return `<`, or `<<` with the blanks after it (rule 4)."""
        self.position += 1
        if self.peek() != "<":
            return "<"
        start = self.position - 1
        self.position += 1
        while self.peek() and self.peek() in "\t\r ":
            self.position += 1
        return self.text[start : self.position]

    def _variable(self) -> str:
        self.position += 1
        if self.peek() != "{":
            name = self._name()
            return self._value(name, f"${name}") if name else "$"
        self.position += 1
        if self.peek() in ("", "{", "}", ":"):
            raise WordError("${...} is not understood")
        name = self._name()
        operator = self.next()
        if operator == "}":
            return self._value(name, f"${{{name}}}")
        if operator == "/":
            return self._replaced(name)
        if operator in ("#", "%"):
            return self._cut(name, operator)
        colon = operator == ":"
        return self._chosen(name, self.next() if colon else operator, colon=colon)

    def _name(self) -> str:
        if self.peek() and self.peek() in _SPECIAL_NAMES:
            return self.next()
        start = self.position
        digits = self.peek().isdecimal()
        while (character := self.peek()) and (
            character.isdecimal() or (not digits and (character.isalpha() or character == "_"))
        ):
            self.position += 1
        return self.text[start : self.position]

    def _value(self, name: str, written: str) -> str:
        """Return a variable's value, and note if there is none (rule 3)."""
        if self.literal:
            return written
        (self.taken if name in self.values else self.missing).add(name)
        return self._counted(self.values.get(name, ""))

    def _counted(self, text: str) -> str:
        """Return a text unless all together have become too long: variables can double themselves."""
        self.size += len(text)
        if self.size > DEFAULT.word_bytes:
            raise WordError("it becomes too long")
        return text

    def _chosen(self, name: str, operator: str, *, colon: bool) -> str:
        operators = f"{':' if colon else ''}{operator}"
        if operator not in ("-", "+", "?") and not (self.literal and colon and operator not in ("#", "%")):
            raise WordError(f'"{operators}" is no operator in ${{{name}...}}')
        missing, taken = set(self.missing), set(self.taken)
        word = self.until("}", keep_escapes=False)
        if self.literal:
            return f"${{{name}{operators}{word}}}"
        value = self.values.get(name)
        there = bool(value) if colon else value is not None
        if operator == "?" and not there:
            raise WordError(f"{name}: {word or 'it has no value'}")
        if (operator == "+") == there:
            return word
        self.missing, self.taken = missing, taken  # the word was not taken, nor what is in it
        if operator == "+":
            return ""
        self.taken.add(name)
        return self._counted(value or "")

    def _cut(self, name: str, operator: str) -> str:
        pattern = self.until("}", keep_escapes=True)
        value = self._value(name, f"${{{name}{operator}{pattern}}}")
        if self.literal:
            return value
        longest = pattern.startswith(operator)
        tokens = _pattern(pattern[1:] if longest else pattern, value)
        if operator == "#":
            return value[_end(tokens, value, 0, longest=longest) or 0 :]
        return value[::-1][_end(tokens[::-1], value[::-1], 0, longest=longest) or 0 :][::-1]

    def _replaced(self, name: str) -> str:
        everywhere = self.peek() == "/"
        self.position += everywhere
        pattern = self.until("/", keep_escapes=True)
        new = self.until("}", keep_escapes=True)
        value = self._value(name, f"${{{name}/{pattern}/{new}}}")
        if self.literal:
            return value
        if not pattern or "$" in new:
            raise WordError(f"the replacement in ${{{name}/...}} is not understood")
        return self._counted(_replace(_pattern(pattern, value), value, new, everywhere=everywhere))


def _pattern(text: str, value: str) -> list[object]:
    most = DEFAULT.pattern_chars
    if len(text) > most or len(value) > most:
        raise WordError(f"a pattern and its value may have {most} characters")
    found: list[object] = []
    characters = iter(text)
    for character in characters:
        token = {"*": _MANY, "?": _ANY}.get(character, character)
        if character == "\\":
            token = next(characters, "")
            if token not in {*"}/*?\\"}:
                raise WordError(f'"\\{token}" means nothing in a pattern')
        found.append(token)
    return found


def _end(tokens: list[object], value: str, start: int, *, longest: bool) -> int | None:
    """Return where the shortest or longest match that begins at `start` ends; None for no match.

    All possible ends are followed at once: no pattern takes more than its length times the value's.
    """
    ends = {start}
    for token in tokens:
        if token is _MANY:
            ends = set(range(min(ends), len(value) + 1))
        else:
            ends = {end + 1 for end in ends if end < len(value) and token in (_ANY, value[end])}
        if not ends:
            return None
    return max(ends) if longest else min(ends)


def _replace(tokens: list[object], value: str, new: str, *, everywhere: bool) -> str:
    parts: list[str] = []
    position = 0
    while position <= len(value):
        end = _end(tokens, value, position, longest=True)
        if end is None or (end == position and parts):
            parts.append(value[position : position + 1])
            position += 1
            continue
        parts.append(new)
        if not everywhere:
            return "".join(parts) + value[end:]
        if end == position:
            parts.append(value[position : position + 1])
        position = max(end, position + 1)
    return "".join(parts)
