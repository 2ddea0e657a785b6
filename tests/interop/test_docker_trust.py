"""The same lines for `docker trust` and for `docker-trust`: the same output and the same exit codes.

Where the two differ on purpose is shown in `test_docker_trust_differences`.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from interop.harness.people import REPOSITORY_PASSPHRASE
from interop.harness.sides import LOCAL, PASSPHRASE, REASONS

if TYPE_CHECKING:
    from interop.harness.sides import Sides

WRONG = {PASSPHRASE: "a wrong passphrase"}
NONE = {PASSPHRASE: ""}


# -- the scenario ----------------------------------------------------------------------------------


def test_from_the_first_key_to_the_last_revocation(sides: Sides) -> None:
    sides.agree("key", "load", "--name=jeff", "{H}/jeff.pem")
    sides.agree("signer", "add", "jeff", "{R}", "--key", "{H}/jeff.crt")
    sides.agree("signer", "add", "--key={H}/jeff.crt", "jeff", "{R}")
    sides.agree("inspect", "{R}")
    sides.agree("inspect", "--pretty", "{R}")
    sides.each(lambda side: side.publish(side.repository, "1"))
    sides.agree("sign", "{R}:1")
    sides.agree("sign", "{R}:1")
    sides.each(lambda side: (side.person.home / "keys").mkdir())
    sides.agree("key", "generate", "kim", "--dir", "{H}/keys")
    sides.agree("signer", "add", "--key", "{H}/keys/kim.pub", "kim", "{R}", "{S}")
    sides.agree("sign", "{R}:1")
    sides.agree("sign", "{R}:1", "--local")
    sides.each(lambda side: side.publish(side.repository, "2"))
    sides.agree("sign", "{R}:2")
    sides.agree("inspect", "{R}")
    sides.agree("inspect", "{R}:2", "--pretty")
    sides.agree("inspect", "--pretty", "{R}", "{S}")
    sides.agree("inspect", "{R}:1", "{R}:none", "{S}")
    sides.agree("revoke", "{R}:1")
    sides.agree("revoke", "{R}:1", code=1)
    sides.agree("inspect", "{R}")
    sides.agree("sign", "{R}:1")
    sides.agree("revoke", "{R}", text="n\n")
    sides.agree("revoke", "{R}", text="y\n")
    sides.agree("revoke", "-y", "{R}", code=1)
    sides.agree("inspect", "{R}")
    sides.agree("inspect", "--pretty=true", "{R}")
    sides.agree("key", "load", "{H}/jo.pem", "--name=")


def test_a_first_signature_makes_trust_data(sides: Sides) -> None:
    sides.each(lambda side: side.publish(side.repository, "1"))
    sides.agree("sign", "{R}:1")
    sides.agree("sign", "{R}:1")
    sides.agree("inspect", "{R}")
    sides.each(lambda side: side.person.build(side.other.ref("1")))
    sides.agree("sign", "--local", "{S}:1")
    sides.agree("inspect", "{S}")


def test_the_repository_key_signs_where_nobody_else_does(sides: Sides) -> None:
    sides.each(lambda side: side.publish(side.repository, "1"))
    sides.each(lambda side: side.person.docker_trusting("push", side.repository.ref("1")).expect(0))
    sides.agree("inspect", "{R}")
    sides.agree("inspect", "--pretty", "{R}")
    sides.agree("sign", "{R}:1")
    sides.agree("revoke", "{R}:1")
    sides.agree("sign", "{R}:1")
    sides.agree("inspect", "{R}")


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("foo", 1),
        ("help", 1),
        ("trusty sign", 1),
        ("key foo", 1),
        ("--nope", 125),
        ("-D inspect a", 125),
        ("--pretty inspect a", 125),
        ("--config /tmp inspect a", 1),
        ("key --name x load y", 1),
        ("key --dir=x generate", 1),
        ("signer foo --bar", 125),
        ("sign", 1),
        ("sign a b", 1),
        ("sign --nope a", 125),
        ("sign --loc a", 125),
        ("sign -x a", 125),
        ("sign --local=maybe a:1", 125),
        ("sign --help --nope", 125),
        ("sign -- -x -y", 1),
        ("key generate", 1),
        ("key generate --dir", 125),
        ("key generate a b", 1),
        ("key load", 1),
        ("signer add", 1),
        ("signer add x", 1),
        ("signer add x y", 1),
        ("signer add --key nofile x y", 1),
        ("signer remove x", 1),
        ("revoke", 1),
        ("revoke -yz a", 125),
        ("revoke -y=no a", 125),
        ("inspect", 1),
        ("inspect -pretty a", 125),
    ],
)
def test_lines_that_make_no_sense(lines: Sides, line: str, code: int) -> None:
    lines.agree(*line.split(), code=code)


def test_names_and_files_that_cannot_be_taken(lines: Sides) -> None:
    lines.each(lambda side: (side.person.home / "junk").write_text("hello"))
    lines.each(lambda side: (side.person.home / "junk").chmod(0o600))
    lines.each(lambda side: (side.person.home / "open").write_text("hello"))
    lines.each(lambda side: (side.person.home / "kim.pub").write_text("hello"))
    lines.agree("key", "generate", "Kim", code=1)
    lines.agree("key", "generate", "kim", "--dir", "{H}", code=1)
    lines.agree("key", "generate", "kim", "--dir", "{H}/nowhere", code=1)
    lines.agree("key", "load", "{H}/junk", "--name", "Jeff", code=1)
    lines.agree("key", "load", "{H}/junk", code=1, stderr="reasons")
    lines.agree("key", "load", "{H}/open", code=1)
    lines.agree("key", "load", "{H}/nofile", code=1)
    lines.agree("signer", "add", "--key", "{H}/junk", "kim", "{R}", code=1, stderr="reasons")
    lines.agree("signer", "add", "--key", "{H}/junk", "Kim", "{R}", code=1)
    lines.agree("signer", "add", "--key", "{H}/junk", "a/b", "{R}", code=1)
    lines.agree("signer", "add", "--key", "{H}/junk", "releases", "{R}", code=1)
    lines.agree("sign", "{R}", code=1)
    digest = f"sha256:{'0' * 64}"
    lines.agree("sign", f"{{R}}@{digest}", code=1)
    lines.agree("sign", f"{{R}}:1@{digest}", code=1)
    lines.agree("revoke", f"{{R}}@{digest}", code=1)


@pytest.mark.parametrize("url", ["http://notary.example.com", "notary.example.com"])
def test_a_server_that_has_no_https_address(lines: Sides, url: str) -> None:
    environment = {"DOCKER_CONTENT_TRUST_SERVER": url}
    lines.agree("inspect", "{R}", code=1, stderr="reasons", **environment)
    lines.agree("inspect", "--pretty", "{R}", code=1, stderr="reasons", **environment)


def test_what_has_no_trust_data(lines: Sides) -> None:
    lines.agree("inspect", "{R}", code=1)
    lines.agree("inspect", "{R}", "{S}:1", code=1)
    lines.agree("inspect", "--pretty", "{R}", "{S}", code=1)
    lines.agree("revoke", "{R}:1", code=1)
    lines.agree("revoke", "-y", "{R}", code=1)
    lines.agree("signer", "remove", "jeff", "{R}", "{S}", code=1)


def test_what_is_not_signed_and_who_is_no_signer(both_signed: Sides) -> None:
    both_signed.agree("revoke", "{R}:none", code=1)
    both_signed.agree("inspect", "{R}:none")
    both_signed.agree("inspect", "{S}", "{R}", code=1)
    both_signed.agree("inspect", "--pretty", "{R}", "{S}", "{R}", code=1)
    both_signed.agree("signer", "remove", "nobody", "{R}", code=1)
    both_signed.agree("signer", "remove", "releases", "{R}", code=1)
    both_signed.agree("signer", "remove", "Jeff", "{R}", code=1)


def test_without_a_key(both_signed: Sides) -> None:
    both_signed.each(lambda side: side.publish(side.repository, "2"))
    both_signed.each(lambda side: shutil.rmtree(side.person.trust_dir / "private"))
    both_signed.agree("revoke", "{R}:1", code=1, stderr="reasons")
    for line in (("sign", "{R}:1"), ("sign", "{R}:2")):
        theirs, ours = both_signed.run(*line)
        assert (theirs.code, ours.code) == (1, 1)
        assert both_signed.ours.plain(REASONS.sub("", ours.stderr)) == LOCAL.sub(
            "", both_signed.docker.plain(theirs.stderr)
        )
    theirs, ours = both_signed.run("signer", "add", "--key", "{H}/jo.crt", "jo", "{R}")
    assert (theirs.code, ours.code) == (1, 1)
    assert ours.stdout.splitlines()[0].startswith('Adding signer "jo" to ')
    assert theirs.stderr.splitlines()[-1].split("/")[0] == ours.stderr.splitlines()[-1].split("/")[0]


def test_with_a_wrong_passphrase(both_signed: Sides) -> None:
    both_signed.each(lambda side: side.publish(side.repository, "2"))
    for line, beginning in (
        ("sign {R}:2", "failed to sign {R}:2: "),
        ("revoke {R}:1", "could not remove signature for {R}:1: "),
        ("signer add --key {H}/jo.crt jo {R}", "failed to add signer to: {R}\n"),
    ):
        theirs, ours = both_signed.run(*line.split(), **WRONG)
        assert (theirs.code, ours.code) == (1, 1), f"{theirs}\n{ours}"
        assert beginning in both_signed.docker.plain(theirs.stderr)
        assert beginning in both_signed.ours.plain(ours.stderr)
        assert "cannot unlock key" in ours.stderr
        assert "Successfully" not in ours.stdout
        assert WRONG[PASSPHRASE] not in ours.text


def test_passphrases_and_answers_come_through_a_pipe(both_signed: Sides) -> None:
    twice = "long enough\n" * 2
    both_signed.agree("key", "generate", "ann", "--dir", "{H}", code=0, stderr="same", text=twice, **NONE)
    modes = [(side.person.home / "ann.pub").stat().st_mode for side in (both_signed.docker, both_signed.ours)]
    assert modes[0] == modes[1]
    for answer in ("yes\n", "n\n"):
        both_signed.agree("revoke", "{R}", text=answer)
    both_signed.each(lambda side: side.publish(side.repository, "2"))
    for line, typed in (
        (("sign", "{R}:2"), 1),
        (("key", "generate", "kim", "--dir", "{H}"), 2),
    ):
        theirs, ours = both_signed.run(*line, text=f"{REPOSITORY_PASSPHRASE}\n" * typed, **NONE)
        assert (theirs.code, ours.code) == (0, 0), f"{theirs}\n{ours}"
        assert ours.stdout.splitlines()[-1].startswith("Successfully ")
        assert REPOSITORY_PASSPHRASE not in ours.text
