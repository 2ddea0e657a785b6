"""AdmissionReviews, their images verified against the fake, and the answers."""

from __future__ import annotations

import re
from concurrent.futures import Future, wait
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from notarypy.errors import AdmissionReviewError
from notarypy.kubernetes.review import ANNOTATION
from notarypy.service.webhook import Webhook
from notarypy.values import replace
from support import admissions, admitting
from support.admitting import Cluster
from support.author import GUN
from support.cosigner import Cosigner
from support.people import REGISTRY_PATH, make_world
from support.verifiers import SECONDS, verifier, write_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.admissions import Case
    from support.people import World

CASES = [case for case in admissions.cases() if not case.is_pure]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    base = tmp_path_factory.mktemp("cluster")
    with pytest.MonkeyPatch.context() as patch, closing(Cluster(make_world(base, patch))) as made:
        yield made


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_table(cluster: Cluster, case: Case) -> None:
    if case.unanswered:
        with pytest.raises(AdmissionReviewError):
            cluster.webhooks["mutate"].begin(case.data(cluster.names), mutate=True)
        return
    for mode in case.modes:
        found = cluster.ask(case.data(cluster.names), mode)
        case.check(mode, found.document, cluster.names)
        assert sorted(found.codes) == case.codes(mode)


def pod(image: str) -> bytes:
    return admissions.Case("", {"pod": {"containers": [{"name": "app", "image": image}]}}).data(
        admissions.World()
    )


def test_registries_are_asked_for_tags_that_stay_alone(cluster: Cluster) -> None:
    names, world = cluster.names, cluster.world
    deployment = {
        "kind": "Deployment",
        "spec": {"template": {"spec": {"containers": [{"image": "$R/app:1"}]}}},
    }
    kind = {"group": "apps", "kind": "Deployment"}
    template = admissions.Case("", {"request": {"kind": kind, "object": deployment}}).data(names)
    asks = "GET /v2/app/manifests/1"
    for data, mode, registry in (
        (pod(f"{names.R}/app:1"), "mutate", False),
        (pod(f"{names.R}/app@{names.ONE}"), "validate", False),
        (pod(f"{names.R}/app:1"), "strict", False),
        (pod(f"{names.R}/app:1"), "validate", True),
        (template, "strict", True),
        (template, "mutate", False),
    ):
        cluster.ticks.now += 60  # nothing is known any more
        world.requests()
        cluster.ask(data, mode)
        assert (asks in world.requests()) == registry, (data, mode)


def test_what_is_skipped_is_asked_of_nobody(cluster: Cluster) -> None:
    cluster.world.requests()
    for mode in admissions.MODES:
        cluster.ask(pod(f"{cluster.names.R}/skipped/tool:1"), mode)
    assert cluster.world.requests() == []


def test_a_refusal_says_why_and_what_to_do(cluster: Cluster) -> None:
    response = cluster.ask(pod(f"{cluster.names.R}/app:unsigned"), "mutate").document["response"]
    assert response["status"]["message"] == (
        f"containers/app: {admitting.REGISTRY}/app:unsigned is not signed [trust.tag_unsigned]: "
        "the repository's signed tags are: 1, 2, latest; fix: take a signed tag (notarypy inspect "
        f"{admitting.REGISTRY}/app), or ask its publisher; only if that is you, and this is your image: "
        f"notarypy sign {admitting.REGISTRY}/app:unsigned (with --digest-file FILE exactly what the builder "
        "pushed)"
    )


def test_the_audit_log_says_what_was_not_met_or_not_verified(cluster: Cluster) -> None:
    names = cluster.names
    for image, name, said in (
        ("audited:1", "verified", f"audited@{names.ONE} targets 2, policy not met"),
        ("skipped/tool:1", "unverified", "skipped/tool:1"),
    ):
        response = cluster.ask(pod(f"{names.R}/{image}"), "mutate").document["response"]
        assert response["auditAnnotations"] == {name: f"{names.R}/{said}"}


@pytest.mark.parametrize("image", ["unknown:1", "gone/app:1", "APP:1", "app:1@$TWO"])
def test_advice_is_for_who_has_the_object_and_not_the_service(cluster: Cluster, image: str) -> None:
    data = pod(f"{cluster.names.R}/{cluster.names.written(image)}")
    message = cluster.ask(data, "mutate").document["response"]["status"]["message"]
    assert not re.search(r"--[a-z]|DOCKER_|notarypy (init|trust)", message)


def test_of_the_policy_a_refusal_says_no_more_than_that_nothing_fits(cluster: Cluster) -> None:
    response = cluster.ask(pod("elsewhere.example.com/app:1"), "mutate").document["response"]
    message = response["status"]["message"]
    assert "the trust policy has no scope for elsewhere.example.com/app [policy.no_scope]" in message
    assert str(cluster.policy) not in message
    assert admitting.REGISTRY not in message


def test_what_waits_keeps_nothing_of_objects_but_what_the_answer_needs(cluster: Cluster) -> None:
    kept = {ANNOTATION: '{"volumes/old": "old:1"}'}
    labels = {str(number): "x" * 50 for number in range(100)}
    for metadata, found in (
        (None, None),
        ({"labels": labels}, {"metadata": {}}),
        ({"annotations": {**labels, **kept}}, {"metadata": {"annotations": kept}}),
        ({"annotations": {ANNOTATION: "x" * 100_000}}, {"metadata": {"annotations": {}}}),
    ):
        containers = [{"name": "n" * 90_000, "image": f"{cluster.names.R}/{'x' * 90_000}"}]
        template = {"spec": {"containers": containers}, **({"metadata": metadata} if metadata else {})}
        document = {"kind": "Job", "metadata": {"labels": labels}, "spec": {"template": template}}
        request = {"kind": {"group": "batch", "kind": "Job"}, "object": document, "namespace": "y" * 90_000}
        data = admissions.Case("", {"request": request}).data(cluster.names)
        pending = cluster.webhooks["mutate"].begin(data, mutate=True)
        assert pending.review is not None
        assert pending.review.old is None
        assert pending.review.object == (found and {"spec": {"template": found}})
        assert len(repr((pending.review, pending.placed, [*pending.asked]))) < 5000
        assert cluster.webhooks["mutate"].finish(pending).codes == ("usage.name",)


def test_a_verdict_of_an_unknown_kind_is_no_permission(cluster: Cluster) -> None:
    image = f"{cluster.names.R}/app:1"
    pending = cluster.webhooks["mutate"].begin(pod(image), mutate=True)
    future: Future[Any] = Future()
    future.set_result(SimpleNamespace(image="fine", warnings=()))
    with pytest.raises(AssertionError):
        cluster.webhooks["mutate"].finish(replace(pending, asked={image: future}))


def test_the_audit_log_is_given_who_signed(cluster: Cluster) -> None:
    names = cluster.names
    response = cluster.ask(pod(f"{names.R}/app:1"), "mutate").document["response"]
    assert response["auditAnnotations"] == {"verified": f"{names.R}/app@{names.ONE} targets 2"}


def test_where_cosign_vouches_the_registry_is_asked_all_the_same(world: World) -> None:
    release = Cosigner(world.fake, REGISTRY_PATH)
    digest = world.push("1")
    release.sign(digest, f"{GUN}:1")
    (world.base / "release.pub").write_bytes(release.pem)
    lines = 'require = ["cosign"]\ncosign.all = ["release.pub"]'
    with closing(verifier(world, write_policy(world.base / "policy.toml", f"{GUN}\n{lines}"))) as service:
        webhook = Webhook(service)
        for image in (f"{GUN}:1", f"{GUN}@{digest}"):
            pending = webhook.begin(pod(image), mutate=True)
            assert not wait(pending.futures, SECONDS).not_done
            response = webhook.finish(pending).document["response"]
            verified = f"{GUN}@{digest} cosign {release.keyid}"
            assert response["auditAnnotations"] == {"verified": verified}
            assert ("patch" in response) == ("@" not in image)
