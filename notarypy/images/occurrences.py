"""Images named in a text: where each name stands, and the text with other names in their place.

What it is: what Dockerfiles, compose files and manifests have in common once they are read. What it is not: a
reader of any of them (`dockerfile`, `workloads`).

Rules:

1. A place is a range of characters. Everything outside of the places stays as it is, to the byte: bytes that
   are no UTF-8 are kept as they are.
2. A new name is put down as plain characters that mean nothing else in any of the files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from notarypy.errors import Advice, BuildFileError, InvalidNameError
from notarypy.images import reference as references
from notarypy.limits import DEFAULT
from notarypy.values import dataclass

_PLAIN = re.compile(r"[A-Za-z0-9._:/@\[\]-]+")

Kind = Literal["base", "frontend", "trigger"]


@dataclass(frozen=True)
class Occurrence:
    """One image that a file names.

    `image` is the name with everything in it worked out, `written` the characters that stand there, from
    `start` to `end`; lines count from 1. `what` names it: `FROM`, `COPY --from`, `image`, ... Of the kinds,
    `frontend` is the image that reads the file, `trigger` a name that only a later build can tell from one of
    its stages.
    """

    image: str
    written: str
    line: int
    start: int
    end: int
    what: str
    kind: Kind = "base"


def decode(data: bytes, source: str, most: int = DEFAULT.build_file_bytes) -> str:
    """Return a file's text (rule 1); raise BuildFileError if it has more bytes than `most`."""
    if len(data) > most:
        raise BuildFileError(f"{source} is too big", why=f"it has more than {most} bytes", file=source)
    return data.decode(errors="surrogateescape")


def encode(text: str) -> bytes:
    """Return the bytes of a text that `decode` made."""
    return text.encode(errors="surrogateescape")


def rewrite(text: str, names: Mapping[Occurrence, str]) -> str:
    """Return the text with a new name in the place of each of these occurrences."""
    parts, done = [], 0
    for each in sorted(names, key=lambda each: each.start):
        if not _PLAIN.fullmatch(names[each]) or each.start < done:
            raise RuntimeError("a name that cannot be put down, or two in one place")
        parts += [text[done : each.start], names[each]]
        done = each.end
    return "".join(parts) + text[done:]


def followed(image: str) -> str:
    """Return the tag that a name follows, in the words it was written in; raise InvalidNameError.

    A name without tag and digest follows `latest`; one with a digest alone comes back as it is.
    """
    parsed = references.parse(image)
    name = image.partition("@")[0]
    if parsed.tag is not None:
        return name
    return image if parsed.digest is not None else f"{name}:latest"


def pinned(image: str, digest: str) -> str:
    """Return a name bound to a digest; its tag stays, so that it can be followed again."""
    return f"{followed(image).partition('@')[0]}@{references.check_digest(digest)}"


def normal(name: str) -> str:
    """Return a name in full, see `in_full`; what is no name stays as it is."""
    try:
        return in_full(name)
    except InvalidNameError:
        return name


def in_full(name: str) -> str:
    """Return a name in full, as `docker.io/library/app:latest` for `app`; raise InvalidNameError."""
    parsed = references.parse(name)
    return str(parsed if parsed.tag or parsed.digest else parsed.with_tag("latest"))


def is_covered(image: str, reference: str) -> bool:
    """Tell whether a REF covers an image: all of a repository, or one tag, or one digest."""
    ours, theirs = references.parse(image), references.parse(reference)
    if ours.repository != theirs.repository:
        return False
    tag = ours.tag or (None if ours.digest else "latest")
    return theirs.tag in {None, tag} and theirs.digest in {None, ours.digest}


def failure(source: str, line: int, what: str, why: str = "", advice: Advice | None = None) -> BuildFileError:
    """Return the error for a line that cannot be understood."""
    place = f"{source}:{line}"
    advice = advice or Advice("mend-place", place=place)
    return BuildFileError(f"{place}: {what}", why=why or (), advice=advice, file=source, line=line)
