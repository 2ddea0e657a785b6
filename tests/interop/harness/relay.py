"""A relay in front of a real server that, when it is told to, is slow, silent, broken, gone, or lies.

What it is: one server address with a mood that is changed while clients talk to it, for all paths or for
those of one repository. What it is not: the gateway that counts (`gateway`). Rules:

1. An honest relay passes every request on, and remembers the body of each timestamp that it passed back,
   so that an old one can be shown again.
2. A mood counts for requests that come after it, and ends the waiting of requests that came before. That of a
   repository comes before that of all.
3. A relay that is gone refuses connections, and cuts those that are open; it comes back at the same port.
"""

from __future__ import annotations

import contextlib
import enum
import threading
from typing import TYPE_CHECKING

from interop.harness import gateway, listener, services

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP = 0.02
PIECE = b'{"signed":' + b" " * 65536


class Mood(enum.Enum):
    """What the relay does to requests."""

    HONEST = "passes them on"
    HANGS = "reads them and says nothing"
    DRIPS = "says that a long answer comes, and sends a byte now and then"
    CUTS = "sends half of the answer"
    SWELLS = "sends an answer without an end"
    BABBLES = "answers what is no HTTP"
    FAILS = "answers 500"
    MISSES = "answers 404, as if nothing were there"
    FORGES = "changes a byte of what was signed"
    REWINDS = "shows the timestamps that it remembers"
    GONE = "refuses connections"


class Relay:
    """The relay: where it is, and how to change its mood."""

    def __init__(self, upstream: services.Endpoint, authority: services.Authority) -> None:
        self._context = None if upstream.ca is None else authority.server_context("relay")
        self._upstream, self._mood = upstream, Mood.HONEST
        self._changed = threading.Event()
        self._of: dict[str, Mood] = {}
        self._remembered: dict[str, gateway.Answer] = {}
        self._stack = contextlib.ExitStack()
        self._handler = type("Handler", (RelayHandler,), {"relay": self})
        self._server = self._listen(0)
        self._port = self._server.server_port
        self.endpoint = services.Endpoint(
            f"localhost:{self._port}", authority.file if self._context else None
        )

    def _listen(self, port: int) -> listener.Listener:
        return self._stack.enter_context(listener.listening(self._handler, self._context, port))

    def mood(self, path: str) -> Mood:
        """Return what the relay does just now with a path."""
        return next((mood for part, mood in list(self._of.items()) if part in path), self._mood)

    def turn(self, mood: Mood, repository: str = "") -> None:
        """Change the mood for whoever asks from now on (rule 2)."""
        if repository:
            self._of[f"/{repository}/"] = mood
        else:
            before, self._mood = self._mood, mood
            self._of.clear()
            if mood is Mood.GONE and before is not Mood.GONE:
                self._stack.close()
                self._server.cut()
            elif before is Mood.GONE and mood is not Mood.GONE:
                self._server = self._listen(self._port)
        changed, self._changed = self._changed, threading.Event()
        changed.set()

    def freeze(self) -> None:
        """Forget what was remembered: what passes from now on is what is shown again."""
        self._remembered.clear()

    def remember(self, path: str, answer: gateway.Answer) -> None:
        """Note a timestamp, the first of its repository since `freeze` (rule 1)."""
        if path.endswith("/timestamp.json"):
            self._remembered.setdefault(path, answer)

    def wait(self, seconds: float) -> bool:
        """Wait until the mood changes; return whether it did in this time."""
        return self._changed.wait(seconds)

    def outcome(self, method: str, path: str, headers: dict[str, str], body: bytes) -> gateway.Answer:
        """Return what the mood makes of a request, where that is a whole answer."""
        mood, plain = self.mood(path), path.partition("?")[0]
        if mood is Mood.FAILS:
            return gateway.Answer(500, b"no", {})
        if mood is Mood.MISSES:
            return gateway.Answer(404, b'{"errors":[{"code":"METADATA_NOT_FOUND"}]}', {})
        if mood is Mood.REWINDS and plain in self._remembered:
            return self._remembered[plain]
        answer = gateway.ask(self._upstream, method, path, headers, body)
        if answer.status == 200:
            self.remember(plain, answer)
        if mood is Mood.FORGES and len(answer.body) > 3:
            return gateway.Answer(answer.status, _forged(answer.body), answer.headers)
        return answer

    def close(self) -> None:
        self.turn(Mood.HONEST)
        self._stack.close()


def _forged(body: bytes) -> bytes:
    """Change a digit somewhere in the middle, so that the document keeps its form and its length."""
    for position in range(len(body) // 2, len(body)):
        if body[position : position + 1].isdigit():
            other = b"1" if body[position : position + 1] != b"1" else b"2"
            return body[:position] + other + body[position + 1 :]
    return body[:-1] + b" "


class RelayHandler(listener.Handler):
    """What a relay does with one connection."""

    relay: Relay

    def pass_on(self) -> None:
        """Do with a request what the mood says."""
        body, mood = self.body(), self.relay.mood(self.path)
        if mood in {Mood.DRIPS, Mood.SWELLS}:
            self._go_on(mood)
        elif mood in {Mood.GONE, Mood.HANGS, Mood.BABBLES}:
            if mood is Mood.BABBLES:
                self.wfile.write(b"\x16\x03\x01 hello? " * 4)
            while self.relay.mood(self.path) is mood is Mood.HANGS:
                self.relay.wait(1)
            self.hang_up()
        else:
            answer = self.relay.outcome(self.command, self.path, dict(self.headers), body)
            if mood is Mood.CUTS:
                self._cut(answer)
            else:
                self.reply(answer.status, answer.body, answer.headers)

    def _go_on(self, mood: Mood) -> None:
        """Send an answer that is long, and slow, or has no end."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if mood is Mood.DRIPS:
            self.send_header("Content-Length", "65536")
        self.end_headers()
        piece, pause = (b" ", 0.1) if mood is Mood.DRIPS else (PIECE, 0.0)
        with contextlib.suppress(OSError):
            while self.relay.mood(self.path) is mood:
                self.relay.wait(pause)
                self.wfile.write(piece)
        self.hang_up()

    def _cut(self, answer: gateway.Answer) -> None:
        """Send half of an answer."""
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[: len(answer.body) // 2])
        self.hang_up()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on  # noqa: N815 - the names http.server calls


@contextlib.contextmanager
def relay_to(upstream: services.Endpoint, authority: services.Authority) -> Iterator[Relay]:
    """Run a relay that speaks as its upstream does, until the block ends."""
    relay = Relay(upstream, authority)
    try:
        yield relay
    finally:
        relay.close()
