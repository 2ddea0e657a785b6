"""Manifests from a registry: which digest a tag has there, checked against the bytes.

The digest is always computed from the bytes that came; what the registry says about them must agree.
"""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from notarypy.errors import DigestMismatchError, ImageMissingError, NetworkError, NotFoundError
from notarypy.images import manifests
from notarypy.remote import failures
from notarypy.remote.transport import ATTEMPTS, MIB, Exchange, Response

if TYPE_CHECKING:
    from collections.abc import Sequence

MANIFEST_LIMIT = 4 * MIB
REDIRECTS = 3
# What the wrong scheme looks like. A certificate that cannot be trusted is no reason to go on without one.
_OTHER_SCHEME = frozenset({"refused", "silent", "failed", "lost", "garbled", "not_tls", "handshake"})


class Registry:
    """One registry.

    Args:
        exchange: Sends the requests.
        host: `host` or `host:port` of its interface.
        schemes: "https", "http" or both in the order to try them; what worked is remembered.
    """

    def __init__(self, exchange: Exchange, host: str, schemes: Sequence[str] = ("https",)) -> None:
        self._exchange = exchange
        self._host = host
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
        name = f"{self._host}/{path}"
        try:
            response = self._get(path, f"manifests/{reference}")
        except NotFoundError as error:
            raise ImageMissingError(
                f"{self._host} has no {reference} in {path}",
                why=error.why,
                fix="push the image first; or look at the name and the tag",
                host=self._host,
                path=path,
                reference=reference,
            ) from None
        if response.status != HTTPStatus.OK:
            raise failures.of_status(self._host, f"manifests/{reference} of {path}", response)
        self._check_digest(name, reference, response)
        return manifests.read(response.body, response.headers.get("content-type"))

    def _get(self, path: str, rest: str) -> Response:
        """Ask by the first scheme that the registry speaks."""
        for scheme in self._schemes[:-1]:
            try:
                response = self._ask(scheme, path, rest, attempts=1)
            except NetworkError as error:
                if error.facts.get("reason") not in _OTHER_SCHEME:
                    raise
                continue
            if response.status == HTTPStatus.BAD_REQUEST and scheme == "http":
                continue
            self._schemes = (scheme,)
            return response
        response = self._ask(self._schemes[-1], path, rest, attempts=ATTEMPTS)
        self._schemes = self._schemes[-1:]
        return response

    def _ask(self, scheme: str, path: str, rest: str, attempts: int) -> Response:
        return self._exchange.request(
            "GET",
            f"{scheme}://{self._host}/v2/{quote(path)}/{quote(rest, safe='/:')}",
            scope=f"repository:{path}:pull",
            headers={"Accept": ", ".join(manifests.ACCEPT)},
            limit=MANIFEST_LIMIT,
            redirects=REDIRECTS,
            attempts=attempts,
        )

    def _check_digest(self, name: str, reference: str, response: Response) -> None:
        stated = response.headers.get("docker-content-digest", "").strip()
        asked = reference if ":" in reference else ""
        for wanted, who in ((asked, "asked for"), (stated, "stated by the registry")):
            if wanted and wanted != _digest(response.body, wanted):
                actual = _digest(response.body, "sha256:")
                raise DigestMismatchError(
                    f"{self._host} sent other bytes for {name} than their digest says",
                    why=(f"{who}: {wanted}", f"received: {actual}"),
                    host=self._host,
                    expected=wanted,
                    actual=actual,
                )


def _digest(data: bytes, like: str) -> str:
    """Return the digest of data by the algorithm of another digest; "" for an unknown one."""
    algorithm = like.partition(":")[0]
    if algorithm not in ("sha256", "sha384", "sha512"):
        return ""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
