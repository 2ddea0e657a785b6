"""What there is to know of repositories, in words: for people at a terminal, for programs, and for pages.

What it is: `client.overview` as text. What it is not: printing, or HTML (`overviewpage`).

Rules:

1. Whatever is from a repository is shown safe, as everywhere (`render`).
2. A repository that could not be read has its place, with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from notarypy.cli.text import eventtext, render
from notarypy.cli.text.advice import advice, text_of
from notarypy.client.findings import Finding, worst_level
from notarypy.errors import beginning
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from notarypy.client.findings import Level
    from notarypy.client.overview.overviews import ListedTag, Overview
    from notarypy.client.verdicts import RoleStatus
    from notarypy.errors import NotarypyError

COMMAND = "report"
FINDINGS = ("STATE", "ABOUT", "WHAT", "WHAT TO DO")
_ROLE = "role version expires keys threshold here due problem usable"
_TAG = "tag digest size roles signers released expires served found"
_PATHS = 4


class Looked(NamedTuple):
    """A repository that was looked at: what there is to know, or why it could not be read."""

    name: str
    found: Overview | None
    error: NotarypyError | None = None

    @property
    def findings(self) -> Sequence[Finding]:
        """What is to be said of it; if it could not be read, that alone (rule 2)."""
        if self.error is not None:
            return [Finding("bad", "server", f"not read: {self.error.message}", error=self.error)]
        return () if self.found is None else self.found.findings

    @property
    def level(self) -> Level:
        """The worst of it."""
        return worst_level(self.findings)

    def count(self, level: Level) -> int:
        """Return how many findings of a level there are."""
        return sum(one.level == level for one in self.findings)


def state(one: Looked) -> str:
    """Say in short how a repository is."""
    if one.error is not None:
        return f"not read: {one.error.message} [{one.error.code}]"
    bad, warnings = one.count("bad"), one.count("warning")
    counts = [f"{bad} bad"] if bad else []
    counts += [f"{warnings} warning{'' if warnings == 1 else 's'}"] if warnings else []
    return ", ".join(counts) or "ok"


def finding_row(one: Finding) -> tuple[str, str, str, str]:
    """Return the row of a finding below `FINDINGS`."""
    return one.level, one.area, one.text, _fix(one)


def _fix(one: Finding) -> str:
    if one.error is not None:
        return advice(one.error, COMMAND)
    return "" if one.fix is None else text_of(one.fix)


def repository_json(found: Overview) -> dict[str, Any]:
    """Return a repository for programs."""
    paths = {entry.role: entry.paths for entry in found.delegations}
    return {
        **render.fields(found, "repository time server root_pins"),
        "state": worst_level(found.findings),
        "roles": [
            {**render.fields(one, _ROLE), "paths": paths.get(one.role, ())} for one in found.status.roles
        ],
        "tags": [_tag_json(tag) for tag in found.tags],
        "events": [eventtext.event_json(event) for event in found.events],
        "earlier": found.earlier,
        "findings": [_finding_json(one) for one in found.findings],
    }


def _finding_json(one: Finding) -> dict[str, Any]:
    known = render.fields(one, "level area text")
    return {**known, "why": list(one.why), "fix": _fix(one) or None, "facts": dict(one.facts)}


def _tag_json(tag: ListedTag) -> dict[str, Any]:
    problem = None if tag.problem is None else render.error_json(tag.problem, COMMAND)
    return {**render.fields(tag, _TAG), "problem": problem}


# -- roles


def may_sign(role: str, paths: Sequence[str], most: int | None = _PATHS) -> str:
    """Say what a role may sign; of many paths so many."""
    fixed = {
        roles.ROOT: "says whose keys sign the others",
        roles.TARGETS: "every tag, and who else may sign",
        roles.SNAPSHOT: "which files belong together",
        roles.TIMESTAMP: "what is newest; the server renews it",
    }
    return fixed.get(role) or _tags_of(paths, most)


def _tags_of(paths: Sequence[str], most: int | None) -> str:
    """Say which tags paths stand for; of many so many."""
    if not paths:
        return "no tag"
    if "" in paths:
        return "every tag"
    named = [f"{path}*" for path in paths]
    return f"tags {', '.join(named if most is None else beginning(named, most))}"


def needed(one: RoleStatus) -> str:
    """Say how many of its keys have to sign a role."""
    return f"{one.threshold} of {len(one.keys)}"


def level_of(one: RoleStatus, now: datetime) -> Level:
    """Return how a role is at a moment."""
    if one.problem or (one.expires is not None and one.expires <= now):
        return "bad"
    return "warning" if one.ends_soon else "ok"


def ends(one: RoleStatus, now: datetime) -> str:
    """Say when a role ends, in few words."""
    if one.problem:
        return "cannot be trusted"
    if one.expires is None:
        return "nothing published"
    return f"{'ended' if one.expires <= now else 'ends'} {one.expires:%Y-%m-%d}"


def state_of(one: RoleStatus, now: datetime) -> str:
    """Say how a role is beside its date."""
    if one.problem or one.expires is None:
        return ends(one, now)
    return {"bad": "ended", "warning": "ends soon", "ok": "in date"}[level_of(one, now)]
