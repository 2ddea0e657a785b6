from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from notarypy import files
from notarypy.cli.text.advice import advice
from notarypy.errors import (
    KeyAccessError,
    KeyMissingError,
    NotarypyError,
    PassphraseNeededError,
    PassphraseWrongError,
    StorageError,
    UnsupportedKeyError,
)
from notarypy.keys.formats import pem
from notarypy.keys.keyinfo import PassphraseRequest
from notarypy.keys.keypaths import key_paths
from notarypy.keys.keystore import KeyStore
from notarypy.keys.passphrases import CallbackSource, PassphraseChain, standard_chain
from notarypy.tuf.envelope import verify
from notarypy.tuf.keys import public_key_of

if TYPE_CHECKING:
    from notarypy.keys.formats.pkcs8 import PrivateKey

FIXTURES = Path(__file__).parents[2] / "fixtures"
KEYS = FIXTURES / "keys"
DEE = "577afec209a70e65b2fb2c16d7c869c5a3b54ec26b12138244a8cded51e0d168"
NOBODY = PassphraseChain([])
NOTARY = {
    "NOTARY_ROOT_PASSPHRASE": "rootpass1",
    "NOTARY_TARGETS_PASSPHRASE": "targetspass1",
    "NOTARY_SNAPSHOT_PASSPHRASE": "snappass1",
    "NOTARY_DELEGATION_PASSPHRASE": "delegpass1",
}
DOCKER = {
    "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE": "droot123",
    "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": "drepo123",
}


def always(passphrase: str) -> PassphraseChain:
    return PassphraseChain([CallbackSource(lambda _: passphrase)])


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "trust" / "private")


@pytest.fixture
def key() -> PrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("tree", "environ", "count"),
    [
        ("notary-ecdsa-rsa/client", NOTARY, 5),
        ("docker-ecdsa-rsa/client", DOCKER, 7),
        ("notary-0.1", dict.fromkeys(NOTARY, "randompass"), 3),
        ("notary-0.3", dict.fromkeys(NOTARY, "password"), 4),
    ],
)
def test_every_key_of_the_go_clients_unlocks_and_signs(
    tree: str, environ: dict[str, str], count: int
) -> None:
    store = KeyStore(FIXTURES / "go" / tree / "private")
    found = store.list()
    assert len(found) == count
    assert store.warnings == []
    assert store.available() == {info.keyid for info in found}
    for info in found:
        signer = store.unlock(info.keyid, standard_chain(environ, None, None))
        method, signature = signer.sign(b"message")
        assert signer.public.keyid == info.keyid
        assert verify(signer.public, method, signature, b"message")


def test_roles_and_guns_come_from_headers_or_from_old_places() -> None:
    old = KeyStore(FIXTURES / "go" / "notary-0.1" / "private").list()
    gun = "docker.com/notary0.1/samplerepo"
    assert sorted((info.role, info.gun) for info in old if info.gun) == [("snapshot", gun), ("targets", gun)]
    assert [info.role for info in old if not info.gun] == ["root"]
    newer = KeyStore(FIXTURES / "go" / "notary-0.3" / "private").list()
    assert sorted((info.role, info.gun or "") for info in newer) == [
        ("root", ""),
        ("snapshot", "docker.com/notary0.3/tst"),
        ("targets", "docker.com/notary0.3/tst"),
        ("targets/releases", ""),
    ]


def test_reading_an_old_layout_moves_nothing(tmp_path: Path) -> None:
    shutil.copytree(KEYS / "old-layout", tmp_path / "private")
    before = sorted(tmp_path.rglob("*"))
    assert len(KeyStore(tmp_path / "private").list()) == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_a_store_that_does_not_exist_is_empty(store: KeyStore) -> None:
    assert store.list() == []
    assert store.available() == frozenset()
    assert store.find(DEE) is None
    with pytest.raises(KeyMissingError) as caught:
        store.unlock(DEE, NOBODY)
    assert str(store.directory) in caught.value.why[0]


def test_a_new_key_is_a_private_file_that_names_it(store: KeyStore, key: PrivateKey) -> None:
    info = store.add(key, "targets", "localhost/a", "passphrase1")
    assert info.path == store.directory / f"{public_key_of(key).keyid}.key"
    assert (info.role, info.gun, info.encrypted) == ("targets", "localhost/a", True)
    assert stat.S_IMODE(info.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    assert store.list() == [info]
    signer = KeyStore(store.directory).unlock(info.keyid, always("passphrase1"))
    assert signer.public == public_key_of(key)


def test_a_new_key_is_unlocked_already(store: KeyStore, key: PrivateKey) -> None:
    info = store.add(key, "jeff", None, "passphrase1")
    assert store.unlock(info.keyid, NOBODY).public.keyid == info.keyid


def test_a_key_that_is_there_is_left_as_it_is(store: KeyStore, key: PrivateKey) -> None:
    info = store.add(key, "jeff", None, "passphrase1")
    before = info.path.read_bytes()
    assert store.add(key, "other", None, "passphrase2") == info
    assert info.path.read_bytes() == before


def test_two_files_of_one_key_share_no_randomness(store: KeyStore, key: PrivateKey) -> None:
    first = store.add(key, "jeff", None, "passphrase1").path.read_bytes()
    store.remove(public_key_of(key).keyid)
    assert store.add(key, "jeff", None, "passphrase1").path.read_bytes() != first


def test_a_key_that_could_not_be_written_is_not_there(
    store: KeyStore, key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes, mode: int = 0o600) -> None:
        raise StorageError(f"cannot write {len(data)} bytes, mode {mode:o}", path=str(path))

    monkeypatch.setattr(files, "write_atomic", full)
    with pytest.raises(StorageError):
        store.add(key, "jeff", None, "passphrase1")
    with pytest.raises(KeyMissingError):
        store.unlock(public_key_of(key).keyid, always("passphrase1"))


def test_each_key_is_unlocked_once_even_by_many_threads(store: KeyStore, key: PrivateKey) -> None:
    keyid = store.add(key, "jeff", None, "passphrase1").keyid
    asked: list[PassphraseRequest] = []

    def ask(request: PassphraseRequest) -> str:
        asked.append(request)
        return "passphrase1"

    fresh, chain, found = KeyStore(store.directory), PassphraseChain([CallbackSource(ask)]), list[str]()
    threads = [
        threading.Thread(target=lambda: found.append(fresh.unlock(keyid, chain).public.keyid))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [keyid] * 8
    assert asked == [PassphraseRequest(keyid, "jeff")]


def test_sources_are_tried_until_one_opens_the_key(tmp_path: Path) -> None:
    shutil.copy(KEYS / "ec-delegation-role-dee.key", tmp_path / f"{DEE}.key")
    environ = {"DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": "another's", **NOTARY}
    assert KeyStore(tmp_path).unlock(DEE, standard_chain(environ, None, None)).public.keyid == DEE


def test_a_wrong_passphrase_names_key_sources_and_file_and_no_value(tmp_path: Path) -> None:
    path = tmp_path / f"{DEE}.key"
    shutil.copy(KEYS / "ec-delegation-role-dee.key", path)
    environ = {
        "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": "s3cret",
        "NOTARYPY_PASSPHRASE_DEE": "s3cret too",
    }
    chain = standard_chain(environ, None, lambda _: "s3cret typed")
    with pytest.raises(PassphraseWrongError) as caught:
        KeyStore(tmp_path).unlock(DEE, chain)
    error = caught.value
    assert error.message == 'cannot unlock key "dee" (577afec)'
    sources = "NOTARYPY_PASSPHRASE_DEE, DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE, the prompt"
    assert error.why == (f"tried {sources}; the file is {path}",)
    assert advice(error) == (
        "give, in NOTARYPY_PASSPHRASE_DEE or with --passphrase-file FILE, "
        "the passphrase of this delegation key, not the repository key's"
    )
    assert error.facts["role"] == "dee"
    assert "s3cret" not in str(vars(error)) + repr(error)


def test_without_a_passphrase_the_error_says_where_to_put_one(tmp_path: Path) -> None:
    shutil.copy(KEYS / "ec-root.key", tmp_path / f"{DEE}.key")
    with pytest.raises(PassphraseNeededError) as caught:
        KeyStore(tmp_path).unlock(DEE, standard_chain({}, None, None))
    assert "no terminal" in caught.value.why[0]
    assert "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE" in advice(caught.value)


def test_a_file_that_holds_another_key_is_not_used(tmp_path: Path) -> None:
    wrong = "0" * 64
    shutil.copy(KEYS / "ec-delegation-role-dee.key", tmp_path / f"{wrong}.key")
    store = KeyStore(tmp_path)
    for _ in range(2):
        with pytest.raises(KeyAccessError, match="holds another key") as caught:
            store.unlock(wrong, always("delegpass1"))
    assert caught.value.facts["actual"] == DEE


def test_plain_keys_need_no_passphrase(tmp_path: Path) -> None:
    shutil.copy(KEYS / "plain-sec1-ec.key", tmp_path / f"{DEE}.key")
    store = KeyStore(tmp_path)
    info = store.find(DEE)
    assert info is not None
    assert (info.role, info.encrypted) == ("", False)
    assert store.unlock(DEE, NOBODY).public.keyid == DEE


def test_junk_is_listed_as_warnings_and_hurts_nobody(tmp_path: Path) -> None:
    shutil.copy(KEYS / "ec-delegation-role-dee.key", tmp_path / f"{DEE}.key")
    (tmp_path / f"{'1' * 64}.key").write_bytes(b"junk")
    (tmp_path / f"{'2' * 64}.key").mkdir()
    (tmp_path / f"{'3' * 64}.key").symlink_to(KEYS / "ec-root.key")
    (tmp_path / f"{'4' * 64}.key").write_bytes(b"x" * 70_000)
    (tmp_path / "backup.key").write_bytes(b"")
    (tmp_path / "README").write_bytes(b"")
    store = KeyStore(tmp_path)
    assert [info.keyid for info in store.list()] == [DEE]
    assert len(store.warnings) == 5
    assert sum("backup.key" in warning for warning in store.warnings) == 1
    for digit in "1234":
        with pytest.raises(NotarypyError) as caught:
            store.unlock(digit * 64, NOBODY)
        assert digit * 64 in str(vars(caught.value))


def test_keys_in_a_folder_that_cannot_be_listed_are_not_missing_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, listed = tmp_path / "tuf_keys" / "r.test" / "app", os.scandir
    files.write_atomic(folder / f"{DEE}.key", b"anything")
    assert list(key_paths(tmp_path)[0]) == [DEE]

    def refusing(path: Path) -> object:
        if Path(path) == folder:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(StorageError, match=r"cannot list the keys in .*app"):
        KeyStore(tmp_path).list()


def test_a_reference_in_an_old_layout_is_none(tmp_path: Path) -> None:
    for name in (f"root_keys/{DEE}.ref", f"tuf_keys/{DEE}.ref", f"tuf_keys/r.test/app/{DEE}.ref"):
        files.write_atomic(tmp_path / name, b"anything")
    assert key_paths(tmp_path) == ({}, [])
    files.write_atomic(tmp_path / f"{DEE}_jeff.ref", b"anything")
    assert len(key_paths(tmp_path)[1]) == 1  # a name that is no id


def test_the_present_layout_wins_over_an_old_one(tmp_path: Path) -> None:
    for name in (f"{DEE}.key", f"{DEE}_targets.key", f"root_keys/{DEE}_root.key"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(KEYS / "plain-sec1-ec.key", tmp_path / name)
    (info,) = KeyStore(tmp_path).list()
    assert info.path == tmp_path / f"{DEE}.key"
    info.path.unlink()
    (info,) = KeyStore(tmp_path).list()
    assert (info.path.name, info.role) == (f"{DEE}_targets.key", "targets")


@pytest.mark.parametrize("keyid", ["", "..", "../private", "a/b", DEE.upper(), DEE[:7]])
def test_only_whole_ids_are_ids(tmp_path: Path, keyid: str) -> None:
    shutil.copy(KEYS / "plain-sec1-ec.key", tmp_path / f"{DEE}.key")
    store = KeyStore(tmp_path)
    assert store.find(keyid) is None
    with pytest.raises(KeyMissingError):
        store.remove(keyid)


def test_a_removed_key_is_gone_and_locked(store: KeyStore, key: PrivateKey) -> None:
    keyid = store.add(key, "jeff", None, "passphrase1").keyid
    store.remove(keyid)
    assert store.list() == []
    with pytest.raises(KeyMissingError):
        store.unlock(keyid, always("passphrase1"))


def test_a_key_that_cannot_be_removed_is_an_error(
    store: KeyStore, key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = store.add(key, "jeff", None, "passphrase1")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageError) as caught:
        store.remove(info.keyid)
    assert str(info.path) in caught.value.message


def test_a_key_that_another_process_removes_meanwhile_is_missing(
    store: KeyStore, key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyid = store.add(key, "jeff", None, "passphrase1").keyid
    read = files.read_regular

    def too_late(path: Path, limit: int) -> bytes:
        path.unlink()
        return read(path, limit)

    monkeypatch.setattr(files, "read_regular", too_late)
    with pytest.raises(KeyMissingError):
        KeyStore(store.directory).unlock(keyid, NOBODY)


def test_a_key_that_cannot_be_used_is_named_by_its_file(tmp_path: Path) -> None:
    path = tmp_path / f"{DEE}.key"
    shutil.copy(KEYS / "openssl" / "k1.pem", path)
    with pytest.raises(UnsupportedKeyError) as caught:
        KeyStore(tmp_path).unlock(DEE, NOBODY)
    assert caught.value.why[-1] == f"the file is {path}"
    assert caught.value.facts["file"] == str(path)


def test_export_and_import_of_a_bundle_keep_every_byte(store: KeyStore) -> None:
    bundle = (KEYS / "export-bundle-five-keys.pem").read_bytes()
    for block in pem.split(bundle):
        store.store(block)
    exported = b"".join(store.export(info.keyid) for info in store.list())
    assert exported == bundle
    for info in store.list():
        assert store.unlock(info.keyid, standard_chain(NOTARY, None, None)).public.keyid == info.keyid
        assert b"path:" not in info.path.read_bytes()


def test_a_plain_key_is_not_exported(store: KeyStore, key: PrivateKey) -> None:
    keyid = public_key_of(key).keyid
    store.directory.mkdir(parents=True)
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (store.directory / f"{keyid}.key").write_bytes(plain)
    with pytest.raises(KeyAccessError, match="not encrypted") as caught:
        store.export(keyid)
    assert "notarypy key load" in advice(caught.value)
    assert b"PRIVATE" not in repr(caught.value.facts).encode()


def test_storing_a_block_twice_keeps_the_first(store: KeyStore) -> None:
    first, *_ = pem.split((KEYS / "export-bundle-five-keys.pem").read_bytes())
    info = store.store(first)
    info.path.write_bytes(first.block + b"kept\n")
    assert store.store(first) == info
    assert info.path.read_bytes().endswith(b"kept\n")


@pytest.mark.parametrize("path", ["../../escape", "", DEE[:-1]])
def test_a_block_is_stored_under_nothing_but_an_id(store: KeyStore, path: str) -> None:
    (block,) = pem.split((KEYS / "ec-delegation-role-dee.key").read_bytes())
    text = block.block.replace(b"role:", f"path: {path}\nrole:".encode())
    with pytest.raises(UnsupportedKeyError):
        store.store(pem.split(text)[0])
    assert not store.directory.exists()


def test_a_changed_passphrase(store: KeyStore, key: PrivateKey) -> None:
    keyid = store.add(key, "targets", "localhost/a", "passphrase1").keyid
    before = store.block(keyid)
    info = store.change_passphrase(keyid, always("passphrase1"), "passphrase2", before)
    assert (info.role, info.gun) == ("targets", "localhost/a")
    with pytest.raises(PassphraseWrongError):
        KeyStore(store.directory).unlock(keyid, always("passphrase1"))
    assert KeyStore(store.directory).unlock(keyid, always("passphrase2")).public.keyid == keyid
    with pytest.raises(KeyAccessError, match="another process"):  # whose the file is by now
        store.change_passphrase(keyid, always("passphrase2"), "passphrase3", before)
    assert KeyStore(store.directory).unlock(keyid, always("passphrase2")).public.keyid == keyid


def test_a_directory_that_cannot_be_listed_is_an_error_not_an_empty_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> list[str]:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("notarypy.keys.keypaths.os.listdir", refuse)
    with pytest.raises(StorageError):
        KeyStore(tmp_path).available()
