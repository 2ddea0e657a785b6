"""What a verdict says: its own warnings and no others, and a refusal for whatever goes wrong."""

from __future__ import annotations

import logging
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.client.connections import Connections
from notarypy.client.parameters import Unverified, VerifyOptions
from notarypy.client.verdicts import VerifiedImage
from notarypy.errors import (
    AuthenticationError,
    OperationError,
    RootNotPinnedError,
    SignerMissingError,
    StorageError,
    TlsError,
)
from notarypy.limits import Limits
from notarypy.remote.http.messages import Response
from notarypy.service import generation
from notarypy.service.servicesession import RememberingDirectory
from support.author import GUN
from support.people import publishing
from support.verifiers import SECONDS, Ticks, pin_of, pinned, verifier, write_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from notarypy.service.verifier import Verifier
    from support.people import Person, World

AUDITED = f"{GUN.partition('/')[0]}/audited"


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


def _release(world: World, owner: Person) -> None:
    for gun in (GUN, AUDITED):
        for tag in "12":
            world.push(tag, path=gun.partition("/")[2])
        owner.client().sign([f"{gun}:1", f"{gun}:2"], init=True)


@pytest.fixture
def policy(world: World) -> Path:
    owner = publishing(world, _release)
    audit = ('mode = "audit"', 'signers.all = ["jo"]')
    scopes = (pinned(pin_of(owner)), pinned(pin_of(owner, AUDITED), AUDITED, *audit))
    path = write_policy(world.base / "policy.toml", *scopes)
    world.requests()
    return path


@pytest.fixture
def service(world: World, policy: Path, ticks: Ticks) -> Iterator[Verifier]:
    with closing(verifier(world, policy, ticks=ticks)) as service:
        yield service


def test_a_warning_is_in_its_own_verdict_and_in_no_other(service: Verifier) -> None:
    futures = {f"{gun}:{tag}": service.ask(f"{gun}:{tag}") for tag in "12" * 5 for gun in (GUN, AUDITED)}
    for image, future in futures.items():
        verdict = future.result(SECONDS)
        assert verdict.ok
        if image.startswith(GUN):
            assert verdict.warnings == ()
            continue
        (warning,) = verdict.warnings
        assert isinstance(warning, Unverified)
        assert image in warning


def test_what_there_is_to_say_of_a_repository_is_in_each_verdict(
    world: World, service: Verifier, ticks: Ticks
) -> None:
    targets = world.person("owner").client().refresh(GUN).targets["targets"].expires
    world.clock.now = targets - timedelta(days=30)
    ticks.now += 60
    for tag in ("1", "2", "1"):
        warnings = service.ask(f"{GUN}:{tag}").result(SECONDS).warnings
        assert sum("targets of" in warning and "expires" in warning for warning in warnings) == 1


def test_whoever_asks_may_only_require_more(service: Verifier) -> None:
    image = f"{GUN}:1"
    asked = service.ask(image, VerifyOptions(signers=["jo"])).result(SECONDS)
    assert isinstance(asked.image, SignerMissingError)
    assert isinstance(
        service.ask(image, VerifyOptions(root="0" * 64)).result(SECONDS).image, RootNotPinnedError
    )
    plain = service.ask(image).result(SECONDS).image
    assert isinstance(plain, VerifiedImage)
    assert plain.evidence is not None
    with_root = VerifyOptions(root=plain.evidence.root_pins[0])
    assert service.ask(image, with_root).result(SECONDS).ok


def test_a_mistake_of_ours_is_a_refusal(
    service: Verifier, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch, caplog.at_level(logging.CRITICAL, logger=generation.__name__):
        patch.setattr(generation, "verify_unless_skipped", lambda *_, **__: next(iter(())))
        refused = service.ask(f"{GUN}:1").result(SECONDS)
    assert isinstance(refused.image, OperationError)
    assert refused.image.why == ("a mistake in notarypy: StopIteration",)
    assert service.ask(f"{GUN}:2").result(SECONDS).ok


def test_an_error_keeps_no_frames(service: Verifier) -> None:
    for _ in range(3):
        error = service.ask(f"{GUN}:unsigned").result(SECONDS).image
        assert isinstance(error, Exception)
        assert (error.__traceback__, error.__context__, error.__cause__) == (None, None, None)


def test_logins_are_read_anew_after_one_was_refused(
    world: World, service: Verifier, ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert service.ask(f"{GUN}:1").result(SECONDS).ok
    monkeypatch.setattr("notarypy.service.servicesession._ANEW_SECONDS", 0.0)
    (docker := world.base / ".docker").mkdir()
    config = docker / "config.json"
    config.write_text('{"auths": {"registry.test": {"username": "jo", "password": "wrong"}}}')
    good = "Basic am86cmlnaHQ="
    challenge = Response(401, {"www-authenticate": 'Basic realm="r"'}, b"")
    world.fake.before.append(
        lambda request: None if request.headers.get("Authorization") == good else challenge
    )
    ticks.now += 60
    assert isinstance(service.ask(f"{GUN}:1").result(SECONDS).image, AuthenticationError)
    config.write_text('{"auths": {"registry.test": {"username": "jo", "password": "right"}}}')
    ticks.now += 60
    assert service.ask(f"{GUN}:1").result(SECONDS).ok


def test_certificates_are_read_anew_after_a_server_was_not_trusted(
    world: World, service: Verifier, ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list[Connections]()
    known: Callable[..., None] = Connections.__init__

    def counted(self: Connections, *given: object, **named: object) -> None:
        made.append(self)
        known(self, *given, **named)

    monkeypatch.setattr(Connections, "__init__", counted)
    monkeypatch.setattr("notarypy.service.servicesession._ANEW_SECONDS", 0.0)

    def distrusted(_: object) -> None:
        if len(made) < 2:
            raise TlsError("the certificate is not trusted")

    world.fake.before.append(distrusted)
    assert isinstance(service.ask(f"{GUN}:1").result(SECONDS).image, TlsError)
    ticks.now += 60
    assert service.ask(f"{GUN}:1").result(SECONDS).ok


def test_so_many_bytes_are_remembered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = RememberingDirectory(tmp_path, Limits(remembered_bytes=10))
    first, second = (directory.repository(f"host.test/{name}") for name in "ab")
    first.remember({"root": b"12345", "timestamp": b"1"}, StorageError("full"))
    second.remember({"root": b"1234"}, StorageError("full"))
    assert first.load("timestamp") == b"1"
    second.remember({"timestamp": b"1"}, StorageError("full"))
    assert (first.load("timestamp"), second.load("timestamp")) == (None, b"1")
    assert "are forgotten" in caplog.text
    second.store({})
    assert directory.remembered_bytes == 0
    assert second.load("timestamp") == b"1"
