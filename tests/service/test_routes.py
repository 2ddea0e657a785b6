"""What the service answers at which path, and what it counts and logs of that."""

from __future__ import annotations

import json
from concurrent.futures import wait
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.limits import DEFAULT
from notarypy.service import routes
from notarypy.service.asgi import HttpAnswer
from notarypy.service.metrics import Metrics
from notarypy.service.routes import MUTATE, PATHS, VALIDATE, VERIFY
from notarypy.service.webhook import Webhook
from support import admissions, admitting
from support.people import make_world
from support.verifiers import SECONDS, verifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.service.verifier import Verifier

R = admitting.REGISTRY


class Asking:
    """The operations over the fake, asked as the application asks them."""

    def __init__(self, found: Verifier, names: admissions.World, *, warn_only: bool = False) -> None:
        self.world, self.names = (found, names), names
        self.metrics = Metrics("1", PATHS)
        self._operations = routes.operations(
            found, Webhook(found, warn_only=warn_only), self.metrics, DEFAULT
        )
        self._verifier = found

    def __call__(self, path: str, body: bytes, *, seconds: float = SECONDS) -> tuple[HttpAnswer, Any]:
        work = self._operations[path](body)
        if not isinstance(work, HttpAnswer):
            wait(work.futures, seconds)
            work = work.finish()
        return work, json.loads(work.body)

    def operations(self, *, admission_only: bool = False) -> set[str]:
        webhook, verifier = Webhook(self._verifier), self._verifier
        return {*routes.operations(verifier, webhook, self.metrics, DEFAULT, admission_only=admission_only)}

    def counts(self) -> set[str]:
        lines = self.metrics.text().decode().splitlines()
        return {line for line in lines if line.startswith(("notarypy_verif", "notarypy_adm"))}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Verifier, admissions.World]]:
    base = tmp_path_factory.mktemp("routes")
    with pytest.MonkeyPatch.context() as patch:
        made = make_world(base, patch)
        policy, names = admitting.prepared(made)
        with closing(verifier(made, policy)) as found:
            yield found, names


@pytest.fixture
def ask(world: tuple[Verifier, admissions.World]) -> Asking:
    return Asking(*world)


def pod(*images: str) -> bytes:
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    return admissions.Case("", {"pod": {"containers": containers}}).data(admissions.World())


def test_verify_answers_and_says_what_was_found(ask: Asking) -> None:
    images = [f"{R}/{name}" for name in ("app:1", "app:unsigned", "skipped/tool:1", "audited:1")]
    answer, document = ask(VERIFY, json.dumps({"images": images}).encode())
    assert answer.status == 200
    assert [result["ok"] for result in document["results"]] == [True, False, True, True]
    assert answer.facts["images"] == [
        {"image": images[0], "result": "verified", "digest": ask.names.ONE},
        {"image": images[1], "result": "refused", "code": "trust.tag_unsigned"},
        {"image": images[2], "result": "skipped", "digest": document["results"][2]["digest"]},
        {"image": images[3], "result": "audited", "digest": ask.names.ONE},
    ]
    assert ask.counts() == {
        f'notarypy_verifications_total{{result="{result}"}} 1.0'
        for result in ("verified", "refused", "skipped", "audited")
    }


@pytest.mark.parametrize("body", [b"", b"[]", b'{"images":[]}', b'{"images":["a b"]}', b"\xff"])
def test_verify_refuses_what_it_does_not_understand(ask: Asking, body: bytes) -> None:
    answer, document = ask(VERIFY, body)
    assert (answer.status, answer.facts["error"]) == (400, document["error"]["code"])
    assert str(answer.facts["message"]).startswith(document["error"]["message"])
    assert ask.counts() == set()


def test_what_is_not_known_in_time_is_undecided(ask: Asking) -> None:
    answer, document = ask(VERIFY, json.dumps({"images": [f"{R}/deep/er/app:1"]}).encode(), seconds=0)
    assert document["results"][0]["ok"] is False
    assert answer.facts["images"] == [{"image": f"{R}/deep/er/app:1", "result": "undecided"}]


@pytest.mark.parametrize(("path", "webhook"), [(VALIDATE, "validate"), (MUTATE, "mutate")])
def test_a_review_is_answered_and_counted(ask: Asking, path: str, webhook: str) -> None:
    answer, document = ask(path, pod(f"{R}/app:1"))
    assert document["response"]["allowed"] is True
    assert ("patch" in document["response"]) is (path == MUTATE)
    facts = dict(answer.facts)
    assert facts.pop("images") == [{"image": f"{R}/app:1", "result": "verified", "digest": ask.names.ONE}]
    assert facts.keys() <= {"allowed", "uid", "operation", "kind", "namespace", "name"}
    assert (facts["allowed"], facts["operation"], facts["kind"]) == (True, "CREATE", "Pod")
    answer, document = ask(path, pod(f"{R}/app:1", f"{R}/app:unsigned"))
    assert document["response"]["allowed"] is False
    assert answer.facts["codes"] == ["trust.tag_unsigned"]
    assert {
        f'notarypy_admissions_total{{result="allowed",webhook="{webhook}"}} 1.0',
        f'notarypy_admissions_total{{result="refused",webhook="{webhook}"}} 1.0',
        'notarypy_verifications_total{result="verified"} 2.0',
    } <= ask.counts()


def test_what_would_be_refused_is_logged_and_counted(ask: Asking) -> None:
    answer, document = Asking(*ask.world, warn_only=True)(MUTATE, pod("elsewhere.example.com/app:1"))
    assert document["response"]["allowed"] is True
    assert (answer.facts["would_refuse"], answer.facts["codes"]) == (True, ["policy.no_scope"])
    assert "'code': 'policy.no_scope', 'why': 'the policy is /" in str(answer.facts["images"])


def test_a_review_without_an_answer_is_an_error(ask: Asking) -> None:
    answer, document = ask(VALIDATE, b"{}")
    assert (answer.status, document["error"]["code"]) == (400, "usage.admission_review")


def test_many_images_are_counted_and_few_are_named(ask: Asking) -> None:
    images = [f"{R}/skipped/tool:{number}" for number in range(20)]
    answer, _ = ask(MUTATE, pod(*images))
    assert len(str(answer.facts)) < 3000
    assert (len(answer.facts["images"]), answer.facts["more_images"]) == (16, 4)  # type: ignore[arg-type]
    answer, _ = ask(MUTATE, pod("x" * 5000))
    assert len(str(answer.facts)) < 1000


def test_what_can_be_stored_can_be_changed(ask: Asking) -> None:
    review = json.loads(pod(f"{R}/team/app:1"))
    review["request"]["object"]["metadata"] = {"name": "a", "annotations": {"a": "<" * 1_500_000}}
    review["request"] |= {"operation": "UPDATE", "oldObject": review["request"]["object"]}
    body = json.dumps(review).replace("<", "\\u003c").encode()  # as an API server writes them
    assert DEFAULT.request_bytes >= len(body) > 18_000_000
    answer, document = ask(VALIDATE, body)
    assert (answer.status, document["response"]["allowed"]) == (200, True)


def test_for_a_cluster_there_is_nothing_to_ask_for_others(ask: Asking) -> None:
    assert VERIFY in ask.operations()
    assert ask.operations(admission_only=True) == {VALIDATE, MUTATE}
