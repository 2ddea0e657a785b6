"""What is required of images, in the words that all programs have: repositories, keys, how many of them.

What it is: values that a trust policy, delegations and public keys become before any program's own form, and
how the repositories of a rule are written in pattern languages. What it is not: what is required of whom
(`equivalent`), or a program's own wildcards.

Rules:

1. Of rules that fit a repository the one with the longest prefix counts, alone. `*` fits what no other does.
2. Every group of `enforced` has to be met. What is only `audited` is told where a program can, and left out
   where it cannot.
3. A program that knows no numbers gets a group as alternatives: of `n` keys `threshold` have signed exactly
   if of any `n - threshold + 1` one has. Owners of several keys are counted so for every program.
4. One of two ways is taken exactly if of each alternative of the one, together with each of the other, a key
   has signed. An alternative that follows from a smaller one is left out.
5. A key is the same whatever it is called.
6. A name begins with a rule's prefix only up to a slash, a tag or a digest: `r.test/app` is not
   `r.test/apps`, and `r.test:5000` not `r.test:50001`.
7. Docker Hub's names may lack `docker.io`, and its own images `library` too, whose short name ends there:
   `alpine/git` is not within `library/alpine`. What has a dot, a colon or a capital letter before its first
   slash, or is `localhost`, names another registry.
8. Regular expressions are of the common core of RE2 and Python, and fit from the beginning. They fit a
   registry in any case of its letters, with zeros before its port, and with the port 443 where it has none.
9. A text has one key or more, of which any will do. A signer's keys are those that are given, or else those
   that a repository's delegation has for him.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import combinations, product
from typing import TYPE_CHECKING, Literal

from notarypy.client.verify.cosignrequirements import of_policy
from notarypy.cosign import signaturekeys
from notarypy.errors import Advice, UsageError
from notarypy.images.reference import DOCKER_HUB
from notarypy.tuf import roles
from notarypy.tuf.keys import UnusableKey
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from notarypy.cosign.signaturekeys import VerificationKey
    from notarypy.storage.settings.requiredsignatures import CosignKeys
    from notarypy.tuf.trusted import TrustedMetadata

_MOST_ALTERNATIVES = 128


@dataclass(frozen=True)
class NamedKey:
    """A public key of cosign signatures, `pem` as SubjectPublicKeyInfo, and whose it is (rule 5)."""

    name: str = field(compare=False)
    pem: str


@dataclass(frozen=True)
class Group:
    """Keys of which at least `threshold` must have signed."""

    keys: tuple[NamedKey, ...]
    threshold: int = 1

    def alternatives(self) -> list[tuple[NamedKey, ...]]:
        """Return groups of keys of each of which one must have signed (rule 3)."""
        return _written_out([(key,) for key in self.keys], self.threshold)


def counted(owners: Sequence[tuple[NamedKey, ...]], threshold: int) -> list[Group]:
    """Return what is met when at least `threshold` owners have signed, each with any key of his (rule 3)."""
    if threshold == 1 or all(len(keys) == 1 for keys in owners):
        return [Group(_together(owners), threshold)]
    return [Group(keys) for keys in _written_out(owners, threshold)]


def alternatives(groups: Sequence[Group]) -> list[tuple[NamedKey, ...]]:
    """Return groups of keys of each of which one must have signed, for several groups."""
    return [keys for group in groups for keys in group.alternatives()]


def either(first: Sequence[Group], second: Sequence[Group]) -> list[Group]:
    """Return what is met exactly when all of the first or all of the second are (rule 4)."""
    ways = alternatives(first), alternatives(second)
    _require_few(len(ways[0]) * len(ways[1]), "the alternatives of two ways")
    found: list[Group] = []
    for keys in sorted(map(_together, product(*ways)), key=len):
        if not any(set(smaller.keys) <= set(keys) for smaller in found):
            found.append(Group(keys))
    return found


def _written_out(owners: Sequence[tuple[NamedKey, ...]], threshold: int) -> list[tuple[NamedKey, ...]]:
    size = len(owners) - threshold + 1
    _require_few(math.comb(len(owners), size), f"{threshold} of {len(owners)} signers")
    return list(map(_together, combinations(owners, size)))


def _require_few(count: int, what: str) -> None:
    if count > _MOST_ALTERNATIVES:
        raise UsageError(f"{what} are too many to be written out", advice=Advice("count-with-other-kind"))


def _together(owners: Iterable[tuple[NamedKey, ...]]) -> tuple[NamedKey, ...]:
    return tuple(dict.fromkeys(key for keys in owners for key in keys))


@dataclass(frozen=True)
class Rule:
    """What counts for a repository, and for all below it unless it is `alone`.

    Attributes:
        prefix: Registry and maybe more, or `*` for the rest.
        verdict: Whether images are verified, accepted as they are, or refused.
        enforced: What must be met.
        audited: What is only told when it is not met.
        signed_as: The prefix that the signatures name in place of this one, or None.
        alone: Whether it is one repository, and nothing below it.
        released: The digests of the tags that were released, of one repository.
    """

    prefix: str
    verdict: Literal["verify", "accept", "refuse"]
    enforced: tuple[Group, ...] = ()
    audited: tuple[Group, ...] = ()
    signed_as: str | None = None
    alone: bool = False
    released: Mapping[str, str] = field(default_factory=dict)

    @property
    def registry(self) -> str:
        """The registry of the prefix."""
        return self.prefix.partition("/")[0]

    def contains(self, other: Rule) -> bool:
        """Tell whether what another rule is for is below this one."""
        if roles.ANY in {self.prefix, other.prefix} or self.prefix == other.prefix or self.alone:
            return self.prefix == roles.ANY != other.prefix
        return roles.longest_prefix([self.prefix], other.prefix) is not None


def sentences(text: str) -> tuple[str, ...]:
    """Return the paragraphs of a text, each as one line."""
    return tuple(" ".join(each.split()) for each in text.strip().split("\n\n"))


def object_name(number: int, rule: Rule) -> str:
    """Return a name for what a rule becomes, as Kubernetes takes them: a-z, 0-9 and dashes."""
    return f"notarypy-{number}-{_plain(rule.prefix) or 'others'}"


def key_names(keys: Iterable[NamedKey]) -> dict[NamedKey, str]:
    """Return such a name for each of several keys, no name twice."""
    numbered = enumerate(dict.fromkeys(keys), start=1)
    return {key: f"key{number}-{_plain(key.name)}".strip("-") for number, key in numbered}


def _plain(text: str) -> str:
    return re.sub("[^a-z0-9]+", "-", text.lower())[:40].strip("-")


_HUB = r"(?:(?i:(?:index\.|registry-1\.)?docker\.io)(?::0*443)?/)"
_WORD = "[a-z0-9_-]+"
_END = ":[^/]*$|@|$"


def beginnings(rule: Rule) -> list[str]:
    """Return what the full names of a rule's images begin with (rule 6)."""
    if rule.prefix == rule.registry:
        return [f"{rule.prefix}/"]
    return [f"{rule.prefix}{end}" for end in (":", "@", *(() if rule.alone else ("/",)))]


def expression(rule: Rule) -> str:
    """Return a regular expression that fits what people may write for a rule's images (rules 7 and 8)."""
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


@dataclass(frozen=True)
class PolicyKeys:
    """The public keys of the new signatures: of releases, and of signers by their roles.

    A signer without any signs with those that he has in Notary (rule 9).
    """

    release: tuple[NamedKey, ...]
    signers: Mapping[str, tuple[NamedKey, ...]]

    @classmethod
    def of(cls, keys: Sequence[bytes], signer_keys: Mapping[str, Sequence[bytes]]) -> PolicyKeys:
        """Read public keys, PEM; raise UnsupportedKeyError (rule 9)."""
        return cls(_read("release", keys), {
            roles.signer_role(name): _read(name, pems) for name, pems in signer_keys.items()
        })  # fmt: skip


def delegated(role: str, trusted: TrustedMetadata | None) -> tuple[NamedKey, ...]:
    """Return the keys that a signer has in Notary, of those that can ever sign."""
    above = None if trusted is None else trusted.targets.get(roles.parent(role))
    listed = () if above is None else above.signers(role)[0]
    keys = [signaturekeys.of(key) for key in listed if not isinstance(key, UnusableKey)]
    return _named(roles.signer_name(role), keys)


def of_cosign(required: CosignKeys) -> list[Group]:
    """Return what the trust policy requires of cosign: any key of each file, and so many of some files."""
    return [
        group
        for each in of_policy(required)
        for group in counted([_named(file.name, file.keys) for file in each.files], each.threshold)
    ]


def _read(name: str, pems: Iterable[bytes]) -> tuple[NamedKey, ...]:
    return _named(name, [key for pem in pems for key in signaturekeys.keys_in(pem)])


def _named(name: str, keys: Iterable[VerificationKey]) -> tuple[NamedKey, ...]:
    return tuple(
        NamedKey(name if number == 1 else f"{name}-{number}", key.pem.decode())
        for number, key in enumerate(dict.fromkeys(keys), start=1)
    )
