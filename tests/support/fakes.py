"""A `Fake` with a clock that stands still and randomness that repeats, and the table's way to talk to it."""

from __future__ import annotations

import hashlib
from itertools import count
from typing import TYPE_CHECKING

from notarypy.devserver.core import NOTARY_HOST, Fake
from notarypy.errors import NotFoundError
from notarypy.remote.http.messages import Request
from notarypy.tuf.trusted import TrustedMetadata
from support.author import GUN, NOW
from support.uploads import Answer, Desk

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

NO_DEADLINE = float("inf")


class Clock:
    """A clock that moves only when told."""

    def __init__(self, now: datetime = NOW) -> None:
        """Stand at `now`."""
        self.now = now

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now

    def advance(self, by: timedelta) -> None:
        """Move."""
        self.now += by


def repeatable_random(seed: str = "fake") -> Callable[[int], bytes]:
    """Return a source of bytes that is the same in every run."""
    numbers = count()

    def random(size: int) -> bytes:
        return hashlib.shake_256(f"{seed} {next(numbers)}".encode()).digest(size)

    return random


def make_fake(
    clock: Callable[[], datetime] | None = None, *, strict: bool = True, referrers: bool = True
) -> Fake:
    """Return a fresh fake."""
    return Fake(clock=clock or Clock(), random=repeatable_random(), strict=strict, referrers=referrers)


def open_desk(fake: Fake, gun: str = GUN, now: datetime = NOW) -> Desk:
    """Return a repository on a fake that nobody has published yet."""

    def send(method: str, path: str, content_type: str, body: bytes) -> Answer:
        headers = {"Content-Type": content_type} if content_type else {}
        answer = fake.send(
            Request(method, f"https://{NOTARY_HOST}{path}", headers, body or None), NO_DEADLINE
        )
        return Answer(answer.status, answer.body)

    return Desk(send, gun, now)


def read_repository(fake: Fake, gun: str = GUN, now: datetime = NOW) -> TrustedMetadata:
    """Read and verify everything as a client does that trusts on first use; raise what is wrong."""

    def get(name: str) -> bytes:
        request = Request("GET", f"https://{NOTARY_HOST}/v2/{gun}/_trust/tuf/{name}.json")
        answer = fake.send(request, NO_DEADLINE)
        if answer.status != 200:
            raise NotFoundError(f"{name}: {answer.status}")
        return answer.body

    return verify_repository(get, gun, now)


def verify_repository(get: Callable[[str], bytes], gun: str, now: datetime) -> TrustedMetadata:
    """Verify everything that `get` returns by name, such as `root` or `snapshot.HASH`."""
    trusted = TrustedMetadata(gun, now)
    trusted.first_root(get("root"))
    trusted.update_timestamp(get("timestamp"))
    trusted.update_snapshot(get(f"snapshot.{trusted.timestamp.snapshot.sha256}"))
    named = trusted.outdated_root()
    if named:
        trusted.update_root(get(f"root.{named.sha256}"))
    meta = trusted.snapshot.meta
    trusted.update_targets(get(f"targets.{meta['targets'].sha256}"))
    while role := trusted.pending():
        trusted.update_delegation(role, get(f"{role}.{meta[role].sha256}"))
    return trusted
