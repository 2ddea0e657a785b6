"""The calls of a client that are about one thing each, in groups that are loaded when they are used.

What it is: the properties of `Client` that lead to keys, archives and the like. What it is not: logic.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from notarypy.client.keysapi import Keys
    from notarypy.client.migrationapi import Migration
    from notarypy.client.session import Session
    from notarypy.client.stagingapi import Parts, Staging
    from notarypy.client.targetsapi import ListedTargets
    from notarypy.client.upkeepapi import Archives, Upkeep


class Groups:
    """Groups of calls, over one session."""

    _session: Session

    @cached_property
    def keys(self) -> Keys:
        """The private keys of the trust directory."""
        from notarypy.client.keysapi import Keys

        return Keys(self._session)

    @cached_property
    def migration(self) -> Migration:
        """The way out of Notary."""
        from notarypy.client.migrationapi import Migration

        return Migration(self._session)

    @cached_property
    def parts(self) -> Parts:
        """What several people sign together."""
        from notarypy.client.stagingapi import Parts

        return Parts(self._session)

    @cached_property
    def targets(self) -> ListedTargets:
        """Content of any kind, by what every role lists."""
        from notarypy.client.targetsapi import ListedTargets

        return ListedTargets(self._session)

    @cached_property
    def archives(self) -> Archives:
        """Trust archives, to be written and read."""
        from notarypy.client.upkeepapi import Archives

        return Archives(self._session)

    @cached_property
    def staging(self) -> Staging:
        """Changes that are published together, later, in the changelist that Go notary has, too."""
        from notarypy.client.stagingapi import Staging

        return Staging(self._session)

    @cached_property
    def upkeep(self) -> Upkeep:
        """What is rarely needed: trust data that a server lost or is to lose."""
        from notarypy.client.upkeepapi import Upkeep

        return Upkeep(self._session)
