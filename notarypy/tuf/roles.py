"""The names of things: GUNs, roles, signers and targets, and what each may look like.

What it is: the grammar of names and the order in which delegations are asked. What it is not: image
references (`images.reference`).

Rules:

1. A GUN becomes a path on disk and in a URL. No segment is empty, `.` or `..`; no control character,
   backslash, `?`, `#`, `%` or `*`; at most 255 bytes a segment.
2. A delegation is `targets/` and path segments of `[-a-z0-9_]`, under 256 bytes.
3. A signer NAME is `[a-z0-9][a-z0-9_-]*` and stands for `targets/NAME`; `releases` is reserved: it is where
   released tags are listed; so are the base roles.
4. One registry has many spellings: capitals, port 443, zeros before a port, docker.io's aliases. They are
   different GUNs, but what is said of one spelling counts for all.
5. A target that is listed anew has a name without control characters, and so has a delegation's path. Go
   notary publishes an empty name, and U+007F in names and paths, so what is staged or listed may have these.
   U+0000 to U+001F it can sign and not write, as no Notary server can; all of them may be taken away.
6. A root pin is a key id in full, 64 hex digits: short ones can be forged.
7. A prefix fits a repository as a whole or up to a slash, `*` any; the longest one counts. Registries are
   compared whatever their spelling.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv6Address

from notarypy.errors import Advice, InvalidNameError

ROOT = "root"
TARGETS = "targets"
SNAPSHOT = "snapshot"
TIMESTAMP = "timestamp"
RELEASES = "targets/releases"
ANY = "*"
BASE_ROLES = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)
RELEASING = (RELEASES, TARGETS)  # whose tags readers take, in this order

_MAX_BYTES = 255
_DELEGATION = re.compile(r"targets(?:/[-a-z0-9_]+)+", re.ASCII)
_SIGNER = re.compile(r"[a-z0-9][a-z0-9_-]*", re.ASCII)
_FORBIDDEN_IN_GUN = re.compile(r"[\x00-\x1f\x7f-\x9f\\?#%*]")
_DOCKER_HUB = frozenset({"index.docker.io", "registry-1.docker.io", "docker.io"})
_HTTPS_PORT = 443
_PIN = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNWRITABLE = re.compile(r"[\x00-\x1f]")
_NO_NAME, _NO_PATH = "this cannot be the name of a target", "this cannot be the path of a delegation"


def check_gun(gun: str) -> str:
    """Return `gun` if it is safe as a path and a URL part (rule 1); raise InvalidNameError."""
    segments = gun.split("/")
    if _FORBIDDEN_IN_GUN.search(gun) or not _encodable(gun):
        problem = "it holds a control character or one of \\ ? # % *"
    elif any(part in {"", ".", ".."} for part in segments):
        problem = "a part between slashes is empty, . or .."
    elif any(len(part.encode()) > _MAX_BYTES for part in segments):
        problem = f"a part between slashes is longer than {_MAX_BYTES} bytes"
    else:
        return gun
    raise InvalidNameError(f'"{gun}" cannot be a repository name', why=problem, gun=gun)


def comparable(name: str) -> str:
    """Return a GUN, or its beginning, with its registry in the one spelling that all share (rule 4).

    It is for comparing names only: the servers know a repository by the name as it is written.
    """
    host, slash, path = name.partition("/")
    # Some letters outside ASCII become ASCII in lower case: those are other registries.
    return f"{_one_spelling(host.lower() if host.isascii() else host)}{slash}{path}"


def _one_spelling(registry: str) -> str:
    host, colon, port = registry.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or (":" in host and not host.endswith("]")):
        host, port = registry, ""
    if host.startswith("[") and host.endswith("]"):
        with suppress(ValueError):  # what is no IPv6 address stays as it is
            host = f"[{IPv6Address(host[1:-1]).compressed}]"
    elif host in _DOCKER_HUB:
        host = "docker.io"
    return host if port in {"", str(_HTTPS_PORT)} or int(port) == _HTTPS_PORT else f"{host}:{int(port)}"


def longest_prefix(prefixes: Iterable[str], repository: str) -> str | None:
    """Return the prefix that counts for a repository: the longest that fits, else `*`, else None (rule 7)."""
    known, name = set(prefixes), f"{comparable(repository)}/"
    fitting = [one for one in known if one != ANY and name.startswith(f"{comparable(one)}/")]
    # Of what was written, a spelling may be longer than a path is.
    return max(fitting, key=lambda one: len(comparable(one)), default=ANY if ANY in known else None)


def same_prefix(prefix: str, other: str) -> bool:
    """Tell whether two prefixes fit the same repositories (rule 7)."""
    return comparable(prefix) == comparable(other)


def replaced_prefix(repository: str, prefix: str, other: str) -> str:
    """Return the repository with one prefix, in whatever spelling, replaced by another."""
    _, slash, path = prefix.partition("/")
    _, before, rest = repository.partition("/")
    return other + f"{before}{rest}"[len(slash + path) :]


def split_collection(text: str) -> tuple[str, str | None]:
    """Return the GUN and the target name, if any, of a literal `GUN[:TARGET]`: only the last colon counts."""
    head, _, tail = text.rpartition(":")
    gun, target = (head, tail) if head and "/" not in tail else (text, None)
    if target == "":
        raise InvalidNameError(f'"{text}" ends in a colon', why="no name can be empty", name=text)
    return check_gun(gun), target


def is_delegation(role: str) -> bool:
    """Tell whether `role` is a well-formed delegation name (rule 2)."""
    return len(role) <= _MAX_BYTES and _DELEGATION.fullmatch(role) is not None


def check_role(role: str) -> str:
    """Return a role name that metadata may use; raise InvalidNameError otherwise."""
    if role in BASE_ROLES or is_delegation(role):
        return role
    why = "roles are root, targets, snapshot, timestamp, and targets/NAME of a-z, 0-9, - and _"
    raise InvalidNameError(f'"{role}" is not a role', why=why, role=role)


def signer_role(name: str) -> str:
    """Return the role of a signer's NAME or of a full ROLE (rule 3); raise InvalidNameError."""
    if name.startswith("targets/"):
        return check_role(name)
    if _SIGNER.fullmatch(name) is None or not is_delegation(f"targets/{name}"):
        why = "a name is a-z, 0-9, - and _, and begins with a letter or digit"
        raise InvalidNameError(f'"{name}" is not a signer name', why=why)
    if name in {*BASE_ROLES, "releases"}:
        why = f"{name} is a role of every repository"
        if name == "releases":
            why = f"{RELEASES} lists what every signer released"
        raise InvalidNameError(f'"{name}" is reserved', why=why, advice=Advice("choose-other-name"))
    return f"targets/{name}"


def key_name(name: str) -> str:
    """Return what a signer's key is stored under: a NAME, also of a full ROLE; raise InvalidNameError.

    A key of `targets/releases` has that name, which no signer has; no signer's key is called as a base role.
    """
    short = signer_name(name)
    if name == RELEASES or "/" in short:
        return check_role(name)
    signer_role(short)
    return short


def signer_name(role: str) -> str:
    """Return the short name people use for a delegation: `targets/jeff` is `jeff`."""
    return role.removeprefix("targets/")


def check_target_name(name: str) -> str:
    """Return the name of a target that may be listed anew (rule 5); raise InvalidNameError."""
    if not name:
        raise InvalidNameError(_NO_NAME, why="it is empty", name=name)
    return _checked(name, _NO_NAME, _CONTROL)


def check_listed_name(name: str) -> str:
    """Return the name of a target that a file can have, whoever staged it (rule 5)."""
    return _checked(name, _NO_NAME, _UNWRITABLE)


def check_old_name(name: str) -> str:
    """Return the name of a target that may be taken away (rule 5)."""
    return _checked(name, _NO_NAME)


def check_path(path: str) -> str:
    """Return a path that may be given to a delegation (rule 5), "" for all; raise InvalidNameError."""
    return _checked(path, _NO_PATH, _CONTROL)


def check_listed_path(path: str) -> str:
    """Return a path that a file can have, whoever staged it (rule 5)."""
    return _checked(path, _NO_PATH, _UNWRITABLE)


def check_old_path(path: str) -> str:
    """Return a path that may be taken away (rule 5)."""
    return _checked(path, _NO_PATH)


def _checked(text: str, message: str, forbidden: re.Pattern[str] | None = None) -> str:
    if not _encodable(text):
        raise InvalidNameError(message, why="it is not written in UTF-8", name=text)
    if forbidden and (found := forbidden.search(text)):
        raise InvalidNameError(message, why=f"it holds a control character, U+{ord(found[0]):04X}", name=text)
    return text


def check_pin(pin: str) -> str:
    """Return a pin in lower case; raise InvalidNameError for anything but 64 hex digits (rule 6)."""
    if _PIN.fullmatch(pin.lower()) is None:
        why = "a pin is a root key id in full, 64 hex digits: short ones can be forged"
        raise InvalidNameError(f'"{pin}" is not a root pin', why=why, advice=Advice("give-whole-pin"))
    return pin.lower()


def check_pins(pins: str) -> str:
    """Return pins as `check_pin` does: one, or those of a root of several keys with commas between them."""
    return ",".join(dict.fromkeys(check_pin(pin) for pin in pins.split(",")))


def parent(role: str) -> str:
    """Return the role whose file delegates to `role`."""
    return role.rpartition("/")[0]


def covers(paths: tuple[str, ...], name: str) -> bool:
    """Tell whether delegation paths, which are plain prefixes, admit a target name."""
    return any(name.startswith(path) for path in paths)


def shortest(paths: Iterable[str]) -> tuple[str, ...]:
    """Return those paths that begin with no other one, sorted: together they admit the same names."""
    kept: list[str] = []
    for path in sorted(paths):
        # Whatever begins with a path follows it at once.
        if not kept or not path.startswith(kept[-1]):
            kept.append(path)
    return tuple(kept)


def admits(shortest: tuple[str, ...], name: str) -> bool:
    """Tell what `covers` tells, at one look: of the shortest paths only the last before a name may fit."""
    place = bisect_right(shortest, name)
    return place > 0 and name.startswith(shortest[place - 1])


def narrowed(allowed: Iterable[str], paths: Iterable[str]) -> tuple[str, ...]:
    """Return those of a delegation's paths that begin with a path of the role above it."""
    above = shortest(allowed)
    return tuple(path for path in paths if admits(above, path))


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
