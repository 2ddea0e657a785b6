"""`POST /verify`: which requests are understood, and what is answered."""

from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import pytest

from notarypy.client.parameters import Unverified, VerifyOptions
from notarypy.client.verdicts import AppliedPolicy, image_json
from notarypy.errors import Advice, NotarypyError, SignerMissingError, TagUnsignedError, UnreachableError
from notarypy.limits import DEFAULT, Limits
from notarypy.service import verifyrequest
from notarypy.service.verifier import Unasked, Verdict, Verifier
from notarypy.service.verifyrequest import PendingRequest, read_request
from notarypy.values import replace
from support.results import D1, PIN, REPO, image
from support.schema import problems

ANSWER = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "verify-answer.json").read_text())


def request(**members: object) -> bytes:
    return json.dumps({"images": [f"{REPO}:1"], **members}).encode()


def read(data: bytes, limits: Limits = DEFAULT) -> tuple[tuple[str, ...], VerifyOptions]:
    found = read_request(data, limits)
    return found.images, found.options


def test_rule_1_images_alone_require_nothing_more() -> None:
    assert read(request(images=["a", f"b@{D1}"])) == (("a", f"b@{D1}"), VerifyOptions())
    assert read(request(root=None, signers=[], also=[]))[1] == VerifyOptions()


def test_rule_1_what_is_required_is_what_the_command_line_can_require() -> None:
    members = {
        "signers": ["jeff", "targets/bob"],
        "all_signers": True,
        "root": PIN.upper(),
        "registry": False,
    }
    assert read(request(**members))[1] == VerifyOptions(("jeff", "targets/bob"), True, PIN, False)  # noqa: FBT003


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no",
        b"[]",
        b'"text"',
        b"\xff",
        b"[" * 100_000,
        b'{"images": ["a"], "images": ["b"]}',
        b'{"images": ["a"], "x": NaN}',
        b"{}",
        request(images=[]),
        request(images="a"),
        request(images=["a", 1]),
        request(images=[["a"]]),
        request(images=["UPPER"]),
        request(images=[""]),
        request(images=["a\0"]),
        b'{"images": ["\\ud800"]}',
        request(image="a"),
        request(policy="p.toml"),
        request(server="https://evil.test"),
        request(trust_dir="/tmp"),
        request(mode="skip"),
        request(signers="jeff"),
        request(signers=["../x"]),
        request(signers=None),
        request(all_signers=1),
        request(all_signers="true"),
        request(root="abc"),
        request(root=["a" * 64]),
        request(root="file.pem"),
        request(registry=0),
        request(registry=None),
        request(also="PEM"),
        request(also=["no key"]),
        request(also=["/etc/passwd"]),
    ],
)
def test_rule_3_what_is_wrong_refuses_the_whole(data: bytes) -> None:
    class Nobody:
        def ask(self, *_: object, **__: object) -> None:
            pytest.fail("something was asked")

    pending = PendingRequest(cast("Verifier", Nobody()), data)
    assert pending.refused is not None
    assert pending.futures == ()
    document = json.loads(pending.answer())
    assert problems(document, ANSWER) == []
    assert (document["exit"], document["results"]) == (pending.refused.exit_code, [])
    assert document["error"]["exit"] == document["exit"] != 0


def test_the_limits_hold() -> None:
    limits = Limits(service_images=2, service_required=1)
    assert len(read(request(images=["a", "b"], signers=["x"]), limits)[0]) == 2
    for members in ({"images": ["a", "b", "c"]}, {"signers": ["x", "y"]}, {"also": ["x", "y"]}):
        with pytest.raises(NotarypyError, match="cannot be understood"):
            read(request(**members), limits)


class Told:
    """A verifier that has these verdicts, and no other ones yet."""

    def __init__(self, **verdicts: Verdict) -> None:
        self.verdicts, self.asked = verdicts, list[tuple[str, VerifyOptions, bool]]()

    def ask(self, image: str, options: VerifyOptions, *, resolve: bool, **_: int) -> Future[Verdict]:
        self.asked.append((image, options, resolve))
        future: Future[Verdict] = Future()
        if (known := self.verdicts.get(image.rpartition(":")[2])) is not None:
            future.set_result(known)
        return future


def answered(verifier: Told, *tags: str, **members: object) -> Any:  # noqa: ANN401 - JSON
    data = request(images=[f"{REPO}:{tag}" for tag in tags], **members)
    document = json.loads(PendingRequest(cast("Verifier", verifier), data).answer())
    assert problems(document, ANSWER) == []
    return document


def test_answers_are_those_of_verify() -> None:
    unmet = SignerMissingError(
        "no bob", advice=Advice("x", of=Advice("y", path=Path("/a"))), signers={"b", "a"}
    )
    good = replace(image(), policy=AppliedPolicy("*", "audit", (unmet,)))
    error = TagUnsignedError("not signed", why="signed tags: 1", advice=Advice("sign-tag", gun=REPO, tag="2"))
    said = (Unverified("audit: no bob"), "two roles disagree")
    verifier = Told(one=Verdict(good, said), two=Verdict(error))
    document = answered(verifier, "one", "two", signers=["jeff"])
    assert verifier.asked[0] == (f"{REPO}:one", VerifyOptions(signers=("jeff",)), True)
    assert (document["exit"], document["warnings"], document["first_use"]) == (3, list(said), [])
    first, second = document["results"]
    assert (first["ref"], first["ok"], first["digest"]) == (f"{REPO}:one", True, D1)
    told = [(each["text"], each["unverified"]) for each in first["warnings"]]
    assert told == [(said[0], True), (said[1], False)]
    (shown,) = first["policy"]["unmet"]
    assert shown["facts"] == {"signers": ["a", "b"]}
    assert shown["advice"] == {
        "name": "x",
        "values": {"of": {"name": "y", "values": {"path": "/a"}}},
    }
    assert second == {
        "ref": f"{REPO}:two",
        "ok": False,
        "error": {
            "code": "trust.tag_unsigned",
            "exit": 3,
            "message": "not signed",
            "why": ["signed tags: 1"],
            "facts": {},
            "advice": {"name": "sign-tag", "values": {"gun": REPO, "tag": "2"}},
            "retryable": False,
        },
        "warnings": [],
    }


def test_rule_4_what_is_not_known_in_time_is_never_good() -> None:
    asked = Verdict(Unasked(REPO, "two", AppliedPolicy("*", "skip")))
    document = answered(Told(one=Verdict(image()), two=asked), "one", "two", "three")
    good, *late = document["results"]
    assert good["ok"]
    assert document["exit"] == 8
    assert [(each["ok"], each["error"]["code"]) for each in late] == [(False, "service.undecided")] * 2
    assert [each["error"]["retryable"] for each in late] == [True, True]


def test_rule_6_one_error_of_several_is_told_as_such() -> None:
    down: NotarypyError = UnreachableError("down")
    again: NotarypyError = UnreachableError("down")
    verdicts = {"a": down, "b": again, "c": down, "d": again, "e": down}
    document = answered(Told(**{tag: Verdict(error) for tag, error in verdicts.items()}), *verdicts)
    assert [each.get("same_as") for each in document["results"]] == [None, None, 0, 1, 0]


def test_rule_8_a_good_image_is_written_once_and_named_as_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = []

    def write(*given: Any) -> Any:  # noqa: ANN401 - as it is
        written.append(given)
        return image_json(*given)

    monkeypatch.setattr(verifyrequest, "image_json", write)
    verdict = Verdict(image(), (Unverified("audit: no bob"),))
    verifier = Told(one=verdict, uno=verdict)
    (first,), (again, other) = (answered(verifier, *tags)["results"] for tags in (["one"], ["one", "uno"]))
    assert first == again == {**other, "ref": f"{REPO}:one"}
    assert other["ref"] == f"{REPO}:uno"
    assert len(written) == 1
