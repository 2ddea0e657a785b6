"""A root key on a token: one that Go notary made on a YubiKey, and one that lies in a drawer meanwhile.

A token of SoftHSM stands for the YubiKey; Go notary's own code for YubiKeys reads it and signs with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interop.harness import yubikey
from interop.harness.yubikey import YubiKey

if TYPE_CHECKING:
    from pathlib import Path

    from interop.harness.gateway import Gateway
    from interop.harness.images import Repository
    from interop.harness.people import Person


@pytest.fixture
def token(tmp_path: Path) -> YubiKey:
    return YubiKey(tmp_path / "token")


@pytest.fixture
def owner(alice: Person, token: YubiKey) -> Person:
    """Return alice, who has the token's PIN and finds it."""
    alice.environment |= {**token.environment, "NOTARYPY_PASSPHRASE_ROOT": yubikey.PIN}
    return alice


def _trusted_by_all(person: Person, repository: Repository, digest: str) -> None:
    assert digest in person.notary("list", repository.name, "-r", "targets/releases").expect(0).stdout
    assert digest in person.inspection(repository.name)
    person.notarypy("verify", repository.ref("1")).expect(0)


@pytest.mark.parametrize("public", [True, False])
def test_a_root_key_that_go_notary_made_is_found(
    owner: Person, bob: Person, token: YubiKey, repository: Repository, *, public: bool
) -> None:
    token.put_root(public=public)
    listed = token.go_notary(owner, "key", "list").expect(0).stdout
    (keyid,) = [line.split()[1] for line in listed.splitlines() if line.endswith("yubikey")]
    certificate = owner.home / "root.crt"
    certificate.write_bytes(token.go_certificate(repository.name))
    options = ("--root-key", token.uri(), "--root-cert", certificate)
    owner.notarypy("init", *options, repository.name).expect(0)
    added = owner.notarypy("--json", "key", "add", token.uri(), "--name", "root").expect(0).document
    assert added["results"][0]["keyid"] == keyid
    _, certificate = owner.new_key("jeff")
    owner.notarypy("key", "load", owner.home / "jeff.key", "--name", "jeff").expect(0)
    owner.notarypy("signer", "add", "--key", certificate, "jeff", repository.name).expect(0)
    image = repository.push("1")
    owner.notarypy("sign", repository.ref("1")).expect(0)
    _trusted_by_all(bob, repository, image.sha256)
    rotated = owner.notarypy("--json", "key", "rotate", repository.name, "targets").expect(0).document
    assert rotated["results"][0]["published"]
    _trusted_by_all(bob, repository, image.sha256)
    renewed = owner.notarypy("renew", "--within", "4000d", repository.name).expect(0).stdout
    assert "renewed root" in renewed
    if public:  # which Go's clients want to sign with; they go on after us, with the same token
        token.go_notary(owner, "key", "rotate", repository.name, "snapshot", "-r").expect(0)
        owner.notarypy("verify", repository.ref("1")).expect(0)


def test_a_root_key_lies_in_a_drawer(
    owner: Person, bob: Person, token: YubiKey, repository: Repository, front: Gateway
) -> None:
    token.put_root()
    owner.use(front.endpoint)
    owner.notarypy("init", "--root-key", token.uri(), repository.name).expect(0)
    token.pull()
    # Daily work.
    _, certificate = owner.new_key("jeff")
    owner.notarypy("key", "load", owner.home / "jeff.key", "--name", "jeff").expect(0)
    owner.notarypy("signer", "add", "--key", certificate, "jeff", repository.name).expect(0)
    image = repository.push("1")
    owner.notarypy("sign", repository.ref("1")).expect(0)
    repository.push("2")
    owner.notarypy("sign", repository.ref("2")).expect(0)
    owner.notarypy("revoke", repository.ref("2")).expect(0)
    owner.notarypy("renew", "--role", "targets", repository.name).expect(0)
    assert "noted" in owner.notarypy("status", repository.name).expect(0).stdout
    assert "pkcs11:token=YubiKey" in owner.notarypy("key", "list").expect(0).stdout
    owner.notary_add(repository.name, "3", image, "targets/releases", "targets/jeff").expect(0)
    _trusted_by_all(bob, repository, image.sha256)
    # What takes the root key says so, and changes nothing.
    owner.notarypy("verify", repository.ref("1")).expect(0)
    before = owner.files()
    for rotation in (("root", "--yes"), ("targets",), ("timestamp", "--server-managed")):
        front.forget()
        refused = owner.notarypy("key", "rotate", repository.name, *rotation).expect(6)
        assert "token" in refused.stderr
        assert {seen.method for seen in front.seen} <= {"GET"}
        assert owner.files() == before
    left = owner.notarypy("renew", "--role", "root", "--role", "targets", repository.name).expect(6)
    assert "root" in left.stderr
    assert "renewed: targets" in left.stderr
    # It comes out for a moment.
    token.plug()
    owner.notarypy("key", "rotate", repository.name, "timestamp", "--server-managed").expect(0)
    owner.notarypy("renew", "--role", "root", repository.name).expect(0)
    _trusted_by_all(bob, repository, image.sha256)
