"""What refers to an image, asked for and written: with the API, without it, and at odd registries."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.cli.text.advice import advice
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.devserver.tampering import Tampering
from notarypy.errors import (
    AuthenticationError,
    ConflictError,
    MetadataError,
    NetworkError,
    ServerError,
    UnconfirmedPublishError,
)
from notarypy.images import layout, manifests, referrerlist
from notarypy.limits import DEFAULT, Limits
from notarypy.remote.http.messages import Response
from notarypy.remote.http.transport import Exchange
from notarypy.remote.registry import referrers
from notarypy.remote.registry.referrers import Referrers
from notarypy.remote.registry.registry import RegistryClient
from support.fakes import make_fake

if TYPE_CHECKING:
    from notarypy.devserver.core import Fake
    from notarypy.remote.http.messages import Request

API, TAG = r".*/referrers/.*", r".*/manifests/sha256-.*"
KIND = "application/vnd.example.signature"
IMAGE = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": manifests.OCI_INDEX,
        "manifests": [{"mediaType": manifests.OCI_MANIFEST, "digest": "sha256:" + "a" * 64, "size": 3}],
    }
).encode()
SUBJECT = layout.of(IMAGE, manifests.OCI_INDEX)
LIST_TAG = referrerlist.tag_of(SUBJECT.digest)
PLAIN = Response(404, {"content-type": "text/plain; charset=utf-8"}, b"404 page not found\n")


def document(code: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": "no"}]}).encode()


def manifest(number: int = 0, subject: layout.Descriptor = SUBJECT) -> bytes:
    value: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": manifests.OCI_MANIFEST,
        "artifactType": KIND,
        "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": "sha256:" + "4" * 64,
            "size": 2,
        },
        "layers": [],
        "subject": subject.to_json(),
        "annotations": {"number": str(number)},
    }
    return json.dumps(value).encode()


def digest(number: int = 0) -> str:
    return manifests.digest_of(manifest(number))


def registry_of(fake: Fake, limits: Limits = DEFAULT) -> RegistryClient:
    slept: list[float] = []
    return RegistryClient(Exchange(fake, timeout=5, limits=limits, sleep=slept.append), REGISTRY_HOST)


def at(fake: Fake, limits: Limits = DEFAULT) -> Referrers:
    return Referrers(registry_of(fake, limits), "app")


def with_image(*, api: bool = True) -> Fake:
    fake = make_fake(referrers=api)
    assert fake.registry.push("app", "1", IMAGE, manifests.OCI_INDEX) == SUBJECT.digest
    return fake


def numbers(found: referrerlist.ReferrerList) -> list[str]:
    return sorted(entry.annotations["number"] for entry in found.entries)


def lines(fake: Fake) -> list[str]:
    short = {SUBJECT.digest: "IMAGE", LIST_TAG: "TAG", "/v2/app/": ""}
    found = []
    for line in fake.lines():
        shown = line
        for long, word in short.items():
            shown = shown.replace(long, word)
        found.append(shown if "sha256:" not in shown else f"{shown.partition('sha256:')[0]}DIGEST")
    fake.requests.clear()
    return found


def test_with_the_api() -> None:
    fake = with_image()
    lists = at(fake)
    assert lists.of(SUBJECT.digest) == referrerlist.ReferrerList()
    assert lines(fake) == ["GET referrers/IMAGE"] * 2  # an empty list proves nothing, but a filter does
    assert lists.of(SUBJECT.digest) == referrerlist.ReferrerList()
    assert lines(fake) == ["GET referrers/IMAGE"]
    for number in (1, 2):
        assert lists.put(manifest(number)).digest == digest(number)
        assert lines(fake) == ["PUT manifests/DIGEST", "GET referrers/IMAGE"]
    found = lists.of(SUBJECT.digest)
    assert {entry.artifact_type for entry in found.entries} == {KIND}
    assert numbers(found) == ["1", "2"]
    assert lists.of("sha256:" + "7" * 64) == referrerlist.ReferrerList()
    assert lines(fake) == ["GET referrers/IMAGE", "GET referrers/DIGEST"]
    assert LIST_TAG not in fake.registry.images.tags("app")


def test_without_the_api() -> None:
    fake = with_image(api=False)
    lists = at(fake)
    assert lists.of(SUBJECT.digest) == referrerlist.ReferrerList()
    assert lines(fake) == ["GET referrers/IMAGE", "GET manifests/TAG"]
    for number in (1, 2):
        lists.put(manifest(number))
        assert lines(fake) == [
            "PUT manifests/DIGEST",
            "GET manifests/TAG",
            "PUT manifests/TAG",
            "GET manifests/TAG",
        ]
    assert numbers(lists.of(SUBJECT.digest)) == ["1", "2"]
    assert lines(fake) == ["GET manifests/TAG"]
    stored = fake.registry.images.manifest("app", fake.registry.images.tags("app")[LIST_TAG])
    assert stored is not None
    assert stored.media_type == manifests.OCI_INDEX
    assert [entry["artifactType"] for entry in json.loads(stored.data)["manifests"]] == [KIND, KIND]


def test_put_again_changes_nothing() -> None:
    fake = with_image(api=False)
    at(fake).put(manifest())
    before = fake.registry.images.tags("app")
    at(fake).put(manifest())
    assert fake.registry.images.tags("app") == before
    assert "PUT manifests/TAG" not in lines(fake)[-3:]


def test_what_others_listed_stays() -> None:
    fake = with_image(api=False)
    foreign = {"mediaType": "application/x", "digest": "sha256:" + "8" * 64, "size": 8, "odd": [None]}
    there = {"schemaVersion": 2, "manifests": [foreign, "rubbish"], "annotations": {"of": "others"}}
    fake.registry.push("app", LIST_TAG, json.dumps(there).encode(), manifests.OCI_INDEX)
    at(fake).put(manifest())
    stored = fake.registry.images.manifest("app", fake.registry.images.tags("app")[LIST_TAG])
    assert stored is not None
    made = json.loads(stored.data)
    assert made["manifests"][:2] == [foreign, "rubbish"]
    assert made["annotations"] == {"of": "others"}
    assert at(fake).of(SUBJECT.digest).others == 1


def test_the_api_is_not_mixed_with_the_tag() -> None:
    fake = with_image()
    at(fake).put(manifest(1))
    stale = referrerlist.with_entry(
        None, SUBJECT.digest, referrerlist.entry_of(manifest(2), manifests.OCI_MANIFEST)
    )
    fake.registry.push("app", LIST_TAG, stale, manifests.OCI_INDEX)
    assert numbers(at(fake).of(SUBJECT.digest)) == ["1"]


def test_no_subject_is_a_mistake_of_the_caller() -> None:
    value = {**json.loads(manifest()), "subject": None}
    with pytest.raises(TypeError):
        at(with_image()).put(json.dumps(value).encode())


# -- habits

EMPTY_INDEX = json.dumps({"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": []}).encode()
# What registries without the API answer at its path: (answer, whether that is remembered).
HABITS = {
    "distribution": (PLAIN, True),
    "ghcr, gitlab": (Response(404, {}, document("MANIFEST_UNKNOWN")), True),
    "quay, of an image that is not there": (Response(400, {}, document("MANIFEST_UNKNOWN")), False),
    "a method that is not allowed": (Response(405, {}, document("UNSUPPORTED")), True),
    "artifactory before 7.90": (Response(406, {}, b""), True),
    "not implemented": (Response(501, {}, document("UNSUPPORTED")), True),
    "a firewall": (Response(403, {"content-type": "text/html"}, b"<html>"), False),
    "a login that is for other paths": (Response(401, {}, document("UNAUTHORIZED")), False),
    "a page": (Response(200, {"content-type": "text/html"}, b"<html><title>Log in</title>"), True),
    "nothing": (Response(200, {}, b""), True),
    "no content": (Response(204, {}, b""), True),
    "other json": (Response(200, {"content-type": "application/json"}, b'{"referrers":[]}'), True),
    "an empty list of everything": (Response(200, {"content-type": manifests.OCI_INDEX}, EMPTY_INDEX), False),
    "an empty list of a server that says what it was asked": (
        Response(200, {"oci-filters-applied": "none"}, EMPTY_INDEX),
        False,
    ),
    "a list of docker's": (
        Response(200, {}, EMPTY_INDEX.replace(manifests.OCI_INDEX.encode(), manifests.DOCKER_LIST.encode())),
        True,
    ),
    "a redirect to http": (Response(302, {"location": "http://login.test/"}), True),
}


@pytest.mark.parametrize("says_subject", [False, True])
@pytest.mark.parametrize("habit", HABITS)
def test_registries_without_the_api(habit: str, says_subject: bool) -> None:
    answer, remembered = HABITS[habit]
    fake = with_image(api=False)
    attacker = Tampering(fake)
    attacker.answer(answer, path=API)
    if says_subject:  # as ECR did
        attacker.change_answers(
            lambda got: replace(got, headers={**got.headers, "oci-subject": SUBJECT.digest}),
            method="PUT",
            path=r".*/manifests/.*",
        )
    lists = at(fake)
    assert lists.of(SUBJECT.digest) == referrerlist.ReferrerList()
    lists.put(manifest(1))
    lists.put(manifest(2))
    lines(fake)
    assert numbers(lists.of(SUBJECT.digest)) == ["1", "2"]
    assert lines(fake) == [*([] if remembered else ["GET referrers/IMAGE"]), "GET manifests/TAG"]


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_a_filter_that_is_refused_proves_nothing(status: int) -> None:
    fake = with_image(api=False)
    attacker = Tampering(fake)
    attacker.answer(HABITS["an empty list of everything"][0], path=API)
    serves = fake.before.pop()
    fake.before.append(lambda r: Response(status) if "?artifactType" in r.url else serves(r))
    lists = at(fake)
    assert lists.of(SUBJECT.digest) == lists.of(SUBJECT.digest) == referrerlist.ReferrerList()
    assert "?artifactType" not in fake.requests[-2].url
    lists.put(manifest())
    assert numbers(lists.of(SUBJECT.digest)) == ["0"]


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_server_that_fails_is_no_answer(status: int) -> None:
    fake = with_image()
    at(fake).put(manifest())
    Tampering(fake).answer(Response(status), path=API)
    with pytest.raises(ServerError):
        at(fake).of(SUBJECT.digest)


def test_a_lost_connection_is_no_answer() -> None:
    fake = with_image(api=False)
    Tampering(fake).refuse_connections(path=API)
    with pytest.raises(NetworkError):
        at(fake).of(SUBJECT.digest)


def test_who_may_not_read_hears_it_at_the_tag() -> None:
    fake = with_image(api=False)
    Tampering(fake).answer(Response(403), path=".*")
    with pytest.raises(AuthenticationError):
        at(fake).of(SUBJECT.digest)


def test_a_repository_that_was_not_there_says_nothing() -> None:
    fake = make_fake()
    lists = at(fake)
    assert lists.of(SUBJECT.digest) == referrerlist.ReferrerList()
    fake.registry.push("app", "1", IMAGE, manifests.OCI_INDEX)
    at(fake).put(manifest())
    assert numbers(lists.of(SUBJECT.digest)) == ["0"]


def test_repositories_of_one_registry_are_apart() -> None:
    fake = with_image(api=False)
    registry = registry_of(fake)
    Referrers(registry, "app").put(manifest())
    fake.registry.referrers = True  # a proxy may have several registries behind it
    fake.registry.push("other", "1", IMAGE, manifests.OCI_INDEX)
    Referrers(registry, "other").put(manifest())
    assert numbers(Referrers(registry, "other").of(SUBJECT.digest)) == ["0"]
    assert LIST_TAG not in fake.registry.images.tags("other")


def test_without_oci_subject_the_tag_is_kept_though_there_is_an_api() -> None:
    fake = with_image()

    def silent(got: Response) -> Response:
        return replace(got, headers={k: v for k, v in got.headers.items() if k != "oci-subject"})

    Tampering(fake).change_answers(silent, method="PUT", path=r".*/manifests/.*")
    at(fake).put(manifest())
    assert LIST_TAG in fake.registry.images.tags("app")
    assert numbers(at(fake).of(SUBJECT.digest)) == ["0"]


def test_an_api_that_takes_a_moment() -> None:
    fake = with_image()
    at(fake).put(manifest(1))
    Tampering(fake).answer(
        Response(200, {"content-type": manifests.OCI_INDEX}, EMPTY_INDEX), path=API, times=2
    )
    lines(fake)
    at(fake).put(manifest(2))
    assert lines(fake) == ["PUT manifests/DIGEST", *["GET referrers/IMAGE"] * 3]


def test_an_api_that_lists_others_alone() -> None:
    fake = with_image()
    at(fake).put(manifest(1))
    old = fake.registry.images.referrers("app", SUBJECT.digest)
    fake.registry.images.referrers = lambda *_: old  # type: ignore[method-assign]
    with pytest.raises(UnconfirmedPublishError, match="does not list it"):
        at(fake).put(manifest(2))


# -- the tag


def test_gitlab_takes_the_tag_for_the_digest() -> None:
    fake = with_image(api=False)
    fake.registry.images._tags["app"][LIST_TAG] = SUBJECT.digest  # noqa: SLF001 - also what `cosign copy` does
    lists = at(fake)
    assert lists.of(SUBJECT.digest) == referrerlist.ReferrerList()  # and not the image's own manifests
    lists.put(manifest())
    assert numbers(lists.of(SUBJECT.digest)) == ["0"]
    assert fake.registry.images.manifest("app", SUBJECT.digest)


def test_a_registry_that_always_takes_the_tag_for_the_digest() -> None:
    fake = with_image(api=False)
    Tampering(fake).answer(
        Response(200, {"content-type": manifests.OCI_INDEX}, IMAGE), method="GET", path=TAG
    )
    with pytest.raises(UnconfirmedPublishError, match="for the image itself") as caught:
        at(fake).put(manifest())
    assert "--format sig" in advice(caught.value)
    assert sum(line.startswith("PUT manifests/TAG") for line in lines(fake)) == 1


@pytest.mark.parametrize(("status", "advised"), [(400, True), (405, True), (415, True), (507, False)])
def test_a_registry_that_takes_no_manifest_with_a_subject(status: int, advised: bool) -> None:
    fake = with_image()
    Tampering(fake).answer(Response(status, {}, document("MANIFEST_INVALID")), method="PUT")
    with pytest.raises(ServerError) as caught:
        at(fake).put(manifest())
    assert ("--format sig" in advice(caught.value)) == advised


IMMUTABLE = {
    "ecr": (
        400,
        "TAG_INVALID",
        "The image tag 'sha256-a' already exists and cannot be overwritten: immutable",
    ),
    "harbor": (
        412,
        "PRECONDITION",
        "Failed to process request due to 'app:sha256-a' configured as immutable.",
    ),
}


@pytest.mark.parametrize("whose", IMMUTABLE)
def test_tags_that_are_immutable(whose: str) -> None:
    status, code, message = IMMUTABLE[whose]
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    fake = with_image(api=False)
    at(fake).put(manifest(1))
    Tampering(fake).answer(Response(status, {}, body), method="PUT", path=TAG)
    with pytest.raises(ServerError) as caught:
        at(fake).put(manifest(2))
    assert "sha256-*" in advice(caught.value)
    assert numbers(at(fake).of(SUBJECT.digest)) == ["1"]


def test_a_tag_that_does_not_change() -> None:
    fake = with_image(api=False)

    def keep(request: Request) -> Response | None:
        is_tag = request.method == "PUT" and request.url.endswith(LIST_TAG)
        return Response(201) if is_tag else None

    fake.before.append(keep)
    with pytest.raises(ConflictError, match="does not keep"):
        at(fake).put(manifest())


@pytest.mark.parametrize("kind", [manifests.OCI_MANIFEST, manifests.DOCKER_LIST])
def test_somebodys_image_at_the_tag_stays(kind: str) -> None:
    fake = with_image(api=False)
    body: dict[str, object] = {"schemaVersion": 2, "mediaType": kind}
    if kind == manifests.OCI_MANIFEST:
        body |= {"config": json.loads(manifest())["config"], "layers": []}
    else:
        body["manifests"] = []
    there = fake.registry.push("app", LIST_TAG, json.dumps(body).encode(), kind)
    assert at(fake).of(SUBJECT.digest) == referrerlist.ReferrerList()
    with pytest.raises(MetadataError):
        at(fake).put(manifest())
    assert fake.registry.images.tags("app")[LIST_TAG] == there


def test_somebody_writes_at_the_same_moment() -> None:
    fake = with_image(api=False)
    other, wins = at(fake), iter(range(10, 13))

    def interfere(request: Request, answer: Response) -> Response:
        if request.method == "PUT" and request.url.endswith(LIST_TAG):
            number = next(wins, None)
            if number is not None:  # as a writer does who has read before us
                entry = referrerlist.entry_of(manifest(number), manifests.OCI_MANIFEST)
                listed = referrerlist.with_entry(None, SUBJECT.digest, entry)
                fake.registry.push("app", LIST_TAG, listed, manifests.OCI_INDEX)
        return answer

    fake.after.append(interfere)
    other.put(manifest(1))
    assert numbers(other.of(SUBJECT.digest)) == ["1", "12"]


def test_threads_lose_nothing() -> None:
    fake = with_image(api=False)
    registry = registry_of(fake)
    with ThreadPoolExecutor(8) as pool:
        done = pool.map(lambda number: Referrers(registry, "app").put(manifest(number)), range(24))
        assert len(list(done)) == 24
    assert numbers(at(fake).of(SUBJECT.digest)) == sorted(map(str, range(24)))
    assert sum(line == "PUT manifests/TAG" for line in lines(fake)) == 24


def test_a_list_that_is_too_large_to_read() -> None:
    fake = with_image(api=False)
    at(fake).put(manifest())
    found = at(fake, Limits(manifest_bytes=100)).of(SUBJECT.digest)
    assert (found.entries, found.more) == ((), True)


# -- pages


def paged(count: int = 7, page: int = 2) -> Fake:
    fake = with_image()
    fake.registry.page = page
    for number in range(count):
        fake.registry.push("app", "x", manifest(number), manifests.OCI_MANIFEST)
    return fake


def test_pages_are_followed() -> None:
    fake = paged()
    found = at(fake).of(SUBJECT.digest)
    assert (numbers(found), found.more) == (sorted(map(str, range(7))), False)
    assert len(lines(fake)) == 4


@pytest.mark.parametrize(
    ("limits", "count"),
    [(Limits(referrers=5), 5), (Limits(referrer_pages=2), 4), (Limits(referrer_pages=1), 2)],
)
def test_and_no_more_than_so_many(limits: Limits, count: int) -> None:
    found = at(paged(), limits).of(SUBJECT.digest)
    assert (len(found.entries), found.more) == (count, True)


def test_what_the_limits_leave_out_cannot_be_confirmed() -> None:
    fake = paged(5)
    with pytest.raises(UnconfirmedPublishError):
        at(fake, Limits(referrers=2)).put(manifest(9))
    assert LIST_TAG not in fake.registry.images.tags("app")


LINKS = {
    "elsewhere": "<https://evil.test/v2/app/referrers/x?n=2&last={last}>; rel=next",
    "over http, behind a proxy": '<http://registry.test:80/v2/app/referrers/x?n=2&last={last}>; rel="next"',
    "below a prefix": '</artifactory/api/docker/v2/app/referrers/x?n=2&last={last}>; rel="next"',
    "relative": '<?n=2&last={last}>; rel="next"',
    "among others": '<?n=9>; rel="first", <?n=2&last={last}>; title="a"; rel="next", <?n=8>; rel="last"',
}


@pytest.mark.parametrize("link", LINKS)
def test_of_a_link_the_query_alone_is_followed(link: str) -> None:
    fake = paged(4)

    def other(_: Request, answer: Response) -> Response:
        if "link" not in answer.headers:
            return answer
        last = answer.headers["link"].partition("last=")[2].partition(">")[0]
        return replace(answer, headers={**answer.headers, "link": LINKS[link].format(last=last)})

    fake.after.append(other)
    assert numbers(at(fake).of(SUBJECT.digest)) == ["0", "1", "2", "3"]
    assert {request.url.partition("?")[0] for request in fake.requests} == {
        f"https://{REGISTRY_HOST}/v2/app/referrers/{SUBJECT.digest}"
    }


@pytest.mark.parametrize("link", ['<?n=2>; rel="next"', "<?n=2>;rel=next", '</x?n=2>; rel="next"'])
def test_pages_that_lead_in_a_circle_end(link: str) -> None:
    fake = paged(2)
    fake.after.append(lambda _, answer: replace(answer, headers={**answer.headers, "link": link}))
    assert len(at(fake).of(SUBJECT.digest).entries) == 4
    assert len(lines(fake)) == 2


def test_pages_that_never_end() -> None:
    fake = paged(2)

    def onward(request: Request, answer: Response) -> Response:
        return replace(
            answer, headers={"link": f'<?n=2&page={len(request.url)}{"x" * len(fake.requests)}>; rel="next"'}
        )

    fake.after.append(onward)
    found = at(fake, Limits(referrer_pages=9)).of(SUBJECT.digest)
    assert (len(found.entries), found.more) == (18, True)
    assert len(lines(fake)) == 9


@pytest.mark.parametrize(
    "link", ["", "nonsense", "<>; rel=next", "</x>; rel=next", "<http://[x?n=2>; rel=next"]
)
def test_links_that_lead_nowhere(link: str) -> None:
    fake = paged(2)
    fake.after.append(lambda _, answer: replace(answer, headers={**answer.headers, "link": link}))
    assert len(at(fake).of(SUBJECT.digest).entries) == 2


def test_a_page_that_breaks_off() -> None:
    fake = paged(4)
    Tampering(fake).answer(Response(200, {}, b"<html>"), path=API)
    fake.before[0], first = (lambda _: None), fake.before[0]
    seen: list[object] = []

    def second(request: Request) -> Response | None:
        seen.append(request)
        return first(request) if len(seen) > 1 else None

    fake.before[0] = second
    found = at(fake).of(SUBJECT.digest)
    assert (len(found.entries), found.more) == (2, True)


def test_a_page_that_is_too_large() -> None:
    fake = paged(4)
    found = at(fake, Limits(manifest_bytes=300)).of(SUBJECT.digest)
    assert (found.entries, found.more) == ((), True)


def test_tries_are_few() -> None:
    assert referrers.TRIES < 10
