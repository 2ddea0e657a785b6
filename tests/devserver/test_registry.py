from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from notarypy.devserver.core import REGISTRY_HOST, Fake
from notarypy.errors import ImageMissingError
from notarypy.remote.http.messages import Request, Response
from notarypy.remote.http.transport import Exchange
from notarypy.remote.registry.registry import RegistryClient
from support.fakes import NO_DEADLINE, make_fake

OCI = "application/vnd.oci.image.manifest.v1+json"
CONFIG = b'{"architecture":"amd64","os":"linux"}'
BASE = f"https://{REGISTRY_HOST}"


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def manifest(config: bytes = CONFIG) -> bytes:
    entry = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": digest(config),
        "size": len(config),
    }
    value: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI, "config": entry, "layers": []}
    return json.dumps(value).encode()


def ask(fake: Fake, method: str, url: str, body: bytes = b"", kind: str = "") -> Response:
    headers = {"Content-Type": kind} if kind else {}
    url = url if url.startswith("https:") else f"{BASE}/v2/{url}"
    return fake.send(Request(method, url, headers, body or None), NO_DEADLINE)


def code(response: Response) -> str:
    return str(json.loads(response.body)["errors"][0]["code"])


def test_the_clients_own_code_reads_a_pushed_image() -> None:
    fake = make_fake()
    pushed = fake.registry.push("team/app", "1.0", manifest(), OCI)
    registry = RegistryClient(Exchange(fake, timeout=5), REGISTRY_HOST)
    found = registry.manifest("team/app", "1.0")
    assert (found.digest, found.media_type, found.size) == (pushed, OCI, len(manifest()))
    assert registry.manifest("team/app", pushed) == found
    with pytest.raises(ImageMissingError):
        registry.manifest("team/app", "2.0")


def test_a_tag_moves() -> None:
    fake = make_fake()
    old = fake.registry.push("app", "1", manifest(), OCI)
    new = fake.registry.push("app", "1", manifest(b"{}"), OCI)
    assert ask(fake, "GET", "app/manifests/1").headers["docker-content-digest"] == new != old
    assert ask(fake, "GET", f"app/manifests/{old}").body == manifest()


def test_push_over_http() -> None:
    fake = make_fake()
    begun = ask(fake, "POST", "app/blobs/uploads/")
    assert begun.status == 202
    url = begun.headers["location"]
    assert ask(fake, "PATCH", url, CONFIG[:9]).headers["range"] == "0-8"
    assert ask(fake, "PUT", f"{url}?digest={digest(CONFIG)}", CONFIG[9:]).status == 201
    assert ask(fake, "GET", f"app/blobs/{digest(CONFIG)}").body == CONFIG
    assert ask(fake, "PUT", "app/manifests/1", manifest(), OCI).status == 201
    head = ask(fake, "HEAD", "app/manifests/1")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-type"] == OCI
    assert head.headers["content-length"] == str(len(manifest()))
    assert json.loads(ask(fake, "GET", "app/tags/list").body) == {"name": "app", "tags": ["1"]}


def test_blob_in_one_request() -> None:
    fake = make_fake()
    assert ask(fake, "POST", f"a/b/blobs/uploads/?digest={digest(b'x')}", b"x").status == 201
    assert ask(fake, "HEAD", f"a/b/blobs/{digest(b'x')}").headers["content-length"] == "1"
    assert fake.registry.put_blob("a/b", b"x") == digest(b"x")


def test_wrong_digests_are_refused() -> None:
    fake = make_fake()
    blob = ask(fake, "POST", f"app/blobs/uploads/?digest={digest(b'x')}", b"y")
    image = ask(fake, "PUT", f"app/manifests/{digest(b'x')}", manifest(), OCI)
    assert (blob.status, code(blob)) == (400, "DIGEST_INVALID")
    assert (image.status, code(image)) == (400, "DIGEST_INVALID")
    assert ask(fake, "GET", f"app/blobs/{digest(b'x')}").status == 404


def test_manifest_without_a_tag() -> None:
    fake = make_fake()
    assert ask(fake, "PUT", f"app/manifests/{digest(manifest())}", manifest(), OCI).status == 201
    assert ask(fake, "GET", f"app/manifests/{digest(manifest())}").body == manifest()
    assert json.loads(ask(fake, "GET", "app/tags/list").body)["tags"] == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"junk", OCI),
        (b"{}", OCI),
        (b"[]", OCI),
        (b"1", OCI),
        (manifest(), "text/plain"),
        (manifest(), "application/vnd.oci.image.index.v1+json"),
        (b'{"schemaVersion": 2}', ""),
    ],
)
def test_what_is_no_manifest_is_refused(body: bytes, kind: str) -> None:
    fake = make_fake()
    answer = ask(fake, "PUT", "app/manifests/1", body, kind)
    assert (answer.status, code(answer)) == (400, "MANIFEST_INVALID")
    assert fake.registry.images.names() == []


@pytest.mark.parametrize(
    ("stated", "status"), [("garbage", 400), ("0-", 400), ("9-3", 416), ("3-1", 416), ("3-5", 202)]
)
def test_a_piece_says_where_it_belongs(stated: str, status: int) -> None:
    fake = make_fake()
    url = ask(fake, "POST", "app/blobs/uploads/").headers["location"]
    assert ask(fake, "PATCH", url, b"abc").status == 202
    request = Request("PATCH", url, {"Content-Range": stated}, b"def")
    assert fake.send(request, NO_DEADLINE).status == status
    assert ask(fake, "GET", url).headers["range"] == ("0-5" if status == 202 else "0-2")


def test_a_method_that_is_none() -> None:
    fake = make_fake()
    assert [ask(fake, method, "app/manifests/1").status for method in ("POST", "BREW")] == [405, 405]
    assert ask(fake, "GET", "app/nothing").status == 404


def test_deleted_manifest_takes_its_tags_along() -> None:
    fake = make_fake()
    pushed = fake.registry.push("app", "1", manifest(), OCI)
    assert ask(fake, "DELETE", f"app/manifests/{pushed}").status == 202
    assert ask(fake, "DELETE", f"app/manifests/{pushed}").status == 404
    assert json.loads(ask(fake, "GET", "app/tags/list").body)["tags"] == []


def test_a_deleted_tag_leaves_its_manifest() -> None:
    fake = make_fake()
    pushed = fake.registry.push("app", "1", manifest(), OCI)
    assert ask(fake, "DELETE", "app/manifests/1").status == 202
    assert ask(fake, "GET", "app/manifests/1").status == 404
    assert ask(fake, "GET", f"app/manifests/{pushed}").status == 200


def test_deleted_blob() -> None:
    fake = make_fake()
    path = f"app/blobs/{fake.registry.put_blob('app', b'x')}"
    assert [ask(fake, "DELETE", path).status for _ in range(2)] == [202, 404]
    assert ask(fake, "GET", path).status == 404


def test_a_blob_is_mounted_from_a_repository_that_has_it() -> None:
    fake = make_fake()
    known = fake.registry.put_blob("one", b"x")
    mounted = ask(fake, "POST", f"two/blobs/uploads/?mount={known}&from=one")
    assert (mounted.status, mounted.headers["docker-content-digest"]) == (201, known)
    assert ask(fake, "GET", f"two/blobs/{known}").body == b"x"
    begun = ask(fake, "POST", f"two/blobs/uploads/?mount={digest(b'y')}&from=one")
    assert begun.status == 202
    assert ask(fake, "PUT", f"{begun.headers['location']}?digest={digest(b'y')}", b"y").status == 201


def test_an_upload_tells_how_far_it_is_and_takes_pieces_in_order_only() -> None:
    fake = make_fake()
    url = ask(fake, "POST", "app/blobs/uploads/").headers["location"]

    def patch(start: int, body: bytes) -> Response:
        return fake.send(Request("PATCH", url, {"Content-Range": f"{start}-9"}, body), NO_DEADLINE)

    assert patch(0, b"abc").status == 202
    late = patch(4, b"e")
    assert (late.status, code(late)) == (416, "BLOB_UPLOAD_INVALID")
    status = ask(fake, "GET", url)
    assert (status.status, status.headers["range"]) == (204, "0-2")
    assert patch(3, b"d").headers["range"] == "0-3"
    assert ask(fake, "PUT", f"{url}?digest={digest(b'abcd')}").status == 201
    assert ask(fake, "GET", url).status == 404


def test_a_cancelled_upload_is_gone() -> None:
    fake = make_fake()
    url = ask(fake, "POST", "app/blobs/uploads/").headers["location"]
    assert [ask(fake, "DELETE", url).status for _ in range(2)] == [204, 404]


def test_an_upload_with_the_wrong_digest_can_be_finished_with_the_right_one() -> None:
    fake = make_fake()
    url = ask(fake, "POST", "app/blobs/uploads/").headers["location"]
    assert code(ask(fake, "PUT", f"{url}?digest={digest(b'y')}", b"x")) == "DIGEST_INVALID"
    assert ask(fake, "PUT", f"{url}?digest={digest(b'x')}").status == 201


def test_tags_come_in_pages() -> None:
    fake = make_fake()
    for tag in ("b", "a", "d", "c", "e"):
        fake.registry.push("app", tag, manifest(), OCI)
    url, pages = f"{BASE}/v2/app/tags/list?n=2", []
    while url:
        answer = ask(fake, "GET", url)
        pages.append(json.loads(answer.body)["tags"])
        link = answer.headers.get("link", "")
        assert not link or link.endswith('>; rel="next"')
        url = link and BASE + link[1 : link.index(">")]
    assert pages == [["a", "b"], ["c", "d"], ["e"]]
    assert json.loads(ask(fake, "GET", "app/tags/list?n=0").body)["tags"] == []
    assert code(ask(fake, "GET", "app/tags/list?n=-1")) == "PAGINATION_NUMBER_INVALID"


def test_the_catalog_lists_repositories() -> None:
    fake = make_fake()
    for name in ("b", "a/b", "c"):
        fake.registry.push(name, "1", manifest(), OCI)
    answer = ask(fake, "GET", "_catalog?n=2")
    assert json.loads(answer.body) == {"repositories": ["a/b", "b"]}
    assert answer.headers["link"] == '</v2/_catalog?n=2&last=b>; rel="next"'


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("app/manifests/1", "MANIFEST_UNKNOWN"),
        (f"app/blobs/{digest(b'x')}", "BLOB_UNKNOWN"),
        ("app/tags/list", "NAME_UNKNOWN"),
    ],
)
def test_what_is_not_there(path: str, expected: str) -> None:
    answer = ask(make_fake(), "GET", path)
    assert (answer.status, code(answer)) == (404, expected)


def test_unknown_upload_and_unknown_path() -> None:
    fake = make_fake()
    assert code(ask(fake, "PATCH", "app/blobs/uploads/abc", b"x")) == "BLOB_UPLOAD_UNKNOWN"
    assert ask(fake, "GET", "App/manifests/1").status == 404


def test_ping() -> None:
    answer = ask(make_fake(), "GET", "")
    assert answer.status == 200
    assert answer.headers["docker-distribution-api-version"] == "registry/2.0"


@pytest.mark.parametrize(
    ("wanted", "expected", "told"),
    [
        ("bytes=0-", b"0123456789", "bytes 0-9/10"),
        ("bytes=3-", b"3456789", "bytes 3-9/10"),
        ("bytes=3-4", b"34", "bytes 3-4/10"),
        ("bytes=9-99", b"9", "bytes 9-9/10"),
    ],
)
def test_a_part_of_a_blob(wanted: str, expected: bytes, told: str) -> None:
    fake = make_fake()
    name = fake.registry.put_blob("app", b"0123456789")
    request = Request("GET", f"{BASE}/v2/app/blobs/{name}", {"Range": wanted})
    answer = fake.send(request, NO_DEADLINE)
    assert (answer.status, answer.body) == (206, expected)
    assert answer.headers["content-range"] == told
    assert answer.headers["content-length"] == str(len(expected))


def test_a_part_that_is_not_there_and_a_range_of_another_kind() -> None:
    fake = make_fake()
    url = f"{BASE}/v2/app/blobs/{fake.registry.put_blob('app', b'0123456789')}"
    beyond = fake.send(Request("GET", url, {"Range": "bytes=10-"}), NO_DEADLINE)
    assert (beyond.status, beyond.headers["content-range"]) == (416, "bytes */10")
    other = fake.send(Request("GET", url, {"Range": "bytes=-3"}), NO_DEADLINE)
    assert (other.status, other.body) == (200, b"0123456789")
