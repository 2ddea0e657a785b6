"""Manifests of a registry, and the way to everything else it has.

What it is: one registry by its name, asked by the scheme that it speaks. What it is not: blobs (`blobs`).

Rules:

1. The digest is always computed from the bytes that came; what the registry says about them must agree.
   It may be fetched elsewhere, by redirect (`urls`): the digest says as much there.
2. What was put is what the registry says it took, by digest, whichever success it answers with; whether it
   serves that is for the caller to ask.
3. Which scheme it speaks is found out by reading. Nothing is changed over a scheme that was not tried.
4. Where an upload goes on is said by the registry, and only its path and query are followed: never another
   host. Proxies make it say a default port, none at all, or http of what they serve over https.
5. Whoever answers `/v2/` with 404, with a page or a redirect to one, or with 200 and something else than JSON
   is no registry, and no login is for him. An empty answer will do, and anything with the header of the API.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import quote, urljoin, urlsplit

from notarypy.errors import (
    Advice,
    AuthenticationError,
    DigestMismatchError,
    ImageMissingError,
    NotFoundError,
    NotRegistryError,
    ServerError,
    UnreachableError,
)
from notarypy.images import manifests
from notarypy.remote.http import failures
from notarypy.remote.http.messages import Request, Response, is_json
from notarypy.remote.http.transport import USUAL, Exchange, RequestPolicy, Scope
from notarypy.values import dataclass, replace

# What the wrong scheme looks like. A certificate that cannot be trusted is no reason to go on without one.
_OTHER_SCHEME = (UnreachableError, failures.LostConnectionError, failures.NotHttpError, failures.NotTlsError)
_PORTS = {"https": 443, "http": 80}
_READING = frozenset({"GET", "HEAD"})
_LOG = logging.getLogger(__name__)


@dataclass
class RegistryQuirks:
    """What was found out about a registry while one repository of it was used, for the next time.

    Uploads go up `whole`, or `without_patch`. It `lists_referrers` by its API, None while that is not known
    or cannot be told; whether the API applies a filter was asked (`filter_asked`).
    """

    whole: bool = False
    without_patch: bool = False
    lists_referrers: bool | None = None
    filter_asked: bool = False


class RegistryClient:
    """One registry, `host` or `host:port`; schemes are tried in their order, what worked is remembered."""

    def __init__(self, exchange: Exchange, host: str, schemes: Sequence[str] = ("https",)) -> None:
        self.exchange, self.host, self._schemes = exchange, host, tuple(schemes)
        self._redirected = RequestPolicy(redirects=exchange.limits.redirects, allow_cross_origin=True)
        self._quirks: dict[str, RegistryQuirks] = {}
        self._turns: dict[str, threading.Lock] = {}

    def quirks(self, path: str) -> RegistryQuirks:
        """Return what is known of the registry by a repository of it."""
        return self._quirks.setdefault(path, RegistryQuirks())

    def turn(self, what: str) -> threading.Lock:
        """Return the lock of those who read, change and write the same here."""
        return self._turns.setdefault(what, threading.Lock())

    def manifest(self, path: str, reference: str) -> manifests.Manifest:
        """Return the manifest or index that a tag or digest stands for in a repository, `library/alpine`."""
        response = self.document(path, reference)
        content_type = response.headers.get("content-type")
        found = manifests.served(response.body, content_type, self.exchange.limits)
        if content_type != found.media_type:
            _LOG.debug("%s serves %s as %s: it is %s", self.host, reference, content_type, found.media_type)
        return found

    def document(self, path: str, reference: str, accept: Sequence[str] = manifests.ACCEPT) -> Response:
        """Return the answer that has a manifest of an accepted type.

        Raises:
            ImageMissingError: There is no such repository, tag or digest.
            DigestMismatchError: The bytes are not those of the digest (rule 1).
        """
        try:
            response = self.ask(
                path,
                Request("GET", f"manifests/{reference}", {"Accept": ", ".join(accept)}),
                policy=replace(self._redirected, limit=self.exchange.limits.manifest_bytes),
            )
        except NotFoundError as error:
            raise ImageMissingError(
                f"{self.host} has no {reference} in {path}",
                why=error.why,
                advice=Advice("push-first"),
                host=self.host,
                path=path,
                reference=reference,
            ) from None
        if response.status != HTTPStatus.OK:
            raise failures.of_status(self.host, f"manifests/{reference} of {path}", response)
        self._check_digest(f"{self.host}/{path}", reference, response)
        return response

    def put_manifest(self, path: str, reference: str, data: bytes, media_type: str) -> Response:
        """Store a manifest under a tag or under its digest (rule 2); see `change` for what it raises."""
        request = Request("PUT", f"manifests/{reference}", {"Content-Type": media_type}, data)
        response = self.change(path, request)
        if not response.is_success:
            raise failures.of_status(self.host, f"manifests/{reference} of {path}", response)
        self.check_taken(response, manifests.digest_of(data))
        return response

    def change(self, path: str, request: Request) -> Response:
        """Send a request that changes a repository.

        Raises:
            ImageMissingError: The registry does not know the repository: some make none by a push.
        """
        try:
            return self.ask(path, request, writing(path))
        except NotFoundError as error:
            is_ecr = ".dkr.ecr." in self.host
            raise ImageMissingError(
                f"{self.host} takes nothing for {path}",
                why=error.why or "it does not know this repository",
                advice=Advice(
                    "make-ecr-repository" if is_ecr else "make-repository", path=path, host=self.host
                ),
                host=self.host,
                path=path,
            ) from None

    def check_taken(self, response: Response, digest: str) -> None:
        """Check what a registry says it took; it may say nothing, or use another algorithm."""
        stated = _stated_digest(response)
        if stated and stated.partition(":")[0] == digest.partition(":")[0] and stated != digest:
            raise DigestMismatchError(
                f"{self.host} says that it took something else than it was sent",
                why=(f"sent: {digest}", f"taken: {stated}"),
                advice=Advice("distrust-registry"),
                host=self.host,
                expected=digest,
                actual=stated,
            )

    def ask(
        self, path: str, request: Request, scope: Scope = None, policy: RequestPolicy | None = None
    ) -> Response:
        """Send a request about a repository, by the first scheme that the registry speaks (rule 3).

        The request's URL is what follows the repository in the path. Without a scope it is about reading;
        the usual policy has redirects within the registry for what reads. The last scheme alone is retried.
        """
        if request.method not in _READING and len(self._schemes) > 1:
            with suppress(NotFoundError, AuthenticationError):  # whoever may write need not be let list
                self.ask(path, Request("GET", "tags/list?n=1"), scope)
        scope = scope or f"repository:{path}:pull"
        if policy is None:
            policy = self._redirected if request.method in _READING else USUAL
        return self._over_schemes(
            replace(request, url=f"{quote(path)}/{quote(request.url, safe='/:?=&%')}"), scope, policy
        )

    def check_login(self) -> None:
        """Ask what any registry answers, so that it asks who we are; AuthenticationError: it says no.

        That it knows who we are and wants another right for this is a yes. NotRegistryError: see rule 5.
        """
        try:
            response = self._over_schemes(Request("GET", ""), None, self._redirected)
        except AuthenticationError as error:
            if error.facts.get("known"):
                return
            raise
        except (NotFoundError, ServerError) as error:
            about = error.facts.get("host"), error.facts.get("path", "/v2/")
            if failures.is_anothers(error) and about == (self.host, "/v2/"):  # and not its token service
                raise self._no_registry(error.message, *error.why) from None
            raise
        if page := failures.web_page(response):
            raise self._no_registry(page)
        if response.status != HTTPStatus.OK:
            raise failures.of_status(self.host, "/v2/", response)
        if not ("docker-distribution-api-version" in response.headers or is_json(response.body)):
            raise self._no_registry("its answer to /v2/ is no JSON")

    def _no_registry(self, *why: str) -> NotRegistryError:
        return NotRegistryError(
            f"{self.host} is not the address of a registry",
            why=why,
            advice=Advice("correct-registry"),
            host=self.host,
        )

    def _over_schemes(self, request: Request, scope: Scope, policy: RequestPolicy) -> Response:
        """Send a request, whose URL is what follows `/v2/`, by the first scheme that is spoken (rule 3)."""
        target = f"://{self.host}/v2/{request.url}"

        def over(scheme: str, policy: RequestPolicy) -> Response:
            try:
                return self.exchange.send(replace(request, url=scheme + target), scope, policy)
            except (NotFoundError, AuthenticationError):
                self._schemes = (scheme,)
                raise

        *others, last = self._schemes
        for scheme in others:
            try:
                response = over(scheme, replace(policy, attempts=1))
            except _OTHER_SCHEME as error:
                if isinstance(error, failures.NameServiceError):
                    raise
                _LOG.debug("%s does not speak %s: %s", self.host, scheme, error.message)
                continue
            if scheme != "http" or response.status != HTTPStatus.BAD_REQUEST:
                self._schemes = (scheme,)
                return response
        response = over(last, policy)
        self._schemes = (last,)
        return response

    def onward(self, response: Response, path: str, place: str = "") -> str:
        """Return where an upload to a repository goes on, which was at `place` if it is not new.

        Raises:
            ServerError: It does not say, or names another server (rule 4).
        """
        base = f"{self._schemes[0]}://{self.host}"
        location = response.headers.get("location", "").strip()
        if not location:
            return place or self._lost(response)
        try:
            # A few say it from the top, without the slash.
            asked = base if location.startswith("v2/") else place or f"{base}/v2/{quote(path)}/blobs/uploads/"
            parts = urlsplit(urljoin(asked, location))
            ours = urlsplit(base)
            same = parts.scheme in _PORTS and parts.hostname == ours.hostname
            same = same and parts.port in {None, ours.port, *_PORTS.values()}
        except ValueError:
            same = False
        if not same or not parts.path:
            raise self._led_away(response, location)
        return parts._replace(scheme=ours.scheme, netloc=self.host, fragment="").geturl()

    def _lost(self, response: Response) -> NoReturn:
        status = int(response.status)
        raise ServerError(
            f"{self.host} does not say where the upload goes on",
            why=failures.web_page(response) or f"it answered {status} without a Location",
            advice=Advice("ask-about-upload", host=self.host),
            host=self.host,
        )

    def _led_away(self, response: Response, location: str) -> ServerError:
        """Return the error for an upload that is to go on elsewhere: which place, and no secret of it."""
        try:
            parts = urlsplit(location)
            port = f":{parts.port}" if parts.port else ""
            place = f"{parts.scheme}://{parts.hostname}{port}" if parts.hostname else ""
        except ValueError:
            place = ""
        return ServerError(
            f"{self.host} sends the upload to {response.secrets.without(place) or 'an address that is none'}",
            why="an upload goes on with the same server, and with no other",
            advice=Advice("ask-about-upload", host=self.host),
            host=self.host,
        )

    def _check_digest(self, name: str, reference: str, response: Response) -> None:
        stated = _stated_digest(response)
        asked = reference if ":" in reference else ""
        for wanted, who in ((asked, "asked for"), (stated, "stated by the registry")):
            if wanted and wanted != _digest(response.body, wanted):
                actual = _digest(response.body, "sha256:")
                raise DigestMismatchError(
                    f"{self.host} sent other bytes for {name} than their digest says",
                    why=(f"{who}: {wanted}", f"received: {actual}"),
                    advice=Advice("distrust-registry"),
                    host=self.host,
                    expected=wanted,
                    actual=actual,
                )


def _stated_digest(response: Response) -> str:
    """Return the digest that a registry says, some in quotes; "" if it says none."""
    return response.headers.get("docker-content-digest", "").strip(' "')


def writing(path: str) -> str:
    """Return the scope for pushing to a repository."""
    return f"repository:{path}:pull,push"


def _digest(data: bytes, like: str) -> str:
    """Return the digest of data by the algorithm of another digest; "" for an unknown one."""
    algorithm = like.partition(":")[0]
    if algorithm not in ("sha256", "sha384", "sha512"):
        return ""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
