"""Metadata that may be past its date: what renewing and a look at dates need to read.

What it is: TrustedMetadata in which dates are noted and not enforced. What it is not:
weaker in anything else; signatures, hashes, versions and names count as ever.

Rule: nothing read this way says that an image is signed. It is for showing dates, and for
signing again what is verified in all but its date.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.errors import ExpiredError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import roles
from notarypy.tuf.trusted import TrustedMetadata

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from notarypy.tuf.metadata import Root


class OutdatedMetadata(TrustedMetadata):
    """Everything verified but dates.

    Attributes:
        expired: What is past its date, by role; the root also for its certificate.
    """

    def __init__(
        self, gun: str, now: datetime, seen: Mapping[str, bytes] | None = None, limits: Limits = DEFAULT
    ) -> None:
        """Start with nothing trusted, as TrustedMetadata does."""
        super().__init__(gun, now, seen, limits)
        self.expired: dict[str, ExpiredError] = {}

    def update_root(self, data: bytes) -> Root:
        """Trust a newer root; what was expired under the old one is looked at again."""
        self.expired.clear()
        return super().update_root(data)

    def _require_date(self, role: str, expires: datetime) -> None:
        try:
            super()._require_date(role, expires)
        except ExpiredError as error:
            self.expired[role] = error

    def _require_final_root(self) -> None:
        try:
            super()._require_final_root()
        except ExpiredError as error:
            self.expired[roles.ROOT] = error
