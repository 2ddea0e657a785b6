from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy.devserver.core import NOTARY_HOST, REGISTRY_HOST
from notarypy.errors import DeadlineError, ResponseLimitError, UnreachableError
from notarypy.remote.http.messages import Request, Response
from support.author import GUN
from support.fakes import NO_DEADLINE, make_fake, open_desk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PING = Request("GET", f"https://{NOTARY_HOST}/v2/")


def test_each_host_has_its_service() -> None:
    fake = make_fake()
    pinged = [
        fake.send(Request("GET", f"https://{host}/v2/"), NO_DEADLINE) for host in (NOTARY_HOST, REGISTRY_HOST)
    ]
    assert [answer.status for answer in pinged] == [200, 200]
    assert "docker-distribution-api-version" in pinged[1].headers
    assert "docker-distribution-api-version" not in pinged[0].headers


def test_another_host_is_unreachable_until_it_is_added() -> None:
    fake = make_fake()
    request = Request("GET", "https://registry-1.docker.io/v2/")
    with pytest.raises(UnreachableError):
        fake.send(request, NO_DEADLINE)
    fake.services["registry-1.docker.io"] = fake.registry
    assert fake.send(request, NO_DEADLINE).status == 200


def test_requests_are_recorded() -> None:
    fake = make_fake()
    open_desk(fake)
    assert fake.lines() == [
        f"GET /v2/{GUN}/_trust/tuf/timestamp.key",
        f"GET /v2/{GUN}/_trust/tuf/snapshot.key",
    ]


def test_first_answer_of_a_hook_stands_and_later_hooks_change_it() -> None:
    fake = make_fake()
    fake.before += [lambda _: None, lambda _: Response(418), lambda _: Response(500)]
    fake.after += [
        lambda _, answer: Response(answer.status + 1),
        lambda _, answer: Response(answer.status + 1),
    ]
    assert fake.send(PING, NO_DEADLINE).status == 420


def test_hooks_answer_for_hosts_that_nobody_serves() -> None:
    fake = make_fake()
    fake.before.append(lambda request: Response(200) if "auth.test" in request.url else None)
    assert fake.send(Request("GET", "https://auth.test/token"), NO_DEADLINE).status == 200


def test_limit_and_deadline_hold() -> None:
    fake = make_fake()
    with pytest.raises(ResponseLimitError):
        fake.send(Request("GET", PING.url, limit=1), NO_DEADLINE)
    with pytest.raises(DeadlineError):
        fake.send(PING, 0)
    fake.close()


def test_two_fakes_are_equal_and_apart() -> None:
    one, two = make_fake(), make_fake()
    assert open_desk(one).key("timestamp") == open_desk(two).key("timestamp")
    open_desk(one).publish()
    assert open_desk(two).send("GET", "tuf/root.json").status == 404


def test_bodies_in_pieces_come_and_go_as_over_a_network() -> None:
    class Pieces:
        """A body in two pieces, and a sink."""

        def __init__(self) -> None:
            self.taken: list[object] = []

        def __len__(self) -> int:
            return 2

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"a", b"b"])

        def begin(self, status: int, headers: Mapping[str, str]) -> Callable[[bytes], object]:
            self.taken += [status, headers["content-length"]]
            return self.taken.append

    fake, body = make_fake(), Pieces()
    digest = fake.registry.put_blob("app", b"ab")
    blobs = f"https://{REGISTRY_HOST}/v2/app/blobs/"
    assert fake.send(Request("POST", f"{blobs}uploads/?digest={digest}", {}, body), NO_DEADLINE).status == 201
    assert fake.requests[-1].body == b"ab"
    answer = fake.send(Request("GET", f"{blobs}{digest}", sink=body), NO_DEADLINE)
    assert (answer.body, body.taken) == (b"", [200, "2", b"ab"])
    missing = fake.send(Request("GET", f"{blobs}sha256:{'0' * 64}", sink=body), NO_DEADLINE)
    assert (missing.status, len(body.taken)) == (404, 3)
