"""What is required of images, in the words that all programs have: repositories, keys, how many of them.

What it is: values that a trust policy and delegations become before any program's own form. What it is not:
a decision about an image.

Rules:

1. Of rules that fit a repository the one with the longest prefix counts, alone. `*` fits what no other does.
2. Every group of `enforced` has to be met. What is only `audited` is told where a program can, and left out
   where it cannot.
3. A program that knows no numbers gets a group as alternatives: of `n` keys `threshold` have signed exactly
   if of any `n - threshold + 1` one has.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import combinations
from typing import Literal

from notarypy.errors import Advice, UsageError
from notarypy.tuf import roles
from notarypy.values import dataclass, field

_MOST_ALTERNATIVES = 128


@dataclass(frozen=True)
class NamedKey:
    """A public key of cosign signatures, `pem` as SubjectPublicKeyInfo, and whose it is."""

    name: str
    pem: str


@dataclass(frozen=True)
class Group:
    """Keys of which at least `threshold` must have signed."""

    keys: tuple[NamedKey, ...]
    threshold: int = 1

    def alternatives(self) -> list[tuple[NamedKey, ...]]:
        """Return groups of keys of each of which one must have signed (rule 3)."""
        size = len(self.keys) - self.threshold + 1
        if math.comb(len(self.keys), size) > _MOST_ALTERNATIVES:
            message = f"{self.threshold} of {len(self.keys)} signers are too many to be written out"
            raise UsageError(message, advice=Advice("count-with-other-kind"))
        return list(combinations(self.keys, size))


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
    plain = re.sub("[^a-z0-9]+", "-", rule.prefix.lower())[:40].strip("-") or "others"
    return f"notarypy-{number}-{plain}"


@dataclass(frozen=True)
class Written:
    """What a program reads: texts by the names of files; and what these cannot say, in sentences."""

    files: dict[str, str]
    notes: tuple[str, ...] = ()
