"""Well signed files beyond a limit: nobody relies on them, and whoever may sign makes them smaller."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from notarypy import Limits
from notarypy.cli.text.advice import advice
from notarypy.errors import MetadataError, MetadataLimitError, SignatureError, UnreadableUpdateError
from notarypy.limits import DEFAULT, EXTENDED
from notarypy.tuf import canonical, roles
from notarypy.tuf.envelope import require_signed_text
from support.author import GUN, private_key, public_key, signature
from support.people import owned

if TYPE_CHECKING:
    from support.people import Person, World

REF = f"{GUN}:1"
DEEP = b"[" * (DEFAULT.json_levels - 2) + b"]" * (DEFAULT.json_levels - 2)  # and more above it in a file
LARGE = Limits(json_levels=150)


@pytest.fixture(params=["targets", "jeff"])
def owner(world: World, request: pytest.FixtureRequest) -> Person:
    """Somebody with a good tag, and one whose custom data only a client with limits of its own takes."""
    world.push("1")
    world.push("2")
    person = owned(world, *([] if request.param == "targets" else ["jeff"]))
    person.client().sign([REF], init=True)
    person.client(limits=LARGE).sign([f"{GUN}:2"], custom=DEEP)
    return person


def test_readers_refuse_it_and_say_who_can_help(owner: Person) -> None:
    with pytest.raises(MetadataLimitError) as caught:
        owner.client().verify(REF, registry=False)
    assert caught.value.code == "trust.limit"
    assert "--over-limits" in advice(caught.value)
    assert "operator" not in advice(caught.value)


def test_revoking_makes_it_small_again(world: World, owner: Person) -> None:
    with pytest.raises((MetadataLimitError, UnreadableUpdateError)):
        owner.client().revoke([f"{GUN}:2"])
    (done,) = owner.client(limits=EXTENDED).revoke([f"{GUN}:2"])
    assert done.published
    assert not any("still refuse" in warning for warning in owner.warnings)
    assert world.person("reader").client().verify(REF).tag == "1"


def test_renewing_keeps_what_is_beyond_and_says_so(owner: Person) -> None:
    client = owner.client(limits=EXTENDED)
    assert client.renew(GUN, within=timedelta(days=4000)).published
    assert any("still refuse" in warning for warning in owner.warnings)
    assert client.revoke([f"{GUN}:2"])[0].published


def test_nothing_new_goes_beyond_the_usual_limits_that_way(world: World) -> None:
    world.push("1")
    person = owned(world, "jeff")
    with pytest.raises(UnreadableUpdateError):
        person.client(limits=EXTENDED).sign([REF], custom=DEEP)
    assert person.client().sign([REF])[0].published


def test_a_signer_whose_role_is_too_large_is_taken_out(world: World) -> None:
    world.push("1")
    person = owned(world, "jeff", "kim")
    person.client().sign([REF], signer="jeff")
    person.client(limits=LARGE).sign([REF], signer="kim", custom=DEEP)
    assert person.client(limits=EXTENDED).remove_signer("kim", GUN).role == "targets/kim"


def test_too_many_delegations_are_counted(owner: Person) -> None:
    client = owner.client()
    keys = [client.keys.generate(name)[1] for name in ("kim", "lee")]
    for name, key in zip(("kim", "lee"), keys, strict=True):
        owner.client(limits=LARGE).add_signer(name, GUN, [key])
    count = 2 + len({"jeff"} & {one.role.removeprefix("targets/") for one in entries(owner)}) + 1
    with pytest.raises(MetadataLimitError) as caught:
        owner.client(limits=replace(LARGE, delegations_in_file=2)).verify(REF, registry=False)
    assert caught.value.why == (f"it has {count} delegations; the limit is 2",)


def entries(owner: Person) -> tuple[Any, ...]:
    return owner.client(limits=LARGE).delegations(GUN)


# -- the signatures come first


def signed_file(*, layout: str = "stored", signer: str = "a") -> bytes:
    value = {"_type": "Targets", "x": [[json.loads(DEEP)]], "name": "<a> & \\u003c \u2028"}
    entry = signature(signer, public_key(signer), canonical.encode(value)).to_json()
    if layout == "stored":
        return canonical.storage_form(canonical.encode(value), [entry])
    return json.dumps({"signed": value, "signatures": [entry]}).encode()


def check(data: bytes, limits: Limits = EXTENDED) -> None:
    key = public_key("a")
    require_signed_text(data, {key.keyid: key}, [key.keyid], 1, roles.TARGETS, limits=limits)


def test_a_text_beyond_the_limits_is_verified_undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = signed_file()
    decoded: list[bytes] = []
    decode = canonical.decode_file

    def watched(text: bytes, *rest: Any) -> Any:  # noqa: ANN401 - as it is
        decoded.append(text)
        return decode(text, *rest)

    monkeypatch.setattr(canonical, "decode_file", watched)
    check(data)
    assert decoded
    assert all(len(text) < 500 for text in decoded)
    with pytest.raises(SignatureError):
        check(data.replace(b'"Targets"', b'"targets"'))
    with pytest.raises(MetadataError, match="storage form"):
        check(signed_file(layout="other"))
    assert private_key("b")
    with pytest.raises(SignatureError):
        check(signed_file(signer="b"))


def test_whoever_has_the_usual_limits_is_not_asked_to_check_it() -> None:
    check(b"{}" + signed_file(signer="b"), DEFAULT)
    check(b'{"signed":{},"signatures":[]}')
