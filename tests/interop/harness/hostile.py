"""Requests that nobody well-meaning sends: bodies, names, and bytes on the wire.

What it is: tables of input that a verification service must refuse with a reason, or over which it ends the
connection. What it is not: the sending of it (`assaults`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from interop.harness import truth

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 1000


def bodies(good: str) -> Iterator[tuple[str, bytes]]:
    """Yield bodies that are no request, or none that can be granted; `good` is an image that is signed."""
    yield "nothing", b""
    yield "no JSON", b"apiVersion: admission.k8s.io/v1\n"
    yield "half of a document", json.dumps(truth.review([good])).encode()[:-40]
    yield "two documents", json.dumps(truth.review([good])).encode() * 2
    yield "not UTF-8", json.dumps(truth.review([good])).encode().replace(b"tester", b"\xff\xfe\x80")
    yield "UTF-16", json.dumps(truth.review([good])).encode("utf-16")
    yield "a list", b"[]"
    yield "null", b"null"
    yield "a number", b"1" * 10000
    yield "a number beyond all", b'{"apiVersion":1e999999}'
    yield "not a number", b'{"apiVersion":NaN}'
    yield "lists in lists", b"[" * 100_000 + b"]" * 100_000
    yield "objects in objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    yield "an image twice in one container", _twice(good)
    for name, change in _changes().items():
        yield name, json.dumps({**truth.review([good]), **change}).encode()
    for name, change in _request_changes().items():
        document = truth.review([good])
        document["request"].update(change)
        yield name, json.dumps(document).encode()
    yield "deep annotations", _deep(good, 5000)


def _twice(good: str) -> bytes:
    text = json.dumps(truth.review([good]))
    return text.replace(
        f'"image": "{good}"', f'"image": "{good}", "image": "docker.io/library/other:1"'
    ).encode()


def _deep(good: str, depth: int) -> bytes:
    text = json.dumps(truth.review([good]))
    return text.replace('"dryRun": false', f'"dryRun": {"[" * depth}{"]" * depth}').encode()


def _changes() -> dict[str, dict[str, Any]]:
    return {
        "an older version": {"apiVersion": "admission.k8s.io/v1beta1"},
        "a version to come": {"apiVersion": "admission.k8s.io/v2"},
        "another kind": {"kind": "ConversionReview"},
        "no request": {"request": None},
        "an answer in place of a request": {"request": None, "response": {"uid": "u", "allowed": True}},
        "a list for a request": {"request": []},
    }


def _request_changes() -> dict[str, dict[str, Any]]:
    return {
        "no uid": {"uid": ""},
        "a uid that is none": {"uid": {"a": 1}},
        "a kind that nobody knows": {"kind": {"group": "x.example", "version": "v1", "kind": "Pod"}},
        "a kind that is none": {"kind": "Pod"},
        "no object": {"object": None},
        "a list for an object": {"object": [1]},
        "a list for a spec": {"object": {"kind": "Pod", "spec": []}},
        "a word for containers": {"object": {"kind": "Pod", "spec": {"containers": "none"}}},
        "words for containers": {"object": {"kind": "Pod", "spec": {"containers": ["a", None, 5]}}},
        "an operation that nobody knows": {"operation": "REPLACE"},
        "an old object that is none": {"operation": "UPDATE", "oldObject": "x"},
        "a subresource that nobody knows": {"subResource": "sub/../resource"},
    }


def names(good: str) -> Iterator[object]:
    """Yield what stands in the place of an image, and must never be allowed."""
    host, _, path = good.partition("/")
    yield from (0, True, {}, [], [good], {"image": good}, 1e300)
    yield from (
        f" {good}",
        f"{good}\n",
        f"{good}\0",
        f"\ufeff{good}",
        f"{good}\u202e",
        f"{good}#",
        f"{good}?x",
    )
    yield from (
        "/",
        ":",
        "@",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "-",
        "--help",
        "file:///etc/passwd",
        "\U0001f4a3",
    )
    yield from (
        f"{host}/../{path}",
        f"{host}//{path}",
        f"{host}/%2e%2e/{path}",
        f"{host}/good/../strict/app:1",
    )
    yield from (
        f"http://{good}",
        f"user:pass@{good}",
        f"{good}@sha256:",
        f"{good}@sha256:{'0' * 64}",
        f"{good}@md5:{'0' * 32}",
    )
    yield from (
        f"{host}/{'a' * 300}:1",
        f"{host}/{'a/' * 300}a:1",
        "a" * 100_000,
        f"{host}/good/app0:{'t' * 5000}",
    )
    yield from (
        "\ud800",
        "${IMAGE}",
        "{{image}}",
        "`id`",
        "$(id)",
        "a\r\nX-Header: 1",
        "\x1b[31mred",
        "'\"<script>",
    )


def wire(good: str) -> Iterator[tuple[str, bytes]]:
    """Yield bytes that are sent as they are, over a connection on which TLS was spoken."""
    body = json.dumps(truth.review([good])).encode()
    head = b"POST /admit/mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    yield "no HTTP", b"\x00\x01\x02\x03 hello\r\n\r\n" * 10
    yield "a greeting of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield "HTTP 0.9", b"GET /nowhere\r\n\r\n"
    yield "HTTP 9", b"GET /nowhere HTTP/9.1\r\nHost: x\r\n\r\n"
    yield "a method that nobody knows", b"BREW /admit/mutate HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    yield "a tunnel", b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n"
    yield "a GET of a webhook", b"GET /admit/mutate HTTP/1.1\r\nHost: x\r\n\r\n"
    yield (
        "a place that is none",
        b"POST /admit/mutate/../../etc HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    )
    yield "a long place", b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    yield "a long header", b"GET /nowhere HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n"
    yield "many headers", b"GET /nowhere HTTP/1.1\r\nHost: x\r\n" + b"X: 1\r\n" * 50_000 + b"\r\n"
    yield "a header without a name", b"GET /nowhere HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n"
    yield "a length below nothing", head + b"Content-Length: -1\r\n\r\n" + body
    yield "a length in words", head + b"Content-Length: many\r\n\r\n" + body
    yield "two lengths", head + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\n" + body
    yield "a length and pieces", head + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    yield "a length beyond all", head + b"Content-Length: 99999999999999999999\r\n\r\n" + body
    yield "a gigabyte announced", head + b"Content-Length: 1073741824\r\n\r\n" + body
    yield "pieces that are none", head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + body
    yield "a piece beyond all", head + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n" + body
    yield "an encoding that nobody knows", head + b"Transfer-Encoding: gzip\r\n\r\n" + body
    yield "another type", head.replace(b"application/json", b"text/plain") + _sized(body)
    yield "no type", head.replace(b"Content-Type: application/json\r\n", b"") + _sized(body)
    yield "compressed", head + b"Content-Encoding: gzip\r\n" + _sized(body)


def _sized(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


_HEAD = b"POST /admit/mutate HTTP/1.1\r\nHost: x\r\n"
# Beginnings of connections that never go on: what is sent before TLS, and after it.
STALLED = (
    ("nothing at all", b"", None),
    ("the first bytes of TLS", b"\x16\x03\x01\x02\x00\x01", None),
    ("HTTP where TLS is spoken", b"GET /healthz HTTP/1.1\r\n", None),
    ("nothing after TLS", b"", b""),
    ("half of a head", b"", _HEAD + b"Content-Le"),
    ("half of a body", b"", _HEAD + b"Content-Length: 1000\r\n\r\n{"),
    (
        "half of a piece",
        b"",
        _HEAD + b"Transfer-Encoding: chunked\r\n\r\n40\r\n{",
    ),
)
