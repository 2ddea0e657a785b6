"""Many images in one command: against servers with little room, and interrupted in the midst of it."""

from __future__ import annotations

import signal
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from interop.harness import images, programs, services

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from interop.harness.gateway import Gateway
    from interop.harness.people import Person

REPOSITORIES, TAGS = 4, "123"
KEY = "limit_{kind}_zone $server_name zone=few:1m"
# Few connections, or few requests a second; nginx answers 503 of itself, and 429 where it is told to.
ROOM = {
    "one connection": (KEY.format(kind="conn") + ";", "limit_conn few 1; limit_conn_status 429;"),
    "two connections": (KEY.format(kind="conn") + ";", "limit_conn few 2;"),
    "20 requests a second": (KEY.format(kind="req") + " rate=20r/s;", "limit_req zone=few burst=2 nodelay;"),
    "asks to wait": (
        KEY.format(kind="req") + " rate=10r/s;",
        "limit_req zone=few burst=3 nodelay; limit_req_status 429; add_header Retry-After 1 always;",
    ),
}


@pytest.mark.parametrize("room", ROOM)
def test_servers_with_little_room_answer_all(
    alice: Person,
    bob: Person,
    notary: services.Endpoint,
    registry: services.Endpoint,
    authority: services.Authority,
    unique: Callable[[], str],
    tmp_path: Path,
    room: str,
) -> None:
    http, location = ROOM[room]
    location = f"{location} proxy_set_header Host $http_host;"
    with ExitStack() as stack:
        fronts = [
            stack.enter_context(
                services.proxy(tmp_path / name, authority, real, http=http, location=location)
            )
            for name, real in (("notary", notary), ("registry", registry))
        ]
        for person in (alice, bob):
            person.use(fronts[0])
            person.trust("certs.d", fronts[1])
        behind = [images.Repository(registry, f"{unique()}-{number}") for number in range(REPOSITORIES)]
        for one in behind:
            for tag in TAGS:
                one.push(tag)
        refs = [f"{fronts[1].host}/{one.path}:{tag}" for one in behind for tag in TAGS]
        signed = alice.notarypy("sign", "--init", *refs).expect(0)
        assert len([line for line in signed.stdout.splitlines() if line.startswith("signed")]) == len(refs)
        assert len(bob.notarypy("verify", *refs).expect(0).stdout.splitlines()) == len(refs)
        names = [ref.rpartition(":")[0] for ref in refs[:: len(TAGS)]]
        assert len(bob.notarypy("verify", "--all-tags", *names).expect(0).stdout.splitlines()) == len(refs)
        alice.notarypy("status", *names).expect(0)


def interrupted(process: subprocess.Popen[str], number: int) -> programs.Run:
    process.send_signal(number)
    return programs.collect(process)


def test_ctrl_c_ends_all_that_wait_for_silent_servers(alice: Person) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        port = silent.getsockname()[1]
        refs = [f"127.0.0.1:{port}/app-{number}:1" for number in range(20)]
        process = alice.start_notarypy(
            "verify", *refs, DOCKER_CONTENT_TRUST_SERVER=f"https://127.0.0.1:{port}"
        )
        taken = [silent.accept()[0] for _ in range(4)]
        run = interrupted(process, signal.SIGINT).expect(-signal.SIGINT)
        for one in taken:
            one.close()
    assert (run.stdout, run.stderr) == ("", "notarypy: error: interrupted [interrupted]\n")
    assert not list(alice.trust_dir.rglob("*.json"))


def test_ctrl_c_while_many_are_signed_leaves_nothing_half_done(
    alice: Person, bob: Person, front: Gateway, new_repository: Callable[[], images.Repository]
) -> None:
    repositories = [new_repository() for _ in range(REPOSITORIES)]
    for one in repositories:
        one.push("1")
        alice.own(one.name)
    alice.use(front.endpoint)
    refs = [one.ref("1") for one in repositories]
    front.forget()
    process = alice.start_notarypy("sign", *refs)
    while not any(seen.method == "POST" for seen in list(front.seen)):
        assert process.poll() is None
    run = interrupted(process, signal.SIGINT)
    assert run.code in {0, -signal.SIGINT}, run.stderr
    alice.notarypy("sign", *refs).expect(0)
    bob.notarypy("verify", *refs).expect(0)
    assert not [path for path in alice.trust_dir.rglob("*") if "tmp" in path.name]
