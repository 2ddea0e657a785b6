"""What refers to an image, as the devserver's registry lists it by OCI 1.1."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.devserver import sqlite
from notarypy.devserver.calls import Call, registry_scope
from notarypy.devserver.core import REGISTRY_HOST, Fake
from notarypy.images import layout, manifests
from notarypy.remote.http.messages import Request, Response
from support.fakes import NO_DEADLINE, Clock, make_fake, repeatable_random

if TYPE_CHECKING:
    from pathlib import Path

OCI = manifests.OCI_MANIFEST
IMAGE = layout.of(b"an image that may be missing", OCI)
OTHER = layout.of(b"another image", OCI)
KIND = "application/vnd.example.signature"


def ask(fake: Fake, method: str, url: str, body: bytes = b"", kind: str = OCI) -> Response:
    url = url if url.startswith("https:") else f"https://{REGISTRY_HOST}{url}"
    headers = {"Content-Type": kind} if body else {}
    return fake.send(Request(method, url, headers, body or None), NO_DEADLINE)


def referrer(number: int = 0, subject: layout.Descriptor | None = IMAGE, **members: object) -> bytes:
    value: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": OCI,
        "artifactType": KIND,
        "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": "sha256:" + "4" * 64,
            "size": 2,
        },
        "layers": [],
        "subject": subject and subject.to_json(),
        "annotations": {"number": str(number)},
    }
    return json.dumps({**value, **members}).encode()


def put(fake: Fake, data: bytes, kind: str = OCI) -> Response:
    return ask(fake, "PUT", f"/v2/app/manifests/{manifests.digest_of(data)}", data, kind)


def listed(answer: Response) -> list[dict[str, Any]]:
    document = json.loads(answer.body)
    assert answer.status == 200
    assert answer.headers["content-type"] == document["mediaType"] == manifests.OCI_INDEX
    return list(document["manifests"])


def of(fake: Fake, subject: layout.Descriptor = IMAGE, query: str = "") -> list[dict[str, Any]]:
    return listed(ask(fake, "GET", f"/v2/app/referrers/{subject.digest}{query}"))


def test_a_manifest_with_a_subject_is_listed() -> None:
    fake, data = make_fake(), referrer(1)
    assert put(fake, data).headers["oci-subject"] == IMAGE.digest
    assert of(fake) == [
        {
            "mediaType": OCI,
            "digest": manifests.digest_of(data),
            "size": len(data),
            "artifactType": KIND,
            "annotations": {"number": "1"},
        }
    ]
    assert of(fake, OTHER) == []


def test_no_subject_no_word_of_it() -> None:
    fake = make_fake()
    assert "oci-subject" not in put(fake, referrer(subject=None)).headers
    assert of(fake) == []


def test_without_artifact_type_the_configuration_counts() -> None:
    fake = make_fake()
    put(fake, referrer(artifactType=None, annotations=None))
    (entry,) = of(fake)
    assert entry["artifactType"] == "application/vnd.oci.empty.v1+json"
    assert "annotations" not in entry


def test_an_index_refers_too() -> None:
    fake = make_fake()
    data = json.dumps(
        {"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": [], "subject": IMAGE.to_json()}
    ).encode()
    assert put(fake, data, manifests.OCI_INDEX).headers["oci-subject"] == IMAGE.digest
    (entry,) = of(fake)
    assert "artifactType" not in entry


def test_annotations_that_are_no_texts_of_utf_8() -> None:
    fake = make_fake()
    put(fake, referrer(annotations={"\ud800": "\udfff"}))
    assert of(fake)[0]["annotations"] == {"\ud800": "\udfff"}


def test_filter() -> None:
    fake = make_fake()
    put(fake, referrer(1))
    put(fake, referrer(2, artifactType="application/a+b"))
    url = f"/v2/app/referrers/{IMAGE.digest}"
    assert len(listed(ask(fake, "GET", url))) == 2
    assert "oci-filters-applied" not in ask(fake, "GET", url).headers
    some = ask(fake, "GET", f"{url}?artifactType=application%2Fa%2Bb")
    assert some.headers["oci-filters-applied"] == "artifactType"
    assert [entry["annotations"]["number"] for entry in listed(some)] == ["2"]
    none = ask(fake, "GET", f"{url}?artifactType=application%2Fx")
    assert (listed(none), none.headers["oci-filters-applied"]) == ([], "artifactType")


def test_pages_with_a_filter() -> None:
    fake = make_fake()
    fake.registry.page = 2
    for number in range(5):
        put(fake, referrer(number))
        put(fake, referrer(number, artifactType="application/x"))
    found, url = [], f"/v2/app/referrers/{IMAGE.digest}?artifactType=application%2Fx"
    pages = 1
    while "link" in (answer := ask(fake, "GET", url)).headers:
        found += listed(answer)
        pages += 1
        url = answer.headers["link"].partition(">")[0].strip("<")
        assert answer.headers["link"].endswith('>; rel="next"')
    assert pages == 3
    found += listed(answer)
    assert {entry["annotations"]["number"] for entry in found} == set("01234")


def test_deletion_takes_it_out_and_the_subject_does_not_matter() -> None:
    fake = make_fake()
    data = referrer()
    put(fake, data)
    image = fake.registry.push("app", "1", referrer(subject=OTHER), OCI)
    assert ask(fake, "DELETE", f"/v2/app/manifests/{image}").status == 202
    assert len(of(fake)) == 1
    assert ask(fake, "DELETE", f"/v2/app/manifests/{manifests.digest_of(data)}").status == 202
    assert of(fake) == []
    put(fake, data)
    assert len(of(fake)) == 1


def test_repositories_are_apart() -> None:
    fake = make_fake()
    put(fake, referrer())
    fake.registry.push("other", "1", referrer(subject=OTHER), OCI)
    assert listed(ask(fake, "GET", f"/v2/other/referrers/{IMAGE.digest}")) == []
    unknown = ask(fake, "GET", f"/v2/nobody/referrers/{IMAGE.digest}")
    assert (unknown.status, json.loads(unknown.body)["errors"][0]["code"]) == (404, "NAME_UNKNOWN")


@pytest.mark.parametrize("digest", ["latest", "sha256:abc", "sha256:" + "G" * 64, "md5:" + "0" * 32])
def test_what_is_no_digest(digest: str) -> None:
    fake = make_fake()
    put(fake, referrer())
    answer = ask(fake, "GET", f"/v2/app/referrers/{digest}")
    assert (answer.status, json.loads(answer.body)["errors"][0]["code"]) == (400, "DIGEST_INVALID")


def test_a_subject_by_another_algorithm() -> None:
    fake = make_fake()
    subject = layout.Descriptor(OCI, "sha512:" + "a" * 128, 5)
    assert put(fake, referrer(subject=subject)).headers["oci-subject"] == subject.digest
    assert len(of(fake, subject)) == 1


@pytest.mark.parametrize("subject", ["text", {}, {**IMAGE.to_json(), "size": -1}])
def test_a_subject_that_is_none_is_refused(subject: object) -> None:
    fake = make_fake()
    value = {**json.loads(referrer()), "subject": subject}
    assert put(fake, json.dumps(value).encode()).status == 400


def test_a_registry_from_before() -> None:
    fake = make_fake(referrers=False)
    data = referrer()
    answer = put(fake, data)
    assert (answer.status, "oci-subject" in answer.headers) == (201, False)
    none = ask(fake, "GET", f"/v2/app/referrers/{IMAGE.digest}")
    assert (none.status, none.body) == (404, b"404 page not found\n")
    assert none.headers["content-type"].startswith("text/plain")
    fake.registry.referrers = True
    assert len(of(fake)) == 1  # nothing was forgotten


def test_a_token_to_read_is_enough() -> None:
    call = Call("GET", "https://r.test", f"/v2/a/b/referrers/{IMAGE.digest}")
    assert registry_scope(call) == "repository:a/b:pull"


def test_saved_lists(tmp_path: Path) -> None:
    with sqlite.saved(tmp_path, repeatable_random()) as held:
        fake = Fake(clock=Clock(), random=repeatable_random(), holdings=held)
        gone, kept = referrer(1), referrer(2)
        put(fake, gone)
        put(fake, kept)
        ask(fake, "DELETE", f"/v2/app/manifests/{manifests.digest_of(gone)}")
    with closing(sqlite3.connect(tmp_path / sqlite.REGISTRY_DATA)) as database:
        database.execute("DROP TABLE subjects")  # as an earlier version left it
        database.commit()
    with sqlite.saved(tmp_path, repeatable_random()) as held:
        fake = Fake(clock=Clock(), random=repeatable_random(), holdings=held)
        assert [entry["digest"] for entry in of(fake)] == [manifests.digest_of(kept)]
        fake.registry.push("app", "rubbish", b"no manifest", OCI)
        put(fake, gone)
        assert len(of(fake)) == 2
