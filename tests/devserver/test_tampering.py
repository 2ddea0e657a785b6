from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notarypy.devserver.core import NOTARY_HOST, Fake
from notarypy.devserver.tampering import Tampering
from notarypy.errors import (
    ExpiredError,
    MetadataError,
    NetworkError,
    NotarypyError,
    UnreachableError,
    VerificationError,
)
from notarypy.remote.http.messages import Request, Response
from notarypy.tuf import roles
from notarypy.tuf.fields import format_time
from support.author import GUN, NOW
from support.fakes import NO_DEADLINE, make_fake, open_desk, read_repository

if TYPE_CHECKING:
    from support.uploads import Desk


class Scene:
    """A published repository with one delegation, and a hand that can tamper with it."""

    def __init__(self) -> None:
        self.fake: Fake = make_fake()
        self.desk: Desk = open_desk(self.fake)
        self.desk.author.delegate("targets/releases")
        self.desk.author.add("1", b"one", "targets/releases")
        self.desk.publish()
        self.tamper = Tampering(self.fake)

    def next(self) -> dict[str, bytes]:
        self.desk.author.bump("targets/releases")
        self.desk.author.add("2", b"two", "targets/releases")
        return self.desk.author.files("targets/releases")


@pytest.fixture
def scene() -> Scene:
    return Scene()


def get(fake: Fake, name: str) -> Response:
    url = f"https://{NOTARY_HOST}/v2/{GUN}/_trust/tuf/{name}.json"
    return fake.send(Request("GET", url), NO_DEADLINE)


def test_answers_in_the_servers_place(scene: Scene) -> None:
    scene.tamper.answer(Response(503), path=".*/timestamp.json", times=2)
    assert [get(scene.fake, "timestamp").status for _ in range(3)] == [503, 503, 200]
    scene.tamper.answer(Response(401), method="GET")
    assert get(scene.fake, "root").status == 401
    assert scene.desk.post({}).status == 200
    scene.tamper.undo_hooks()
    assert get(scene.fake, "root").status == 200


def test_dropped_upload(scene: Scene) -> None:
    scene.tamper.drop_uploads()
    assert scene.desk.post(scene.next()).status == 200
    assert read_repository(scene.fake).targets["targets/releases"].version == 1


def test_refused_connection_reaches_nobody(scene: Scene) -> None:
    scene.tamper.refuse_connections(method="POST", times=1)
    with pytest.raises(UnreachableError):
        scene.desk.post({})
    assert read_repository(scene.fake).timestamp.version == 1


def test_lost_answer_after_the_update_was_stored(scene: Scene) -> None:
    scene.tamper.lose_answers()
    with pytest.raises(NetworkError) as lost:
        scene.desk.post(scene.next())
    assert type(lost.value) is NetworkError
    assert read_repository(scene.fake).targets["targets/releases"].version == 2


def test_somebody_else_publishes_first(scene: Scene) -> None:
    files = scene.next()
    scene.tamper.before_upload(lambda: scene.desk.post(files))
    answer = scene.desk.post(files)
    assert (answer.status, answer.error["code"]) == (400, "VERSION")


def test_mangled_upload_is_stored_consistently(scene: Scene) -> None:
    def mangle(role: str, data: bytes) -> bytes:
        assert role == "targets/releases"
        signed = scene.desk.author.targets[role].to_signed()
        signed["targets"] = {}
        return scene.desk.author.seal(signed, scene.desk.author.signers(role)) if data else b""

    scene.tamper.mangle_uploads(mangle)
    assert scene.desk.post(scene.next()).status == 200
    assert read_repository(scene.fake).targets["targets/releases"].targets == {}


def test_mangled_upload_with_the_authors_snapshot_is_found_by_its_hash() -> None:
    fake = make_fake()
    desk = open_desk(fake).own_snapshot()
    Tampering(fake).mangle_uploads(lambda role, data: data + b" " if role == roles.TARGETS else data)
    assert desk.post_with_snapshot().status == 200
    with pytest.raises(VerificationError):
        read_repository(fake)


@pytest.mark.parametrize("role", [*roles.BASE_ROLES, "targets/releases"])
def test_replaced_file_is_served_by_name_and_by_its_old_hash(scene: Scene, role: str) -> None:
    digest = {name: entry.sha256 for name, entry in read_repository(scene.fake).snapshot.meta.items()}
    scene.tamper.replace(GUN, role, b"garbage")
    assert get(scene.fake, role).body == b"garbage"
    if role in digest:
        assert get(scene.fake, f"{role}.{digest[role]}").body == b"garbage"
    with pytest.raises(NotarypyError):
        read_repository(scene.fake)


def test_old_timestamp_is_served_again(scene: Scene) -> None:
    old = get(scene.fake, "timestamp").body
    assert scene.desk.post({}).status == 200
    scene.tamper.serve_version(GUN, roles.TIMESTAMP, 1)
    assert get(scene.fake, "timestamp").body == old
    assert read_repository(scene.fake).snapshot.version == 1


def test_validly_signed_rollback(scene: Scene) -> None:
    old = scene.tamper.current(GUN, "targets/releases")
    assert scene.desk.post(scene.next()).status == 200
    scene.tamper.publish(GUN, {"targets/releases": old})
    trusted = read_repository(scene.fake)
    assert trusted.targets["targets/releases"].version == 1
    assert trusted.timestamp.version == 3


def test_expired_timestamp_is_served_as_it_is(scene: Scene) -> None:
    expired = format_time(NOW - timedelta(days=1))
    scene.tamper.sign_timestamp(GUN, lambda signed: signed.update(expires=expired))
    with pytest.raises(ExpiredError):
        read_repository(scene.fake)


def test_timestamp_with_a_lower_version(scene: Scene) -> None:
    for _ in range(3):
        scene.desk.post({})
    scene.tamper.sign_timestamp(GUN, lambda signed: signed.update(version=2))
    assert read_repository(scene.fake).timestamp.version == 2


def test_snapshot_that_drops_a_delegation(scene: Scene) -> None:
    scene.tamper.sign_snapshot(GUN, lambda signed: signed["meta"].pop("targets/releases"))
    assert set(read_repository(scene.fake).targets) == {roles.TARGETS}


def test_publishing_unchecked_on_an_empty_server() -> None:
    fake = make_fake()
    desk = open_desk(fake)
    Tampering(fake).publish(GUN, desk.author.files())
    assert read_repository(fake).snapshot.version == 1


def test_only_the_servers_own_keys_sign() -> None:
    fake = make_fake()
    desk = open_desk(fake).own_snapshot()
    assert desk.post_with_snapshot().status == 200
    with pytest.raises(LookupError):
        Tampering(fake).sign_snapshot(GUN)


def test_lost_repository(scene: Scene) -> None:
    scene.tamper.delete(GUN)
    assert get(scene.fake, "root").status == 404
    with pytest.raises(LookupError):
        scene.tamper.current(GUN, roles.ROOT)


def test_garbage_is_published_like_anything_else(scene: Scene) -> None:
    scene.tamper.publish(GUN, {"targets/releases": b"garbage"})
    trusted = read_repository(scene.fake)
    assert set(trusted.failures) == {"targets/releases"}


def test_an_update_over_garbage_is_the_servers_failure(scene: Scene) -> None:
    scene.tamper.replace(GUN, roles.ROOT, b"garbage")
    answer = scene.desk.post({})
    assert (answer.status, answer.error["code"]) == (500, "UNKNOWN")
    with pytest.raises(MetadataError):
        scene.tamper.sign_timestamp(GUN)


def test_nothing_can_be_signed_for_nobody(scene: Scene) -> None:
    with pytest.raises(LookupError):
        scene.tamper.publish("nobody", {"targets": scene.tamper.current(GUN, roles.TARGETS)})


def test_what_cannot_be_meant_is_an_error(scene: Scene) -> None:
    with pytest.raises(LookupError, match="no version 2 of targets"):
        scene.tamper.serve_version(GUN, "targets", 2)
    with pytest.raises(LookupError, match='no role "target"'):
        scene.tamper.replace(GUN, "target", b"{}")
    with pytest.raises(LookupError, match='no role "releases"'):
        scene.tamper.publish(GUN, {"targets": scene.tamper.current(GUN, "targets"), "releases": b"{}"})
    with pytest.raises(LookupError, match="there is no elsewhere"):
        scene.tamper.delete("elsewhere")
    assert read_repository(scene.fake).timestamp.version == 1
