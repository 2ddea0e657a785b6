"""AdmissionReviews with the answers that are expected, from `fixtures/admission`.

What it is: the cases, written out for a registry and its digests, and what an answer has to be like. What it
is not: who answers.
"""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jsonpatch

from notarypy.kubernetes.review import ANNOTATION

FOLDER: Final = Path(__file__).parents[2] / "fixtures" / "admission"
FILES: Final = ("kinds", "malformed", "metadata", "pods", "recorded-1.20", "recorded-1.36", "updates")
MODES: Final = ("mutate", "validate", "strict", "warn")
"""What asks: to mutate, to validate, to validate where digests are required, or to mutate and only warn."""
MUTATING: Final = ("mutate", "warn")
_UID = "8cd6a1f0-0000-4000-8000-000000000001"


@dataclass(frozen=True)
class World:
    """What the names in the cases stand for: `R` is a registry, the others are digests."""

    R: str = "registry.example.com"
    ONE: str = f"sha256:{'1' * 64}"
    TWO: str = f"sha256:{'2' * 64}"
    OTHER: str = f"sha256:{'3' * 64}"
    SKIPPED: str = f"sha256:{'4' * 64}"

    def written(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        """Return a value of JSON with the names in all of its texts."""
        if isinstance(value, str):
            for name in ("SKIPPED", "OTHER", "TWO", "ONE", "R"):
                value = value.replace(f"${name}", getattr(self, name))
            return value
        if isinstance(value, list):
            return [self.written(each) for each in value]
        if isinstance(value, dict):
            return {self.written(key): self.written(each) for key, each in value.items()}
        return value


@dataclass(frozen=True)
class Case:
    """A review, what it is about, and what is expected in each mode."""

    name: str
    raw: dict[str, Any]

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes for which something is expected."""
        return tuple(mode for mode in MODES if mode in self.raw)

    def codes(self, mode: str) -> list[str]:
        """Return the codes of what is refused in a mode, or would be."""
        expected = self.raw[mode]
        return sorted([*expected.get("codes", ()), *expected.get("warned", ())])

    @property
    def unanswered(self) -> bool:
        """Whether there can be no answer, for no uid can be read."""
        return bool(self.raw.get("unanswered"))

    @property
    def is_pure(self) -> bool:
        """Whether no server can be made ready for it."""
        return self.raw.get("only") == "pure"

    def document(self, world: World) -> dict[str, Any]:
        """Return the review."""
        raw: dict[str, Any] = world.written(self.raw)
        if "review" in raw:
            found: dict[str, Any] = raw["review"]
            return found
        request = {
            "uid": _UID,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "operation": "CREATE",
            "namespace": "default",
            "name": "web",
            "userInfo": {"username": "somebody"},
        }
        if "pod" in raw:
            metadata = {"name": "web"}
            request["object"] = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": raw["pod"]}
        request |= raw.get("request", {})
        return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}

    def data(self, world: World) -> bytes:
        """Return the review as it is sent."""
        text = self.raw.get("text")
        return json.dumps(self.document(world)).encode() if text is None else text.encode()

    def check(self, mode: str, answered: dict[str, Any], world: World) -> None:
        """Assert that an answer is the expected one."""
        expected = world.written(self.raw[mode])
        review = self.document(world)
        response = answered["response"]
        assert answered["apiVersion"] == review["apiVersion"]
        assert (answered["kind"], response["uid"]) == ("AdmissionReview", review["request"]["uid"])
        codes = expected.get("codes", [])
        assert response["allowed"] == (not codes), response
        _check_texts(expected, response)
        if codes:
            status = response["status"]
            assert (status["code"], status["reason"]) == (403, "Forbidden")
            assert [code for code in codes if f"[{code}]" not in status["message"]] == []
            assert "patch" not in response
        else:
            assert "status" not in response
            assert ("patch" in response) == bool({"patch", "images"} & expected.keys())
            assert ("patchType" in response) == ("patch" in response)
        if "patch" in response:
            _check_patch(expected, json.loads(base64.b64decode(response["patch"])), review)

    def patched(self, answered: dict[str, Any], world: World) -> dict[str, Any]:
        """Return the review that follows from an answer: its object as it was patched."""
        return patched(self.document(world), answered)


def patched(review: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any]:
    """Return a review of the object as an answer changes it."""
    found = copy.deepcopy(review)
    text = answered["response"].get("patch")
    if text is not None:
        operations = json.loads(base64.b64decode(text))
        found["request"]["object"] = jsonpatch.apply_patch(found["request"]["object"], operations)
    return found


def cases() -> list[Case]:
    """Return all cases."""
    return [
        Case(f"{file}: {raw['what']}", raw)
        for file in FILES
        for raw in json.loads((FOLDER / f"{file}.json").read_text())
    ]


def known_images(world: World) -> dict[str, dict[str, str] | None]:
    """Return what is known of the images in the cases."""
    found: dict[str, dict[str, str] | None] = json.loads((FOLDER / "images.json").read_text())["images"]
    return {world.written(name): world.written(each) for name, each in found.items()}


def _check_texts(expected: dict[str, Any], response: dict[str, Any]) -> None:
    warnings = response.get("warnings", [])
    assert all(len(each.encode()) < 256 for each in warnings)
    wanted = expected.get("warnings", [])
    assert [part for part in wanted if not any(part in each for each in warnings)] == [], warnings
    if wanted == [] and "warnings" in expected:
        assert warnings == []
    message = response.get("status", {}).get("message", "")
    assert [part for part in expected.get("message", ()) if part not in message] == [], message
    assert [part for part in expected.get("not", ()) if part in message] == []
    assert message.replace("\n", "").isprintable()


def _check_patch(expected: dict[str, Any], operations: list[dict[str, Any]], review: dict[str, Any]) -> None:
    if "patch" in expected:
        assert operations == expected["patch"]
        return
    before = review["request"]["object"]
    after = jsonpatch.apply_patch(before, operations)
    replaced = [each for each in operations if each["op"] == "replace"]
    assert {each["path"]: each["value"] for each in replaced} == expected["images"]
    assert len(operations) == len(replaced) + 1
    place = f"{expected.get('at', '/metadata')}/annotations/{ANNOTATION.replace('/', '~1')}"
    assert json.loads(jsonpatch.JsonPointer(place).resolve(after)) == expected["kept"]
    # nothing but that changes
    undone = [{"op": "replace", "path": path, "value": _at(before, path)} for path in expected["images"]]
    back = jsonpatch.apply_patch(after, undone)
    assert back == jsonpatch.apply_patch(before, operations[-1:])


def _at(found: Any, pointer: str) -> Any:  # noqa: ANN401 - JSON
    return jsonpatch.JsonPointer(pointer).resolve(found)
