"""Logging in to a registry, and out again: a login is tried where it is for, and then written down.

What it is: the two use cases. What it is not: how files and helper programs keep logins (`remote.auth`).

Rules:

1. Nothing is stored that the registry did not take. One that asks nobody takes anything, which is said. What
   is no registry at all, a web page or a page to log in, gets nothing, and nothing is stored for it.
2. Where a setting names the Notary server of the registry's images, that one is shown the login too. Whether
   it takes it is said, and decides nothing: it may have logins of its own. By its own name one logs in to it.
3. Stored is where docker stores, or in the file that REGISTRY_AUTH_FILE names: what is read first.
4. To a registry of Azure one logs in by a token of Azure, too (`remote.auth.azureregistry`: who gets that);
   what the registry gives for it is a login like any other.
5. What else has a login for the registry, and is asked before that place, is named: the new one is of no use
   then, and of an old one nobody is rid.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from notarypy.client.results import LoggedIn, LoggedOut
from notarypy.errors import Advice, AuthenticationError, NetworkError, UsageError
from notarypy.images.reference import Reference, parse_registry
from notarypy.remote.auth.credentials import Credential

if TYPE_CHECKING:
    from notarypy.client.session import Session

_LOG = logging.getLogger(__name__)
_UNTRIED = "asks nobody who he is: the login could not be tried"


def login(session: Session, registry: str, user: str, password: str) -> LoggedIn:
    """Log in to a registry, and store that; AuthenticationError: it does not take it (rules 1, 2, 3, 5)."""
    session.require_registry("login")
    host = _host(registry)
    if not user or ":" in user or not (user + password).isprintable() or not password:
        why = "a user has no colon, and neither has control characters or is empty"
        raise UsageError("this is no user with a password", why=why)
    offered, image = _Offered(Credential(user, password, "what was given")), Reference(host, "", None, None)
    if (notary := session.settings.notary_server_at(host)) is not None:
        session.connections.trial_notary(notary, session.settings.server_source, offered).check_login()
        refusal = None if offered.was_shown else _UNTRIED
    else:
        session.connections.trial_registry(image, offered).check_login()
        notary, refusal = _at_notary_server(session, host, offered.credential)
    if not offered.was_shown:
        session.warn(f"{host} {_UNTRIED}")
    file = session.connections.login_file()
    plain, place = file.helper_for(host) is None, file.store(host, user, password)
    session.connections.forget_logins()
    _LOG.debug("the login of %s for %s is stored in %s", user, host, place)
    if plain:
        how = "a credential helper (credHelpers, credsStore) keeps it safe"
        session.warn(f"{place} has the password unencrypted: {how}")
    found = session.connections.credential(image)
    if found is not None and (found.user, found.secret) != (user, password):
        session.warn(f"{found.source} has another login for {host}, and is asked first")
    return LoggedIn(host, user, place, not plain, offered.was_shown, notary, refusal)


def azure_login(session: Session, registry: str) -> LoggedIn:
    """Log in to a registry of Azure as whoever Azure's library finds that we are (rule 4), and store that."""
    from notarypy.keys.signers import azurecredential  # needs none of Azure's libraries before it is used
    from notarypy.remote.auth import azureregistry

    session.require_registry("login")
    host, timeout = _host(registry), session.settings.timeout
    authority = azureregistry.authority_of(host, session.settings.environ)
    token = azurecredential.token(azureregistry.SCOPE, authority, timeout, host)
    password = azureregistry.trade(session.connections.nobody(host), host, token)
    return login(session, host, azureregistry.USER, password)


def logout(session: Session, registry: str) -> LoggedOut:
    """Erase the stored login for a registry (rules 3 and 5)."""
    host = _host(registry)
    file = session.connections.login_file()
    helper = file.helper_for(host)
    erased = file.erase(host)
    session.connections.forget_logins()
    place = file.name if helper is None else helper.program
    _LOG.debug("the login for %s in %s: %s", host, place, "erased" if erased else "there was none")
    found = session.connections.credential(Reference(host, "", None, None))
    if found is not None:
        session.warn(f"{found.source} still has a login for {host}")
    return LoggedOut(host, place, erased)


class _Offered:
    """A source that has one login for whoever asks; it notes that somebody did."""

    name = "what was given"

    def __init__(self, credential: Credential) -> None:
        self.credential, self.was_shown = credential, False

    def get(self, host: str, path: str = "") -> Credential:  # noqa: ARG002 - as all sources are asked
        """Return the login."""
        self.was_shown = True
        return self.credential


def _host(registry: str) -> str:
    for scheme in ("https://", "http://"):
        registry = registry.removeprefix(scheme)
    host, slash, path = registry.removesuffix("/").removesuffix("/v2").partition("/")
    if slash and path:
        why, advice = "a login is for all of a registry", Advice("write-instead", text=host)
        raise UsageError(f'"{registry}" is not a registry\'s name alone', why=why, advice=advice)
    return parse_registry(host).lower()


def _at_notary_server(session: Session, host: str, credential: Credential) -> tuple[str | None, str | None]:
    """Return the Notary server that a setting names, and why it does not take the login (rule 2)."""
    if not session.settings.names_server(host):
        return None, None
    url, offered = session.settings.server_for(host), _Offered(credential)
    try:
        session.connections.trial_notary(url, session.settings.server_source_for(host), offered).check_login()
    except AuthenticationError as error:
        session.warn(f"the Notary server {url} does not take this login, it may have others: {error.message}")
        return url, error.message
    except NetworkError as error:
        session.warn(f"the Notary server {url} could not be shown the login: {error.message}")
        return url, error.message
    if offered.was_shown:
        return url, None
    session.warn(f"the Notary server {url} {_UNTRIED}")
    return url, _UNTRIED
