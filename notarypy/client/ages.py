"""How old trust data is and how long it will do, told to people.

What it is: warnings about dates. What it is not: a judge; what is out of date is refused
by `tuf.trusted`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from notarypy.tuf import roles

if TYPE_CHECKING:
    from datetime import datetime

    from notarypy.client.repository import Repository
    from notarypy.tuf.trusted import TrustedMetadata

_WARN_BEFORE = timedelta(days=180)
_SKEW = timedelta(minutes=5)


def warn_of_expiry(trusted: TrustedMetadata, repository: Repository) -> None:
    """Warn about every role but the timestamp that ends within 180 days."""
    dates = {role: targets.expires for role, targets in trusted.targets.items()}
    dates[roles.ROOT], dates[roles.SNAPSHOT] = trusted.root.expires, trusted.snapshot.expires
    for role, expires in sorted(dates.items()):
        if expires - repository.now < _WARN_BEFORE:
            repository.warn(f"{role} of {repository.gun} expires on {expires:%Y-%m-%d}")


def tell_age(repository: Repository, expires: datetime) -> None:
    """Warn how old the cached trust data is, which is used without asking the server."""
    repository.warn(
        f"offline: the trust data of {repository.gun} {_age(repository.cache.confirmed(), repository.now)}; "
        f"what changed since is not known, and it ends on {expires:%Y-%m-%d}"
    )


def _age(confirmed: datetime | None, now: datetime) -> str:
    if confirmed is None:
        return "is of unknown age"
    since = f"is as of {confirmed:%Y-%m-%d %H:%M}Z"
    if confirmed > now + _SKEW:
        return f"{since}, which this machine's clock says is still to come"
    age = max(now - confirmed, timedelta())
    unit, count = ("day", age.days) if age.days else ("hour", age.seconds // 3600)
    return f"{since}, {count} {unit}{'' if count == 1 else 's'} ago"
