"""Files in which builders leave the digest of what they have pushed.

What it is: for `sign --digest-file`. What it is not: `notarypy build`, which reads its own builder's file.

Rules:

1. Read are: a digest alone, as buildah, podman, skopeo and kaniko write it; `NAME[:TAG]@DIGEST`, one a line,
   as kaniko does; the metadata of buildx, of `build` and, with one object for each target, of `bake`.
2. A file with one digest gives that, unless its names are all of other repositories. Of several it is the one
   that was built under the REF's own name; where none or several were, nothing is guessed.
3. What contradicts itself is no metadata: a member twice, another digest in the descriptor.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from notarypy.cli import userfiles
from notarypy.errors import Advice, ConfigurationError, InvalidNameError
from notarypy.images import occurrences
from notarypy.images import reference as references

if TYPE_CHECKING:
    from notarypy.cli.references import Name

_DIGEST, _NAMES, _DESCRIPTOR = "containerimage.digest", "image.name", "containerimage.descriptor"


class _Built(NamedTuple):
    """An image that was built, and the names that it got."""

    digest: str
    names: tuple[str, ...]


def digest(path: str, ref: Name) -> str:
    """Return the digest that a file has for a REF; raise ConfigurationError if that is not exactly one."""
    text = userfiles.read_text(path)
    found = [*_of_metadata(text)] if text.lstrip().startswith("{") else _of_lines(text)
    if not found:
        why = "it is neither a digest nor what docker buildx --metadata-file writes"
        raise ConfigurationError(f"{userfiles.name(path)} has no {_DIGEST}", why=why, path=path)
    digests = {built.digest for built in found}
    elsewhere = all(built.names and not any(_is_of(ref, name) for name in built.names) for built in found)
    if len(digests) > 1 or elsewhere:
        digests = {
            built.digest for built in found if any(_is_of(ref, name, tag=True) for name in built.names)
        }
    if len(digests) != 1:
        there = ", ".join(f"{' '.join(built.names) or 'no name'}: {built.digest}" for built in found[:10])
        many = f"{len(found)} digests" if len(found) > 1 else "a digest"
        message = f"{userfiles.name(path)} has {many}, and not one for {ref.tagged}"
        raise ConfigurationError(message, why=f"there are {there}", advice=Advice("ref-with-digest"))
    return digests.pop()


def _is_of(ref: Name, name: str, *, tag: bool = False) -> bool:
    """Tell whether a name is one of the REF's repository, and has its tag or none if that counts."""
    try:
        parsed = references.parse(name)
    except InvalidNameError:
        return False
    fits = not tag or str(parsed) in {occurrences.normal(ref.tagged), parsed.repository}
    return parsed.repository == ref.repository and fits


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of an object; raise ValueError if it contradicts itself (rule 3)."""
    found = dict(pairs)
    descriptor = found.get(_DESCRIPTOR)
    other = descriptor.get("digest") if isinstance(descriptor, dict) else None
    if len(found) != len(pairs) or (other is not None and found.get(_DIGEST, other) != other):
        raise ValueError
    return found


def _of_metadata(text: str) -> Iterator[_Built]:
    try:
        document = json.loads(text, object_pairs_hook=_members)
    except (ValueError, RecursionError):
        return
    for each in (document, *document.values()) if isinstance(document, dict) else ():
        if isinstance(each, dict) and isinstance(each.get(_DIGEST), str):
            yield _Built(each[_DIGEST], _names(each))


def _names(target: dict[str, Any]) -> tuple[str, ...]:
    names = target.get(_NAMES)
    return tuple(filter(None, names.split(","))) if isinstance(names, str) else ()


def _of_lines(text: str) -> list[_Built]:
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, value = line.rpartition("@")
        try:
            found.append(_Built(references.check_digest(value), (name,) if name else ()))
        except InvalidNameError:
            return []
    return found
