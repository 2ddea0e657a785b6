"""Registries of vendors: each by its own token server, from the login to a verified image."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, TypeAlias

import pytest

from notarypy.client.api import Client
from notarypy.errors import AuthenticationError, NetworkError, NotarypyError, ServerError
from notarypy.images.manifests import OCI_MANIFEST
from notarypy.storage.settings.settings import load
from support.clouds import Answer
from support.fakes import Clock, make_fake
from support.people import PASSPHRASE, manifest
from support.registries import Account, Artifactory, GitLab, Harbor, Msr, Quay, Vendor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOGINS: dict[type[Vendor], str] = {
    Artifactory: "ci",
    GitLab: "gitlab+deploy-token-1",
    Harbor: "robot$team+ci",
    Msr: "jeff",
    Quay: "team+ci",
}
SECRET = "s3cret of a pipeline"
KINDS = sorted(LOGINS, key=lambda kind: kind.__name__)


Desks: TypeAlias = "Callable[[type[Vendor]], Desk]"


class Desk:
    """Somebody with docker's directory in a folder, in front of a vendor's registry."""

    def __init__(self, folder: Path, kind: type[Vendor]) -> None:
        self.folder, self.clock, self.warnings = folder, Clock(), list[str]()
        fake = make_fake(self.clock)
        fake.registry.push("team/app", "1", manifest("1"), OCI_MANIFEST)
        self.vendor, self.user = kind(fake), LOGINS[kind]
        self.vendor.accounts[self.user] = Account(SECRET)
        self.repository = f"{kind.registry}/team/app"

    def client(self) -> Client:
        flags = {"first_use": True, "retry_for": 1, "server": f"https://{self.vendor.notary}"}
        settings = load(flags, {"HOME": str(self.folder), "DOCKER_CONFIG": str(self.folder)}, self.folder)
        return Client(
            settings, passphrases=lambda _: PASSPHRASE, transport=self.vendor, clock=self.clock,
            warn=self.warnings.append,
        )  # fmt: skip

    def leave_identity(self) -> None:
        entry = {"auth": base64.b64encode(b"<token>:").decode(), "identitytoken": "an-identity-token"}
        (self.folder / "config.json").write_text(json.dumps({"auths": {self.vendor.registry: entry}}))

    def log_in(self) -> None:
        self.client().images.login(self.vendor.registry, self.user, SECRET)

    def read(self) -> str:
        """Read an image, and no trust data; return its digest."""
        session = self.client()._session  # noqa: SLF001 - no method reads an image alone
        image = session.parse(f"{self.repository}:1")
        return session.connections.registry(image).manifest(image.path, "1").digest


@pytest.fixture
def desk(tmp_path: Path) -> Desks:
    return lambda kind: Desk(tmp_path, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_from_a_login_to_a_verified_image(desk: Desks, kind: type[Vendor]) -> None:
    someone = desk(kind)
    someone.log_in()
    someone.client().init(someone.repository)
    someone.client().sign([f"{someone.repository}:1"])
    assert someone.client().verify(f"{someone.repository}:1").tag == "1"
    assert {call.method for call in someone.vendor.calls if kind.realm.endswith(call.path)} == {"GET"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_password_is_not_stored(desk: Desks, kind: type[Vendor]) -> None:
    someone = desk(kind)
    with pytest.raises(AuthenticationError) as caught:
        someone.client().images.login(kind.registry, someone.user, "a wrong one")
    assert caught.value.advice is not None
    assert caught.value.advice.name == "check-password"
    assert "a wrong one" not in f"{caught.value} {vars(caught.value)}"
    assert not (someone.folder / "config.json").exists()


def test_whose_identity_token_has_ended_has_no_password_to_check(
    desk: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    someone = desk(GitLab)
    someone.leave_identity()
    monkeypatch.setattr(someone.vendor, "token", lambda _: Answer(401, b""))
    with pytest.raises(AuthenticationError) as caught:
        someone.client().sign([f"{someone.repository}:1"], init=True)
    assert caught.value.advice is not None
    assert caught.value.advice.name == "log-in-again"


@pytest.mark.parametrize("kind", [Harbor, Msr])
def test_who_may_read_alone_is_told_what_is_lacking(desk: Desks, kind: type[Vendor]) -> None:
    someone = desk(kind)
    someone.log_in()
    someone.vendor.accounts[someone.user] = Account(SECRET, frozenset({"pull"}))
    with pytest.raises(AuthenticationError) as caught:
        someone.client().init(someone.repository)
    assert "asked for push,pull; the token grants pull" in caught.value.why


def test_a_dry_run_warns_who_may_not_sign(desk: Desks) -> None:
    someone = desk(Msr)
    someone.log_in()
    someone.client().init(someone.repository)
    someone.client().sign([f"{someone.repository}:1"], dry_run=True)
    assert not any("could not be published" in warning for warning in someone.warnings)
    someone.vendor.accounts[someone.user] = Account(SECRET, frozenset({"pull"}))
    (done,) = someone.client().sign([f"{someone.repository}:1"], dry_run=True)
    assert not done.published
    assert any("with this login it could not be published" in warning for warning in someone.warnings)


@pytest.mark.parametrize("kind", [Harbor, Msr, Quay, GitLab])
def test_an_identity_token_that_the_token_server_does_not_trade(desk: Desks, kind: type[Vendor]) -> None:
    someone = desk(kind)
    someone.leave_identity()
    with pytest.raises(NotarypyError) as caught:
        someone.read()
    assert isinstance(caught.value, AuthenticationError | ServerError)
    assert "to POST, by which identity tokens are traded" in " ".join(
        [caught.value.message, *caught.value.why]
    )
    assert caught.value.advice is not None
    assert caught.value.advice.name == "log-in-by-password"


def test_harbor_gives_no_token_for_another_name_than_its_own(
    desk: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    someone = desk(Harbor)
    someone.log_in()
    monkeypatch.setattr(Harbor, "registry", "harbor.corp")
    with pytest.raises(NetworkError) as caught:
        someone.client().verify(f"{someone.repository}:1")
    scope = f"repository:{someone.repository}:pull"
    assert f"it was asked for a token for harbor.example.com:4443: {scope}" in caught.value.why


def test_harbor_lets_only_who_may_delete_delete_trust_data(desk: Desks) -> None:
    someone = desk(Harbor)
    someone.vendor.accounts[someone.user] = Account(SECRET, frozenset({"pull", "push"}))
    someone.log_in()
    someone.client().init(someone.repository)
    with pytest.raises(AuthenticationError) as caught:
        someone.client().upkeep.delete(someone.repository, confirm=f"{someone.repository}*")
    assert "asked for *; the token grants pull,push" in caught.value.why
    someone.vendor.accounts[someone.user] = Account(SECRET, frozenset({"pull", "push", "delete"}))
    someone.client().upkeep.delete(someone.repository, confirm=f"{someone.repository}*")


@pytest.mark.parametrize("kind", [Harbor, GitLab])
@pytest.mark.parametrize("body", [b"<!DOCTYPE html>", b'{"errors":[{"code":"NOT_FOUND"}]}'])
def test_a_token_server_that_knows_nothing_says_nothing_of_the_image(
    desk: Desks, monkeypatch: pytest.MonkeyPatch, kind: type[Vendor], body: bytes
) -> None:
    """GitLab answers 404 now and then, and in place of 403."""
    someone = desk(kind)
    someone.log_in()
    someone.client().init(someone.repository)
    someone.client().sign([f"{someone.repository}:1"])
    monkeypatch.setattr(kind, "token", lambda *_: Answer(404, body))
    for ask in (lambda: someone.client().verify(f"{someone.repository}:1"), someone.read):
        with pytest.raises(AuthenticationError) as caught:
            ask()
        assert "which gives out its tokens, answered 404; user" in caught.value.why[0]


def test_quay_is_asked_for_scopes_that_it_can_read(desk: Desks) -> None:
    someone = desk(Quay)
    someone.log_in()
    assert someone.read()
    asked = [call.query for call in someone.vendor.calls if call.path == "/v2/auth"]
    assert any("scope=repository%3Ateam%2Fapp%3Apull" in query for query in asked)


def test_a_token_server_of_artifactory_on_http_gets_no_login(
    desk: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    someone = desk(Artifactory)
    monkeypatch.setattr(Artifactory, "realm", "http://art.local:8081/artifactory/api/docker/docker/v2/token")
    with pytest.raises(AuthenticationError) as caught:
        someone.log_in()
    assert "would get credentials over plain http" in " ".join(caught.value.why)
    assert all("authorization" not in call.headers for call in someone.vendor.calls)
