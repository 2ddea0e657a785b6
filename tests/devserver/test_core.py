from __future__ import annotations

import pytest

from notarypy.devserver.core import NOTARY_HOST, REGISTRY_HOST
from notarypy.errors import DeadlineError, ResponseLimitError, UnreachableError
from notarypy.remote.transport import Request, Response
from support.author import GUN
from support.fakes import NO_DEADLINE, make_fake, open_desk

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
