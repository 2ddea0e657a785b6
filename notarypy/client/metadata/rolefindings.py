"""What people are told of the dates of roles: the same wherever it is told, with who has to do something.

What it is: one finding for each role. What it is not: dates (`dates`), or a page.

Rules:

1. What cannot be trusted or has ended is bad. What is due is a warning, and so is a root from a year before
   its end (`RoleStatus.ends_soon`).
2. A role is renewed by whoever has its keys, or by the server, if it is its own. A root that has ended is
   renewed by nobody. Where keys can never sign, no renewing helps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy import jsontext
from notarypy.client.findings import Finding
from notarypy.client.metadata.dates import ended
from notarypy.errors import Advice
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from notarypy.client.verdicts import RoleStatus


def findings_of_roles(found: Iterable[RoleStatus], gun: str, now: datetime) -> Iterator[Finding]:
    """Yield what is to be said of each role (rule 1)."""
    for one in found:
        facts = {"role": one.role, "signable": one.signable}
        if one.expires is not None:
            facts["expires"] = jsontext.moment(one.expires)
        if one.problem:
            text = f"{one.role} cannot be trusted: {one.problem}"
            yield Finding("bad", "files", text, _signing_anew(one, gun), facts=facts)
        elif one.expires is None:
            yield Finding("ok", "dates", f"{one.role} has published nothing yet", facts=facts)
        elif ended(one.expires, now):
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
    """Return who renews a role (rule 2)."""
    if _of_server(one):
        return Advice("check-clock")
    if one.role == roles.ROOT:
        return Advice("renew-root-early", gun=gun)
    return Advice("renew" if one.signable else "sign-role-again", gun=gun)


def _signing_anew(one: RoleStatus, gun: str) -> Advice:
    if one.usable:
        return Advice("sign-anew-or-remove", role=one.role, gun=gun)
    return Advice("replace-unusable", name=roles.signer_name(one.role), gun=gun)
