"""Servers for a whole test run, and a fresh repository and fresh people for each test.

INTEROP_SERVERS=devserver in the environment puts the devserver in the place of notary-server and registry.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from interop.harness import browser as browsers
from interop.harness import cluster as apiserver
from interop.harness import daemon, forking, gateway, images, people, programs, services, tokens, verifiers
from interop.harness import sides as beside
from interop.harness.once import Once
from support import served

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

LOGS = pytest.StashKey[Path]()
SIZES = pytest.StashKey[dict[Path, int]]()
LOG_LINES, LOG_WIDTH = 12, 500
ON_DEVSERVER = os.environ.get("INTEROP_SERVERS") == "devserver"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.interop)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove what all workers had, when none of them is left."""
    config: Any = session.config
    if not hasattr(config, "workerinput"):
        base = config._tmp_path_factory.getbasetemp()  # noqa: SLF001 - fixtures are gone
        shutil.rmtree(Once(base).folder, ignore_errors=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    logs = item.config.stash[LOGS].rglob("*.log") if LOGS in item.config.stash else ()
    item.stash[SIZES] = {log: log.stat().st_size for log in logs}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and LOGS in item.config.stash:
        report.sections += list(_server_logs(item))
    return report


def _server_logs(item: pytest.Item) -> Iterator[tuple[str, str]]:
    """Yield what each server logged since the test began, the last lines only."""
    for log in sorted(item.config.stash[LOGS].rglob("*.log")):
        text = log.read_bytes()[item.stash[SIZES].get(log, 0) :].decode(errors="replace")
        if text:
            lines = [line[:LOG_WIDTH] for line in text.splitlines()[-LOG_LINES:]]
            yield f"{log.parent.name}/{log.name}", "\n".join(lines)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """Return the folder of all servers; its logs are shown when a test fails."""
    directory = tmp_path_factory.mktemp("servers")
    pytestconfig.stash[LOGS] = directory
    return directory


@pytest.fixture(scope="session")
def authority(workshop: Path) -> services.Authority:
    return services.Authority(workshop / "ca")


@pytest.fixture(scope="session")
def devserver(workshop: Path) -> Iterator[served.Process]:
    with served.devserver(workshop / "devserver") as process:
        yield process


@pytest.fixture(scope="session")
def notary(
    workshop: Path, authority: services.Authority, request: pytest.FixtureRequest
) -> Iterator[services.Endpoint]:
    if ON_DEVSERVER:
        process: served.Process = request.getfixturevalue("devserver")
        yield services.Endpoint(process.notary, process.authority)
        return
    with services.notary_server(workshop / "notary", authority) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def notary_with_signer(
    workshop: Path, authority: services.Authority, request: pytest.FixtureRequest
) -> Iterator[services.Endpoint]:
    if ON_DEVSERVER:
        yield request.getfixturevalue("notary")
        return
    directory = workshop / "notary-with-signer"
    with (
        services.notary_signer(directory, authority) as trust_service,
        services.notary_server(directory, authority, trust_service=trust_service) as endpoint,
    ):
        yield endpoint


@pytest.fixture(scope="session")
def running_token_server(workshop: Path, authority: services.Authority) -> Iterator[tokens.TokenServer]:
    with tokens.token_server(workshop / "tokens", authority) as server:
        yield server


@pytest.fixture(scope="session")
def notary_with_tokens(
    workshop: Path, authority: services.Authority, running_token_server: tokens.TokenServer
) -> Iterator[services.Endpoint]:
    section = running_token_server.server_section
    with services.notary_server(workshop / "notary-with-tokens", authority, auth=section) as endpoint:
        yield endpoint


@pytest.fixture
def token_server(running_token_server: tokens.TokenServer) -> Iterator[tokens.TokenServer]:
    """Yield the token server with nothing granted yet; others that use it find its usual tokens again."""
    running_token_server.granted.clear()
    yield running_token_server
    running_token_server.lifetime = 60


@pytest.fixture(scope="session")
def registry(workshop: Path, request: pytest.FixtureRequest) -> Iterator[services.Endpoint]:
    if ON_DEVSERVER:
        process: served.Process = request.getfixturevalue("devserver")
        yield services.Endpoint(process.registry, process.authority)
        return
    with services.registry(workshop / "registry") as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def registry_with_login(workshop: Path, authority: services.Authority) -> Iterator[services.Endpoint]:
    directory = workshop / "registry-with-login"
    with services.registry(directory, authority=authority, basic_auth=True) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def referrers_registry(workshop: Path) -> Iterator[services.Endpoint]:
    """Run a registry that has the referrers API, beside `registry`, which has none."""
    with verifiers.registry(workshop / "referrers-registry") as endpoint:
        yield endpoint


@pytest.fixture(scope="module", params=["registry", "referrers_registry", "devserver"])
def each_registry(request: pytest.FixtureRequest) -> services.Endpoint:
    """Return one registry after the other: without the referrers API, with a plain one, and ours."""
    server: services.Endpoint | served.Process = request.getfixturevalue(request.param)
    if isinstance(server, services.Endpoint):
        return server
    return services.Endpoint(server.registry, server.authority)


@pytest.fixture(scope="session")
def dockerd(workshop: Path) -> Iterator[str]:
    """Run a docker daemon and return what DOCKER_HOST has to say; each worker that uses it has its own."""
    with daemon.running(workshop / "dockerd.log") as host:
        yield host


@pytest.fixture(scope="session")
def cluster(workshop: Path) -> Iterator[apiserver.Cluster]:
    """Run an API server of Kubernetes; each worker that uses it has its own."""
    with apiserver.running(workshop / "cluster") as running:
        yield running


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    return Once(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def forker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[forking.Forker]:
    """Run what forks programs of this package; each worker that uses it has its own."""
    with forking.Forker(tmp_path_factory.mktemp("forker")) as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def _shorter(forker: forking.Forker) -> Iterator[None]:
    """Run most lines of the project's programs without starting Python for each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programs, "shortcut", forking.Shortcut(forker, once_more=ON_DEVSERVER))
        yield


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browsers.Browser]:
    """Run a browser; each worker that uses it has its own."""
    with browsers.browsing(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture
def unique(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Return a maker of repository paths that nobody used before, named after the test."""
    stem = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:40].strip("-")
    return lambda: f"{stem}/{uuid.uuid4().hex[:12]}"


@pytest.fixture
def new_repository(registry: services.Endpoint, unique: Callable[[], str]) -> Callable[[], images.Repository]:
    return lambda: images.repository(registry, unique())


@pytest.fixture
def repository(new_repository: Callable[[], images.Repository]) -> images.Repository:
    return new_repository()


@pytest.fixture
def person(
    tmp_path: Path, notary: services.Endpoint, request: pytest.FixtureRequest
) -> Callable[[str], people.Person]:
    def made(name: str) -> people.Person:
        someone = people.Person(tmp_path / name, notary)
        if ON_DEVSERVER:
            someone.trust("certs.d", request.getfixturevalue("registry"))
        return someone

    return made


@pytest.fixture
def alice(person: Callable[[str], people.Person]) -> people.Person:
    return person("alice")


@pytest.fixture
def bob(person: Callable[[str], people.Person]) -> people.Person:
    return person("bob")


@pytest.fixture
def front(notary: services.Endpoint, authority: services.Authority) -> Iterator[gateway.Gateway]:
    """Run a gateway in front of the Notary server."""
    with gateway.gateway_to(notary, authority) as running:
        yield running


@pytest.fixture
def registry_front(registry: services.Endpoint, authority: services.Authority) -> Iterator[gateway.Gateway]:
    """Run a gateway in front of the registry."""
    with gateway.gateway_to(registry, authority) as running:
        yield running


# -- docker trust beside docker-trust --------------------------------------------------------------


@pytest.fixture(params=list(programs.docker_clients().values()), ids=list(programs.docker_clients()))
def lines(
    request: pytest.FixtureRequest,
    person: Callable[[str], people.Person],
    new_repository: Callable[[], images.Repository],
) -> beside.Sides:
    """Return two people without anything: for lines that end before anything is done."""
    return beside.Sides(
        beside.Side(person("docker"), (request.param, "trust"), new_repository(), new_repository()),
        beside.Side(person("ours"), ("docker-trust",), new_repository(), new_repository()),
    )


@pytest.fixture
def sides(
    person: Callable[[str], people.Person], new_repository: Callable[[], images.Repository], dockerd: str
) -> beside.Sides:
    """Return two people who begin with the same: a daemon, a login, and keys of jeff and jo."""

    def side(name: str, *program: str) -> beside.Side:
        someone = person(name)
        someone.environment["DOCKER_HOST"] = dockerd
        repository = new_repository()
        someone.log_in(repository.registry.host, "alice", "password")
        for signer in ("jeff", "jo"):
            someone.new_key(signer)
            plain = someone.home / f"{signer}.pem"
            programs.openssl("ec", "-in", someone.home / f"{signer}.key", "-out", plain)
            plain.chmod(0o600)
        return beside.Side(someone, program, repository, new_repository())

    return beside.Sides(side("docker", "docker", "trust"), side("ours", "docker-trust"))


@pytest.fixture
def both_signed(sides: beside.Sides) -> beside.Sides:
    """Return both with trust data, jeff for a signer, and a signed tag 1."""
    sides.agree("key", "load", "{H}/jeff.pem", "--name", "jeff")
    sides.agree("signer", "add", "--key", "{H}/jeff.crt", "jeff", "{R}")
    sides.each(lambda side: side.publish(side.repository, "1"))
    sides.agree("sign", "{R}:1")
    return sides
