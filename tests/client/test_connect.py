"""Which server is shown which secret."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from notarypy.cli.text.advice import advice
from notarypy.client.api import Client
from notarypy.client.connections import Connections
from notarypy.errors import AuthenticationError, TrustError, UnreachableError
from notarypy.remote.http import tls
from notarypy.remote.http.messages import Response
from notarypy.storage.settings.settings import RegistrySettings, Settings
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.remote.http.messages import Request

NAMED, DERIVED = "https://notary.corp.test", "https://evil.test"
SECRET = base64.b64encode(b"corp:secret").decode()


class Asking:
    """Every server wants to know who we are; whoever was told is remembered."""

    def __init__(self) -> None:
        self.told: set[str] = set()

    def send(self, request: Request, deadline: float) -> Response:
        assert deadline
        if "Authorization" not in request.headers:
            return Response(401, {"www-authenticate": 'Basic realm="x"'})
        assert request.headers["Authorization"] == f"Basic {SECRET}"
        self.told.add("/".join(request.url.split("/")[:3]))
        return Response(404, {}, b'{"errors": [{"code": "METADATA_NOT_FOUND"}]}')

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("server", "tables", "host", "told"),
    [
        (None, {}, "evil.test", False),
        (None, {"registry.corp.test": RegistrySettings(server=NAMED)}, "evil.test", False),
        (None, {"*": RegistrySettings(ca=Path("/ca.pem"))}, "evil.test", False),
        (None, {"registry.corp.test": RegistrySettings(server=NAMED)}, "registry.corp.test", True),
        (None, {"*": RegistrySettings(server=NAMED)}, "any.test", True),
        (NAMED, {}, "any.test", True),
    ],
)
def test_the_variables_login_is_for_servers_that_the_user_named(
    tmp_path: Path, server: str | None, tables: dict[str, RegistrySettings], host: str, *, told: bool
) -> None:
    asking, environ = Asking(), {"NOTARY_AUTH": SECRET}
    settings = Settings(tmp_path / "t", tmp_path, server=server, registries=tables, environ=environ)
    with pytest.raises((AuthenticationError, TrustError)):
        Client(settings, transport=asking).refresh(f"{host}/app")
    assert asking.told == ({NAMED} if told else set())


def test_the_client_certificate_is_shown_to_the_server_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not to the token server that it names, though its CAs count there."""
    made: list[Callable[[str], object]] = []
    contexts: list[dict[str, object]] = []

    def transport(tls: Callable[[str], object], *_: object) -> Asking:
        made.append(tls)
        return Asking()

    monkeypatch.setattr("notarypy.remote.http.adapter.HttpTransport", transport)
    monkeypatch.setattr("notarypy.remote.http.tls.context", lambda **how: contexts.append(how))
    pair = (Path("/c.pem"), Path("/k.pem"))
    settings = Settings(
        tmp_path, tmp_path, tls_cert=pair[0], tls_key=pair[1], tls_ca=Path("/ca.pem"), server=NAMED
    )
    Connections(settings, None).notary(NAMED, "registry.corp.test")
    (tls,) = made
    for host in ("notary.corp.test", "auth.test", "notary.corp.test:444"):
        tls(host)
    assert [(how["client_cert"], how["client_key"]) for how in contexts] == [pair, (None, None), (None, None)]
    assert {how["replace_ca"] for how in contexts} == {Path("/ca.pem")}


@pytest.mark.parametrize(
    ("named", "broken", "counted", "warnings"),
    [
        ({}, False, 1, 0),
        ({}, True, 0, 1),
        ({"tls_ca": Path("/none.pem")}, True, 0, 0),
        ({"tls_cert": Path("/none.pem"), "tls_key": Path("/none.pem")}, False, 1, 0),  # no fault of docker's
        ({"environ": {"DOCKER_CONFIG": "named"}}, True, 2, 0),  # which stops whoever reads them
    ],
)
def test_docker_certificates_that_nobody_named_are_an_extra(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    named: dict[str, Any],
    counted: int,
    warnings: int,
    *,
    broken: bool,
) -> None:
    folder = tmp_path / "tls" / "notary.corp.test"
    folder.mkdir(parents=True)
    trustme.CA().cert_pem.write_to_path(folder / "ca.crt")
    if broken:
        (folder / "broken.crt").write_text("no certificate")
    contexts, warned = list[dict[str, tuple[Path, ...]]](), list[str]()
    real: Callable[..., object] = tls.context

    def context(*, environ: dict[str, str], **how: tuple[Path, ...]) -> object:
        if environ.get("SSL_CERT_FILE"):  # a try
            return real(environ=environ, **how)
        contexts.append(how)
        return None

    monkeypatch.setattr("notarypy.remote.http.tls.context", context)
    adapter = "notarypy.remote.http.adapter.HttpTransport"
    monkeypatch.setattr(adapter, lambda context_of, *_: context_of("notary.corp.test"))
    settings = replace(Settings(tmp_path, tmp_path, server=NAMED, docker_is_extra=True), **named)
    Connections(settings, None, warn=warned.append).notary(NAMED, "registry.corp.test")
    assert [len(how["extra_ca"]) for how in contexts] == [counted]
    assert len(set(warned)) == warnings
    assert all(f"left out: cannot use the CA file {folder / 'broken.crt'}" in each for each in warned)


def test_servers_are_reached_anew_after_they_were_closed(tmp_path: Path) -> None:
    connections = Connections(Settings(tmp_path, tmp_path), Asking())
    first = connections.notary(DERIVED, "evil.test")
    assert connections.notary(DERIVED, "evil.test") is first
    connections.close()
    assert connections.notary(DERIVED, "evil.test") is not first


@pytest.fixture
def _quick_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no server that does not answer."""
    monkeypatch.setattr("notarypy.remote.http.attempts.backoff", lambda _: 0.001)


class Unreachable:
    """There is no such host."""

    def send(self, request: Request, deadline: float) -> Response:
        assert deadline
        raise UnreachableError("no connection", url=request.url)

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.usefixtures("_quick_network")
@pytest.mark.parametrize(
    ("day", "said"), [(7, "ends on 2026-12-08"), (8, "ended on 2026-12-08"), (9, "ended on 2026-12-08")]
)
@pytest.mark.parametrize("server", [None, "https://notary.docker.io"])
def test_docker_hubs_service_has_an_end(tmp_path: Path, server: str | None, day: int, said: str) -> None:
    settings = Settings(tmp_path / "t", tmp_path, server=server)
    warnings: list[str] = []
    with pytest.raises(UnreachableError) as caught:
        Client(
            settings,
            transport=Unreachable(),
            clock=lambda: datetime(2026, 12, day, 12, tzinfo=UTC),
            warn=lambda warning: warnings.append(str(warning)),
        ).refresh("docker.io/library/alpine")
    assert caught.value.why == (f"https://notary.docker.io is Docker Hub's Notary service, which {said}",)
    assert server or "--server URL" in advice(caught.value)
    assert said in warnings[0]
    assert "a Notary server of your own" in warnings[0]


@pytest.mark.usefixtures("_quick_network")
def test_another_server_for_images_of_docker_hub_is_none_of_its_business(tmp_path: Path) -> None:
    warnings: list[str] = []
    settings = Settings(tmp_path / "t", tmp_path, server=NAMED)
    with pytest.raises(UnreachableError) as caught:
        Client(settings, transport=Unreachable(), warn=lambda warning: warnings.append(str(warning))).refresh(
            "docker.io/library/alpine"
        )
    assert "Docker Hub" not in " ".join((*caught.value.why, *warnings))
