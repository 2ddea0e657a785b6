"""A real API server asks `notarypy serve` before it stores anything that runs images."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import http.client
import itertools
import json
import ssl
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from interop.harness import balancer, guarding, images, listener, people, programs, services
from interop.harness.cluster import path_of
from interop.harness.guarding import Guard, pod, workload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from interop.harness.balancer import Balancer
    from interop.harness.cluster import Answer, Cluster
    from interop.harness.gateway import Gateway
    from interop.harness.images import Manifest, Repository
    from interop.harness.people import Person
    from interop.harness.services import Endpoint

KINDS = (
    *("pods", "podtemplates", "replicationcontrollers"),
    *("deployments", "replicasets", "daemonsets", "statefulsets"),
    *("jobs", "cronjobs"),
)
ANNOTATION = "notarypy.io/images"


@dataclass(frozen=True)
class World:
    """What is signed, how and by whom, and the trust policy of the cluster."""

    owner: Person
    person: Person
    policy: Path
    app: Repository
    by_go: Repository
    audited: Repository
    strict: Repository
    skipped: Repository
    one: Manifest
    two: Manifest
    go: Manifest

    @property
    def signed(self) -> str:
        """A tag that is signed."""
        return self.app.ref("1")

    @property
    def unsigned(self) -> str:
        """A tag that nobody signed, beside signed ones."""
        return self.app.ref("unsigned")

    @property
    def by_digest(self) -> str:
        """The signed tag as it is named after it was verified."""
        return self.app.pinned(self.one)


def scopes(world_pin: str, team: str, *more: str) -> str:
    """Return the text of the trust policy."""
    pinned = f'roots.ids = ["{world_pin}"]\n'
    nobody = 'signers.all = ["nobody"]\n'
    return "\n".join(
        [
            f'[scope."{team}"]\n{pinned}',
            f'[scope."{team}/audited"]\n{pinned}{nobody}mode = "audit"\n',
            f'[scope."{team}/strict"]\n{pinned}{nobody}',
            f'[scope."{team}/skipped"]\nmode = "skip"\n',
            *more,
        ]
    )


@pytest.fixture(scope="module")
def world(workshop: Path, notary: Endpoint, registry: Endpoint) -> World:
    """Sign with notarypy and with Go notary, as one owner with one root key."""
    base = f"admission/{uuid.uuid4().hex[:12]}"
    home = workshop / base
    owner, person = people.Person(home / "owner", notary), people.Person(home / "service", notary)
    app, by_go, audited, strict, skipped = (
        images.repository(registry, f"{base}/{name}")
        for name in ("app", "go", "audited", "strict", "skipped")
    )
    one, two = app.push("1"), app.push("2")
    app.push("unsigned")
    skipped.push("1")
    for repository in (audited, strict):
        repository.push("1")
    signed = (app.ref("1"), app.ref("2"), audited.ref("1"), strict.ref("1"))
    pin = owner.notarypy("init", app.name).expect(0).text.partition("root pin: ")[2].split()[0]
    owner.notarypy("sign", "--init", *signed).expect(0)
    go = by_go.push("1")
    owner.notary("init", by_go.name, "-p").expect(0)
    owner.notary_add(by_go.name, "1", go).expect(0)
    policy = home / "policy.toml"
    policy.write_text(scopes(pin, f"{registry.host}/{base}"))
    return World(owner, person, policy, app, by_go, audited, strict, skipped, one, two, go)


@pytest.fixture(scope="module")
def guard(cluster: Cluster, world: World, workshop: Path) -> Iterator[Guard]:
    """Guard a namespace that has objects of before, with a service that writes digests."""
    namespace = cluster.namespace()
    for name, image in (("before", world.unsigned), ("ending", world.unsigned)):
        namespace.create("pods", pod(name, image)).expect(201)
    namespace.create("deployments", workload("deployments", pod("", world.unsigned)["spec"])).expect(201)
    namespace.patch("pods", "ending", {"metadata": {"finalizers": ["example.com/wait"]}}).expect(200)
    trust = workshop / "guard" / "trust"
    options = ("--trust-dir", str(trust), "--require-digest", "--max-age", "0")
    guard = Guard(namespace, workshop / "guard", world.person, world.policy, options)
    with guarding.guarding(guard):
        yield guard


@pytest.fixture
def another(cluster: Cluster, world: World, tmp_path: Path) -> Iterator[Callable[..., Guard]]:
    """Yield a maker of guards with a policy and a service of their own."""
    with contextlib.ExitStack() as stack:

        def made(
            *options: str,
            printing: tuple[str, ...] = (),
            person: Person | None = None,
            address: Balancer | None = None,
            timeout: int = 10,
        ) -> Guard:
            policy = tmp_path / "policy.toml"
            if not policy.exists():
                policy.write_text(world.policy.read_text())
            directory = tmp_path / uuid.uuid4().hex[:8]
            usual = ("--trust-dir", str(directory / "trust"), "--max-age", "0")
            someone = person or world.person
            guard = Guard(
                cluster.namespace(), directory, someone, policy, (*usual, *options), timeout=timeout
            )
            if address is not None:
                guard.address, address.ports = address.port, [guard.port]
            return stack.enter_context(guarding.guarding(guard, *printing))

        yield made


def image_of(answer: Answer) -> str:
    """Return the image of the first container of a pod."""
    return str(answer.document["spec"]["containers"][0]["image"])


def written(answer: Answer) -> dict[str, str]:
    """Return what the annotation keeps of a pod's images."""
    found: dict[str, str] = json.loads(answer.document["metadata"]["annotations"][ANNOTATION])
    return found


def refused(answer: Answer, *parts: str) -> str:
    """Insist on a refusal by the service that says this, and return what it says."""
    message = answer.expect(403).message
    assert "denied the request: " in message
    assert [part for part in parts if part not in message] == [], message
    return message


# -- pods ------------------------------------------------------------------------------------------


def test_a_signed_image_is_stored_by_its_digest(guard: Guard, world: World) -> None:
    guard.asks("signed", world.signed).expect(201)
    stored = guard.namespace.get("pods", "signed").expect(200)
    assert image_of(stored) == world.by_digest
    assert written(stored) == {"containers/c0": world.signed}


def test_an_image_that_go_signed(guard: Guard, world: World) -> None:
    answer = guard.asks("by-go", world.by_go.ref("1")).expect(201)
    assert image_of(answer) == world.by_go.pinned(world.go)


def test_several_lists_of_containers(guard: Guard, world: World) -> None:
    first = [{"name": "first", "image": world.app.ref("2")}]
    answer = guard.asks("lists", world.signed, world.by_go.ref("1"), initContainers=first).expect(201)
    spec = answer.document["spec"]
    assert [each["image"] for each in spec["containers"]] == [world.by_digest, world.by_go.pinned(world.go)]
    assert spec["initContainers"][0]["image"] == world.app.pinned(world.two)
    kept = {"containers/c0": world.signed, "containers/c1": world.by_go.ref("1")}
    assert written(answer) == {**kept, "initContainers/first": world.app.ref("2")}
    bad = [{"name": "first", "image": world.unsigned}]
    refused(guard.asks("init", world.signed, initContainers=bad), "initContainers/first", world.unsigned)


def test_what_is_refused_and_what_is_said(guard: Guard, world: World) -> None:
    stranger, strict = guarding.STRANGE, world.strict.ref("1")
    missing = f"{world.app.name}-none:1"
    for image, code in (
        (world.unsigned, "trust.tag_unsigned"),
        (stranger, "policy.no_scope"),
        (strict, "policy.signer_missing"),
        (missing, "trust.repo_missing"),
        (f"{world.app.name}@sha256:{'0' * 64}", "trust.tag_unsigned"),
        (f"{world.signed}@{world.two.digest}", "trust.digest_mismatch"),
    ):
        refused(guard.asks("refused", world.signed, image), "containers/c1", image, f"[{code}]")
    message = refused(guard.asks("all", world.unsigned, stranger, strict))
    assert [image for image in (world.unsigned, stranger, strict) if image not in message] == []
    guard.namespace.get("pods", "refused").expect(404)


def test_what_kubectl_shows(guard: Guard, world: World) -> None:
    run = guard.namespace.kubectl("run", "typed", f"--image={world.unsigned}").expect(1)
    assert "Error from server (Forbidden): admission webhook" in run.stderr
    assert world.unsigned in run.stderr
    assert "[trust.tag_unsigned]" in run.stderr
    applied = guard.namespace.kubectl("apply", "-f", "-", text=json.dumps(pod("applied", world.signed)))
    assert applied.expect(0).stdout == "pod/applied created\n"
    # applied again it is the same: the digest is no difference to what was applied
    again = guard.namespace.kubectl("apply", "-f", "-", text=json.dumps(pod("applied", world.signed)))
    assert again.expect(0).stdout == "pod/applied configured\n"
    diff = guard.namespace.kubectl("apply", "-f", "-", text=json.dumps(pod("applied", world.unsigned)))
    assert "[trust.tag_unsigned]" in diff.expect(1).stderr


def test_audit_warns_and_skip_warns(guard: Guard, world: World) -> None:
    answer = guard.asks("audited", world.audited.ref("1")).expect(201)
    assert any("signer" in each and world.audited.name in each for each in answer.warnings), answer.warnings
    run = guard.namespace.kubectl("run", "skipped", f"--image={world.skipped.ref('1')}").expect(0)
    assert "Warning: " in run.stderr
    assert world.skipped.name in run.stderr
    assert image_of(guard.namespace.get("pods", "skipped")) == world.skipped.ref("1")


def test_dry_run_changes_nothing(guard: Guard, world: World) -> None:
    answer = guard.namespace.create("pods", pod("dry", world.signed), dry_run=True).expect(201)
    assert image_of(answer) == world.by_digest
    guard.namespace.get("pods", "dry").expect(404)
    refused(guard.namespace.create("pods", pod("dry", world.unsigned), dry_run=True), world.unsigned)
    run = guard.namespace.kubectl("run", "dry", f"--image={world.unsigned}", "--dry-run=server").expect(1)
    assert "[trust.tag_unsigned]" in run.stderr


def test_many_at_once(guard: Guard, world: World) -> None:
    names = [f"many-{number}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda name: guard.asks(name, world.signed, world.by_go.ref("1")), names))
    assert {image_of(each.expect(201)) for each in answers} == {world.by_digest}


# -- changes ---------------------------------------------------------------------------------------


def test_objects_of_before(guard: Guard, world: World) -> None:
    """What is there already and stays as it is is nobody's business."""
    namespace = guard.namespace
    namespace.patch("pods", "before", {"metadata": {"labels": {"a": "b"}}}).expect(200)
    assert image_of(namespace.get("pods", "before")) == world.unsigned
    namespace.patch("deployments", "web", {"spec": {"replicas": 3}}).expect(200)
    namespace.kubectl("scale", "deployment/web", "--replicas=5").expect(0)
    namespace.kubectl("rollout", "restart", "deployment/web").expect(0)
    changed = [{"name": "c0", "image": f"{world.unsigned}2"}]
    refused(namespace.patch("pods", "before", {"spec": {"containers": changed}}), f"{world.unsigned}2")
    run = namespace.kubectl("set", "image", "deployment/web", f"c0={world.unsigned}2").expect(1)
    assert "[trust.tag_unsigned]" in run.stderr
    # the same image at another place is another image
    same, good = {"name": "c0", "image": world.unsigned}, {"name": "c1", "image": world.signed}
    for spec in (
        {"containers": [same, {**same, "name": "another"}]},
        {"containers": [good], "initContainers": [same]},
    ):
        change = {"spec": {"template": {"spec": spec}}}
        refused(namespace.patch("deployments", "web", change), world.unsigned)
    namespace.kubectl("set", "image", "deployment/web", f"c0={world.signed}").expect(0)


def test_the_image_of_a_pod_changes(guard: Guard, world: World) -> None:
    namespace = guard.namespace
    guard.asks("changing", world.signed).expect(201)
    containers = [{"name": "c0", "image": world.app.ref("2")}]
    answer = namespace.patch("pods", "changing", {"spec": {"containers": containers}}).expect(200)
    assert image_of(answer) == world.app.pinned(world.two)
    assert written(answer) == {"containers/c0": world.app.ref("2")}
    whole = answer.document
    whole["spec"]["containers"][0]["image"] = world.unsigned
    refused(namespace.put("pods", "changing", whole), world.unsigned)
    # owners, labels and annotations prove nothing
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": str(uuid.uuid4())}
    metadata = {"ownerReferences": [owner], "annotations": {ANNOTATION: "{}", "notarypy.io/skip": "true"}}
    claimed = pod("claimed", world.unsigned)
    claimed["metadata"] |= metadata | {"deletionTimestamp": "2020-01-01T00:00:00Z"}
    refused(namespace.create("pods", claimed), world.unsigned)


def test_what_is_being_deleted_may_end(guard: Guard, world: World) -> None:
    namespace = guard.namespace
    namespace.delete("pods", "ending").expect(200)
    still = namespace.get("pods", "ending").expect(200)
    assert still.document["metadata"]["deletionTimestamp"]
    namespace.patch("pods", "ending", {"metadata": {"labels": {"a": "b"}}}).expect(200)
    changed = [{"name": "c0", "image": f"{world.unsigned}2"}]
    refused(namespace.patch("pods", "ending", {"spec": {"containers": changed}}), f"{world.unsigned}2")
    namespace.patch("pods", "ending", {"metadata": {"finalizers": None}}).expect(200)
    namespace.get("pods", "ending").expect(404)


def test_whatever_could_be_stored_may_end(guard: Guard, world: World) -> None:
    """What is escaped takes six times the room, and both objects are sent."""
    namespace, made = guard.namespace, pod("escaped", world.signed)
    made["spec"]["containers"][0]["args"] = ["<" * 1_400_000]
    made["metadata"]["finalizers"] = ["example.com/later"]
    namespace.create("pods", made).expect(201)
    namespace.delete("pods", "escaped").expect(200)
    namespace.patch("pods", "escaped", {"metadata": {"finalizers": None}}).expect(200)
    namespace.get("pods", "escaped").expect(404)


def test_image_volumes(guard: Guard, world: World) -> None:
    """Releases that do not know them drop them before anybody is asked."""

    def asked(name: str, image: str) -> Answer:
        return guard.asks(name, world.signed, volumes=[{"name": "data", "image": {"reference": image}}])

    if guard.namespace.cluster.release < (1, 35):
        [volume] = asked("dropped", world.unsigned).expect(201).document["spec"]["volumes"]
        assert "image" not in volume
        return
    refused(asked("bad", world.unsigned), f"volumes/data: {world.unsigned}")
    answer = asked("good", world.app.ref("2")).expect(201)
    [volume] = answer.document["spec"]["volumes"]
    assert volume["image"]["reference"] == world.app.pinned(world.two)
    assert written(answer)["volumes/data"] == world.app.ref("2")


def test_ephemeral_containers(guard: Guard, world: World) -> None:
    """`kubectl debug` asks for them, in the shape that this release of the API server has."""
    namespace = guard.namespace
    guard.asks("debugged", world.signed).expect(201)

    def debug(name: str, image: str) -> programs.Run:
        return namespace.kubectl(
            "debug", "debugged", f"--image={image}", "--container", name, "--attach=false"
        )

    run = debug("bad", world.unsigned).expect(1)
    assert f"ephemeralContainers/bad: {world.unsigned}" in run.stderr
    assert "[trust.tag_unsigned]" in run.stderr
    debug("one", world.app.ref("2")).expect(0)
    debug("two", world.by_go.ref("1")).expect(0)
    found = namespace.get("pods", "debugged").document["spec"]["ephemeralContainers"]
    expected = {"one": world.app.pinned(world.two), "two": world.by_go.pinned(world.go)}
    assert {each["name"]: each["image"] for each in found} == expected


def test_what_other_webhooks_add(guard: Guard, world: World, authority: services.Authority) -> None:
    """Whoever changes a pod after us is looked after: what is added is verified, too."""
    added = [world.unsigned]

    class Injecting(listener.Handler):
        def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
            request = json.loads(self.body())["request"]
            names = [each["name"] for each in request["object"]["spec"]["containers"]]
            patch = [
                {"op": "add", "path": "/spec/containers/-", "value": {"name": "proxy", "image": added[0]}}
            ]
            text = base64.b64encode(json.dumps([] if "proxy" in names else patch).encode()).decode()
            response = {"uid": request["uid"], "allowed": True, "patchType": "JSONPatch", "patch": text}
            review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
            self.reply(200, json.dumps(review).encode(), {"Content-Type": "application/json"})

    namespace = guard.namespace
    with listener.listening(Injecting, authority.server_context("injecting")) as server:
        webhook = {
            "name": "zz.example.com",  # in the order of their names
            "clientConfig": {
                "url": f"https://127.0.0.1:{server.server_port}/",
                "caBundle": base64.b64encode(authority.file.read_bytes()).decode(),
            },
            "rules": [
                {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
            ],
            "namespaceSelector": {"matchLabels": {"name": namespace.name}},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        configuration = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": f"zz-{namespace.name}"},
            "webhooks": [webhook],
        }
        namespace.cluster.apply(configuration).expect(201)
        try:
            end = time.monotonic() + 60
            while namespace.create("pods", pod("tried", world.signed), dry_run=True).status == 201:
                assert time.monotonic() < end, "the API server does not ask the other webhook"
                time.sleep(0.05)
            refused(guard.asks("injected", world.signed), f"containers/proxy: {world.unsigned}")
            added[0] = world.app.ref("2")
            answer = guard.asks("injected", world.signed).expect(201)
            found = {each["name"]: each["image"] for each in answer.document["spec"]["containers"]}
            assert found == {"c0": world.by_digest, "proxy": world.app.pinned(world.two)}
            assert written(answer) == {"containers/c0": world.signed, "containers/proxy": world.app.ref("2")}
        finally:
            namespace.cluster.ask("DELETE", path_of(configuration)).expect(200)


# -- kinds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(guard: Guard, world: World, kind: str) -> None:
    """Pods are changed, and what makes pods is only looked at; both when made and when changed."""
    namespace = guard.namespace
    name = f"every-{kind}"

    def asked(image: str, **more: object) -> dict[str, Any]:
        document = workload(kind, {"containers": [{"name": "c0", "image": image, **more}]})
        document["metadata"]["name"] = name
        return document

    refused(namespace.create(kind, asked(world.unsigned)), "containers/c0", world.unsigned)
    made = namespace.create(kind, asked(world.signed)).expect(201)
    stored = json.dumps(made.document)
    assert (world.by_digest in stored) == (kind == "pods")
    if kind == "jobs":  # whose template never changes
        return
    changed = made.document
    change = (
        json.loads(json.dumps(changed).replace(world.signed, world.unsigned)) if kind != "pods" else changed
    )
    if kind == "pods":
        change["spec"]["containers"][0]["image"] = world.unsigned
    refused(namespace.put(kind, name, change), world.unsigned)
    again = json.loads(json.dumps(change).replace(world.unsigned, world.app.ref("2")))
    namespace.put(kind, name, again).expect(200)


# -- the service and the cluster -------------------------------------------------------------------


def test_nobody_answers(another: Callable[..., Guard], world: World) -> None:
    guard = another()
    guard.stop()
    answer = guard.asks("down", world.signed).expect(500)
    assert "failed calling webhook" in answer.message
    ignore = '[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]'
    for kind in ("mutating", "validating"):
        words = (f"{kind}webhookconfiguration", f"notarypy-for-{guard.namespace.name}", "--type=json", "-p")
        guard.namespace.kubectl("patch", *words, ignore).expect(0)
    end = time.monotonic() + 60
    while guard.asks("let-in", world.signed).status != 201:
        assert time.monotonic() < end, "who gets no answer is not let in"
        time.sleep(0.1)
    guard.start()
    guard.asks("up", world.signed).expect(201)


def test_api_servers_alone_may_ask(another: Callable[..., Guard], cluster: Cluster, world: World) -> None:
    guard = another("--admission-only", "--tls-client-ca", str(cluster.authority.file))
    assert image_of(guard.asks("shown", world.signed).expect(201)) == world.by_digest
    context = ssl.create_default_context(cafile=str(guard.directory / "ca.crt"))
    context.check_hostname = False
    connection = http.client.HTTPSConnection("127.0.0.1", guard.port, timeout=30, context=context)
    with contextlib.closing(connection):
        connection.request("POST", "/admit/mutate", b"{}", {"Content-Type": "application/json"})
        assert connection.getresponse().status == 403


def test_a_slow_server_is_answered_for_in_time(
    another: Callable[..., Guard], world: World, front: Gateway, tmp_path: Path
) -> None:
    """The answer comes before the API server gives up, which would tell the user nothing."""
    slow = people.Person(tmp_path / "slow", front.endpoint)
    guard = another(person=slow, timeout=3)  # less than the service's own deadline
    guard.asks("known", world.by_go.ref("1")).expect(201)

    def rewrite(path: str, body: bytes) -> bytes:
        if f"{world.app.path}/" in path:
            time.sleep(6)
        return body

    front.rewrite = rewrite
    message = refused(guard.asks("slow", world.signed, world.by_go.ref("1")), "not verified in time")
    assert f"{world.signed} was not verified in time" in message
    assert f"verified: {world.by_go.ref('1')}" in message


def test_a_moved_tag(another: Callable[..., Guard], world: World) -> None:
    """What is signed is what runs; where tags stay, the registry has to have that."""
    world.app.push("moving")
    world.owner.notarypy("sign", world.app.ref("moving")).expect(0)
    was = world.app.push("moving", "something else")
    refused(
        another(printing=("--check-only",)).asks("moved", world.app.ref("moving")), "[trust.digest_mismatch]"
    )
    answer = another("--require-digest").asks("moved", world.app.ref("moving")).expect(201)
    assert image_of(answer) != world.app.pinned(was)


def test_checked_only(another: Callable[..., Guard], world: World) -> None:
    """Objects stay as they are written, and who writes a tag is told that it can move."""
    guard = another(printing=("--check-only",))
    answer = guard.asks("checked", world.signed).expect(201)
    assert image_of(answer) == world.signed
    assert any(f"{world.signed} is taken by its tag" in each for each in answer.warnings), answer.warnings
    refused(guard.asks("unsigned", world.unsigned), world.unsigned)
    assert not guard.asks("digest", world.by_digest).expect(201).warnings


def test_warned_only(another: Callable[..., Guard], world: World) -> None:
    """What would be refused runs, and whoever asks for it is told; without the service all runs."""
    guard = another("--require-digest", "--warn-only", printing=("--warn-only",))
    answer = guard.asks("warned", world.signed, world.unsigned).expect(201)
    images = [each["image"] for each in answer.document["spec"]["containers"]]
    assert images == [world.by_digest, world.unsigned]
    [warning] = answer.warnings  # both webhooks say the same
    assert f"would be refused: containers/c1: {world.unsigned} is not signed" in warning
    run = guard.namespace.kubectl("create", "deployment", "web", f"--image={world.unsigned}").expect(0)
    assert f"Warning: would be refused: containers/{world.app.name.rpartition('/')[2]}" in run.stderr
    assert not guard.asks("good", world.signed).expect(201).warnings
    guard.stop()
    guard.asks("down", world.unsigned).expect(201)
    log = (guard.directory / f"serve-{guard.port}.log").read_text()
    assert '"would_refuse":true' in log


def test_expired(another: Callable[..., Guard], world: World) -> None:
    guard = another()
    guard.asks("in-time", world.signed).expect(201)
    guard.stop()
    guard.environment = {
        "LD_PRELOAD": programs.faketime_library(),
        "FAKETIME": "+60d",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    guard.start()
    refused(guard.asks("late", world.signed), world.signed, "[trust.expired]")


def test_another_certificate_while_it_runs(another: Callable[..., Guard], world: World) -> None:
    """Under another CA, which the API server learns first: nobody is refused meanwhile."""
    guard = another()
    own = ("--namespace", f"for-{guard.namespace.name}", "--self-signed")
    before = guard.directory / "before.crt"
    before.write_bytes((guard.directory / "ca.crt").read_bytes())
    documents = guarding.printed(world.person, guard.policy, *own, "--ca-bundle", str(before))
    guard.register([each for each in documents if each.get("webhooks")])
    shown = guard.shown
    guard.asks("before", world.signed).expect(201)
    guard.take(documents)
    end = time.monotonic() + 60
    while guard.shown == shown:
        guard.asks(f"meanwhile-{uuid.uuid4().hex}", world.signed).expect(201)
        assert time.monotonic() < end, "the other certificate is not taken"
        time.sleep(0.1)
    guard.stop()  # and with it the connections that are open
    guard.start()
    guard.asks("after", world.signed).expect(201)
    refused(guard.asks("unsigned", world.unsigned), world.unsigned)


def test_another_policy_while_it_runs(another: Callable[..., Guard], world: World) -> None:
    guard = another()
    guard.asks("before", world.signed).expect(201)
    guard.policy.write_text(scopes("0" * 64, f"{world.app.name.rpartition('/')[0]}"))
    end = time.monotonic() + 60
    while guard.asks(f"after-{uuid.uuid4().hex}", world.signed).status == 201:
        assert time.monotonic() < end, "the other policy is not read"
        time.sleep(0.1)
    refused(guard.asks("after", world.signed), world.signed, "[trust.")


def test_two_replicas_that_are_replaced(another: Callable[..., Guard], world: World) -> None:
    """One after the other, as a Deployment does it, while pods are made: each of them is admitted."""
    with balancer.balancing() as service:
        guard = another("--shutdown-delay", "1s", address=service)
        second = dataclasses.replace(guard, port=services.free_port(), process=None)
        second.options = [*guard.options, "--trust-dir", str(guard.directory / "second")]
        second.start()
        service.ports = [guard.port, second.port]
        done, counts = threading.Event(), itertools.count()

        def make() -> list[int]:
            answers = []
            while not done.is_set():
                answers.append(
                    guard.asks(f"rolling-{next(counts)}", world.signed, world.by_go.ref("1")).status
                )
            return answers

        with ThreadPoolExecutor(3) as pool:
            makers = [pool.submit(make) for _ in range(3)]
            try:
                for leaving in (guard, second):
                    third = dataclasses.replace(leaving, port=services.free_port(), process=None)
                    third.start()
                    service.ports = [*service.ports, third.port]
                    service.ports = [port for port in service.ports if port != leaving.port]
                    leaving.stop()
                    leaving.port, leaving.process = third.port, third.process
            finally:
                done.set()
        statuses = [status for maker in makers for status in maker.result()]
        assert len(statuses) > 3
        assert set(statuses) == {201}
        refused(guard.asks("unsigned", world.unsigned), world.unsigned)
        second.stop()


@pytest.mark.parametrize(
    "options",
    [
        ("--self-signed", "--warn-only"),
        ("--self-signed", "--check-only", "--replicas", "3"),
        ("--tls-secret", "mine"),
    ],
)
def test_everything_printed_is_accepted(
    cluster: Cluster, world: World, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """In two steps, the service first, and then all of it; and a third time nothing changes."""
    own = f"printed-{uuid.uuid4().hex[:8]}"
    given = (*options, "--ca-bundle", str(cluster.authority.file))
    documents = guarding.printed(world.person, world.policy, "--namespace", own, *given)
    for document in documents:
        for webhook in document.get("webhooks", ()):  # which nobody answers here
            webhook["namespaceSelector"]["matchLabels"] = {"name": own}
        if document["kind"] == "PodDisruptionBudget" and not cluster.has_cronjobs:
            document["apiVersion"] = "policy/v1beta1"  # which is the same, as far as it is used
    file = tmp_path / "printed.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))
    webhooks = sum("webhooks" in each for each in documents)
    first = cluster.kubectl("apply", "-l", "app.kubernetes.io/component=server", "-f", file).expect(0)
    assert first.stdout.count(" created\n") == len(documents) - webhooks
    run = cluster.kubectl("apply", "-f", file).expect(0)
    assert run.stdout.count(" created\n") == webhooks
    assert first.stderr + run.stderr == ""
    for document in documents:
        cluster.apply(document, dry_run=True).expect(200)
    before = [cluster.ask("GET", path_of(each)).expect(200).document for each in documents]
    cluster.kubectl("apply", "-f", file).expect(0)
    after = [cluster.ask("GET", path_of(each)).expect(200).document for each in documents]
    version = [each["metadata"]["resourceVersion"] for each in before]
    assert [each["metadata"]["resourceVersion"] for each in after] == version
    for document in documents:
        if document.get("webhooks"):
            cluster.ask("DELETE", path_of(document)).expect(200)
