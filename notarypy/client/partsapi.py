"""Parts: what `Client.parts` offers, for files that several people sign.

What it is: a door for each use case, as in `client.api`. What it is not: logic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.parameters import require_lists
from notarypy.client.publish import joining

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.client.publish.joining import PartPublished, PartReview
    from notarypy.client.session import Session


class Parts:
    """Files that go from hand to hand until enough people have signed them."""

    def __init__(self, session: Session) -> None:
        """Use the settings and keys of a client's session."""
        self._session = session

    def make(self, publish: Callable[[], object]) -> PartReview:
        """Return as a part what a call of this client would publish, signed by the keys here.

        Nothing is sent. `publish` calls one method that publishes, for one repository: `lambda:
        client.sign([reference])`. What other threads do with this client meanwhile is published. What a
        role's threshold lacks is no error here. NothingThereError: nothing would change.
        """
        return joining.make(self._session, publish)

    def read(self, documents: Sequence[bytes], *, root: str | None = None) -> PartReview:
        """Return a part, or several that belong together as one, verified and compared with the server.

        In an offline client it is compared with what is known here, and `root` is a pin that it must meet.

        Raises:
            PartError, MetadataError: It is no part, or they do not belong together.
            OutdatedPartError: It builds on what is not published any more.
        """
        require_lists(documents=documents)
        return joining.review(self._session, documents, root)

    def sign(self, part: PartReview) -> PartReview:
        """Return a part with the signatures of the keys here that are wanted (KeyNotAuthorisedError)."""
        return joining.sign(self._session, part)

    def publish(self, part: PartReview) -> PartPublished:
        """Publish a part; KeyNotAuthorisedError while signatures are missing."""
        return joining.publish(self._session, part)
