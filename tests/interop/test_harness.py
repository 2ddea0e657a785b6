"""The servers and programs themselves: what the other tests take for granted about them."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import signal
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interop.harness import programs, rounds, services, tokens
from interop.harness.gateway import Upload
from interop.harness.images import DOCKER_MANIFEST, OCI_INDEX, Manifest, Repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from interop.harness.gateway import Gateway
    from interop.harness.people import Person
    from interop.harness.services import Endpoint
    from interop.harness.tokens import TokenServer

IMAGE = Manifest(DOCKER_MANIFEST, b"a manifest that no registry has")


def fetch(url: str, context: ssl.SSLContext | None = None, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers=headers)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(request, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_go_notary_publishes_and_another_person_reads(
    alice: Person, bob: Person, repository: Repository
) -> None:
    alice.notary("init", repository.name, "-p").expect(0)
    alice.notary_add(repository.name, "1", IMAGE).expect(0)
    assert IMAGE.sha256 in bob.notary("lookup", repository.name, "1").expect(0).stdout


def test_docker_reads_what_go_notary_signed(alice: Person, repository: Repository) -> None:
    alice.notary("init", repository.name, "-p").expect(0)
    alice.notary_add(repository.name, "1", IMAGE).expect(0)
    (document,) = json.loads(alice.inspection(repository.name))
    assert document["SignedTags"] == [{"SignedTag": "1", "Digest": IMAGE.sha256, "Signers": ["Repo Admin"]}]


def test_docker_makes_a_repository_with_a_signer_without_a_daemon(
    alice: Person, repository: Repository
) -> None:
    _, certificate = alice.new_key("jeff")
    alice.docker("trust", "signer", "add", "--key", certificate, "jeff", repository.name).expect(0)
    (document,) = json.loads(alice.inspection(repository.name))
    assert [signer["Name"] for signer in document["Signers"]] == ["jeff"]


def test_notary_signer_makes_the_servers_keys(
    alice: Person, notary_with_signer: Endpoint, repository: Repository
) -> None:
    alice.use(notary_with_signer)
    alice.notary("init", repository.name, "-p").expect(0)
    alice.notary("list", repository.name).expect(0)
    root = json.loads((alice.metadata(repository.name) / "root.json").read_bytes())["signed"]
    (timestamp_key,) = root["roles"]["timestamp"]["keyids"]
    assert root["keys"][timestamp_key]["keytype"] == "ecdsa"


def test_the_token_server_is_asked_and_believed(
    alice: Person,
    notary_with_tokens: Endpoint,
    token_server: TokenServer,
    repository: Repository,
) -> None:
    alice.use(notary_with_tokens)
    alice.environment["NOTARY_AUTH"] = "cHVibGlzaGVyOnB1Ymxpc2hlci1wYXNzd29yZA=="
    alice.notary("init", repository.name, "-p").expect(0)
    scope = f"repository:{repository.name}:push,pull"
    assert tokens.Granted("publisher", scope, frozenset({"push", "pull"})) in token_server.granted


@pytest.mark.parametrize(
    ("scope", "lifetime", "status"),
    [
        ("repository:a/b:pull", 60, 404),
        ("repository:a/b:push", 60, 401),
        ("repository:other:pull", 60, 401),
        ("repository:a/b:pull", -120, 401),
    ],
    ids=["right", "other action", "other repository", "expired"],
)
def test_a_token_opens_what_its_scope_says(
    notary_with_tokens: Endpoint,
    authority: services.Authority,
    token_server: TokenServer,
    scope: str,
    lifetime: int,
    status: int,
) -> None:
    token_server.lifetime = lifetime
    url = f"{notary_with_tokens.url}/v2/a/b/_trust/tuf/root.json"
    token = token_server.issue("publisher", scope)
    assert fetch(url, authority.client_context(), Authorization=f"Bearer {token}")[0] == status


def test_the_registry_with_login_wants_it(
    registry_with_login: Endpoint, authority: services.Authority, unique: Callable[[], str]
) -> None:
    login = (services.REGISTRY_USER, services.REGISTRY_PASSWORD)
    repository = Repository(registry_with_login, unique(), authority.client_context(), login)
    repository.push("1")
    url = f"{registry_with_login.url}/v2/{repository.path}/manifests/1"
    assert fetch(url, authority.client_context())[0] == 401


def test_the_registry_serves_an_index_as_pushed(repository: Repository) -> None:
    index = repository.push_index("multi")
    url = f"{repository.registry.url}/v2/{repository.path}/manifests/multi"
    assert fetch(url, Accept=OCI_INDEX) == (200, index.body)


def test_a_gateway_records_what_passes(alice: Person, front: Gateway, repository: Repository) -> None:
    alice.use(front.endpoint)
    alice.notary("init", repository.name, "-p").expect(0)
    assert front.requests("POST") == [""]
    assert front.connections == len(front.seen)


def test_a_gateway_rewrites_answers(front: Gateway, authority: services.Authority) -> None:
    front.rewrite = lambda path, body: body + path.encode()
    url = f"{front.endpoint.url}/_notary_server/health"
    assert fetch(url, authority.client_context()) == (200, b"{}/_notary_server/health")


@pytest.mark.parametrize(
    ("upload", "published", "success"),
    [
        (Upload.CUT, True, False),
        (Upload.SWALLOW, False, False),
        (Upload.DROP, False, True),
        (Upload.EMPTY, False, True),
    ],
)
def test_a_gateway_spoils_uploads(
    alice: Person,
    bob: Person,
    front: Gateway,
    repository: Repository,
    upload: Upload,
    published: bool,
    success: bool,
) -> None:
    _, certificate = alice.new_key("jeff")
    alice.docker("trust", "signer", "add", "--key", certificate, "jeff", repository.name).expect(0)
    alice.use(front.endpoint)
    front.upload = upload
    run = alice.notary_add(repository.name, "1", IMAGE)
    assert (run.code == 0) is success
    assert (bob.notary("lookup", repository.name, "1").code == 0) is published


def test_a_missing_program_names_the_way_to_get_it() -> None:
    with pytest.raises(LookupError, match="run scripts/test"):
        programs.find("no-such-program")


def test_a_server_that_dies_at_the_start_shows_its_log(tmp_path: Path) -> None:
    argv = ["notary-server", "-config", "/nonexistent"]
    with pytest.raises(RuntimeError, match="nonexistent"):
        services.Service(argv, tmp_path / "log", lambda: False)


# Starts a server that holds a lock for a while, and is killed.
KILLED = """
import os, pathlib, signal, sys
from interop.harness import services
started = pathlib.Path(sys.argv[1], "started")
services.Service([sys.executable, "-c", sys.argv[2], sys.argv[1]], started.with_name("log"), started.exists)
os.kill(os.getpid(), signal.SIGKILL)
"""
HOLDS = """
import fcntl, os, sys, time
os.chdir(sys.argv[1])
with open("lock", "w") as held:
    fcntl.flock(held, fcntl.LOCK_EX)
    open("started", "w").close()
    time.sleep(30)
    open("survived", "w").close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does it")
def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    tests = Path(__file__).parents[1]
    paths = {"PYTHONPATH": os.pathsep.join((str(tests.parent), str(tests)))}
    programs.run([sys.executable, "-c", KILLED, str(tmp_path), HOLDS], paths).expect(-signal.SIGKILL)
    with (tmp_path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # which is had when the server has ended
    assert (tmp_path / "started").exists()
    assert not (tmp_path / "survived").exists()


@pytest.mark.parametrize(("last", "again"), [("fatal error: concurrent map writes", True), ("ended", False)])
def test_a_server_that_a_race_of_its_own_ended_is_started_again(
    tmp_path: Path, last: str, *, again: bool
) -> None:
    started, log = tmp_path / "started", tmp_path / "log"
    program = "; ".join(
        (
            "import os, sys, time",
            f"known = os.path.exists({str(started)!r})",
            f"open({str(started)!r}, 'a').write('x')",
            f"known or sys.exit({last!r})",
            "time.sleep(60)",
        )
    )
    with services.Service([sys.executable, "-c", program], log, started.exists) as service:
        first = service.pid
        while last not in log.read_text():
            time.sleep(0.01)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        service.revive()
        assert (service.pid != first) is again


def test_a_gateway_hangs_up_without_an_answer(front: Gateway, authority: services.Authority) -> None:
    front.upload = Upload.SWALLOW
    connection = http.client.HTTPSConnection(front.endpoint.host, context=authority.client_context())
    connection.request("POST", "/v2/a/_trust/tuf/", b"x")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError, ssl.SSLError)):
        connection.getresponse()
    connection.close()


# Two requests at once, and a third when both are answered; each over a connection of its own.
SIDE_BY_SIDE = """
import ssl, sys, urllib.request
from concurrent.futures import ThreadPoolExecutor
context = ssl.create_default_context(cafile=sys.argv[1])
def ask(url):
    with urllib.request.urlopen(url, context=context) as answer:
        return answer.read()
with ThreadPoolExecutor(2) as workers:
    list(workers.map(ask, sys.argv[2:]))
ask(sys.argv[2])
"""


def test_requests_at_once_are_one_round(
    notary: Endpoint, authority: services.Authority, tmp_path: Path
) -> None:
    with rounds.Rounds(authority) as conductor:
        first, second = (conductor.front(name, notary) for name in ("first", "second"))
        urls = [f"{front.url}/_notary_server/health" for front in (first, second)]
        with conductor.in_step() as traffic:
            argv = [sys.executable, "-c", SIDE_BY_SIDE, str(authority.file), *urls]
            process = programs.start(argv, {"HOME": str(tmp_path)})
            conductor.follow(process.pid)
            programs.collect(process).expect(0)
    assert [len(requests) for requests in traffic.rounds] == [2, 1]
    assert traffic.requests == {"first": 2, "second": 1}
    assert traffic.connections == traffic.requests
