"""How the repositories of a rule are written in the pattern languages of other programs.

What it is: the beginnings that an image's full name has, and regular expressions for names as people
write them. What it is not: a program's own wildcards; each adds its own.

Rules:

1. A name begins with a rule's prefix only up to a slash, a tag or a digest: `r.test/app` is not
   `r.test/apps`, and `r.test:5000` not `r.test:50001`.
2. Docker Hub's names may lack `docker.io`, and its own images `library` too. What has a dot, a colon or a
   capital letter before its first slash, or is `localhost`, names another registry.
3. Regular expressions are of the common core of RE2 and Python, and fit from the beginning. They fit a
   registry in any case of its letters, with zeros before its port, and with the port 443 where it has none.
4. The short name of one of Docker Hub's own images ends it: `alpine/git` is not within `library/alpine`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from notarypy.images.reference import DOCKER_HUB

if TYPE_CHECKING:
    from notarypy.client.migrate.policies.rules import Rule

_HUB = r"(?:(?i:(?:index\.|registry-1\.)?docker\.io)(?::0*443)?/)"
_WORD = "[a-z0-9_-]+"
_END = ":[^/]*$|@|$"


def beginnings(rule: Rule) -> list[str]:
    """Return what the full names of a rule's images begin with (rule 1)."""
    if rule.prefix == rule.registry:
        return [f"{rule.prefix}/"]
    return [f"{rule.prefix}{end}" for end in (":", "@", *(() if rule.alone else ("/",)))]


def expression(rule: Rule) -> str:
    """Return a regular expression that fits what people may write for a rule's images (rules 2 and 3)."""
    path = rule.prefix.partition("/")[2]
    end = f"(?:{_END})" if rule.alone else f"(?:/|{_END})"
    if rule.registry != DOCKER_HUB:
        return f"^{_registry(rule.registry)}/{re.escape(path)}{end if path else ''}"
    first, _, rest = path.partition("/")
    optional = f"{_HUB}?" if re.fullmatch(_WORD, first) and first != "localhost" else _HUB
    if not path:
        return f"^(?:{_HUB}|{_WORD}/|[^/]+$)"
    if first != "library":
        return f"^{optional}{re.escape(path)}{end if rest else '/'}"
    if not rest:
        return f"^{optional}(?:library/|[^/]+$)"
    whole = f"{optional}library/{re.escape(rest)}{end}"
    return f"^{whole}" if "/" in rest else f"^(?:{whole}|{_HUB}?{re.escape(rest)}(?:{_END}))"


def _registry(registry: str) -> str:
    host, colon, port = registry.rpartition(":")
    if not port.isdigit():
        host, colon = registry, ""
    return f"(?i:{re.escape(host)}){f':0*{port}' if colon else '(?::0*443)?'}"
