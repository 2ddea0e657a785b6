"""The application, called as a server calls it: routes, limits, deadlines, ids, the log and the counts."""

from __future__ import annotations

import asyncio
import json
import logging
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.limits import Limits
from notarypy.service import asgi
from notarypy.service.asgi import App, HttpAnswer
from notarypy.service.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

JSON = {"content-type": "application/json"}
LIMITS = Limits(request_bytes=1000, requests_bytes=3000, request_id_chars=8)


class Doing:
    """An operation that notes what it gets, and waits for what a test gives it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.futures: list[Future[str]] = []

    def __call__(self, body: bytes) -> Doing:
        self.bodies.append(body)
        return self

    def finish(self) -> HttpAnswer:
        done = sum(future.done() for future in self.futures)
        return HttpAnswer(json.dumps({"done": done}).encode(), facts={"images": done})


class Answered:
    """What came back of a request."""

    def __init__(self, sent: list[dict[str, Any]]) -> None:
        start, body = sent
        self.status: int = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        self.body: bytes = body["body"]

    @property
    def code(self) -> str:
        error = json.loads(self.body)["error"]
        assert error.keys() == {"code", "message"}
        return str(error["code"])


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up early on bodies that nobody wants."""
    monkeypatch.setattr(asgi, "_DROP_SECONDS", 0.01)


@pytest.fixture
def doing() -> Doing:
    return Doing()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("1.2", ["/verify", *App.PAGES])


@pytest.fixture
def app(doing: Doing, metrics: Metrics) -> App:
    return make(doing, metrics)


def make(operation: asgi.Operation, metrics: Metrics, **how: Any) -> App:  # noqa: ANN401 - those of App
    how = {"ready": str, "deadline": 5.0, "most": 2, "limits": LIMITS, **how}
    return App({"/verify": operation}, metrics=metrics, **how)


async def call(
    app: App,
    method: str = "POST",
    path: str = "/verify",
    *,
    query: str = "",
    pieces: Sequence[bytes | None] = (b"{}",),
    headers: dict[str, str] | None = None,
    certified: bool = False,
) -> Answered:
    """Send a request; a piece that is None never comes."""
    left, sent = list(pieces), list[dict[str, Any]]()
    given = {"content-length": str(sum(len(piece or b"") for piece in pieces)), **JSON, **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given.items() if value],
        "client": ("192.0.2.1", 12345),
        "state": {"certified": certified},
    }

    async def receive() -> dict[str, Any]:
        if not left:
            return {"type": "http.disconnect"}
        if (piece := left.pop(0)) is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI's
        sent.append(dict(message))

    await app(scope, receive, send)
    return Answered(sent)


def ask(app: App, *words: str, **how: Any) -> Answered:  # noqa: ANN401 - those of call
    return asyncio.run(call(app, *words, **how))


# -- pages


def test_pages_say_how_the_service_is(doing: Doing, metrics: Metrics) -> None:
    why: list[str] = []
    app = make(doing, metrics, ready=lambda: "".join(why))
    assert ask(app, "GET", "/healthz").body == ask(app, "GET", "/readyz").body == b"ok\n"
    assert ask(app, "HEAD", "/healthz").status == 200
    why.append("there is no policy")
    assert (ask(app, "GET", "/readyz").status, ask(app, "GET", "/healthz").status) == (503, 200)
    assert ask(app, "GET", "/readyz").body == b"there is no policy\n"
    why.clear()
    app.ending = True
    found = ask(app, "GET", "/readyz")
    assert (found.status, found.headers["connection"]) == (503, "close")
    assert ask(app, "GET", "/healthz").status == 200


def test_what_was_answered_is_counted_by_path_and_status_alone(app: App) -> None:
    ask(app)
    ask(app, "GET")
    ask(app, "GET", "/registry.example.com/app")
    found = ask(app, "GET", "/metrics")
    assert found.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = found.body.decode().splitlines()
    assert 'notarypy_requests_total{path="/verify",status="200"} 1.0' in lines
    assert 'notarypy_requests_total{path="/verify",status="405"} 1.0' in lines
    assert 'notarypy_requests_total{path="other",status="404"} 1.0' in lines
    assert 'notarypy_request_seconds_count{path="/verify"} 2.0' in lines
    assert 'notarypy_build_info{version="1.2"} 1.0' in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)
    assert "registry.example.com" not in found.body.decode()


# -- what is refused before it is read


@pytest.mark.parametrize(
    ("words", "how", "status", "code"),
    [
        (["POST", "/nothing"], {}, 404, "http.not_found"),
        (["POST", "/verify/"], {}, 404, "http.not_found"),
        (["GET", "/verify"], {}, 405, "http.method"),
        (["POST", "/healthz"], {}, 405, "http.method"),
        (["POST", "/verify"], {"headers": {"content-type": ""}}, 415, "http.not_json"),
        (["POST", "/verify"], {"headers": {"content-type": "text/plain"}}, 415, "http.not_json"),
        (["POST", "/verify"], {"headers": {"content-encoding": "gzip"}}, 415, "http.encoded"),
        (["POST", "/verify"], {"headers": {"content-length": ""}}, 411, "http.no_length"),
        (["POST", "/verify"], {"headers": {"content-length": "3001"}}, 413, "http.too_long"),
        (
            ["POST", "/verify"],
            {"headers": {"content-length": "1001", "expect": "100-continue"}},
            413,
            "http.too_long",
        ),
    ],
)
def test_what_does_not_fit(
    app: App, doing: Doing, words: list[str], how: dict[str, Any], status: int, code: str
) -> None:
    found = ask(app, *words, pieces=[None], **how)
    assert (found.status, found.code, doing.bodies) == (status, code, [])
    if "content-length" not in how.get("headers", {"content-length": ""}):
        assert found.headers["connection"] == "close"
    if status == 405:
        assert found.headers["allow"] in {"POST", "GET, HEAD"}


def test_a_client_certificate_is_wanted_of_those_who_verify(doing: Doing, metrics: Metrics) -> None:
    app = make(doing, metrics, client_certificates=True)
    assert ask(app).code == "http.no_certificate"
    assert ask(app, certified=True).status == 200
    assert all(ask(app, "GET", page).status == 200 for page in App.PAGES)


def test_the_type_may_have_a_charset(app: App) -> None:
    assert ask(app, headers={"content-type": "Application/JSON; charset=utf-8"}).status == 200


# -- bodies


def test_a_body_comes_in_pieces(app: App, doing: Doing) -> None:
    assert ask(app, pieces=[b"a" * 600, b"b" * 400]).status == 200
    assert ask(app, pieces=[b"a", b"", b"b"], headers={"transfer-encoding": "chunked", "content-length": ""})
    assert doing.bodies == [b"a" * 600 + b"b" * 400, b"ab"]


def test_a_body_that_is_a_little_too_long_is_read_to_its_end(app: App, doing: Doing) -> None:
    found = ask(app, pieces=[b"a" * 1000] * 3)
    assert (found.code, doing.bodies) == ("http.too_long", [])
    assert "connection" not in found.headers


def test_a_body_that_nobody_wants_is_read_so_that_the_answer_is_seen(app: App, doing: Doing) -> None:
    for words in (["POST", "/nothing"], ["PUT", "/verify"], ["POST", "/healthz"]):
        found = ask(app, *words, pieces=[b"a" * 1000, b"b" * 1000])
        assert found.status in {404, 405}
        assert "connection" not in found.headers
    asked_first = ask(app, "POST", "/nothing", pieces=[b"a"], headers={"expect": "100-continue"})
    assert asked_first.headers["connection"] == "close"
    assert doing.bodies == []


def test_a_body_without_end_is_not(app: App) -> None:
    chunked = {"transfer-encoding": "chunked", "content-length": ""}
    found = ask(app, pieces=[b"a" * 1000] * 4 + [None], headers=chunked)
    assert (found.code, found.headers["connection"]) == ("http.too_long", "close")


def test_a_body_that_does_not_come(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "BODY_SECONDS", 0.01)
    found = ask(app, pieces=[b"a", None], headers={"content-length": "9"})
    assert (found.status, found.code, found.headers["connection"]) == (408, "http.slow_body", "close")


def test_a_client_that_goes_away_while_it_sends(app: App, doing: Doing) -> None:
    found = ask(app, pieces=[], headers={"content-length": "9"})
    assert (found.code, doing.bodies) == ("http.gone", [])


def test_bodies_have_a_limit_together(app: App, doing: Doing) -> None:
    async def three() -> list[Answered]:
        first = asyncio.create_task(call(app, pieces=[b"a" * 1000, None]))
        await asyncio.sleep(0)
        found = [await call(make_room, pieces=[b"a" * 600])]
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return [*found, await call(make_room, pieces=[b"a" * 600])]

    make_room = app
    vars(app)["_limits"] = Limits(request_bytes=1000, requests_bytes=1500)
    refused, taken = asyncio.run(three())
    assert (refused.status, refused.code, taken.status) == (503, "http.busy", 200)
    assert len(doing.bodies) == 1


def test_a_long_body_is_parsed_in_a_thread(doing: Doing, metrics: Metrics) -> None:
    app = make(doing, metrics, limits=Limits())
    assert ask(app, pieces=[b"a" * 100_000]).status == 200
    assert [len(body) for body in doing.bodies] == [100_000]


# -- time and room


def test_only_so_many_are_under_way(app: App, doing: Doing) -> None:
    async def three() -> list[Answered]:
        future = Future[str]()
        doing.futures.append(future)
        tasks = [asyncio.create_task(call(app)) for _ in range(2)]
        await asyncio.sleep(0)
        refused = await call(app)
        page = await call(app, "GET", "/metrics")
        future.set_result("")
        return [refused, page, *(await asyncio.gather(*tasks)), await call(app)]

    refused, page, *others = asyncio.run(three())
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "http.busy", "1")
    assert "notarypy_requests_under_way 2.0" in page.body.decode()
    assert [each.status for each in others] == [200, 200, 200]


@pytest.mark.parametrize("query", ["timeout=500ms", "a=b&timeout=0.5s", "timeout=0.50s&x"])
def test_the_answer_comes_before_the_caller_gives_up(app: App, doing: Doing, query: str) -> None:
    doing.futures += [Future(), Future()]
    doing.futures[0].set_result("")
    assert json.loads(ask(app, query=query).body) == {"done": 1}
    assert not doing.futures[1].cancelled()


@pytest.mark.parametrize(
    "query", ["", "timeout=10s", "timeout=x", "timeout=0s", "xtimeout=1s", "timeout=-1s"]
)
def test_the_services_own_deadline_is_the_last(doing: Doing, metrics: Metrics, query: str) -> None:
    doing.futures.append(Future())
    assert json.loads(ask(make(doing, metrics, deadline=0.01), query=query).body) == {"done": 0}


def test_who_does_not_read_holds_nothing(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "_SEND_SECONDS", 0.01)
    scope = {"type": "http", "method": "GET", "path": "/healthz", "query_string": b"", "headers": []}

    async def never(*_: object) -> Any:  # noqa: ANN401 - ASGI's
        await asyncio.Event().wait()

    asyncio.run(app(scope, never, never))


def test_what_is_no_http_is_left_alone(app: App) -> None:
    async def never(*_: object) -> Any:  # noqa: ANN401 - ASGI's
        raise AssertionError

    asyncio.run(app({"type": "websocket"}, never, never))


# -- ids, errors and the log


@pytest.mark.parametrize(
    ("given", "taken"), [("a-B_1.2", True), ("a" * 9, False), ("a b", False), ("", False)]
)
def test_an_id_is_taken_if_it_is_short_and_plain(app: App, given: str, taken: bool) -> None:
    found = ask(app, headers={"x-request-id": given}).headers["x-request-id"]
    assert (found == given) is taken
    assert found


def test_what_nobody_foresaw_says_nothing(metrics: Metrics, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_body: bytes) -> HttpAnswer:
        raise ValueError("hunter2")

    found = ask(make(broken, metrics))
    assert (found.status, found.code) == (500, "service.defect")
    assert "hunter2" not in found.body.decode()
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_each_request_is_a_line(app: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "notarypy.service.requests")
    ask(app, headers={"x-request-id": "one", "authorization": "Bearer hunter2"}, pieces=[b"hunter3"])
    ask(app, "GET", "/healthz")
    ask(app, "GET", "/" + "x" * 5000)
    lines = [(record.levelname, vars(record)["facts"]) for record in caplog.records]
    assert [level for level, _ in lines] == ["INFO", "DEBUG", "INFO"]
    facts = lines[0][1]
    assert facts.keys() == {"client", "id", "method", "path", "status", "ms", "images"}
    assert (facts["id"], facts["path"], facts["status"], facts["images"]) == ("one", "/verify", 200, 0)
    assert "hunter" not in str(lines)
    assert len(lines[2][1]["path"]) < 200
