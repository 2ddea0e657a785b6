"""Keys in a TPM: as root key and as a signer's, read by everybody; and a PIN that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interop.harness import tpm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.people import Person
    from interop.harness.tpm import Tpm


@pytest.fixture(scope="module")
def machine(workshop: Path) -> Iterator[Tpm]:
    """Run a TPM with a root key and a signer's key."""
    with tpm.running(workshop / "swtpm.log") as running:
        running.make_key("root", "01")
        running.make_key("jeff", "02")
        yield running


@pytest.fixture
def owner(alice: Person, machine: Tpm) -> Person:
    """Return alice, who has the PIN, and whose machine has the TPM."""
    pins = {f"NOTARYPY_PASSPHRASE_{name}": tpm.PIN for name in ("ROOT", "JEFF")}
    alice.environment |= {**machine.environment, **pins}
    return alice


def test_a_repository_whose_keys_are_in_a_tpm(
    owner: Person, bob: Person, machine: Tpm, repository: Repository
) -> None:
    owner.notarypy("init", "--root-key", machine.uri("root"), repository.name).expect(0)
    owner.notarypy("key", "generate", "jeff", "--dir", owner.home, "--in", machine.uri("made")).expect(0)
    owner.notarypy("signer", "add", "--key", owner.home / "jeff.pub", "jeff", repository.name).expect(0)
    image = repository.push("1")
    owner.notarypy("sign", repository.ref("1")).expect(0)
    for reader in (owner, bob):
        read = reader.notary("list", repository.name, "-r", "targets/releases").expect(0).stdout
        assert image.sha256 in read
        assert image.sha256 in reader.inspection(repository.name)
        reader.notarypy("verify", repository.ref("1")).expect(0)
    owner.notarypy("key", "rotate", repository.name, "targets").expect(0)
    for role in ("root", "targets/jeff"):  # a bare TPM has no room for the keys of both
        owner.notarypy("renew", "--role", role, repository.name).expect(0)
    bob.notarypy("verify", repository.ref("1")).expect(0)
    assert image.sha256 in bob.inspection(repository.name)


def test_each_wrong_pin_is_tried_once_and_a_few_lock_the_whole_tpm(
    owner: Person, machine: Tpm, repository: Repository
) -> None:
    owner.notarypy("init", "--root-key", machine.uri("root"), repository.name).expect(0)
    before = owner.files()
    owner.environment["NOTARYPY_PASSPHRASE_ROOT"] = "00000000"
    try:
        codes = []
        for _ in range(4):
            refused = owner.notarypy("--json", "key", "rotate", repository.name, "targets").expect(6)
            codes.append(refused.document["results"][0]["error"]["code"])
        assert codes == ["key.pin_wrong"] * 3 + ["key.pin_locked"]
        # Now it takes no PIN at all, of no key.
        owner.notarypy("key", "add", machine.uri("jeff"), "--name", "jeff").expect(0)
        assert "key.pin_locked" in owner.notarypy("key", "test", "jeff").expect(6).stderr
        owner.notarypy("key", "remove", "--yes", "jeff").expect(0)
    finally:
        machine.unlock()
    assert owner.files() == before
    owner.environment["NOTARYPY_PASSPHRASE_ROOT"] = tpm.PIN
    owner.notarypy("key", "rotate", repository.name, "targets").expect(0)


def test_a_tpm_that_is_not_there(owner: Person, machine: Tpm, repository: Repository) -> None:
    owner.notarypy("init", "--root-key", machine.uri("root"), repository.name).expect(0)
    before = owner.files()
    owner.environment["TPM2_PKCS11_TCTI"] = f"swtpm:path={machine.folder / 'nothing'}"
    for rotation in (("root", "--yes"), ("timestamp", "--server-managed")):
        refused = owner.notarypy("key", "rotate", repository.name, *rotation).expect(6)
        assert "key.backend_missing" in refused.stderr
    assert owner.files() == before
    image = repository.push("1")
    owner.notarypy("sign", repository.ref("1")).expect(0)
    assert image.sha256 in owner.inspection(repository.name)
