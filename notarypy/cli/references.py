"""REFs and REPOs as they were written, checked before anything else happens.

What it is: names from the command line and from files. What it is not: the grammar
(`images.reference`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from notarypy.errors import Advice, NotarypyError, UsageError
from notarypy.images import reference as references
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Name(NamedTuple):
    """A REF: as it was written, and what it means."""

    text: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def tagged(self) -> str:
        """`REPO:TAG`, as results name it."""
        return f"{self.repository}:{self.tag or 'latest'}"


def read(texts: Sequence[str], *, literal: bool) -> list[Name]:
    """Read REFs.

    Raises:
        UsageError: There is none, or one is none.
    """
    if not texts:
        raise UsageError("no REF was given", advice=Advice("name-image"))
    return [_read(text, literal=literal) for text in texts]


def check_repositories(texts: Iterable[str], *, literal: bool) -> None:
    """Raise UsageError unless all texts are repositories."""
    for text in texts:
        if literal:
            roles.check_gun(text)
        else:
            references.parse_repository(text)


def _read(text: str, *, literal: bool) -> Name:
    if not literal:
        parsed = references.parse(text)
        return Name(text, parsed.repository, parsed.tag, parsed.digest)
    gun, tag = roles.split_collection(text)
    return Name(text, gun, tag, None)


def from_lines(text: str, source: str, *, literal: bool) -> list[str]:
    """Return the REFs in a text: one a line, `#` begins a comment.

    Raises:
        UsageError: A line is no REF; the message has its number.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        written = line.partition("#")[0].strip()
        if not written:
            continue
        try:
            _read(written, literal=literal)
        except NotarypyError as error:
            raise UsageError(
                f"line {number} of {source}: {error.message}",
                why=error.why,
                advice=Advice("one-ref-a-line"),
                line=number,
            ) from None
        found.append(written)
    return found


def with_digest(name: Name, digest: str) -> str:
    """Return the REF that binds a name to a digest.

    Raises:
        UsageError: It names another digest already, or this is none.
    """
    references.check_digest(digest)
    if name.digest not in {None, digest}:
        raise UsageError(f'"{name.text}" names another digest than the file', why=f"the file has {digest}")
    return f"{name.tagged}@{digest}"
