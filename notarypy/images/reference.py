"""Image references: `[registry/]path[:tag][@digest]`, read and completed as docker does.

What it is: the grammar of references and the defaults that docker fills in, and the order of tags with
numbers in them. What it is not: it asks no registry, and it does not choose the tag `latest`; that is for
callers who know that neither a tag nor a digest was given.

Rules:

1. What is before the first slash names a registry if it has a dot, a colon or an upper-case letter, or is
   `localhost`. Otherwise the registry is `docker.io`.
2. `index.docker.io` is `docker.io`; a one-part path there is below `library/`.
3. A registry is a host name or an IPv6 address in brackets, and maybe a port.
4. Path parts are `[a-z0-9]` runs, joined by one dot, one or two underscores, or any number of dashes.
   Registry and path have at most 255 characters together.
5. 64 hex digits alone are an image id of docker, never a name; and so is `sha256:` with any number of them,
   which runtimes of Kubernetes take for the beginning of the id of an image that a node has.
6. Digests are `sha256:` and 64 lower-case hex digits: the only kind that docker signs.

Every pattern here takes time proportional to the text: no two of its alternatives can match the same
character for long.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from notarypy.errors import Advice, InvalidNameError
from notarypy.limits import DEFAULT
from notarypy.values import dataclass, replace

_T = TypeVar("_T")

DOCKER_HUB = "docker.io"
_DOCKER_HUB_API = "registry-1.docker.io"
_DOCKER_HUB_ALIAS = "index.docker.io"

_MAX_NAME = 255
_MAX_PORT = 65535

_HOST = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*")
_PATH_PART = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PORT = re.compile(r":[0-9]{1,5}")
_IMAGE_ID = re.compile(r"[0-9a-f]{64}|sha256:[0-9a-f]+")


class _ProblemError(Exception):
    """Why a text is not a reference; the public functions add the text itself."""


@dataclass(frozen=True)
class Reference:
    """A complete reference, as `parse` returns it; the registry is a host and maybe a port."""

    registry: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @property
    def repository(self) -> str:
        """Registry and path: the GUN of the image's trust data."""
        return f"{self.registry}/{self.path}"

    @property
    def api_host(self) -> str:
        """The host (and maybe port) that answers the registry's API."""
        return _DOCKER_HUB_API if self.registry == DOCKER_HUB else self.registry

    def with_tag(self, tag: str | None) -> Reference:
        """Return the same reference with another tag; raise InvalidNameError."""
        return replace(self, tag=None if tag is None else check_tag(tag))

    def with_digest(self, digest: str | None) -> Reference:
        """Return the same reference with another digest; raise InvalidNameError."""
        return replace(self, digest=None if digest is None else check_digest(digest))

    def __str__(self) -> str:
        """Return the text that `parse` reads back to an equal reference."""
        tag = f":{self.tag}" if self.tag is not None else ""
        digest = f"@{self.digest}" if self.digest is not None else ""
        return f"{self.repository}{tag}{digest}"


def parse(text: str) -> Reference:
    """Read a reference; raise InvalidNameError if the text breaks the grammar."""
    return _checked(text, "an image reference", _parse)


def parse_repository(text: str) -> Reference:
    """Read a reference that must have neither tag nor digest; raise InvalidNameError if it has."""
    reference = parse(text)
    if reference.tag is None and reference.digest is None:
        return reference
    message, why = f'"{text}" names one image, not a repository', "a repository has no tag and no digest"
    advice = Advice("write-instead", text=reference.repository)
    raise InvalidNameError(message, why=why, advice=advice, reference=text)


def parse_registry(text: str) -> str:
    """Return the usual form of a registry's name, `host` or `host:port`; raise InvalidNameError."""
    _checked(text, "a registry", _check_registry)
    return DOCKER_HUB if text == _DOCKER_HUB_ALIAS else text


def names_registry(text: str) -> bool:
    """Tell whether a reference says itself where it is, and `docker.io` was not filled in."""
    return _split_registry(text)[1] != text


def check_tag(tag: str) -> str:
    """Return `tag` if it is one; raise InvalidNameError."""
    return _checked(tag, "a tag", _check_tag)


def check_digest(digest: str) -> str:
    """Return `digest` if it is `sha256:` and 64 lower-case hex digits; raise InvalidNameError."""
    return _checked(digest, "a digest", _check_digest)


def _checked(text: str, kind: str, check: Callable[[str], _T]) -> _T:
    try:
        return check(text)
    except _ProblemError as problem:
        shown = text if len(text) <= DEFAULT.reference_chars else f"{text[:60]}..."
        message, (why, *better) = f'"{shown}" is not {kind}', problem.args
        advice = Advice("write-instead", text=better[0]) if better else None
        raise InvalidNameError(message, why=why, advice=advice, reference=shown) from None


def _parse(text: str) -> Reference:
    if not text:
        raise _ProblemError("it is empty")
    if len(text) > DEFAULT.reference_chars:
        raise _ProblemError(f"it has more than {DEFAULT.reference_chars} characters")
    if _IMAGE_ID.fullmatch(text):
        raise _ProblemError("it is the id of a local image, not a name")
    if "://" in text:
        why = "it has a scheme; names of images have none, as in registry.example.com/app:1"
        raise _ProblemError(why, text.partition("://")[2])
    registry, rest = _split_registry(text)
    rest, at, digest = rest.partition("@")
    path, colon, tag = rest.partition(":")
    if registry == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    _check_registry(registry)
    for part in path.split("/"):
        if not part:
            raise _ProblemError("a part of the name between slashes is empty")
        if _PATH_PART.fullmatch(part) is None:
            lower, written = path.lower(), path.removeprefix("library/")
            usable = all(map(_PATH_PART.fullmatch, lower.split("/")))
            better = [text.replace(written, written.lower())] if usable else []
            raise _ProblemError(f'"{part}" {_what_is_wrong(part)}', *better)
    if len(registry) + 1 + len(path) > _MAX_NAME:
        raise _ProblemError(f"registry and path have more than {_MAX_NAME} characters together")
    checked = _check_tag(tag) if colon else None
    return Reference(registry, path, checked, _check_digest(digest) if at else None)


def _split_registry(text: str) -> tuple[str, str]:
    """Return the registry and what follows it (rules 1 and 2)."""
    first, slash, rest = text.partition("/")
    named = "." in first or ":" in first or first == "localhost" or first != first.lower()
    if not slash or not named:
        return DOCKER_HUB, text
    return DOCKER_HUB if first == _DOCKER_HUB_ALIAS else first, rest


def _check_registry(text: str) -> None:
    if text.startswith("["):
        address, bracket, port = text[1:].partition("]")
        valid = bool(bracket) and _is_ipv6(address)
    else:
        host, colon, port = text.partition(":")
        port = colon + port
        valid = len(text) <= _MAX_NAME and _HOST.fullmatch(host) is not None
    if not valid:
        raise _ProblemError(f'"{text}" is not a host name or an IPv6 address in brackets')
    if port and not (_PORT.fullmatch(port) and int(port[1:]) <= _MAX_PORT):
        raise _ProblemError(f'"{port.removeprefix(":")}" is not a port number')


def _is_ipv6(text: str) -> bool:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return address.scope_id is None


def _what_is_wrong(part: str) -> str:
    if part != part.lower():
        return "has upper-case letters; repository names are lower case"
    if part[0] in "._-" or part[-1] in "._-":
        return "begins or ends with a dot, an underscore or a dash"
    if all(character in "abcdefghijklmnopqrstuvwxyz0123456789._-" for character in part):
        return "has a separator other than one dot, one or two underscores, or dashes"
    return "has characters other than a-z, 0-9, dot, underscore and dash"


def _check_tag(tag: str) -> str:
    if _TAG.fullmatch(tag) is None:
        rule = "1 to 128 letters, digits, _, . and -, beginning with none of . and -"
        raise _ProblemError(f'the tag "{tag}" is not {rule}')
    return tag


def _check_digest(digest: str) -> str:
    if _DIGEST.fullmatch(digest) is None:
        raise _ProblemError(f'the digest "{digest}" is not sha256: and 64 lower-case hex digits')
    return digest


_DIGITS = re.compile("[0-9]+")
_SHORT = 4


def natural(name: str) -> str:
    """Return a sort key that puts 9 before 10, and all else in the order of characters.

    It is a text, for a hostile name may have more digits than an int takes, and more
    characters than there is memory for as many objects.
    """
    return _DIGITS.sub(_number, name)


def _number(match: re.Match[str]) -> str:
    written = match[0]
    return _sortable_number(written) if len(written) > _SHORT else _short_number(written)


def _sortable_number(written: str) -> str:
    """Put the length before the digits, and that of the zeros after them."""
    digits = written.lstrip("0")
    return f"0{_sortable(len(digits))}{digits}{_sortable(len(written))}"


_short_number = lru_cache(maxsize=4096)(_sortable_number)  # tags are made of the same few thousand


def _sortable(length: int) -> str:
    return chr(length >> 16) + chr(length & 0xFFFF)
