"""A Notary server and a registry in this process, behind the port that the client's network uses.

What it is: the one fake of tests, demonstrations and users' own tests; give it to a client as its transport.
What it is not: a network; nothing here opens a socket.

Rules:

1. A request goes to the service of its host; a host that nobody serves is unreachable.
2. `before` hooks see a request first, and the first answer any of them gives stands. `after` hooks see every
   answer and may change it. Hooks may raise, as a broken connection does.
3. Every request that is sent is noted in `requests` before anything else happens, with its body as bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from notarypy.devserver.calls import Call, Service
from notarypy.devserver.notaryservice import NotaryService
from notarypy.devserver.registryservice import RegistryService
from notarypy.devserver.stores import Holdings, ImageStore, MetadataStore, ServerKeys
from notarypy.errors import DeadlineError, ResponseLimitError, UnreachableError
from notarypy.remote.http.messages import Request, Response
from notarypy.values import replace

Before = Callable[[Request], Response | None]
After = Callable[[Request, Response], Response]

NOTARY_HOST = "notary.test"
REGISTRY_HOST = "registry.test"


class Fake:
    """A Transport that answers by itself; safe to use from several threads.

    Attributes:
        notary: The Notary server.
        registry: The registry.
        services: Which host (with its port, if any) is served by what; add to it freely.
        before: Hooks that may answer in a server's place (rule 2).
        after: Hooks that may change an answer (rule 2).
        requests: Every request so far (rule 3).
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
        strict: bool = True,
        referrers: bool = True,
        holdings: Holdings | None = None,
    ) -> None:
        """Start both services with what they remember: without `holdings` nothing yet, in memory.

        `strict` has the Notary server refuse what the real one accepts to everybody's harm; without
        `referrers` the registry lists none, as those from before OCI 1.1.
        """
        kept = holdings or Holdings(MetadataStore(), ServerKeys(random), ImageStore())
        self.notary = NotaryService(clock, kept.files, kept.keys, strict=strict)
        self.registry = RegistryService(random, kept.images)
        self.registry.referrers = referrers
        self.services: dict[str, Service] = {NOTARY_HOST: self.notary, REGISTRY_HOST: self.registry}
        self.before: list[Before] = []
        self.after: list[After] = []
        self.requests: list[Request] = []

    def send(self, request: Request, deadline: float) -> Response:
        """Answer a request as `Transport` promises (rules 1 to 3)."""
        if request.body is not None and not isinstance(request.body, bytes):
            request = replace(request, body=b"".join(request.body))
        self.requests.append(request)
        answer = self.answer(request)
        if time.monotonic() > deadline:
            raise DeadlineError("the deadline of the request has passed", url=request.url)
        if answer.status == HTTPStatus.OK and len(answer.body) > request.limit:
            raise ResponseLimitError("the answer is longer than the limit", url=request.url)
        if request.sink is not None and answer.is_success:
            request.sink.begin(answer.status, answer.headers)(answer.body)
            return replace(answer, body=b"")
        return answer

    def answer(self, request: Request, service: Service | None = None) -> Response:
        """Answer a request of any size and age (rule 2), from this service or from its host's (rule 1)."""
        answers = (answer for hook in tuple(self.before) if (answer := hook(request)) is not None)
        answer = next(answers, None) or self._serve(request, service)
        for hook in tuple(self.after):
            answer = hook(request, answer)
        return answer

    def _serve(self, request: Request, service: Service | None) -> Response:
        host = urlsplit(request.url).netloc
        service = service or self.services.get(host)
        if service is None:
            raise UnreachableError(f"no connection to {host}", host=host)
        answer = service.handle(Call.of(request))
        if request.method != "HEAD":
            return answer
        return replace(answer, headers={"content-length": str(len(answer.body)), **answer.headers}, body=b"")

    def close(self) -> None:
        """Close nothing: there are no connections."""

    def lines(self) -> list[str]:
        """Return every request so far as `METHOD /path`, to count round trips."""
        return [f"{request.method} {urlsplit(request.url).path}" for request in self.requests]
