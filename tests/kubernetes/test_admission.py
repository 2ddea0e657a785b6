"""AdmissionReviews and their answers, from known verdicts: the table of cases, and what no table has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from notarypy import errors
from notarypy.errors import AdmissionReviewError, NotarypyError
from notarypy.kubernetes.admissionanswer import AdmissionAnswer, ImageVerdict, answer, pinned
from notarypy.kubernetes.review import images_of, read_review
from notarypy.limits import DEFAULT, Limits
from support import admissions

if TYPE_CHECKING:
    from support.admissions import Case

WORLD = admissions.World()
KNOWN = admissions.known_images(WORLD)
CASES = admissions.cases()
EXIT_CODES = {
    each.code: each.exit_code
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, NotarypyError)
}


def verdict(image: str) -> ImageVerdict | None:
    known = KNOWN.get(image, {"code": "usage.name"})
    if known is None:
        return None
    code = known.get("code", "")
    return ImageVerdict(
        image,
        known.get("digest"),
        f"{image} is refused [{code}]" if code else "",
        code,
        EXIT_CODES[code] if code else 0,
        (f"{image}: {known['warning']}",) if "warning" in known else (),
    )


def answered(data: bytes, mode: str) -> AdmissionAnswer:
    review = read_review(data)
    placed = images_of(review)
    verdicts = {one.image: verdict(one.image) for one in placed}
    mutate, warn_only = mode in admissions.MUTATING, mode == "warn"
    return answer(
        review, placed, verdicts, mutate=mutate, require_digest=mode == "strict", warn_only=warn_only
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_table(case: Case) -> None:
    if case.unanswered:
        with pytest.raises(AdmissionReviewError) as caught:
            read_review(case.data(WORLD))
        assert "uid" not in caught.value.facts
        return
    assert case.modes
    for mode in case.modes:
        codes = case.codes(mode)
        if codes == ["usage.admission_review"]:
            with pytest.raises(AdmissionReviewError) as caught:
                answered(case.data(WORLD), mode)
            request = case.document(WORLD)
            assert caught.value.facts["uid"] == request["request"]["uid"]
            assert caught.value.facts["version"] == request["apiVersion"]
            continue
        found = answered(case.data(WORLD), mode)
        case.check(mode, found.document, WORLD)
        assert sorted(found.codes) == codes
        worst = min(map(EXIT_CODES.__getitem__, codes), key=errors.WORST_FIRST.index) if codes else 0
        assert found.exit_code == (0 if found.allowed else worst)


@pytest.mark.parametrize("case", [case for case in CASES if "mutate" in case.raw], ids=lambda case: case.name)
def test_what_was_patched_is_allowed_and_not_patched_again(case: Case) -> None:
    if case.raw["mutate"].get("codes"):
        return
    first = answered(case.data(WORLD), "mutate").document
    again = json.dumps(case.patched(first, WORLD)).encode()
    for mode in admissions.MODES:
        response = answered(again, mode).document["response"]
        assert response["allowed"]
        assert "patch" not in response


def test_who_only_warns_refuses_nothing_and_says_all() -> None:
    for case in CASES:
        codes = case.raw.get("mutate", {}).get("codes", ["usage.admission_review"])
        if case.unanswered or codes == ["usage.admission_review"]:
            continue
        found = answered(case.data(WORLD), "warn")
        response = found.document["response"]
        assert (response["allowed"], found.exit_code, "status" in response) == (True, 0, False)
        assert found.result == ("warned" if codes else "allowed")
        assert sorted(found.codes) == sorted(codes)
        said = [each for each in response.get("warnings", ()) if each.startswith("would be refused: ")]
        assert [code for code in codes if not any(f"[{code}]" in each for each in said)] == []


def test_what_is_being_deleted_can_end_whatever_it_is_like() -> None:
    containers = [{"name": f"c{number}", "image": "unknown:1"} for number in range(3)]
    old = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"containers": containers}}
    request = {"operation": "UPDATE", "object": {**old, "metadata": {}}, "oldObject": old}
    data = admissions.Case("", {"request": request}).data(WORLD)
    assert images_of(read_review(data), Limits(review_images=2)) == ()


def test_the_table_is_large() -> None:
    assert len(CASES) >= 80


def review(images: list[str]) -> bytes:
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    return admissions.Case("", {"pod": {"containers": containers}}).data(WORLD)


def test_what_is_too_large_too_deep_or_has_too_many_parts_is_not_read() -> None:
    for limits in (Limits(review_bytes=100), Limits(review_parts=5)):
        with pytest.raises(AdmissionReviewError, match="cannot be read"):
            read_review(review(["a:1"]), limits)
    deep = b'{"a":' * 100 + b"1" + b"}" * 100
    with pytest.raises(AdmissionReviewError, match="cannot be read"):
        read_review(deep)
    with pytest.raises(AdmissionReviewError, match="cannot be read"):
        read_review(b'{"uid": ' + b"9" * 5000 + b"}")
    with pytest.raises(AdmissionReviewError, match="cannot be read"):
        read_review(b'{"uid": "\xff"}')


def test_a_thousand_containers_are_a_few_questions() -> None:
    name = next(iter(KNOWN))
    assert len(images_of(read_review(review([name] * DEFAULT.review_images)))) == DEFAULT.review_images
    with pytest.raises(AdmissionReviewError, match="too many images"):
        images_of(read_review(review([name] * (DEFAULT.review_images + 1))))


def test_a_reason_without_the_name_of_its_image_gets_it() -> None:
    read = read_review(review(["app:1"]))
    refused = ImageVerdict("app:1", None, "the server is gone [net.unreachable]", "net.unreachable", 8)
    said = answer(read, images_of(read), {"app:1": refused}, mutate=True).document["response"]
    assert said["status"]["message"].endswith(": app:1: the server is gone [net.unreachable]")


def test_messages_and_warnings_are_bounded() -> None:
    found = answered(review([f"{'x' * 900}/{number}:1" for number in range(500)]), "validate")
    assert len(found.document["response"]["status"]["message"]) < 20_000
    assert "484 more are refused" in found.document["response"]["status"]["message"]
    images = [f"{WORLD.R}/{'y' * 180}/{number}:1" for number in range(100)]
    read = read_review(review(images))
    placed = images_of(read)
    verdicts = {
        image: ImageVerdict(image, WORLD.ONE, warnings=(f"{image} " + "é" * 300,)) for image in images
    }
    response = answer(read, placed, verdicts, mutate=False).document["response"]
    assert sum(len(each.encode()) for each in response["warnings"]) <= 4096
    assert all(len(each.encode()) < 256 for each in response["warnings"])
    assert response["warnings"][-1] == f"{201 - len(response['warnings'])} more warnings"
    assert len(response["auditAnnotations"]["verified"].encode()) <= 1024


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("app", "app"),
        ("app:1", "app"),
        ("localhost:5000/app", "localhost:5000/app"),
        ("localhost:5000/app:1", "localhost:5000/app"),
        ("[::1]:5000/a/b:1", "[::1]:5000/a/b"),
        ("r.test/app:1@sha256:12", "r.test/app"),
    ],
)
def test_a_name_with_its_digest(image: str, name: str) -> None:
    assert pinned(image, "sha256:34") == f"{name}@sha256:34"


def test_who_signed_is_kept_for_the_audit_log() -> None:
    read = read_review(review(["app:1"]))
    verdicts = {"app:1": ImageVerdict("app:1", WORLD.ONE, basis="targets/releases 3, signed by alice")}
    response = answer(read, images_of(read), verdicts, mutate=True).document["response"]
    kept = f"app@{WORLD.ONE} targets/releases 3, signed by alice"
    assert response["auditAnnotations"] == {"verified": kept}
