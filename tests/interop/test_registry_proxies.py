"""nginx in front of the registry, set up as people do: what it lets through is pushed, the rest explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interop.harness import services
from support import layouts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.people import Person

MADE = layouts.image(b"small", bytes(range(256)) * 12_000, bytes(range(255, -1, -1)) * 80_000)
ANY_SIZE = "client_max_body_size 0;"
HABITS = {
    "it ends TLS": "proxy_set_header Host $http_host;",
    "it forgets the port": "proxy_set_header Host $host;",
    "it takes no PATCH": "if ($request_method = PATCH) { return 405; }",
    "it forbids PATCH": "limit_except GET POST PUT DELETE { deny all; }",
    "it forbids HEAD": "if ($request_method = HEAD) { return 403; }",
}


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[services.Endpoint]:
    with services.registry(tmp_path / "registry") as endpoint:
        yield endpoint


@pytest.mark.parametrize("habit", HABITS)
def test_what_a_proxy_lets_through_is_pushed_and_pulled(
    alice: Person, plain: services.Endpoint, authority: services.Authority, tmp_path: Path, habit: str
) -> None:
    source = f"oci:{layouts.layout(tmp_path / 'image', MADE)}"
    location = f"{ANY_SIZE} {HABITS[habit]}"
    with services.proxy(tmp_path / "nginx", authority, plain, location=location) as front:
        alice.trust("certs.d", front)
        run = alice.notarypy("push", source, f"{front.host}/app:1", "--json").expect(0)
        assert run.document["results"][0]["digest"] == MADE.digest
        again = alice.notarypy("push", source, f"{front.host}/app:2", "--json").expect(0)
        assert again.document["results"][0]["uploaded"] == 0


def test_what_is_too_large_for_a_proxy_is_called_that(
    alice: Person, plain: services.Endpoint, authority: services.Authority, tmp_path: Path
) -> None:
    source = f"oci:{layouts.layout(tmp_path / 'image', MADE)}"
    with services.proxy(tmp_path / "nginx", authority, plain) as front:
        alice.trust("certs.d", front)
        run = alice.notarypy("push", source, f"{front.host}/app:1").expect(8)
        assert "status 413" in run.stderr
        assert f"have the operator of {front.host} raise the body size limit" in run.stderr


def test_manifests_and_blobs_that_another_host_keeps(
    alice: Person,
    repository: Repository,
    registry: services.Endpoint,
    authority: services.Authority,
    tmp_path: Path,
) -> None:
    """One name in front, which sends whoever reads on to where the content is."""
    repository.push("1")
    with services.proxy(tmp_path / "keeping", authority, registry) as keeper:
        location = f"if ($request_method = GET) {{ return 307 {keeper.url}$request_uri; }}"
        with services.proxy(tmp_path / "front", authority, registry, location=location) as front:
            alice.trust("certs.d", front)
            name = f"{front.host}/{repository.path}:1"
            alice.trust("certs.d", keeper)
            alice.notarypy("sign", "--init", name).expect(0)
            alice.notarypy("pull", name, f"oci:{tmp_path}/back:1").expect(0)
