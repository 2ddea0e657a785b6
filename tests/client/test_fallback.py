"""Whoever only looks goes on with what is cached, where a server cannot be reached and the client may."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.client.metadata import lenientrefresh
from notarypy.client.metadata.refresh import refresh as real
from notarypy.errors import (
    AuthenticationError,
    DeadlineError,
    NotarypyError,
    RollbackError,
    SignatureError,
    TlsError,
    UnreachableError,
)
from notarypy.remote.http import attempts
from notarypy.remote.http.messages import Response
from support.author import GUN, NOW
from support.people import Person, World, released

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.client.api import Client
    from notarypy.client.metadata.repository import Repository

LOOKS: dict[str, Callable[[Client], object]] = {
    "list": lambda client: client.targets.list(GUN),
    "lookup": lambda client: client.targets.lookup(GUN, "1", roles=["targets/releases"]),
    "delegations": lambda client: client.delegations(GUN),
}
OTHERS: dict[str, Callable[[Client], object]] = {
    "refresh": lambda client: client.refresh(GUN),
    "verify": lambda client: client.verify(f"{GUN}:1"),
    "inspect": lambda client: client.inspect(GUN),
    "status": lambda client: client.status(GUN),
    "renew": lambda client: client.renew(GUN),
    "sign": lambda client: client.sign([f"{GUN}:1"]),
    "publish": lambda client: client.staging.publish(GUN),
}


@pytest.fixture
def owner(world: World, monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.setattr(attempts, "backoff", lambda _: 0.0)
    return released(world, "jeff")


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_look_goes_on_and_says_so(world: World, owner: Person, look: Callable[[Client], object]) -> None:
    known = look(owner.client(cached=True))
    owner.warnings.clear()
    world.attacker.refuse_connections()
    assert look(owner.client(cached=True)) == known
    assert owner.warnings[-1] == "no connection: this is what is cached here"
    with pytest.raises(UnreachableError):
        look(owner.client())


@pytest.mark.parametrize("call", OTHERS.values(), ids=OTHERS)
def test_nothing_else_does(world: World, owner: Person, call: Callable[[Client], object]) -> None:
    world.attacker.refuse_connections(path=".*_trust.*")
    owner.warnings.clear()
    with pytest.raises(UnreachableError):
        call(owner.client(cached=True, retry_for=0))
    assert "what is cached here" not in "".join(owner.warnings)


def test_what_has_ended_or_was_never_here_does_not_count(world: World, owner: Person) -> None:
    world.attacker.refuse_connections()
    with pytest.raises(UnreachableError) as raised:
        world.person("new").client(cached=True).targets.list(GUN)
    assert raised.value.why[-1].startswith("and what is cached cannot be used: ")
    world.clock.now = NOW + timedelta(days=3650)
    with pytest.raises(UnreachableError) as raised:
        owner.client(cached=True).targets.list(GUN)
    assert "cannot be used: " in raised.value.why[-1]
    assert "expired" in raised.value.why[-1]


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_any_answer_counts(world: World, owner: Person, status: int) -> None:
    world.attacker.answer(Response(status), path=".*_trust.*")
    with pytest.raises(NotarypyError):
        owner.client(cached=True, retry_for=0).targets.list(GUN)


@pytest.mark.parametrize(
    ("error", "cached"),
    [
        (UnreachableError("refused"), True),
        (DeadlineError("too late"), True),
        (TlsError("unknown CA"), False),
        (AuthenticationError("401"), False),
        (SignatureError("bad"), False),
        (RollbackError("old"), False),
    ],
)
def test_only_a_server_that_is_not_reached_is_done_without(
    owner: Person, error: NotarypyError, monkeypatch: pytest.MonkeyPatch, *, cached: bool
) -> None:
    def refresh(repository: Repository) -> object:
        if repository.server is not None:
            raise error
        return real(repository)

    monkeypatch.setattr(lenientrefresh, "refresh", refresh)
    client = owner.client(cached=True)
    if cached:
        assert client.targets.list(GUN, roles=["targets/releases"])
    else:
        with pytest.raises(type(error)):
            client.targets.list(GUN)
