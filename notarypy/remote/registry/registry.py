"""Manifests of a registry, and the way to everything else it has.

What it is: one registry by its name, asked by the scheme that it speaks. What it is not: blobs (`blobs`).

Rules:

1. The digest is always computed from the bytes that came; what the registry says about them must agree.
2. What was put is what the registry says it took, by digest; whether it serves that is for the caller to ask.
3. Which scheme it speaks is found out by reading. Nothing is changed over a scheme that was not tried.
4. Where an upload goes on is said by the registry, and only its path and query are followed.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit

from notarypy.errors import (
    Advice,
    DigestMismatchError,
    ImageMissingError,
    NetworkError,
    NotFoundError,
    ServerError,
)
from notarypy.images import manifests
from notarypy.remote.http import failures
from notarypy.remote.http.transport import ATTEMPTS, Exchange, Response

if TYPE_CHECKING:
    from collections.abc import Sequence

# What the wrong scheme looks like. A certificate that cannot be trusted is no reason to go on without one.
_OTHER_SCHEME = frozenset({"refused", "silent", "failed", "lost", "garbled", "not_tls", "handshake"})
_READING = frozenset({"GET", "HEAD"})


class Registry:
    """One registry.

    Args:
        exchange: Sends the requests.
        host: `host` or `host:port` of its interface.
        schemes: "https", "http" or both in the order to try them; what worked is remembered.
    """

    def __init__(self, exchange: Exchange, host: str, schemes: Sequence[str] = ("https",)) -> None:
        self.exchange = exchange
        self.host = host
        self._schemes = tuple(schemes)

    def manifest(self, path: str, reference: str) -> manifests.Manifest:
        """Return the manifest or index that a tag or digest stands for.

        Args:
            path: The repository without its registry, such as `library/alpine`.
            reference: A tag, or a digest that the bytes must have.

        Raises:
            ImageMissingError: There is no such repository, tag or digest.
            DigestMismatchError: The bytes are not those of the digest.
        """
        response = self.document(path, reference)
        return manifests.read(response.body, response.headers.get("content-type"), self.exchange.limits)

    def document(self, path: str, reference: str, accept: Sequence[str] = manifests.ACCEPT) -> Response:
        """Return the answer that has a manifest, its bytes checked (rule 1); raises as `manifest` does.

        Args:
            path: The repository.
            reference: A tag, or a digest that the bytes must have.
            accept: The media types that will do.
        """
        try:
            response = self.ask(
                *("GET", path, f"manifests/{reference}"),
                headers={"Accept": ", ".join(accept)},
                limit=self.exchange.limits.manifest_bytes,
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

    def put_manifest(self, path: str, reference: str, data: bytes, media_type: str) -> None:
        """Store a manifest under a tag or under its digest (rule 2).

        Raises:
            DigestMismatchError: The registry says that it took something else.
            ServerError: It did not take it.
        """
        response = self.ask(
            *("PUT", path, f"manifests/{reference}"),
            scope=writing(path),
            headers={"Content-Type": media_type},
            body=data,
        )
        if response.status != HTTPStatus.CREATED:
            raise failures.of_status(self.host, f"manifests/{reference} of {path}", response)
        self.check_taken(response, manifests.digest_of(data))

    def check_taken(self, response: Response, digest: str) -> None:
        """Check what a registry says it took; it may say nothing, or use another algorithm.

        Raises:
            DigestMismatchError: It names another digest.
        """
        stated = response.headers.get("docker-content-digest", "").strip()
        if stated and stated.partition(":")[0] == digest.partition(":")[0] and stated != digest:
            raise DigestMismatchError(
                f"{self.host} says that it took something else than it was sent",
                why=(f"sent: {digest}", f"taken: {stated}"),
                advice=Advice("distrust-registry"),
                host=self.host,
                expected=digest,
                actual=stated,
            )

    def ask(self, method: str, path: str, rest: str, **options: Any) -> Response:  # noqa: ANN401 - of `request`
        """Send a request about a repository, by the first scheme that the registry speaks (rule 3).

        Args:
            method: HTTP method.
            path: The repository.
            rest: What follows it in the path, and maybe a query.
            options: As `Exchange.request` takes them.
        """
        if method not in _READING and len(self._schemes) > 1:
            with suppress(NotFoundError):
                self.ask("GET", path, "tags/list?n=1", scope=options.get("scope"))
        for scheme in self._schemes[:-1]:
            try:
                response = self._ask(scheme, method, path, rest, {**options, "attempts": 1})
            except NetworkError as error:
                if error.facts.get("reason") not in _OTHER_SCHEME:
                    raise
                continue
            except NotFoundError:
                self._schemes = (scheme,)
                raise
            if response.status == HTTPStatus.BAD_REQUEST and scheme == "http":
                continue
            self._schemes = (scheme,)
            return response
        try:
            response = self._ask(self._schemes[-1], method, path, rest, {"attempts": ATTEMPTS, **options})
        except NotFoundError:
            self._schemes = self._schemes[-1:]
            raise
        self._schemes = self._schemes[-1:]
        return response

    def _ask(self, scheme: str, method: str, path: str, rest: str, options: dict[str, Any]) -> Response:
        redirects = self.exchange.limits.redirects if method in _READING else 0
        usual = {"scope": f"repository:{path}:pull", "redirects": redirects}
        url = f"{scheme}://{self.host}/v2/{quote(path)}/{quote(rest, safe='/:?=&%')}"
        return self.exchange.request(method, url, **{**usual, **options})

    def onward(self, response: Response) -> str:
        """Return where an upload goes on (rule 4).

        Raises:
            ServerError: Nowhere, or with another server.
        """
        base = f"{self._schemes[0]}://{self.host}/v2/"
        try:
            location = response.headers.get("location", "")
            parts = urlsplit(urljoin(base, location) if location else "")
        except ValueError:
            parts = urlsplit("")
        if parts.netloc.lower() != self.host.lower() or not parts.path:
            raise ServerError(
                f"{self.host} does not say where the upload goes on",
                why="an upload goes on with the same server, and with no other",
                host=self.host,
            )
        return parts._replace(scheme=self._schemes[0], netloc=self.host, fragment="").geturl()

    def _check_digest(self, name: str, reference: str, response: Response) -> None:
        stated = response.headers.get("docker-content-digest", "").strip()
        asked = reference if ":" in reference else ""
        for wanted, who in ((asked, "asked for"), (stated, "stated by the registry")):
            if wanted and wanted != _digest(response.body, wanted):
                actual = _digest(response.body, "sha256:")
                raise DigestMismatchError(
                    f"{self.host} sent other bytes for {name} than their digest says",
                    why=(f"{who}: {wanted}", f"received: {actual}"),
                    host=self.host,
                    expected=wanted,
                    actual=actual,
                )


def writing(path: str) -> str:
    """Return the scope for pushing to a repository."""
    return f"repository:{path}:pull,push"


def _digest(data: bytes, like: str) -> str:
    """Return the digest of data by the algorithm of another digest; "" for an unknown one."""
    algorithm = like.partition(":")[0]
    if algorithm not in ("sha256", "sha384", "sha512"):
        return ""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
