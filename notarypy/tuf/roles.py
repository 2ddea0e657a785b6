"""The names of things: GUNs, roles, signers and targets, and what each may look like.

What it is: the grammar of names and the order in which delegations are asked.
What it is not: image references (`images.reference`).

Rules:

1. A GUN becomes a path on disk and in a URL. No segment is empty, `.` or `..`;
   no control character, backslash, `?`, `#`, `%` or `*`; at most 255 bytes a segment.
2. A delegation is `targets/` and path segments of `[-a-z0-9_]`, under 256 bytes.
3. A signer NAME is `[a-z0-9][a-z0-9_-]*` and stands for `targets/NAME`;
   `releases` is reserved: it is where released tags are listed; so are the base roles.
4. A target name that is written has no control character and is not empty; such
   names verify, but no Notary server re-signs them.
"""

from __future__ import annotations

import re

from notarypy.errors import InvalidNameError

ROOT = "root"
TARGETS = "targets"
SNAPSHOT = "snapshot"
TIMESTAMP = "timestamp"
RELEASES = "targets/releases"
BASE_ROLES = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)

_MAX_BYTES = 255
_DELEGATION = re.compile(r"targets(?:/[-a-z0-9_]+)+", re.ASCII)
_SIGNER = re.compile(r"[a-z0-9][a-z0-9_-]*", re.ASCII)
_FORBIDDEN_IN_GUN = re.compile(r"[\x00-\x1f\x7f-\x9f\\?#%*]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


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


def split_collection(text: str) -> tuple[str, str | None]:
    """Return the GUN and the target name, if any, of a literal `GUN[:TARGET]`: only the last colon counts."""
    head, _, tail = text.rpartition(":")
    gun, target = (head, tail) if head and "/" not in tail else (text, None)
    return check_gun(gun), target


def is_delegation(role: str) -> bool:
    """Tell whether `role` is a well-formed delegation name (rule 2)."""
    return len(role) <= _MAX_BYTES and _DELEGATION.fullmatch(role) is not None


def check_role(role: str) -> str:
    """Return a role name that metadata may use; raise InvalidNameError otherwise."""
    if role in BASE_ROLES or is_delegation(role):
        return role
    raise InvalidNameError(
        f'"{role}" is not a role',
        why="roles are root, targets, snapshot, timestamp, and targets/NAME of a-z, 0-9, - and _",
        role=role,
    )


def signer_role(name: str) -> str:
    """Return the role of a signer's NAME or of a full ROLE (rule 3); raise InvalidNameError."""
    if name.startswith("targets/"):
        return check_role(name)
    if _SIGNER.fullmatch(name) is None or not is_delegation(f"targets/{name}"):
        raise InvalidNameError(
            f'"{name}" is not a signer name',
            why="a name is a-z, 0-9, - and _, and begins with a letter or digit",
        )
    if name in BASE_ROLES:
        raise InvalidNameError(
            f'"{name}" is reserved', why=f"{name} is a role of every repository", fix="choose another name"
        )
    if name == "releases":
        raise InvalidNameError(
            '"releases" is reserved',
            why="targets/releases lists what every signer released",
            fix="choose another name",
        )
    return f"targets/{name}"


def signer_name(role: str) -> str:
    """Return the short name people use for a delegation: `targets/jeff` is `jeff`."""
    return role.removeprefix("targets/")


def check_target_name(name: str) -> str:
    """Return a target name that may be written (rule 4); raise InvalidNameError."""
    if not name or _CONTROL.search(name) or not _encodable(name):
        raise InvalidNameError(
            "this name cannot be signed", why="it is empty or holds a control character", name=name
        )
    return name


def parent(role: str) -> str:
    """Return the role whose file delegates to `role`."""
    return role.rpartition("/")[0]


def covers(paths: tuple[str, ...], name: str) -> bool:
    """Tell whether delegation paths, which are plain prefixes, admit a target name."""
    return any(name.startswith(path) for path in paths)


def narrowed(allowed: tuple[str, ...], paths: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of a delegation's paths that begin with a path of the role above it."""
    return tuple(path for path in paths if covers(allowed, path))


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
