"""Files that are asked for ahead: how often a server is asked, and that nothing else comes out."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from notarypy.client.api import Client
from notarypy.client.parameters import PinOptions
from notarypy.client.weight import Weight
from notarypy.errors import (
    AuthenticationError,
    FirstUseError,
    NotarypyError,
    RepositoryMissingError,
    RootNotPinnedError,
    ServerError,
    TagUnsignedError,
    UnreachableError,
)
from notarypy.limits import DEFAULT, Limits
from notarypy.remote.http.messages import Response
from notarypy.tuf import roles
from notarypy.values import replace
from support.author import GUN
from support.people import released

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.client.verdicts import FirstRoot
    from notarypy.remote.http.messages import Request
    from support.people import Person, World

PLAIN = ["GET snapshot.json", "GET targets.json", "GET timestamp.json"]


@pytest.fixture
def reader(world: World) -> Person:
    """Somebody who knows nothing of the repository, tag 1 of which jeff signed."""
    released(world, "jeff")
    return world.person("reader")


class Rendezvous:
    """Lets requests pass only together: each waits until so many are there."""

    def __init__(self, world: World, *names: str) -> None:
        self.names, self._barrier = names, threading.Barrier(len(names), timeout=20)
        world.fake.before.append(self)

    def __call__(self, request: Request) -> Response | None:
        if request.url.partition("?")[0].endswith(self.names):
            self._barrier.wait()
        return None


def test_timestamp_snapshot_and_targets_are_under_way_together(world: World, reader: Person) -> None:
    Rendezvous(world, "/timestamp.json", "/snapshot.json", "/targets.json")
    assert reader.client().verify(f"{GUN}:1", registry=False).tag == "1"


def test_where_the_root_is_known_and_nothing_else_the_rest_is_under_way_together(
    world: World, reader: Person
) -> None:
    reader.client().refresh(GUN)
    for role in (roles.SNAPSHOT, roles.TARGETS, roles.TIMESTAMP):
        reader.cached(role).unlink()
    world.requests()
    Rendezvous(world, "/snapshot.json", "/targets.json")
    reader.client().refresh(GUN)
    requests = world.requests()
    assert (requests[0], sorted(requests)) == ("GET timestamp.json", PLAIN)


def test_a_read_back_asks_for_timestamp_and_snapshot_together(world: World, reader: Person) -> None:
    assert reader.cache() == {}
    owner = world.person("owner")
    world.push("2")
    posted = threading.Event()
    pair = threading.Barrier(2, timeout=20)

    def meet(request: Request) -> Response | None:
        if request.method == "POST":
            posted.set()
        elif posted.is_set() and "_trust" in request.url:
            pair.wait()
        return None

    world.fake.before.append(meet)
    assert owner.client().sign([f"{GUN}:2"])[0].published


def test_the_keys_of_a_server_are_asked_for_one_after_the_other(world: World) -> None:
    under_way, met = [0], list[int]()

    def count(request: Request) -> Response | None:
        if ".key" in request.url:
            under_way[0] += 1
            met.append(under_way[0])
            time.sleep(0.02)
            under_way[0] -= 1
        return None

    world.fake.before.append(count)
    assert world.person().client().init(GUN).created
    assert met == [1, 1]


def test_delegations_of_a_level_are_under_way_together(world: World, reader: Person) -> None:
    ahead = threading.Barrier(2, timeout=20)

    def meet(request: Request) -> Response | None:
        if "/targets/" in request.url:
            ahead.wait()
        return None

    world.fake.before.append(meet)
    assert set(reader.client().refresh(GUN).targets) == {roles.TARGETS, "targets/jeff", roles.RELEASES}


# -- nothing is asked that was not asked one after the other


def test_where_there_is_no_trust_data_one_question_says_so(world: World) -> None:
    with pytest.raises(RepositoryMissingError):
        world.person().client().refresh(GUN)
    assert world.requests() == ["GET root.json"] * 2  # once past any cache


def test_who_refuses_us_is_asked_once(world: World, reader: Person) -> None:
    world.attacker.answer(Response(401), path=r".*/_trust/.*")
    with pytest.raises(AuthenticationError):
        reader.client().refresh(GUN)
    assert world.requests() == ["GET root.json"]


def test_who_is_not_there_is_tried_as_often_as_one_question_is(world: World, reader: Person) -> None:
    world.attacker.refuse_connections()
    with pytest.raises(UnreachableError):
        reader.client().refresh(GUN)
    assert set(world.requests()) == {"GET root.json"}


def test_a_root_that_nobody_accepted_is_all_that_was_asked_for(world: World, reader: Person) -> None:
    with pytest.raises(FirstUseError):
        reader.client(first_use=None).refresh(GUN)
    assert world.requests() == ["GET root.json"]


# -- whatever becomes of what was asked ahead


@pytest.mark.parametrize("answer", [403, 404, 429, 500, 200, "other", "slow", "garbage"])
@pytest.mark.parametrize("role", [roles.SNAPSHOT, roles.TARGETS])
def test_what_is_wrong_under_a_plain_name_is_no_error(
    world: World, reader: Person, role: str, answer: int | str
) -> None:
    body = {"other": b'{"signed": {}, "signatures": []}', "garbage": b"\0" * 100}.get(str(answer), b"")
    status = answer if isinstance(answer, int) else 200
    world.attacker.answer(Response(status, {}, body), path=rf".*/{role}\.json")
    trusted = reader.client().refresh(GUN)
    assert set(trusted.targets) == {roles.TARGETS, "targets/jeff", roles.RELEASES}
    assert f"GET {role}.HASH.json" in world.requests()


def test_old_files_under_plain_names_are_not_taken(world: World, reader: Person) -> None:
    old = {role: world.attacker.current(GUN, role) for role in (roles.SNAPSHOT, roles.TARGETS)}
    owner = world.person("owner")
    owner.client().sign([f"{GUN}:1"], custom=b"1")
    for role, data in old.items():
        world.attacker.answer(Response(200, {}, data), path=rf".*/{role}\.json")
    trusted = reader.client().refresh(GUN)
    assert trusted.files[roles.SNAPSHOT] == world.attacker.current(GUN, roles.SNAPSHOT)
    assert not any("cache" in warning for warning in reader.warnings)


def test_a_publish_between_the_answers_is_no_alarm(world: World, reader: Person) -> None:
    owner = world.person("owner")
    world.push("2")
    with ThreadPoolExecutor(1) as alone:  # in a thread of the reader's it would wait for the reader's answers
        sign = partial(owner.client().sign, [f"{GUN}:2"])
        world.fake.before.append(_once("/targets.json", lambda: alone.submit(sign).result()))
        assert reader.client().refresh(GUN).root.version == 1
    assert not any("cache" in warning for warning in reader.warnings)


@pytest.mark.parametrize("order", list(permutations(("/timestamp.json", "/snapshot.json", "/targets.json"))))
@pytest.mark.parametrize("broken", [None, "timestamp", "snapshot", "targets", "targets/jeff"])
def test_the_order_of_arrival_changes_nothing(
    world: World, reader: Person, broken: str | None, order: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if broken is not None:
        other = Response(200, {}, b'{"signed": {}, "signatures": []}')
        world.attacker.answer(other, path=rf".*/{broken}(\.[0-9a-f]{{64}})?\.json")
    came = _came(reader)
    _in_turns(world, order)
    other_reader = world.person("other")
    assert _came(other_reader) == came
    assert other_reader.cache() == reader.cache()
    monkeypatch.setattr("notarypy.client.metadata.flight.Flight.set_out", lambda *_: None)
    monkeypatch.setattr("notarypy.client.metadata.flight.Flight.ask_delegations", lambda *_: None)
    world.attacker.undo_hooks()
    if broken is not None:
        world.attacker.answer(other, path=rf".*/{broken}(\.[0-9a-f]{{64}})?\.json")
    assert _came(world.person("sequential")) == came


def _came(reader: Person) -> object:
    try:
        trusted = reader.client().refresh(GUN)
    except NotarypyError as error:
        return type(error), error.message, error.why
    return trusted.files, {role: failure.message for role, failure in trusted.failures.items()}


def _once(end: str, act: Callable[[], object]) -> Callable[[Request], Response | None]:
    left = [act]

    def hook(request: Request) -> Response | None:
        if request.url.endswith(end) and left:
            left.pop()()
        return None

    return hook


def _in_turns(world: World, turns: Sequence[str]) -> None:
    """Answer requests that are under way together one after the other, in this order."""
    done = {end: threading.Event() for end in turns}

    def before(request: Request) -> Response | None:
        for end, earlier in zip(turns[1:], turns, strict=False):
            if request.url.partition("?")[0].endswith(end):
                done[earlier].wait(20)
        return None

    def after(request: Request, answer: Response) -> Response:
        for end in turns:
            if request.url.partition("?")[0].endswith(end):
                done[end].set()
        return answer

    world.fake.before.insert(0, before)
    world.fake.after.append(after)


# -- what is asked ahead is small, and nobody waits long for it


def test_what_is_asked_ahead_has_a_limit_of_its_own(world: World, reader: Person) -> None:
    limits: dict[str, int] = {}

    def note(request: Request) -> Response | None:
        limits[request.url.partition("?")[0].rpartition("/")[2]] = request.limit
        return None

    world.fake.before.append(note)
    for role in (roles.SNAPSHOT, roles.TARGETS):
        world.attacker.answer(Response(200, {}, b"x" * (DEFAULT.ahead_bytes + 1)), path=rf".*/{role}\.json")
    assert reader.client().verify(f"{GUN}:1", registry=False).tag == "1"
    assert [limits[f"{role}.json"] for role in (roles.SNAPSHOT, roles.TARGETS)] == [DEFAULT.ahead_bytes] * 2
    assert limits["root.json"] == DEFAULT.root_bytes


@pytest.mark.parametrize("why", ["too long", "slow"])
def test_what_does_not_come_ahead_is_asked_for_by_its_hash(world: World, reader: Person, why: str) -> None:
    """Plain names are answered after the files were asked for by their hashes."""
    asked = {role: threading.Event() for role in (roles.SNAPSHOT, roles.TARGETS)}
    early: list[str] = []

    def wait(request: Request) -> Response | None:
        name = request.url.partition("?")[0].rpartition("/")[2]
        role, _, rest = name.partition(".")
        if role in asked and rest == "json":
            if not asked[role].wait(20):
                early.append(role)
        elif role in asked:
            asked[role].set()
        return None

    world.fake.before.append(wait)
    how = {"timeout": 1} if why == "slow" else {"timeout": 600, "limits": Limits(ahead_bytes=100)}
    assert reader.client(**how).verify(f"{GUN}:1", registry=False).tag == "1"
    assert all(event.is_set() for event in asked.values())
    assert early == []


def test_after_a_question_delegations_are_asked_for_by_the_new_deadline(
    world: World, reader: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = [0.0]
    monkeypatch.setattr("notarypy.client.metadata.repository.clock", lambda: moments[0])

    def compare(_: FirstRoot) -> bool:
        moments[0] += 100_000
        return True

    together = threading.Barrier(2, timeout=20)

    def meet(request: Request) -> Response | None:
        if "/targets/" in request.url:
            together.wait()
        return None

    world.fake.before.append(meet)
    settings = reader.client(first_use=None).settings
    client = Client(settings, confirm_root=compare, transport=world.fake, clock=world.clock)
    assert client.verify(f"{GUN}:1", registry=False).tag == "1"


def test_delegations_that_are_much_together_come_one_after_the_other(world: World, reader: Person) -> None:
    under_way, most = list[str](), list[int]()
    other = threading.Event()

    def begin(request: Request) -> Response | None:
        if "/targets/" in request.url:
            under_way.append(request.url)
            most.append(len(under_way))
            other.wait(0.1)  # time for the other one
        return None

    def end(request: Request, answer: Response) -> Response:
        if "/targets/" in request.url:
            under_way.remove(request.url)
        return answer

    world.fake.before.append(begin)
    world.fake.after.append(end)
    trusted = reader.client(limits=Limits(ahead_bytes=700)).refresh(GUN)
    assert set(trusted.targets) == {roles.TARGETS, "targets/jeff", roles.RELEASES}
    assert most == [1, 1]


def test_delegations_are_weighed_before_they_are_asked_for(
    world: World, reader: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighed, asked, expect = list[int](), list[str](), Weight.expect

    def note(weight: Weight, length: int) -> None:
        if not asked:
            weighed.append(length)
        expect(weight, length)

    def ask(request: Request) -> Response | None:
        if "/targets/" in request.url:
            asked.append(request.url)
        return None

    monkeypatch.setattr(Weight, "expect", note)
    world.fake.before.append(ask)
    files = reader.client().refresh(GUN).files
    assert len(asked) == 2
    assert len(files["targets/jeff"]) + len(files[roles.RELEASES]) in weighed


# -- the registry is asked while Notary is


def test_registry_and_notary_are_asked_together(world: World, reader: Person) -> None:
    Rendezvous(world, "/root.json", "/manifests/1")
    assert reader.client().verify(f"{GUN}:1").tag == "1"


def test_what_notary_says_counts_before_what_the_registry_says(world: World, reader: Person) -> None:
    world.attacker.answer(Response(500), path=r".*/manifests/.*")
    with pytest.raises(TagUnsignedError):
        reader.client().verify(f"{GUN}:none")
    with pytest.raises(ServerError):
        reader.client().verify(f"{GUN}:1")


@pytest.mark.parametrize("by", ["digest", "option"])
def test_who_needs_no_registry_has_none_asked_ahead(world: World, reader: Person, by: str) -> None:
    digest = world.push("1")
    world.fake.before.append(_refused_before(world, "/manifests/"))
    if by == "digest":
        assert reader.client().verify(f"{GUN}@{digest}").digest == digest
        assert [line for line in world.requests() if "manifests" in line] == [
            "GET /v2/team/app/manifests/sha256:HASH"
        ]
    else:
        reader.client().verify(f"{GUN}:1", registry=False)
        assert not [line for line in world.requests() if "manifests" in line]


def _refused_before(world: World, part: str) -> Callable[[Request], Response | None]:
    """Insist that targets were asked for before this."""

    def hook(request: Request) -> Response | None:
        if part in request.url:
            assert any("targets" in line for line in world.fake.lines())
        return None

    return hook


def test_before_a_first_use_is_decided_no_registry_is_asked(world: World, reader: Person) -> None:
    client = reader.client(first_use=None)
    for refused in (
        lambda: client.verify(f"{GUN}:1"),
        lambda: client.images.pull(f"{GUN}:1", f"oci:{reader.trust_dir}-image"),
        lambda: client.images.copy(f"{GUN}:1", "registry.test/other:1"),
        lambda: client.images.resolver(PinOptions()).file(f"FROM {GUN}:1\n".encode(), "Dockerfile"),
    ):
        with suppress(FirstUseError):
            refused()
        assert set(world.requests()) == {"GET root.json"}

    def refuse(_: FirstRoot) -> bool:
        assert set(world.requests()) == {"GET root.json"}
        return False

    asking = Client(client.settings, confirm_root=refuse, transport=world.fake, clock=world.clock)
    with pytest.raises(FirstUseError):
        asking.verify(f"{GUN}:1")
    assert world.requests() == []


def test_where_first_use_is_forbidden_no_registry_is_asked_to_sign(world: World, reader: Person) -> None:
    settings = reader.client(first_use=None).settings
    client = Client(replace(settings, first_use=False), transport=world.fake, clock=world.clock)
    with pytest.raises(RootNotPinnedError):
        client.sign([f"{GUN}:1"])
    assert not [line for line in world.requests() if "manifests" in line]


@pytest.mark.parametrize("settled", ["known", "pinned"])
def test_where_the_root_is_settled_registry_and_notary_are_asked_together(
    world: World, reader: Person, settled: str
) -> None:
    pins = reader.client().inspect(GUN).root_keys
    if settled == "pinned":
        reader.client().forget(GUN)
    client = reader.client(first_use=None, pins=pins if settled == "pinned" else ())
    Rendezvous(world, "/root.json" if settled == "pinned" else "/timestamp.json", "/manifests/1")
    assert client.verify(f"{GUN}:1").tag == "1"
