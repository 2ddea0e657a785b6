"""Answers to WWW-Authenticate challenges: Bearer tokens and Basic authentication, for one server.

What it is: what a challenge is answered with. What it is not: reading one (`challenges`), where credentials
are (`credentials`), or sending (`transport`).

Rules:

1. Nothing is sent before this very server has asked for it, and nothing of it goes to another server.
2. Credentials go to the server itself or to the token service it names, over https; over http only between
   loopback addresses.
3. The scope that is asked for is the caller's, not the challenge's.
4. A token serves the scopes it was asked for together, usually one, until ten seconds before its end.
5. Replies of token services are limited in size and checked before use. That one does not know what is asked
   for is no answer of the server itself: it says nothing of an image, or of trust data.
6. A registry token takes the place of a fetched one; when the server refuses it, no login of ours is tried.
7. A server that has given us to its token service, and refuses a token by asking for a password alone, is
   shown a new token once, and no password: Azure's registries answer so whatever was refused.
8. In place of a login that is refused, or is of another kind than is wanted, somebody may be asked for one,
   once (`Keychain.instead_of`). A token service that only fails now has refused none.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from notarypy.errors import Advice, AuthenticationError, ConfigurationError, NotarypyError, ServerError
from notarypy.limits import DEFAULT, Limits
from notarypy.remote.auth import azureregistry
from notarypy.remote.auth.challenges import Challenge, answerable, granted, name_in, parse
from notarypy.remote.auth.credentials import Credential, Keychain, owner
from notarypy.remote.http import failures
from notarypy.remote.http.messages import KEPT, Request, Response, json_object
from notarypy.remote.http.transport import Fetch, Scope, first_scope, scopes_of
from notarypy.remote.http.urls import host_port, is_loopback, origin
from notarypy.values import replace

DEFAULT_LIFETIME = 60.0
LONGEST_LIFETIME = 24 * 3600.0
EARLY = 10.0
_KNOWN = "insufficient_scope"  # the token is good, and not for this request
_REFUSALS = frozenset({400, 401, 403})
_NO_POST = frozenset({404, 405, 501})  # an identity token is traded by POST, a password also by GET
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_LOG = logging.getLogger(__name__)


class _TokenPurpose(NamedTuple):
    """What a token is good for; one got over https is never sent over http."""

    scheme: str
    realm: str
    service: str
    scopes: tuple[str, ...]


class _Token:
    """A token for one purpose, once there is one; whoever needs it waits for whoever fetches it."""

    def __init__(self) -> None:
        self.header, self.until, self.lock = "", 0.0, threading.Lock()


class TokenAuthenticator:
    """Authenticates to one server, `host` or `host:port`; safe to use from several threads.

    The keychain is asked when the server first wants to know who we are, by `names`, best first, or by host.
    """

    def __init__(
        self,
        host: str,
        keychain: Keychain,
        names: Sequence[str] = (),
        *,
        monotonic: Callable[[], float] = time.monotonic,
        limits: Limits = DEFAULT,
    ) -> None:
        self._host, self._keychain = host.lower(), keychain
        self._names = tuple(dict.fromkeys(names)) or (self._host,)
        self._most, self._monotonic = limits.token_bytes, monotonic
        self._lock = threading.Lock()
        self._known: dict[str, Challenge] = {}
        self._tokens: dict[_TokenPurpose, _Token] = {}

    def authorize(self, url: str, scope: Scope, fetch: Fetch) -> str | None:
        """Return the header for a server that has asked before; None if it never did (rule 1)."""
        scheme = origin(url)[0]
        known = self._known.get(scheme)
        if known is None or not self._is_ours(url) or (known.scheme == "bearer" and scope is None):
            return None
        return self._header(scheme, known, scopes_of(scope), fetch, None)

    def answer(self, url: str, scope: Scope, response: Response, fetch: Fetch, used: str | None) -> str:
        """Return the header that answers a 401; raise AuthenticationError if nothing can."""
        login = self._credential(first_scope(scope)) if used and self.is_login(scope, used) else None
        if not self._is_ours(url) or (login is not None and self._keychain.instead_of(login) is None):
            raise self.refused(url, scope, response, used)
        challenge = self._choose(url, response, used)
        scheme = origin(url)[0]
        self._known[scheme] = challenge
        # Only a challenge lists several scopes; in ours a blank belongs to the repository's name.
        scopes = scopes_of(scope) or tuple(challenge.get("scope").split())
        return self._header(scheme, challenge, scopes, fetch, used)

    def is_login(self, scope: Scope, used: str) -> bool:
        """Tell whether a header is a login of ours, and not a token that was fetched with one."""
        return used.startswith("Basic ") or used == self._given(first_scope(scope))

    def refused(self, url: str, scope: Scope, response: Response, used: str | None) -> AuthenticationError:
        """Return the error for a 401 or 403 that stands, with what was asked, granted and by whom."""
        scope = first_scope(scope)
        _LOG.debug("%s refuses %s: %d", self._host, scope or "a request", response.status)
        credential = self._credential(scope) if used else None
        grants = (said := granted(used, scope)) and response.secrets.without(said)
        why = [self._who(credential) if used else "no credentials were sent, for it did not ask for any"]
        if scope and grants is not None:
            why.append(f"asked for {scope.rpartition(':')[2]}; the token grants {grants or 'nothing'}")
        advice = self._advice(response, used, credential)
        self._forget_way(url, response)
        facts = {"granted": grants, "known": any(each.get("error") == _KNOWN for each in _offered(response))}
        return failures.denied(host_port(url), scope, response, why, advice, **facts, **owner(credential))

    def _advice(self, response: Response, used: str | None, credential: Credential | None) -> Advice:
        if failures.web_page(response) and not answerable(_offered(response)):
            return Advice("ask-about-page", host=self._host)
        if credential is None:
            return self._log_in()
        if used and used.startswith("Basic ") and response.status == HTTPStatus.UNAUTHORIZED:
            return self._other_login(credential)
        return Advice("get-azure-role" if azureregistry.serves(self._host) else "get-right")

    def _other_login(self, credential: Credential | None) -> Advice:
        """Return what to do about a login that is none, or no more: what a program got ends by itself."""
        got = credential and (credential.kind != "password" or credential.user == azureregistry.USER)
        if credential is None or not got:
            return Advice("check-password") if credential else self._log_in()
        ours = azureregistry.serves(self._host)
        return Advice("log-in-azure-registry-again" if ours else "log-in-again", host=self._host)

    def _forget_way(self, url: str, response: Response) -> None:
        """Forget a token service that the server names no more: it may have other ways by now."""
        scheme, offered = origin(url)[0], _offered(response)
        known = self._known.get(scheme)
        if known and known.scheme == "bearer" not in {challenge.scheme for challenge in offered} and offered:
            self._known.pop(scheme, None)

    def _is_ours(self, url: str) -> bool:
        """Tell whether a URL leads to the one server that this is for (rule 1)."""
        asked = origin(url)
        return asked == origin(f"{asked[0]}://{self._host}")

    def _who(self, credential: Credential | None) -> str:
        if credential is None:
            places = ", ".join(self._keychain.places) or "no place is configured"
            return f"no credentials for {' or '.join(self._names)} in: {places}"
        token = "an identity token" if credential.kind == "identity" else "the registry token"
        return f"{'user ' + credential.user if credential.user else token} from {credential.source}"

    def _log_in(self) -> Advice:
        ours = azureregistry.serves(self._host)
        return Advice("log-in-azure-registry" if ours else "log-in", host=self._host)

    def _choose(self, url: str, response: Response, used: str | None) -> Challenge:
        """Pick the scheme to answer (rule 2 for the way to the server itself, and rule 7)."""
        scheme, host, _ = origin(url)
        if scheme != "https" and not is_loopback(host):
            raise self._impossible("it speaks plain http, over which no credentials are sent")
        usable = answerable(_offered(response))
        if not usable:
            why = "it offers neither Bearer nor Basic authentication"
            page = failures.web_page(response)
            raise self.refused(url, None, response, None) if page else self._impossible(why)
        known = self._known.get(scheme)
        if used and known and known.scheme == "bearer" != usable[0].scheme:
            return known
        shown = response.secrets.without(usable[0].get("scope")) or "none"
        _LOG.debug("%s asks for %s authentication, scope %s", self._host, usable[0].scheme, shown)
        return usable[0]

    def _header(
        self, scheme: str, challenge: Challenge, scopes: tuple[str, ...], fetch: Fetch, stale: str | None
    ) -> str:
        scope = first_scope(scopes)
        if challenge.scheme == "basic":
            return self._password(scope)
        if (given := self._given(scope)) is not None:
            return given
        key = _TokenPurpose(scheme, challenge.get("realm"), challenge.get("service"), scopes)
        with self._lock:
            token = self._tokens.pop(key) if key in self._tokens else _Token()
            self._tokens[key] = token
            if len(self._tokens) > KEPT:  # a process may look at any number of repositories
                del self._tokens[next(iter(self._tokens))]
        with token.lock:
            if token.header in {"", stale} or token.until <= self._monotonic():
                token.header, token.until = self._fetch(key, fetch)
            else:
                _LOG.debug("a token for %s is used again: %s", self._host, " ".join(scopes))
            return token.header

    def _credential(self, scope: str | None) -> Credential | None:
        path = name_in(scope)
        for host in self._names:
            path = path.removeprefix(f"{host}/")
        return self._keychain.find(self._names, path)

    def _given(self, scope: str | None) -> str | None:
        """Return the header with a registry token, if we have one (rule 6)."""
        credential = self._credential(scope)
        if credential is None or credential.kind != "bearer":
            return None
        if not _TOKEN.fullmatch(credential.secret):
            raise self._impossible(f"the registry token from {credential.source} is malformed", credential)
        return f"Bearer {credential.secret}"

    def _password(self, scope: str | None) -> str:
        credential = self._credential(scope)
        if credential is None or credential.kind != "password":
            credential = self._keychain.instead_of(credential) or credential
        if credential is None:
            raise self._impossible(self._who(None), advice=self._log_in())
        if credential.kind != "password":
            word = "an identity" if credential.kind == "identity" else "a registry"
            raise self._impossible(f"it wants a password, and only {word} token is there", credential)
        return _basic(credential)

    def _fetch(self, key: _TokenPurpose, fetch: Fetch) -> tuple[str, float]:
        self._check_realm(key.scheme, key.realm)
        host, scope = host_port(key.realm), " ".join(key.scopes)
        _LOG.debug("%s is asked for a token: %s", host, scope)
        credential = self._credential(first_scope(key.scopes))
        if credential is None and not all(each.endswith(":pull") for each in key.scopes):
            credential = self._keychain.asked()
        asked = self._monotonic()
        response = fetch(replace(_token_request(key, credential), limit=self._most))
        little = self._is_too_little(key, response, credential)  # who only reads may be anybody
        if little and (other := self._keychain.instead_of(credential)) is not None:
            credential = other
            response = fetch(replace(_token_request(key, credential), limit=self._most))
        if response.status != HTTPStatus.OK:
            raise self._no_token(host, key, credential, response)
        token, lifetime = _token_of(host, response, self._most)
        _LOG.debug("%s gave a token for %.0f s: %s", host, lifetime, scope)
        return f"Bearer {token}", asked + lifetime - EARLY

    def _is_too_little(self, key: _TokenPurpose, response: Response, used: Credential | None) -> bool:
        """Tell whether there is no token, or one that grants nothing, or to nobody says nothing of that."""
        if response.status != HTTPStatus.OK:
            posted = used is not None and used.kind == "identity"
            return response.status in (_REFUSALS | _NO_POST if posted else _REFUSALS)
        token, _ = _token_of(host_port(key.realm), response, self._most)
        grants = granted(f"Bearer {token}", first_scope(key.scopes))
        return grants == "" or (used is None and not grants)

    def _no_token(
        self, host: str, key: _TokenPurpose, credential: Credential | None, response: Response
    ) -> NotarypyError:
        """Return the error for an answer without a token."""
        scope, who, status = " ".join(key.scopes), self._who(credential), response.status
        posted = credential is not None and credential.kind == "identity"
        by_password = Advice("log-in-by-password", host=self._host)
        no_post = f"{host} answered {status} to POST, by which identity tokens are traded; {who}"
        if posted and status in _NO_POST:
            return self._impossible(no_post, credential, advice=by_password)
        if status in _REFUSALS:
            why, advice = [f"it gives out the tokens for {self._host}", who], self._other_login(credential)
            return failures.denied(host, None, response, why, advice, asked=scope, **owner(credential))
        if status == HTTPStatus.NOT_FOUND:
            return self._impossible(f"{host}, which gives out its tokens, answered 404; {who}", credential)
        error = failures.of_status(host, urlsplit(key.realm).path, response)
        error = error.saying(f"it was asked for a token for {self._host}: {scope or 'to log in'}")
        if posted and status == HTTPStatus.INTERNAL_SERVER_ERROR:  # as MSR answers every POST
            error = error.saying(no_post)
            error.advice = by_password
        return error

    def _check_realm(self, asked_over: str, realm: str) -> None:
        """Refuse a token service that must not see credentials (rule 2)."""
        try:
            scheme, host, _ = origin(realm)
        except ConfigurationError:
            raise self._impossible("the token service it names is no usable URL") from None
        if scheme == "http" and not (asked_over == "http" and is_loopback(host)):
            why = f"the token service it names, {host}, would get credentials over plain http"
            raise self._impossible(why)

    def _impossible(
        self, why: str, credential: Credential | None = None, *, advice: Advice | None = None
    ) -> AuthenticationError:
        facts = {"host": self._host, "asked": None, "granted": None, **owner(credential)}
        return AuthenticationError(f"cannot authenticate to {self._host}", why=why, advice=advice, **facts)


def _offered(response: Response) -> tuple[Challenge, ...]:
    return parse(response.headers.get("www-authenticate", ""))


def _basic(credential: Credential) -> str:
    return "Basic " + b64encode(f"{credential.user}:{credential.secret}".encode()).decode()


def _token_request(key: _TokenPurpose, credential: Credential | None) -> Request:
    """Build the request for a token: a GET, or for an identity token the OAuth form."""
    fields = [("service", key.service)] if key.service else []
    if credential is not None and credential.kind == "identity":
        fields += [("client_id", "notarypy"), ("grant_type", "refresh_token")]
        fields += [("scope", " ".join(key.scopes)), ("refresh_token", credential.secret)]
        body = urlencode(fields).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return Request("POST", key.realm, headers, body)
    fields += [("scope", scope) for scope in key.scopes]
    headers = {}
    if credential is not None:
        fields.append(("account", credential.user))
        headers["Authorization"] = _basic(credential)
    parts = urlsplit(key.realm)
    query = urlencode(parse_qsl(parts.query, keep_blank_values=True) + fields)
    return Request("GET", parts._replace(query=query, fragment="").geturl(), headers)


def _token_of(host: str, response: Response, most: int) -> tuple[str, float]:
    """Read a token reply: the token and its lifetime in seconds (rule 5)."""
    document = json_object(response.body)
    if document is None or len(response.body) > most:
        raise ServerError(f"{host} sent no usable token reply", host=host)
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise ServerError(f"{host} sent a token reply without a usable token", host=host)
    lifetime = document.get("expires_in")
    if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or not lifetime > 0:
        return token, DEFAULT_LIFETIME
    return token, min(float(min(lifetime, LONGEST_LIFETIME)), LONGEST_LIFETIME)
