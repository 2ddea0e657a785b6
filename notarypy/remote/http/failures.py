"""From what servers answer, and what became of a connection, to this project's errors.

Pure: answers in, errors out. Texts of servers lose the secrets that they repeat and are shortened here, and
escaped where they are printed. What sockets raise is `sockets`' business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

from notarypy.errors import (
    Advice,
    AuthenticationError,
    NetworkError,
    NotFoundError,
    ServerError,
    TlsError,
    UnreachableError,
)
from notarypy.limits import DEFAULT
from notarypy.remote.http.messages import Redaction, Response, json_object
from notarypy.values import dataclass

_DIGITS, _TITLE_CHARS, _HEAD_BYTES = 10, 80, 1 << 14
_TITLE = re.compile(r"<title[^>]*>([^<]+)", re.IGNORECASE)
_DIGEST = re.compile(r"\b[a-z0-9]+:[0-9a-f]{32,128}\b")
_KNOWN_CODES = frozenset({"DIGEST_INVALID", "VERSION"})


class NameServiceError(UnreachableError):
    """The host's name could not be looked up."""


class UnknownHostError(NameServiceError):
    """There is no such host name: to ask again is of no use."""


class LostConnectionError(NetworkError):
    """The connection broke after it was made."""


class CutAnswerError(LostConnectionError):
    """The connection broke within the body of an answer: what is there speaks HTTP."""


class NotHttpError(ServerError):
    """What answers there does not speak HTTP."""


class NotTlsError(TlsError):
    """What answers there does not speak TLS, or no version of it that we speak."""


@dataclass(frozen=True)
class Problem:
    """One entry of the error document that Notary servers and registries send."""

    code: str
    message: str
    detail: object = None

    def __str__(self) -> str:
        """Return code and message on one line, shortened."""
        return ": ".join(part for part in (self.code, self.message) if part)[: DEFAULT.error_chars]


def problems(response: Response) -> tuple[Problem, ...]:
    """Read an error document, without the secrets in it; anything else counts as an empty one."""
    entries = (json_object(response.body) or {}).get("errors")
    looked_at = entries[: DEFAULT.error_entries] if isinstance(entries, list) else []
    return tuple(_problem(entry, response.secrets) for entry in looked_at if isinstance(entry, dict))


def _problem(entry: Mapping[str, object], secrets: Redaction) -> Problem:
    texts = (entry.get(name) for name in ("code", "message"))
    code, message = (text if isinstance(text, str) else "" for text in texts)
    shown = code if code in _KNOWN_CODES else secrets.without(code)
    most = DEFAULT.error_chars
    return Problem(shown[:most], secrets.without(message)[:most], _harmless(entry.get("detail"), secrets))


def _harmless(detail: object, secrets: Redaction, levels: int = 2) -> object:
    """Return the texts of a detail and of the objects in it, without secrets."""
    if isinstance(detail, str):
        return secrets.without(detail)
    if isinstance(detail, dict) and levels:
        return {name: _harmless(inner, secrets, levels - 1) for name, inner in detail.items()}
    return None


def retry_after(response: Response) -> float | None:
    """Return the seconds a server asks to wait; None if it names none or names a date."""
    text = response.headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else None


def web_page(response: Response) -> str:
    """Say in words that a web page came, of a proxy or to log in, with its title; nothing if none came."""
    if response.body.lstrip()[:1] != b"<":
        return ""
    title = _TITLE.search(response.body[:_HEAD_BYTES].decode(errors="replace"))
    shown = response.secrets.without(" ".join(title[1].split()))[:_TITLE_CHARS] if title else ""
    return f"a web page came with the answer {response.status}" + (f': "{shown}"' if shown else "")


def _redirected(path: str, response: Response) -> str:
    """Say where a redirect would lead, as far as that is nobody's secret."""
    place = ""
    try:
        target = urlsplit(urljoin(path, response.headers.get("location", "")))
        place = f" to {target.scheme}://{target.hostname}" if target.hostname else ""
    except ValueError:
        pass
    return f"it redirects{response.secrets.without(place)}; redirects are not followed here"


def endless(host: str, response: Response, hops: int, *, loop: bool) -> ServerError:
    """Return the error for redirects that lead to nothing."""
    return ServerError(
        f"{host} redirects {'in a loop' if loop else 'on and on'}",
        why="it leads back to where it was asked" if loop else f"it does so after {hops - 1} redirects",
        advice=Advice("ask-about-redirects", host=host),
        host=host,
        status=response.status,
    )


def of_status(host: str, path: str, response: Response) -> NotFoundError | ServerError:
    """Return the error for an answer that is neither a success nor about credentials."""
    found = problems(response)
    why = tuple(map(str, found[:3]))
    code = found[0].code if found else ""
    kind = "registry" if "docker-distribution-api-version" in response.headers else ""
    if page := web_page(response):
        why, kind = (*why, page), "web page"
    if response.status == HTTPStatus.NOT_FOUND:
        return NotFoundError(
            f"{host} has no {path}", why=why, host=host, path=path, server_code=code, answered_by=kind
        )
    if (wait := retry_after(response)) is not None:
        why = (*why, f"it asks to wait {wait:.0f} seconds")
    if response.is_redirect:
        why = (*why, _redirected(path, response))
    lacking = [f"{one.message} {one.detail}" for one in found if one.code.endswith("BLOB_UNKNOWN")]
    digests = _DIGEST.findall(" ".join(lacking))
    too_large = response.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return ServerError(
        f"{host} answered with status {response.status}",
        why=why or (("what is sent is too large for it, or for a proxy before it",) if too_large else ()),
        advice=Advice("raise-body-limit", host=host) if too_large else None,
        host=host,
        path=path,
        status=response.status,
        server_code=code,
        answered_by=kind,
        retry_after=wait,
        **({"lacking": digests} if digests else {}),
    )


def is_anothers(error: NotFoundError | ServerError) -> bool:
    """Tell whether an error is a 404, a redirect or a web page: what no server of this API says of `/v2/`."""
    status = error.facts.get("status")
    if isinstance(error, NotFoundError):
        return True
    if not isinstance(status, int) or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return False
    return status < HTTPStatus.BAD_REQUEST or error.facts.get("answered_by") == "web page"


def denied(
    host: str,
    scope: str | None,
    response: Response,
    why: Sequence[str] = (),
    advice: Advice | None = None,
    **facts: object,
) -> AuthenticationError:
    """Return the error for a 401 or 403."""
    facts = {"asked": scope, "granted": None, "user": None, "source": None, **facts}
    return AuthenticationError(
        f"{host} does not allow {purpose(scope)}",
        why=(
            *why,
            web_page(response) or f"{host} answered {response.status}",
            *map(str, problems(response)[:1]),
        ),
        advice=advice,
        host=host,
        status=response.status,
        answered_by="web page" if web_page(response) else "",
        **facts,
    )


def purpose(scope: str | None) -> str:
    """Say in words what a scope is for."""
    kind, _, rest = (scope or "").partition(":")
    name, _, actions = rest.rpartition(":")
    if kind != "repository" or not name:
        return "this request"
    return f"reading {name}" if actions == "pull" else f"changing {name}"


def lost(host: str, cause: BaseException, *, answered: bool = False) -> LostConnectionError:
    """Return the error for a connection that broke after it was made, or within an answer."""
    return (CutAnswerError if answered else LostConnectionError)(
        f"the connection to {host} was lost before its answer was complete",
        why=plain_text(cause),
        host=host,
        reason="lost",
    )


def plain_text(cause: BaseException) -> str:
    """Return the plain text of a low-level error."""
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return str(text)[: DEFAULT.error_chars]
