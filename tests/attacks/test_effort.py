"""Signers and servers that want more of a reader's work than is due, counted in calls, not in seconds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from notarypy.errors import RootNotPinnedError
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf import envelope, roles
from notarypy.tuf.fields import RoleKeys, TargetFile
from notarypy.tuf.keys import PublicKey
from notarypy.tuf.metadata import Delegation, Targets
from support.author import GUN
from support.chains import authority, leaf, pem
from support.counting import calls, work
from support.otherkeys import bare, rsa_key, rsa_spki
from support.people import make_world
from support.stage import JEFF, Stage
from support.victim import REF

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.tuf.envelope import Signature
    from support.victim import Victim


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(make_world(tmp_path, monkeypatch))


def below(stage: Stage, name: str, paths: tuple[str, ...] = ("",), keys: tuple[PublicKey, ...] = ()) -> str:
    """Give jeff another role below his own; return it."""
    role = f"{JEFF}/{name}"
    stage.author.delegate(role, keys or [stage.author.key("jeff")], paths)
    stage.author.targets[role] = Targets(1, stage.author.expiry(roles.TARGETS))
    return role


def many_paths(stage: Stage, count: int) -> None:
    """Let jeff publish two levels of roles that have many paths each."""
    below(stage, "a", tuple(f"p{number}" for number in range(count)))
    below(stage, "a/b", tuple(f"q{number}" for number in range(count)))
    stage.publish(JEFF)


def with_signatures(stage: Stage, made: dict[str, list[Signature]]) -> None:
    """Serve the next version with other signatures in place of those of some roles."""
    author = stage.author
    author.bump(JEFF)
    author.snapshot_version += 1
    author.timestamp_version += 1
    files = author.files()
    for role, entries in made.items():
        files[role] = envelope.seal(author.targets[role].to_signed(), entries)
    snapshot = author.snapshot(files)
    stage.serve({**files, roles.SNAPSHOT: snapshot, roles.TIMESTAMP: author.timestamp(snapshot)})


def verified(stage: Stage, limits: Limits = DEFAULT) -> None:
    client = stage.reader.client(limits=limits)
    assert client.verify(f"{GUN}:1", registry=False, signers=["jeff"]).signers == ("jeff",)


def test_paths_of_two_levels_are_not_compared_with_each_other(stage: Stage) -> None:
    stage.know()
    many_paths(stage, 3000)
    assert work(lambda: verified(stage)) < 100 * 6000


def test_junk_signatures_of_many_roles_are_checked_up_to_a_limit(stage: Stage) -> None:
    stage.know()
    keys = tuple(bare(ec.generate_private_key(ec.SECP256R1())) for _ in range(60))
    made = {}
    for number in range(20):
        role = below(stage, str(number), keys=keys)
        made[role] = [envelope.Signature(key.keyid, "ecdsa", bytes([1] * 64)) for key in keys]
    with_signatures(stage, made)
    limits = Limits(signature_checks=300)
    assert calls(lambda: verified(stage, limits))["encode_dss_signature"] < 300 + 20


def test_keys_that_are_slow_on_purpose_are_not_used(stage: Stage) -> None:
    stage.know()
    modulus = rsa_key(3072).public_key().public_numbers().n
    slow = PublicKey("rsa", rsa_spki(modulus, modulus - 2))
    assert rsa.RSAPublicNumbers(modulus - 2, modulus).public_key().key_size == 3072
    junk = [envelope.Signature(slow.keyid, "rsapss", bytes([number]) * 384) for number in range(1, 64)]
    with_signatures(stage, {below(stage, str(number), keys=(slow,)): junk for number in range(4)})
    assert calls(lambda: verified(stage))["check"] < 40
    failures = stage.reader.client().refresh(GUN).failures
    assert {role.count("/") for role in failures} == {2}


def test_a_flood_of_unpublished_roles_is_not_looked_for(stage: Stage) -> None:
    stage.know()
    key = stage.author.key("jeff")
    for number in range(5):
        role = below(stage, str(number))
        names = [f"{role}/{below}" for below in range(1000)]
        stage.author.targets[role] = replace(
            stage.author.targets[role],
            keys={key.keyid: key},
            roles=tuple(Delegation(name, (key.keyid,), 1, ()) for name in names),
        )
    stage.publish(JEFF)
    found = calls(lambda: verified(stage))
    assert found["read_regular"] < 50
    assert found.total() < 100 * 5000


def test_a_signer_cannot_hide_the_digest_of_another(stage: Stage) -> None:
    """Mallory may release too, and gives the digest that jeff signed names that come first."""
    stage.know()
    author = stage.author
    digest = author.targets[roles.RELEASES].targets["1"].digest
    entry = author.targets[roles.RELEASES].targets["1"]
    flood = {f"0{number:04}": entry for number in range(2000)}
    author.targets[roles.RELEASES] = replace(
        author.targets[roles.RELEASES], targets={**flood, **author.targets[roles.RELEASES].targets}
    )
    stage.publish(roles.RELEASES)
    assert stage.reader.client().verify(f"{GUN}@{digest}", signers=["jeff"], registry=False).tag == "1"


def crowded_root(stage: Stage) -> bytes:
    """A root with many keys whose bundles each make one chain after another possible."""
    author = stage.author
    bundle = pem(*(authority("ca", key=ec.generate_private_key(ec.SECP256R1())) for _ in range(15)))
    others = [
        PublicKey("ecdsa-x509", pem(leaf(end=leaf().end.replace(day=day))) + bundle) for day in range(1, 20)
    ]
    mine = author.root.signers(roles.ROOT)
    author.root = replace(
        author.root,
        keys={**author.root.keys, **{key.keyid: key for key in others}},
        roles={**author.root.roles, roles.ROOT: RoleKeys(tuple(key.keyid for key in (*others, *mine)), 1)},
    )
    return author.seal(author.root.to_signed(), mine)


def test_a_crowd_of_root_keys_is_not_followed_to_a_pinned_authority(victim: Victim, tmp_path: Path) -> None:
    stage, ca = victim.stage, tmp_path / "ca.pem"
    files = {**stage.author.files(), roles.ROOT: crowded_root(stage)}
    snapshot = stage.author.snapshot(files)
    stage.serve({**files, roles.SNAPSHOT: snapshot, roles.TIMESTAMP: stage.author.timestamp(snapshot)})
    ca.write_bytes(pem(authority("ca", key=ec.generate_private_key(ec.SECP256R1()))))
    policy = tmp_path / "policy.toml"
    policy.write_text(f'[scope."*"]\nroots.ca = "{ca}"\n')
    told = []
    found = calls(lambda: told.append(victim.run("verify", "--policy", str(policy), REF)))
    told[0].expect(4)
    assert f"[{RootNotPinnedError.code}]" in told[0].err
    assert found["verify_directly_issued_by"] <= 8 * 32
    assert victim.files() == {}


def test_long_names_do_not_flood_the_terminal(victim: Victim) -> None:
    stage = victim.stage
    victim.knows()
    entry = TargetFile(1, {"sha256": bytes(32)})
    long = {f"{number}" + "\x9f" * 100_000: entry for number in range(12)}
    author = stage.author
    author.targets[roles.RELEASES] = replace(
        author.targets[roles.RELEASES], targets={**author.targets[roles.RELEASES].targets, **long}
    )
    stage.publish(roles.RELEASES)
    told = victim.run("verify", f"{GUN}:nope").expect(3)
    assert len(told.err) < 8_000
    assert "characters more)" in told.err
    for argv in (["inspect", "--pretty", GUN], ["verify", f"{GUN}@sha256:{'0' * 64}"]):
        assert len(victim.run(*argv).out) < 12 * 70_000
