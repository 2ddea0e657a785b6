"""What was looked at, whether it is well, and what to do about it: one line of a check-up or of a report.

What it is: a value that everything which looks at a repository or a machine returns, how looks become such
values, whatever goes wrong, and what is said of the dates of roles. What it is not: a verdict on an image, as
of `verify`, or its wording on a page.

Rules:

1. No user and no password of an address is part of a finding, whatever it was noted from: people show them to
   others.
2. Of roles, what cannot be trusted or has ended is bad. What is due is a warning, and so is a root from a
   year before its end (`RoleStatus.ends_soon`).
3. A role is renewed by whoever has its keys, or by the server, if it is its own. A root that has ended is
   renewed by nobody. Where keys can never sign, no renewing helps.
"""

from __future__ import annotations

import logging
import re
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from notarypy import jsontext
from notarypy.errors import Advice, NotarypyError
from notarypy.tuf import roles
from notarypy.values import dataclass, field, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from notarypy.client.verdicts import RoleStatus

_LOG = logging.getLogger(__name__)
_LOGIN = re.compile(r"(?<=://)\S*@(?!sha256:)")

Level = Literal["ok", "warning", "bad"]
LEVELS: tuple[Level, ...] = ("ok", "warning", "bad")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `ok`, a `warning`, or `bad`, and the `text` that says what was seen.

    `area` is what it is about, in one word; `fix` is what to do, None where nothing has to be done. `why` are
    reasons, `error` is what a command would fail with, `facts` are the same as the text, for programs.
    """

    level: Level
    area: str
    text: str
    fix: Advice | None = None
    why: tuple[str, ...] = ()
    error: NotarypyError | None = None
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Examined:
    """What was found about one subject: `machine`, a server by its address, a registry, or a repository."""

    subject: str
    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        """The worst level."""
        return worst_level(self.findings)


def worst_level(found: Iterable[Finding]) -> Level:
    """Return the worst level of all, `ok` for none."""
    return max((one.level for one in found), key=LEVELS.index, default="ok")


class Findings:
    """Findings about one subject, in their order; no line stands twice."""

    def __init__(self, subject: str) -> None:
        self.subject, self._found = subject, list[Finding]()

    def ok(self, area: str, text: str, **facts: object) -> None:
        """Note what is as it should be."""
        self.note(Finding("ok", area, text, facts=facts))

    def warning(self, area: str, text: str, fix: Advice | None = None, *why: str) -> None:
        """Note what may become a problem, or is one for some."""
        self.note(Finding("warning", area, text, fix, why))

    def bad(self, area: str, text: str, fix: Advice | None = None, *why: str) -> None:
        """Note what has to be mended."""
        self.note(Finding("bad", area, text, fix, why))

    def failure(self, area: str, error: NotarypyError, level: Level = "bad") -> None:
        """Note an error that others would meet."""
        self.note(Finding(level, area, error.message, error.advice, error.why, error, {"code": error.code}))

    def note(self, finding: Finding) -> None:
        """Note a finding, without secrets (rule 1), once."""
        facts = {name: _bare(value) for name, value in finding.facts.items()}
        why = tuple(map(_bare, finding.why))
        finding = replace(finding, text=_bare(finding.text), why=why, facts=facts)
        if all((each.level, each.text) != (finding.level, finding.text) for each in self._found):
            self._found.append(finding)

    @contextmanager
    def looking(self, area: str) -> Iterator[None]:
        """Note whatever goes wrong inside, and go on: no trouble keeps others from being found."""
        try:
            yield
        except NotarypyError as error:
            self.failure(area, error)
        except (OSError, ValueError, RuntimeError) as error:
            _LOG.debug("%s could not be looked at: %s", area, type(error).__name__)
            reason = getattr(error, "strerror", None) or type(error).__name__
            place = getattr(error, "filename", None) or area
            self.bad(area, f"{place} cannot be looked at: {reason}", Advice("check-owner"))

    def examined(self) -> Examined:
        """Return what was found."""
        return Examined(self.subject, tuple(self._found))


def quoted(thing: object) -> str:
    """Return a name or path as a shell takes it for one word."""
    return shlex.quote(str(thing))


def _bare(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a text without the user and the password of an address in it (rule 1)."""
    return _LOGIN.sub("", value) if isinstance(value, str) else value


def findings_of_roles(found: Iterable[RoleStatus], gun: str, now: datetime) -> Iterator[Finding]:
    """Yield what is to be said of each role (rule 2)."""
    for one in found:
        facts = {"role": one.role, "signable": one.signable}
        if one.expires is not None:
            facts["expires"] = jsontext.moment(one.expires)
        if one.problem:
            text = f"{one.role} cannot be trusted: {one.problem}"
            yield Finding("bad", "files", text, _signing_anew(one, gun), facts=facts)
        elif one.expires is None:
            yield Finding("ok", "dates", f"{one.role} has published nothing yet", facts=facts)
        elif one.expires <= now:
            text = f"{one.role} ended on {one.expires:%Y-%m-%d %H:%M} UTC"
            anew = Advice("begin-anew", gun=gun) if one.role == roles.ROOT else _renewing(one, gun)
            yield Finding("bad", "dates", text, anew, facts=facts)
        elif one.ends_soon:
            text = f"{one.role} ends on {one.expires:%Y-%m-%d %H:%M} UTC, in {one.days_left} days"
            yield Finding("warning", "dates", text, _renewing(one, gun), facts=facts)
        else:
            whose = "its keys are here" if one.signable else "others sign it"
            whose = "the server signs it" if _of_server(one) else whose
            yield Finding("ok", "dates", f"{one.role} ends on {one.expires:%Y-%m-%d}; {whose}", facts=facts)


def _of_server(one: RoleStatus) -> bool:
    return one.role == roles.TIMESTAMP or (one.role == roles.SNAPSHOT and not one.signable)


def _renewing(one: RoleStatus, gun: str) -> Advice:
    """Return who renews a role (rule 3)."""
    if _of_server(one):
        return Advice("check-clock")
    if one.role == roles.ROOT:
        return Advice("renew-root-early", gun=gun)
    return Advice("renew" if one.signable else "sign-role-again", gun=gun)


def _signing_anew(one: RoleStatus, gun: str) -> Advice:
    if one.usable:
        return Advice("sign-anew-or-remove", role=one.role, gun=gun)
    return Advice("replace-unusable", name=roles.signer_name(one.role), gun=gun)
