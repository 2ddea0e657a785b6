"""Gateways that count connections, requests, and rounds: the round trips that a program waits for in turn.

What it is: one event loop in front of several servers. In step with a program it holds every request back
until the program, with all that it has started, can do nothing but wait: all threads sleep, and nothing that
they sent is unread. Then all requests at hand are answered: that was a round. Requests side by side are one
round, and requests that wait for each other are as many as they are, on any machine: no clock decides.
What it is not: the gateway that misbehaves (`gateway`), and a measure of seconds.

Rules:

1. A program is waiting if each of its threads is in an interruptible sleep, before and after the loop has
   read all that there was to read, and has not run in between (the kernel counts how often it did); and if
   nothing is on its way between the two, which the kernel of a busy machine delivers when it gets to it.
2. Answers go out in the order in which the requests came, once all of a round are here.
3. A program that has ended waits for nothing: what it left is answered at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.client import responses
from pathlib import Path
from typing import TYPE_CHECKING, Self

from interop.harness import gateway, services

if TYPE_CHECKING:
    from collections.abc import Iterator

# How often the loop looks for more before it believes that nothing comes; a request takes a handful of steps.
STEPS = 100
# The kernel's numbers for connections: half open; established or listening.
OPENING, OPEN, NOTHING = {"02", "03"}, {"01", "0A"}, "00000000"


@dataclass
class Traffic:
    """What passed: connections and requests by the server's name, and the requests of each round."""

    connections: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    rounds: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Held:
    """A request that waits for its round, and its answer."""

    upstream: services.Endpoint
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    answer: asyncio.Future[gateway.Answer]

    async def pass_on(self) -> gateway.Answer:
        """Ask the server."""
        request = (self.upstream, self.method, self.path, self.headers, self.body)
        return await asyncio.to_thread(gateway.ask, *request)


class Rounds:
    """The event loop and its gateways. Use it as a context manager."""

    def __init__(self, authority: services.Authority) -> None:
        self._context, self._ca = authority.server_context("rounds"), authority.file
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda *_: None)  # clients may go away as they like
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._servers: list[asyncio.Server] = []
        self._held: list[_Held] = []
        self._in_step = False
        self._program = 0
        self.traffic = Traffic()

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._conduct(), self._loop)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def front(self, name: str, upstream: services.Endpoint) -> services.Endpoint:
        """Open a gateway with TLS in front of a server."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.traffic.connections[name] += 1
            try:
                while True:
                    held = await _read(reader, upstream)
                    self.traffic.requests[name] += 1
                    self._held.append(held)
                    await _write(writer, held.method, await held.answer)
            except (OSError, EOFError, asyncio.CancelledError):
                writer.transport.abort()

        opening = asyncio.start_server(connected, "127.0.0.1", 0, ssl=self._context)
        server = asyncio.run_coroutine_threadsafe(opening, self._loop).result()
        self._servers.append(server)
        return services.Endpoint(f"localhost:{server.sockets[0].getsockname()[1]}", self._ca)

    @contextlib.contextmanager
    def in_step(self) -> Iterator[Traffic]:
        """Count anew, and hold requests until the program that `follow` names can only wait."""
        self.traffic, self._program, self._in_step = Traffic(), 0, True
        try:
            yield self.traffic
        finally:
            self.traffic, self._in_step = Traffic(), False

    def follow(self, program: int) -> None:
        """Name the process to keep step with, right after it was started."""
        self._program = program

    async def _conduct(self) -> None:
        while True:
            await asyncio.sleep(0.001)  # leaves the processor to the program; decides nothing
            if self._held and await self._complete():
                held, self._held = self._held, []
                self.traffic.rounds.append([f"{one.method} {one.path}" for one in held])
                answers = await asyncio.gather(*(one.pass_on() for one in held))
                for one, answer in zip(held, answers, strict=True):
                    one.answer.set_result(answer)
                await _steps()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await _steps()
        await self._loop.shutdown_default_executor()

    async def _complete(self) -> bool:
        """Tell whether no further request belongs to this round (rules 1 and 3)."""
        if not self._in_step:
            return True
        if not self._program:
            return False
        before, count = _waiting(self._program), len(self._held)
        if not before or self._under_way():
            return before is None
        await _steps()
        return _waiting(self._program) == before and len(self._held) == count and not self._under_way()

    def _under_way(self) -> bool:
        """Tell whether a connection to a gateway is being made, or bytes did not arrive or are not read here.

        What the program has not read, such as tickets of connections that it keeps ready, may lie there.
        """
        ports = {f"{server.sockets[0].getsockname()[1]:04X}" for server in self._servers}
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, remote, state, queues, *_ = line.split()
            sent, received = queues.split(":")
            unread = received if local[-4:] in ports else NOTHING
            busy = state in OPENING or (state in OPEN and (sent, unread) != (NOTHING, NOTHING))
            if busy and not ports.isdisjoint((local[-4:], remote[-4:])):
                return True
        return False


async def _steps() -> None:
    """Let everything be read that has come, and everything be written."""
    for _ in range(STEPS):
        await asyncio.sleep(0)


def _waiting(program: int) -> list[str] | None:
    """Return how often each thread has run, empty unless all of them sleep; None if the program has ended."""
    try:
        lines = [
            line for thread in _threads(program) for line in (thread / "status").read_text().splitlines()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return None
    states = [line for line in lines if line.startswith("State:")]
    return (
        [line for line in lines if "ctxt_switches" in line] if set(states) == {"State:\tS (sleeping)"} else []
    )


def _threads(program: int) -> Iterator[Path]:
    """Yield the threads of a process and of those that it has started."""
    for thread in Path(f"/proc/{program}/task").iterdir():
        yield thread
        for child in (thread / "children").read_text().split():
            yield from _threads(int(child))


async def _read(reader: asyncio.StreamReader, upstream: services.Endpoint) -> _Held:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.strip().split("\r\n")
    method, path, _ = line.split(" ")
    headers = dict(name.split(": ", 1) for name in fields)
    length = next((value for name, value in headers.items() if name.lower() == "content-length"), "0")
    body = await reader.readexactly(int(length))
    return _Held(upstream, method, path, headers, body, asyncio.get_running_loop().create_future())


async def _write(writer: asyncio.StreamWriter, method: str, answer: gateway.Answer) -> None:
    """Send an answer (rule 2: nothing else runs between the answers of a round)."""
    headers = {name: value for name, value in answer.headers.items() if name.lower() != "content-length"}
    declared = {name.lower(): value for name, value in answer.headers.items()}.get("content-length")
    headers["Content-Length"] = declared if method == "HEAD" and declared else str(len(answer.body))
    lines = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, '-')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join((*lines, "", "")).encode("latin-1") + answer.body)
    await writer.drain()
