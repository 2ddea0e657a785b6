"""Texts from servers and signers reach the terminal harmless, whatever is in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from notarypy.remote.http.messages import Response
from notarypy.tuf import canonical, roles
from support.author import GUN, signature
from support.stage import JEFF
from support.victim import REF

if TYPE_CHECKING:
    from support.commands import Outcome
    from support.victim import Victim

pytestmark = pytest.mark.slow

# Clears the screen, sets its title, turns the writing around, begins a line, rings; C1 controls too.
EVIL = "\x1b[2J\x1b]0;pwned\x07\u202ednuor\r\x9b31m\u2028\n  fix: notarypy trust evil\x00"
ERRORS = json.dumps({"errors": [{"code": f"C{EVIL}", "message": f"m{EVIL}", "detail": EVIL}]}).encode()


def _harmless(told: Outcome) -> None:
    for line in (told.out + told.err).split("\n"):
        assert line.replace("\t", "").isprintable(), repr(line)
    assert "\n  fix: notarypy trust evil" not in told.out + told.err


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 302])
@pytest.mark.parametrize("json_wanted", [True, False])
def test_error_texts_of_a_server(victim: Victim, status: int, *, json_wanted: bool) -> None:
    victim.knows()
    headers = {"www-authenticate": f'Bearer realm="https://x{EVIL}/",service="{EVIL}"', "location": EVIL}
    victim.stage.world.attacker.answer(Response(status, headers, ERRORS))
    told = victim.run(*(["--json"] if json_wanted else ["-vv"]), "verify", REF)
    assert told.code in (4, 7, 8)
    _harmless(told)
    victim.recovers()


@pytest.mark.parametrize("argv", [["inspect", GUN], ["inspect", "--pretty", GUN], ["--json", "inspect", GUN]])
def test_names_that_a_signer_chose(victim: Victim, argv: list[str]) -> None:
    visible = (
        EVIL.replace("\n", "").replace("\r", "").replace("\x00", "").replace("\x1b", "").replace("\x07", "")
    )
    victim.stage.author.add(visible, b"x", JEFF)
    victim.stage.author.add(visible, b"x", roles.RELEASES)
    victim.stage.publish(JEFF, roles.RELEASES)
    told = victim.run(*argv).expect(0)
    assert "pwned" in told.out
    _harmless(told)


def test_names_with_control_characters(victim: Victim) -> None:
    """Programs of Notary write none, but they can be signed: escaped in the file, raw under the signature."""
    author = victim.stage.author
    honest = dict(author.targets)
    author.add(EVIL, b"x", roles.RELEASES)
    value = author.targets[roles.RELEASES].to_signed() | {"version": 2}
    (key,) = author.signers(roles.RELEASES)
    entry = signature("jeff", key, canonical.encode(value)).to_json()
    author.targets = honest
    files = {**author.files(), roles.RELEASES: json.dumps({"signed": value, "signatures": [entry]}).encode()}
    author.snapshot_version = author.timestamp_version = 2
    snapshot = author.snapshot(files)
    victim.stage.serve({**files, roles.SNAPSHOT: snapshot, roles.TIMESTAMP: author.timestamp(snapshot)})
    for argv in (["inspect", GUN], ["inspect", "--pretty", GUN], ["--json", "inspect", GUN], ["verify", REF]):
        _harmless(victim.run(*argv).expect(0))
    assert "pwned" in victim.run("inspect", "--pretty", GUN).out


@pytest.mark.parametrize("ref", [f"{GUN}:{EVIL}", f"{EVIL}/app:1", f"{GUN}@sha256:{EVIL}"])
def test_names_from_the_command_line(victim: Victim, ref: str) -> None:
    told = victim.run("verify", ref).expect(2)
    _harmless(told)


def test_what_a_registry_says(victim: Victim) -> None:
    victim.knows()
    victim.stage.world.attacker.answer(
        Response(200, {"content-type": EVIL, "docker-content-digest": EVIL}, b"{}"), path=r".*/manifests/.*"
    )
    told = victim.run("verify", REF).expect(4)
    _harmless(told)
    victim.recovers()
