"""A repository's trust data is deleted at its Notary server, on purpose and for everybody.

What it is: the one use case that takes something away for good. What it is not: `metadata.trustchange`, which
forgets what this trust directory knows; keys, and the images in the registry, are touched by neither.

Rules:

1. Whoever deletes names the repository twice: what is to be deleted, and that it is meant. Without that
   nothing is sent, and what there is is told.
2. A server that keeps trust data in memory deletes every repository whose name begins with this one. It is
   known by its answer to a question for a delegation that does not exist; one with a database answers 500.
   Which repositories these are says its changefeed, if it may be asked, and names this one. Where there are
   any, or nobody can say, it takes another word: the name with a star behind it.
3. Where the server has nothing, nothing is sent: a deletion would still take others.
4. Gone is what the server no longer has when it is read again. A file that is asked for by its hash may be
   served a while longer, which no reader does without a timestamp.
5. What is here goes after what the server has: what is staged, then what is cached, of that the root at last.
   Where one of these fails what comes after it stays as it is, and what is gone already is said.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

from notarypy.client.metadata.feed import OddFeedError, read_feed
from notarypy.client.metadata.refresh import refresh
from notarypy.client.metadata.trustchange import forget
from notarypy.client.publish.staged import reset
from notarypy.errors import (
    Advice,
    AuthenticationError,
    ConfirmationNeededError,
    NetworkError,
    NotarypyError,
    NotFoundError,
    ServerError,
    UnconfirmedPublishError,
    UnknownOutcomeError,
    beginning,
)
from notarypy.tuf import roles
from notarypy.tuf.policy import released_names
from notarypy.values import dataclass, replace

if TYPE_CHECKING:
    from notarypy.client.metadata.repository import Repository
    from notarypy.client.session import Session

_LOG = logging.getLogger(__name__)
_NOBODYS = "targets/no-such-delegation"
_SHOWN = 10


@dataclass(frozen=True)
class DeletedRepository:
    """A repository whose trust data is `deleted` at its server; False where it had none.

    `others` are repositories that went with it. It was `forgotten` in this trust directory, if that was
    wanted and there was something, be it staged or cached.
    """

    repository: str
    server: str
    deleted: bool
    others: tuple[str, ...]
    forgotten: bool


def delete(
    session: Session, text: str, confirm: str | None, *, forget_too: bool = False, staged: bool = False
) -> DeletedRepository:
    """Delete a repository's trust data at its server, if `confirm` names it again (rules 1 to 5).

    Raises:
        ConfirmationNeededError: `confirm` does not name it, or there is more that would go.
        UnconfirmedPublishError: The server still has it afterwards.
        UnknownOutcomeError: It could not be asked afterwards.
    """
    session.whole_repository(text)
    repository = session.repository(text, publishing=True).past_caches()
    gun, server = repository.gun, repository.notary()
    others: tuple[str, ...] = ()
    if there := _is_there(repository):
        others = _require_confirmed(repository, confirm)
        _LOG.debug("%s: deleting it at %s, and with it %s", gun, server.url, others or "nothing else")
        server.delete(gun)
        _require_gone(repository)
        others = tuple(other for other in others if not _is_there(replace(repository, gun=other)))
    elif (forget_too or staged) and confirm not in {gun, f"{gun}*"}:
        raise _unconfirmed(repository, "there is nothing of it at the server")
    try:
        forgotten = forget_with_staged(session, text) if staged else forget_too and forget(repository.cache)
    except NotarypyError as error:
        these = "; ".join(beginning((gun, *others), _SHOWN))
        error.why = (*error.why, *((f"at {repository.server_url} it is deleted: {these}",) if there else ()))
        raise
    return DeletedRepository(gun, repository.server_url, there, others, forgotten)


def forget_with_staged(session: Session, text: str) -> bool:
    """Drop what is staged of a repository and then what is cached (rule 5); tell whether there was any."""
    gun, _ = session.gun(text, whole=True)
    dropped = reset(session, text, None)
    return forget(session.directory().repository(gun)) or dropped > 0


def _is_there(repository: Repository) -> bool:
    try:
        repository.notary().get(repository.gun, roles.ROOT, fresh=True)
    except NotFoundError:
        return False
    return True


def _require_confirmed(repository: Repository, confirm: str | None) -> tuple[str, ...]:
    """Return what else will be deleted; raise ConfirmationNeededError unless that is meant (rules 1, 2)."""
    gun = repository.gun
    if confirm not in {gun, f"{gun}*"}:
        raise _unconfirmed(repository, *_what_is_there(repository))
    others = _others(repository)
    if others == ():
        return ()
    if confirm != f"{gun}*":
        deletes = "may delete" if others is None else "deletes"
        server = f"{repository.server_url} {deletes} every repository whose name begins with this one"
        these = ("which these are it does not say",) if others is None else beginning(others, _SHOWN)
        raise ConfirmationNeededError(
            f"more than {gun} would be deleted",
            why=(server, *these),
            advice=Advice("confirm-all", gun=gun),
            others=None if others is None else list(others),
        )
    return others or ()


def _unconfirmed(repository: Repository, *why: str) -> ConfirmationNeededError:
    gun, server = repository.gun, repository.server_url
    return ConfirmationNeededError(
        f"to delete the trust data of {gun} at {server} takes its name once more",
        why=why,
        advice=Advice("confirm-deletion", gun=gun),
        gun=gun,
        server=server,
    )


def _what_is_there(repository: Repository) -> tuple[str, ...]:
    """Say what would be lost, as far as it can be read."""
    try:
        trusted = refresh(repository)
        tags = released_names(trusted)
    except NotarypyError as error:
        return (f"what is there could not be read: {error.message}",)
    return (f"released tags that nobody could verify any more: {len(tags)}", *beginning(tags, _SHOWN))


def _others(repository: Repository) -> tuple[str, ...] | None:
    """Return what goes with it: nothing, these repositories, or None for what nobody says (rule 2)."""
    server, gun, most = repository.notary(), repository.gun, repository.limits.changes
    try:
        server.get(gun, _NOBODYS, fresh=True)
    except NotFoundError:
        _LOG.debug("%s: %s keeps its trust data in memory", gun, server.url)
    except ServerError as error:
        if error.facts.get("status") == HTTPStatus.INTERNAL_SERVER_ERROR:
            return ()
        _LOG.debug("%s: where it is kept is not said: %s", gun, error.message)
        return None
    alive: set[str] = set()
    try:
        for record in read_feed(server.all_changes, most):
            if record.gun.startswith(gun):
                (alive.add if record.version else alive.discard)(record.gun)
    except (AuthenticationError, NetworkError, NotFoundError, OddFeedError) as error:
        _LOG.debug("%s: the feed of all changes cannot be read: %s", gun, error)
        return None
    return tuple(sorted(alive - {gun})) if gun in alive else None


def _require_gone(repository: Repository) -> None:
    """Raise unless the server has nothing of it any more (rule 4)."""
    try:
        still = _is_there(repository)
    except NotarypyError as error:
        raise UnknownOutcomeError(
            f"{repository.server_url} took the deletion of {repository.gun}, and looking failed",
            why=error.message,
            advice=Advice("run-again"),
        ) from error
    if still:
        raise UnconfirmedPublishError(
            f"{repository.server_url} took the deletion of {repository.gun} and still has it",
            advice=Advice("inspect-published", gun=repository.gun),
            gun=repository.gun,
        )
