"""The application, called as a server calls it: routes, limits, deadlines, ids, the log and the counts."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
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
    assert ask(app, "HEAD", "/healthz").status == ask(app, "GET", "http://a.test:1/healthz").status == 200
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
        (["POST", "/verify"], {"headers": {"transfer-encoding": "chunked"}}, 400, "http.malformed"),
        (["GET", "/healthz"], {"headers": {"transfer-encoding": "chunked"}}, 400, "http.malformed"),
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
    refused = ask(app)
    assert (refused.code, refused.headers["connection"]) == ("http.no_certificate", "close")
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


def test_of_bodies_that_are_too_long_together_the_oldest_give_way(doing: Doing, metrics: Metrics) -> None:
    async def together() -> list[Answered]:
        app = make(doing, metrics, limits=Limits(request_bytes=1000, requests_bytes=2500))
        coming = [asyncio.create_task(call(app, pieces=[b"a" * 900, None])) for _ in range(2)]
        await asyncio.sleep(0.01)
        whole = await call(app, pieces=[b"b" * 1000])
        assert coming[0] in (await asyncio.wait(coming, return_when=asyncio.FIRST_COMPLETED))[0]
        assert not coming[1].done()
        coming[1].cancel()
        return [whole, coming[0].result()]

    whole, gone = asyncio.run(together())
    assert (whole.status, gone.status, gone.code) == (200, 503, "http.busy")
    assert "when others needed the room" in gone.body.decode()
    assert doing.bodies == [b"b" * 1000]


def test_a_body_counts_until_its_answer_was_sent(doing: Doing, metrics: Metrics) -> None:
    async def together() -> list[Answered]:
        app = make(doing, metrics, limits=Limits(request_bytes=1000, requests_bytes=1500))
        doing.futures.append(future := Future[str]())
        first = asyncio.create_task(call(app, pieces=[b"a" * 1000]))
        await asyncio.sleep(0.01)
        refused = await call(app, pieces=[b"b" * 1000])
        future.set_result("")
        return [refused, await first, await call(app, pieces=[b"c" * 1000])]

    refused, *others = asyncio.run(together())
    assert (refused.status, refused.code) == (503, "http.busy")
    assert [each.status for each in others] == [200, 200]


def test_long_bodies_and_lesser_paths_leave_room_for_others(doing: Doing, metrics: Metrics) -> None:
    async def together() -> list[int]:
        how: dict[str, Any] = {"ready": str, "deadline": 5.0, "metrics": metrics}
        operations: dict[str, asgi.Operation] = {"/verify": doing, "/admit": doing}
        long = Limits(request_bytes=200_000, requests_bytes=400_000)
        app = App(operations, most=4, lesser=["/verify"], limits=long, **how)
        doing.futures.append(future := Future[str]())
        tasks = [asyncio.create_task(call(app, path=path)) for path in ["/verify"] * 4 + ["/admit"] * 2]
        await asyncio.sleep(0.01)
        future.set_result("")
        found = [(await each).status for each in tasks]
        doing.futures[:] = [future := Future[str]()]
        bodies = [b"a" * 150_000, b"b" * 150_000, b"c" * 100_000, b"d" * 50_000]
        tasks = [asyncio.create_task(call(app, path="/admit", pieces=[body])) for body in bodies]
        while len(doing.bodies) < 4 + 3:  # noqa: ASYNC110 - threads say so
            await asyncio.sleep(0.01)
        future.set_result("")
        return found + [(await each).status for each in tasks]

    assert asyncio.run(together()) == [200, 200, 200, 503, 200, 503, 200, 200, 503, 200]


def test_an_answer_counts_too(metrics: Metrics) -> None:
    app = make(lambda _: HttpAnswer(b"x" * 70_000), metrics)
    assert (ask(app).status, ask(app).code) == (503, "http.busy")


@pytest.mark.parametrize("body", [b"a" * 100_000, b"," * 500])
def test_what_takes_long_goes_one_at_a_time_in_a_thread(
    doing: Doing, metrics: Metrics, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    threads, going = list[str](), threading.Event()

    def begin(data: bytes) -> Doing:
        threads.append(threading.current_thread().name)
        if len(threads) == 1:
            assert going.wait(20)
        return doing(data)

    async def together() -> list[Answered]:
        monkeypatch.setattr(asgi, "BODY_SECONDS", 0.05)  # that is for its coming
        app = make(begin, metrics, limits=Limits(), most=9)
        first = asyncio.create_task(call(app, pieces=[body]))
        await asyncio.sleep(0.01)
        refused = await call(app, pieces=[body], query="timeout=600ms")
        page = await call(app, "GET", "/healthz")
        small = await call(app)
        going.set()
        return [refused, page, small, await first]

    refused, *others = asyncio.run(together())
    assert (refused.status, refused.code) == (503, "http.busy")
    assert "not read in time" in refused.body.decode()
    assert [each.status for each in others] == [200, 200, 200]
    assert "MainThread" not in threads[0]
    assert len(threads) == 2  # and the one that is small


def test_many_images_are_answered_in_a_thread(
    doing: Doing, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, threads = doing.finish, list[str]()

    def finished() -> HttpAnswer:
        threads.append(threading.current_thread().name)
        return finish()

    monkeypatch.setattr(doing, "finish", finished)
    doing.futures += [Future() for _ in range(200)]
    for future in doing.futures:
        threading.Timer(0.01, future.set_result, [""]).start()
    assert json.loads(ask(app).body) == {"done": 200}
    assert threads != ["MainThread"]


# -- time and room


def test_whoever_only_promises_a_body_keeps_nobody_out(app: App) -> None:
    async def three() -> Answered:
        tasks = [asyncio.create_task(call(app, pieces=[b"{", None])) for _ in range(9)]
        await asyncio.sleep(0.01)
        found = await call(app)
        for task in tasks:
            task.cancel()
        return found

    assert asyncio.run(three()).status == 200


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
    assert lines[2][1]["message"] == "there is nothing at this path"
    assert len(lines[2][1]["path"]) < 200
