"""Lies in answers that are asked for ahead: they are never taken for more than files at hand."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notarypy.client.metadata.flight import Flight
from notarypy.errors import DeadlineError, NotarypyError, RollbackError
from notarypy.limits import Limits
from notarypy.remote.http.messages import Response
from notarypy.tuf import roles
from support.author import GUN, NOW, Author
from support.people import make_world
from support.stage import JEFF, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from notarypy.remote.http.messages import Request
    from support.victim import Victim

PLAIN = (roles.TIMESTAMP, roles.SNAPSHOT, roles.TARGETS)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(make_world(tmp_path, monkeypatch))


def answers(stage: Stage, served: Mapping[str, Response]) -> None:
    """Answer these roles by their plain names like this."""
    for role, answer in served.items():
        stage.world.attacker.answer(answer, path=rf".*/{role}\.json")


def came(stage: Stage, name: str, limits: Limits | None = None) -> object:
    """Return what a reader who knows nothing makes of it: files and failures, or the error."""
    reader = stage.world.person(name)
    try:
        trusted = reader.client(limits=limits or Limits()).refresh(GUN)
    except NotarypyError as error:
        assert reader.cache() == {}
        return type(error), error.message, error.why
    assert reader.cache() == trusted.files
    return trusted.files, {role: failure.message for role, failure in trusted.failures.items()}


def test_foreign_files_under_plain_names_are_passed_over(stage: Stage) -> None:
    honest = came(stage, "before")
    foreign = Author("registry.test/other", NOW).repository()
    answers(stage, {role: Response(200, {}, foreign[role]) for role in (roles.SNAPSHOT, roles.TARGETS)})
    assert came(stage, "after") == honest


@pytest.mark.parametrize("old", [(roles.SNAPSHOT,), (roles.TARGETS,), (roles.SNAPSHOT, roles.TARGETS)])
def test_files_of_two_generations_make_one_or_none(stage: Stage, old: tuple[str, ...]) -> None:
    before = stage.served()
    stage.release("2")
    stage.publish(roles.TARGETS, JEFF, roles.RELEASES)
    honest = came(stage, "before")
    answers(stage, {role: Response(200, {}, before[role]) for role in old})
    assert came(stage, "after") == honest


def test_all_old_files_are_a_rollback_for_who_knows_newer_ones(stage: Stage) -> None:
    before = stage.served()
    stage.publish(roles.TARGETS)
    stage.know()
    answers(stage, {role: Response(200, {}, before[role]) for role in PLAIN})
    stage.refused(RollbackError)


def test_plain_files_beyond_every_limit_are_not_read(stage: Stage) -> None:
    limits = Limits(metadata_bytes=1 << 16)
    honest = came(stage, "before", limits)
    endless = Response(200, {}, b" " * (1 << 17))
    answers(stage, dict.fromkeys((roles.SNAPSHOT, roles.TARGETS), endless))
    assert came(stage, "after", limits) == honest


def test_plain_files_that_do_not_come_in_time_are_no_error(stage: Stage) -> None:
    honest = came(stage, "before")

    def late(request: Request) -> Response | None:
        if request.url.endswith(("/snapshot.json", "/targets.json")):
            raise DeadlineError("took too long", why="gave up")
        return None

    stage.world.fake.before.append(late)
    assert came(stage, "after") == honest


def test_the_one_deadline_counts_for_what_is_asked_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = threading.Event()
    monkeypatch.setattr("notarypy.client.metadata.repository.clock", lambda: 1e6 if late.is_set() else 0.0)

    def slow(request: Request) -> Response | None:
        if request.url.endswith(("/snapshot.json", "/targets.json")):
            late.set()
            return Response(404)
        return None

    stage.world.fake.before.append(slow)
    with pytest.raises(DeadlineError, match="took too long"):
        stage.world.person("after").client().refresh(GUN)


@pytest.mark.parametrize("status", [403, 404, 429, 500])
def test_a_mirror_that_has_files_by_hash_alone_will_do(victim: Victim, status: int) -> None:
    for role in (roles.SNAPSHOT, roles.TARGETS):
        victim.stage.world.attacker.answer(Response(status), path=rf".*/{role}\.json")
    assert victim.run("verify", f"{GUN}:1").expect(0).out.startswith(f"{GUN}@sha256:")


def test_who_lies_under_both_names_is_refused_at_the_command_line(victim: Victim) -> None:
    old = victim.stage.served()
    victim.stage.publish(roles.TARGETS)
    for role in (roles.SNAPSHOT, roles.TARGETS):
        answer = Response(200, {}, old[role])
        victim.stage.world.attacker.answer(answer, path=rf".*/{role}(\.[0-9a-f]{{64}})?\.json")
    victim.refuses(4, "trust.invalid", "snapshot")


KINDS = ("current", "old", "foreign", "garbage", "huge", 403, 404, 500)


def test_whatever_comes_in_whatever_order_the_same_comes_out(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, foreign = stage.served(), Author("registry.test/other", NOW).repository()
    stage.release("2")
    stage.publish(roles.TARGETS, JEFF, roles.RELEASES)
    number = iter(range(10_000))

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        kinds=st.fixed_dictionaries({role: st.sampled_from(KINDS) for role in PLAIN}),
        turns=st.permutations(PLAIN),
    )
    def compare(kinds: dict[str, str | int], turns: list[str]) -> None:
        bodies = {"old": old, "foreign": foreign, "current": stage.served()}

        def answer(role: str, kind: str | int) -> Response:
            if isinstance(kind, int):
                return Response(kind)
            data = {"garbage": b"\0garbage", "huge": b" " * (1 << 21)}.get(kind) or bodies[kind][role]
            return Response(200, {}, data)

        answers(stage, {role: answer(role, kind) for role, kind in kinds.items()})
        with monkeypatch.context() as sequential:
            sequential.setattr(Flight, "set_out", lambda *_: None)
            sequential.setattr(Flight, "ask_delegations", lambda *_: None)
            expected = came(stage, f"sequential-{next(number)}")
        _in_turns(stage, turns)
        assert came(stage, f"flight-{next(number)}") == expected
        stage.world.attacker.undo_hooks()

    compare()


def _in_turns(stage: Stage, turns: list[str]) -> None:
    """Let answers arrive in this order, each time that these files are asked for at the same time."""
    done = {role: threading.Event() for role in turns}

    def after(request: Request, answer: Response) -> Response:
        role = request.url.partition("?")[0].rpartition("/")[2].removesuffix(".json")
        if role in done:
            for earlier in turns[: turns.index(role)]:
                done[earlier].wait(0.5 if earlier == roles.TIMESTAMP else 5)
            done[role].set()
        return answer

    stage.world.fake.after.append(after)
