"""`doctor` on real servers: it says what is so, and changes nothing, here or there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from interop.harness import gateway, services, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.people import Person


@pytest.fixture(scope="module")
def cached(
    workshop: Path, authority: services.Authority, notary: services.Endpoint
) -> Iterator[services.Endpoint]:
    """Run an nginx that keeps what it may, and says nothing of it."""
    directory = workshop / "nginx-doctor"
    http = f"client_max_body_size 0; proxy_cache_path {directory}/cache keys_zone=doctor:1m;"
    with services.proxy(directory, authority, notary, http=http, location="proxy_cache doctor;") as endpoint:
        yield endpoint


def tree(top: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return all that is in a folder: modes, times, contents."""
    return {
        str(path.relative_to(top)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(top.rglob("*"))
    }


def found(person: Person, *words: str, code: int = 0, **environment: str) -> list[tuple[str, str, str]]:
    """Return level, area and text of each line."""
    document: Any = person.notarypy("doctor", *words, "--json", **environment).expect(code).document
    return [
        (finding["level"], finding["area"], finding["text"])
        for result in document["results"]
        for finding in result["findings"]
    ]


def bad(lines: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    return [line for line in lines if line[0] == "bad"]


def texts(lines: list[tuple[str, str, str]], level: str, area: str) -> str:
    return "\n".join(text for one, about, text in lines if (one, about) == (level, area))


def test_an_owner_is_well_and_nothing_is_changed(
    alice: Person, repository: Repository, front: gateway.Gateway
) -> None:
    alice.own(repository.name)
    repository.push("1")
    alice.notarypy("sign", repository.ref("1")).expect(0)
    alice.use(front.endpoint)
    before = tree(alice.home)
    front.forget()
    lines = found(alice, repository.name)
    assert bad(lines) == []
    assert tree(alice.home) == before
    assert front.requests("POST") == front.requests("DELETE") == front.requests("PUT") == []
    assert "its keys are here" in texts(lines, "ok", "roles")
    assert "TLSv1.3; its chain of 2 certificates is good until" in texts(lines, "ok", "server")
    assert "agree" in texts(lines, "ok", "clock")
    assert f"{repository.name} may be published" in texts(lines, "ok", "logins")
    assert "docker 2" in texts(lines, "ok", "docker")
    assert "Go notary" in texts(lines, "ok", "docker")


def test_a_cache_in_between_is_found_out(
    alice: Person, bob: Person, repository: Repository, notary: services.Endpoint, cached: services.Endpoint
) -> None:
    alice.own(repository.name)
    repository.push("1")
    alice.notarypy("sign", repository.ref("1")).expect(0)
    bob.use(cached)
    bob.notarypy("verify", repository.ref("1")).expect(0)
    assert "no cache between here and" in texts(found(bob, repository.name), "ok", "cache")
    repository.push("2")
    alice.use(notary)
    alice.notarypy("sign", repository.ref("2")).expect(0)
    between = texts(found(bob, repository.name), "warning", "cache")
    assert f"a cache between here and {cached.host} answers with timestamp" in between


def test_what_tokens_grant_is_said(
    alice: Person,
    bob: Person,
    notary_with_tokens: services.Endpoint,
    repository: Repository,
    token_server: tokens.TokenServer,
) -> None:
    assert token_server
    alice.use(notary_with_tokens)
    alice.log_in(repository.registry.host, "publisher", tokens.USERS["publisher"])
    alice.own(repository.name)
    lines = found(alice, repository.name, code=1)
    assert [text.split()[:3] for _, _, text in bad(lines)] == [["other", "users", "may"]]
    (alice.docker_config / "config.json").chmod(0o600)
    lines = found(alice, repository.name)
    assert bad(lines) == []
    assert f"{repository.name} may be published; the token grants pull,push" in texts(lines, "ok", "logins")
    assert "by Bearer authentication of localhost:" in texts(lines, "ok", "server")
    bob.use(notary_with_tokens)
    bob.log_in(repository.registry.host, "reader", tokens.USERS["reader"])
    (bob.docker_config / "config.json").chmod(0o600)
    lines = found(bob, repository.name)
    assert bad(lines) == []
    assert "may be read, and not published" in texts(lines, "ok", "logins")
    bob.log_in(repository.registry.host, "reader", "wrong")
    assert [line[1] for line in bad(found(bob, repository.name, code=1))] == ["logins", "logins"]


def test_something_else_at_the_address_is_named(
    alice: Person, repository: Repository, registry: services.Endpoint, notary: services.Endpoint
) -> None:
    del alice.environment["DOCKER_CONTENT_TRUST_SERVER"]
    lines = found(alice, repository.name, "--server", registry.url, code=1)
    assert f"{registry.url} is not the address of a Notary server" in texts(lines, "bad", "server")
    assert "was not looked at" in texts(lines, "warning", "server")
    closed = f"https://localhost:{services.free_port()}"
    assert "cannot connect to" in texts(
        found(alice, repository.name, "--server", closed, code=1), "bad", "server"
    )
    gone = "https://nothing.invalid"
    assert "nothing.invalid" in texts(
        found(alice, repository.name, "--server", gone, code=1), "bad", "server"
    )
    (alice.docker_config / "tls" / notary.host / "ca.crt").unlink()
    assert "certificate" in texts(
        found(alice, repository.name, "--server", notary.url, code=1), "bad", "server"
    )
