"""Many images at once: side by side, each repository read once, and everything in the order given."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from notarypy.client.api import Client
from notarypy.client.verdicts import ReleasedImage, SkippedImage
from notarypy.errors import (
    DigestMismatchError,
    ImageMissingError,
    InvalidNameError,
    NotarypyError,
    OutOfScopeError,
    RepositoryMissingError,
    TagUnsignedError,
)
from notarypy.limits import Limits
from support.author import GUN
from support.people import PASSPHRASE, manifest, publishing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from notarypy.client.verdicts import FirstRoot
    from notarypy.devserver.core import Fake
    from notarypy.keys.keyinfo import PassphraseRequest
    from notarypy.remote.http.messages import Request, Response
    from support.people import Person, World

HOST = GUN.partition("/")[0]
OTHERS = [f"{HOST}/other{number}" for number in range(3)]
REFS = [f"{GUN}:1", *(f"{other}:1" for other in OTHERS), f"{GUN}:2", f"{OTHERS[0]}:2"]


def _release(world: World, owner: Person) -> None:
    for gun in (GUN, *OTHERS):
        for tag in "12":
            world.push(tag, path=gun.partition("/")[2])
        owner.client().sign([f"{gun}:1", f"{gun}:2"], init=True)


@pytest.fixture
def owner(world: World) -> Person:
    """The owner of four repositories, with two signed tags each."""
    return publishing(world, _release)


class Gathering:
    """A network on which requests wait until so many that fit are there at once."""

    def __init__(self, fake: Fake, fits: Callable[[str], bool], count: int) -> None:
        self.send, self.fits = fake.send, fits
        self.together = threading.Barrier(count, timeout=10)

    def __call__(self, request: Request, deadline: float) -> Response:
        if self.fits(request.url):
            self.together.wait()
        return self.send(request, deadline)


def test_repositories_are_read_side_by_side(
    owner: Person, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathering = Gathering(world.fake, lambda url: "timestamp.json" in url, 4)
    monkeypatch.setattr(world.fake, "send", gathering)
    found = list(owner.client().verify_each([f"{gun}:1" for gun in (GUN, *OTHERS)]))
    assert [one.get().repository for one in found] == [GUN, *OTHERS]


@pytest.mark.usefixtures("owner")
def test_large_repositories_are_read_one_at_a_time(world: World) -> None:
    inside, most = set[str](), list[int]()
    beside = threading.Event()

    def begin(request: Request) -> Response | None:
        if "/targets." in request.url and "/targets.json" not in request.url:
            inside.add(_repository(request.url))
            most.append(len(inside))
            beside.wait(0.05)  # time for another one, if there is any
        return None

    def end(request: Request, answer: Response) -> Response:
        if "/manifests/" in request.url:
            inside.discard(_repository(request.url))
        return answer

    world.fake.before.append(begin)
    world.fake.after.append(end)
    digests = {gun: world.push("1", path=gun.partition("/")[2]) for gun in (GUN, *OTHERS)}
    reader = world.person("reader").client(limits=Limits(beside_bytes=100, ahead_bytes=0))
    found = list(reader.verify_each([f"{gun}@{digest}" for gun, digest in digests.items()]))
    assert [one.get().repository for one in found] == list(digests)
    assert set(most) == {1}


def _repository(url: str) -> str:
    return next(name for name in ("app", "other0", "other1", "other2") if f"/{name}/" in url)


def test_tags_are_asked_for_side_by_side(
    owner: Person, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathering = Gathering(world.fake, lambda url: "/manifests/" in url, 2)
    monkeypatch.setattr(world.fake, "send", gathering)
    found = list(owner.client().verify_each([f"{GUN}:1", f"{GUN}:2"]))
    assert [getattr(one.get(), "tag", None) for one in found] == ["1", "2"]


def test_a_repository_is_read_once_wherever_its_tags_stand(owner: Person, world: World) -> None:
    found = list(owner.client().verify_each(REFS))
    assert [f"{one.get().repository}:{one.get().tag}" for one in found] == REFS
    requests = world.requests()
    assert sorted(line for line in requests if "json" in line) == ["GET timestamp.json"] * 4
    assert len([line for line in requests if "/manifests/" in line]) == len(REFS)


def test_a_failure_is_the_outcome_of_its_image(owner: Person, world: World) -> None:
    world.fake.registry.push(GUN.partition("/")[2], "1", manifest("moved"), "application/json")
    refs = [f"{HOST}/none:1", f"{GUN}:1", "UPPER", f"{GUN}:2", f"{HOST}/none:2"]
    found = list(owner.client().verify_each(refs))
    kinds = [type(one.error) for one in found]
    missing = RepositoryMissingError
    assert kinds == [missing, DigestMismatchError, InvalidNameError, type(None), missing]
    assert found[0].error is found[4].error
    assert len([line for line in world.requests() if line == "GET timestamp.json"]) <= 2


@pytest.mark.usefixtures("owner")
def test_warnings_are_said_in_order_with_their_outcomes(world: World) -> None:
    firsts: list[str] = []

    def hear(text: str) -> None:
        assert threading.current_thread() is threading.main_thread()
        firsts.extend([text.split()[3].rstrip(":")] if text.startswith("first use") else [])

    client = world.person("reader").client()
    client._session._heard = hear  # noqa: SLF001 - as `Client` is given it
    heard: list[int] = []
    for one in client.verify_each(REFS):
        one.get()
        heard.append(len(firsts))
    assert heard == [1, 2, 3, 4, 4, 4]
    assert firsts == [GUN, *OTHERS]
    assert [root.repository for root in client.first_uses] == [GUN, *OTHERS]


@pytest.mark.usefixtures("owner")
def test_questions_are_asked_in_the_callers_thread_one_at_a_time(world: World) -> None:
    asking, asked = threading.Lock(), list[str]()

    def confirm(root: FirstRoot) -> bool:
        assert threading.current_thread() is threading.main_thread()
        assert asking.acquire(blocking=False)
        asked.append(root.repository)
        asking.release()
        return root.repository != OTHERS[1]

    client = world.person("reader").client(first_use=False)
    client._session.first_uses.confirm = confirm  # noqa: SLF001 - as `Client` sets it
    found = list(client.verify_each(REFS))
    assert sorted(asked) == sorted([GUN, *OTHERS])
    assert [one.error is None for one in found] == [True, True, False, True, True, True]


def test_whoever_stops_ends_what_is_under_way(owner: Person, world: World) -> None:
    refs = [f"{GUN}:1"] * 400
    found = owner.client().verify_each(refs)
    next(found)
    found.close()
    assert len(world.requests()) < len(refs) / 2


def test_options_count_for_each(owner: Person) -> None:
    with pytest.raises(NotarypyError):
        [one.get() for one in owner.client().verify_each(REFS, signers=["jeff"])]
    with pytest.raises(TypeError):
        owner.client().verify_each(REFS[0])


def test_a_policy_decides_for_each_by_its_scope(owner: Person, world: World, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(f'[scope."{GUN}"]\nmode = \'skip\'\n[scope."{OTHERS[0]}"]\nfirst_use = true\n')
    found = list(owner.client(policy=str(policy)).verify_each(REFS))
    skipped, verified, refused = SkippedImage, ReleasedImage, OutOfScopeError
    expected = [skipped, verified, refused, refused, skipped, verified]
    assert [type(one.error or one.get()) for one in found] == expected
    assert sum(line == "GET timestamp.json" for line in world.requests()) == 1


# -- publishing


@pytest.mark.parametrize("init", [False, True])
def test_repositories_are_published_side_by_side_with_keys_unlocked_once(
    owner: Person, world: World, init: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def passphrase(request: PassphraseRequest) -> str:
        assert threading.current_thread() is threading.main_thread()
        asked.append(request.keyid or request.role)
        return PASSPHRASE

    for gun in (GUN, *OTHERS):
        world.push("3", path=gun.partition("/")[2])
    client = Client(owner.client().settings, passphrases=passphrase, transport=world.fake, clock=world.clock)
    gathering = Gathering(world.fake, lambda url: url.endswith("/_trust/tuf/"), 1 if init else 4)
    monkeypatch.setattr(world.fake, "send", gathering)
    done = client.sign([f"{gun}:3" for gun in (GUN, *OTHERS)], init=init)
    assert [one.repository for one in done] == [GUN, *OTHERS]
    assert len(asked) == len(set(asked)) == 4  # the targets key of each


def test_new_repositories_share_one_new_root_key(world: World) -> None:
    for gun in OTHERS:
        world.push("1", path=gun.partition("/")[2])
    person = world.person("founder")
    done = person.client().sign([f"{gun}:1" for gun in OTHERS], init=True)
    assert [one.created.repository for one in done if one.created] == OTHERS
    assert len(person.key_files()) == 1 + len(OTHERS)


def test_all_repositories_are_tried_and_the_first_error_is_raised(owner: Person, world: World) -> None:
    for gun in (GUN, OTHERS[1]):
        world.push("3", path=gun.partition("/")[2])
    with pytest.raises(ImageMissingError) as caught:
        owner.client().sign([f"{gun}:3" for gun in (OTHERS[0], GUN, OTHERS[2], OTHERS[1])])
    assert "other0" in str(caught.value.facts) + caught.value.message
    reader = world.person("reader").client()
    assert [one.error is None for one in reader.verify_each([f"{gun}:3" for gun in (GUN, OTHERS[1])])] == [
        True
    ] * 2
    with pytest.raises(TagUnsignedError):
        owner.client().revoke([f"{OTHERS[0]}:none", f"{GUN}:3"])
    with pytest.raises(TagUnsignedError):
        reader.verify(f"{GUN}:3")


def test_the_digests_of_tags_are_asked_for_side_by_side(
    owner: Person, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tag in "345":
        world.push(tag)
    gathering = Gathering(world.fake, lambda url: "/manifests/" in url, 3)
    monkeypatch.setattr(world.fake, "send", gathering)
    done = owner.client().sign([f"{GUN}:{tag}" for tag in "345"])
    assert [one.tag for one in done] == ["3", "4", "5"]
