"""Keys on tokens of SoftHSM, a real module: every role, one login, and what is said when something fails."""

from __future__ import annotations

import itertools
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from interop.harness import programs, softhsm
from interop.harness.softhsm import PIN, WRONG_PIN, SoftHsm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.people import Person
    from interop.harness.programs import Run

P256, P384, P521, RSA2048, RSA3072 = "EC:prime256v1", "EC:secp384r1", "EC:secp521r1", "rsa:2048", "rsa:3072"
IDENTITIES = (f"{number:02x}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    made = SoftHsm(tmp_path_factory.mktemp("softhsm"))
    made.make_token("release")
    return made


@pytest.fixture
def owner(alice: Person, hsm: SoftHsm) -> Person:
    alice.environment |= hsm.environment
    alice.environment |= {f"NOTARYPY_PASSPHRASE_{name}": PIN for name in ("ROOT", "TARGETS", "JEFF")}
    return alice


@pytest.fixture
def new_key(hsm: SoftHsm, unique: Callable[[], str]) -> Callable[..., str]:
    """Return a maker of keys that no other test has; it returns their URIs."""

    def made(kind: str = P256) -> str:
        return hsm.make_key("release", unique().rpartition("/")[2], kind, next(IDENTITIES))

    return made


def signer(owner: Person, repository: Repository, uri: str) -> None:
    """Make a key a signer of a repository."""
    owner.notarypy("key", "add", uri, "--name", "jeff").expect(0)
    public = softhsm.public_half(owner, "jeff")
    owner.notarypy("signer", "add", "--key", public, "jeff", repository.name).expect(0)


def refusal(run: Run, code: str, exit_code: int = 6) -> dict[str, Any]:
    """Return the error of a command with --json."""
    error: dict[str, Any] = run.expect(exit_code).document["results"][0]["error"]
    assert error["code"] == code, run
    return error


def calls(log: Path, name: str) -> int:
    """Count the calls of a function that the module between wrote down."""
    return len(re.findall(rf"^\d+: {name}$", log.read_text(errors="replace"), re.MULTILINE))


@pytest.mark.parametrize("kinds", [(P256, P384, P521), (RSA3072, RSA2048, P384), (P521, P256, RSA3072)])
def test_every_role_and_what_go_and_docker_read_of_it(
    owner: Person, bob: Person, repository: Repository, new_key: Callable[..., str], kinds: tuple[str, ...]
) -> None:
    root, targets, delegation = map(new_key, kinds)
    owner.notarypy("init", "--root-key", root, repository.name).expect(0)
    owner.notarypy("key", "rotate", repository.name, "targets", "--key", targets).expect(0)
    for first in (owner.trust_dir / "private").glob("*.key"):
        first.unlink()  # nothing is signed with a key that is here
    signer(owner, repository, delegation)
    image = repository.push("1")
    owner.notarypy("sign", repository.ref("1")).expect(0)
    assert image.sha256 in bob.notary("list", repository.name).expect(0).stdout
    bob.notarypy("verify", "--signer", "jeff", repository.ref("1")).expect(0)
    assert image.sha256 in bob.inspection(repository.name)
    owner.notarypy("renew", "--role", "root", "--role", "targets", repository.name).expect(0)
    bob.notary("list", repository.name).expect(0)


def test_many_tags_are_one_session_one_login_and_one_signature_of_each_role(
    owner: Person, hsm: SoftHsm, repository: Repository, new_key: Callable[..., str]
) -> None:
    signer(owner, repository, new_key())
    tags = [str(number) for number in range(8)]
    for tag in tags:
        repository.push(tag)
    log = owner.home / "calls.txt"
    uri = next((owner.trust_dir / "private").glob("*.ref"))
    uri.write_text(uri.read_text().replace(str(hsm.module), str(programs.pkcs11_module("pkcs11-spy"))))
    owner.notarypy("sign", *map(repository.ref, tags), **hsm.watched(log)).expect(0)
    counted = [calls(log, name) for name in ("C_Initialize", "C_Login", "C_SignInit", "C_Finalize")]
    assert counted == [1, 1, 2, 1]
    assert calls(log, "C_OpenSession") == 2  # one to look, and closed for the one that is logged in
    assert calls(log, "C_CloseSession") == 1


def test_a_wrong_pin_is_tried_once_for_all_repositories(
    owner: Person,
    hsm: SoftHsm,
    new_repository: Callable[[], Repository],
    new_key: Callable[..., str],
) -> None:
    uri = new_key()
    repositories = [new_repository() for _ in range(4)]
    for repository in repositories:
        signer(owner, repository, uri)
        repository.push("1")
    log = owner.home / "calls.txt"
    file = next((owner.trust_dir / "private").glob("*.ref"))
    file.write_text(file.read_text().replace(str(hsm.module), str(programs.pkcs11_module("pkcs11-spy"))))
    wrong = hsm.watched(log) | {"NOTARYPY_PASSPHRASE_JEFF": WRONG_PIN}
    before = owner.files()
    run = owner.notarypy("-vv", "sign", *(repository.ref("1") for repository in repositories), **wrong)
    assert "does not take the PIN from NOTARYPY_PASSPHRASE_JEFF" in run.expect(6).stderr
    assert calls(log, "C_Login") == 1
    assert WRONG_PIN not in run.text
    assert owner.files() == before


def test_no_output_and_no_file_has_the_pin(
    owner: Person, repository: Repository, new_key: Callable[..., str], tmp_path: Path
) -> None:
    source = tmp_path / "pin"
    source.write_text(f"{PIN}\n")
    signer(owner, repository, f"{new_key()}?pin-source=file:{source}")
    repository.push("1")
    runs = [
        owner.notarypy("-vv", "sign", repository.ref("1"), NOTARYPY_PASSPHRASE_JEFF=""),
        owner.notarypy("-vv", "--json", "key", "test", "jeff", NOTARYPY_PASSPHRASE_JEFF=""),
        owner.notarypy("-vv", "key", "list"),
    ]
    assert [PIN in run.expect(0).text for run in runs] == [False] * 3
    shown = runs[1].document["results"][0]["properties"]
    assert (shown["token"], shown["extractable"]) == ("release", "no")
    assert not [
        path for path in owner.home.rglob("*") if path.is_file() and PIN.encode() in path.read_bytes()
    ]


def test_what_is_missing_or_does_not_fit_is_named(
    owner: Person, hsm: SoftHsm, new_key: Callable[..., str], tmp_path: Path
) -> None:
    uri = new_key()
    add = ("--json", "key", "add", "--name", "jeff")
    error = refusal(owner.notarypy(*add, "pkcs11:token=drawer"), "key.token_missing")
    assert 'token "release"' in error["why"][0]
    missing = owner.notarypy(*add, "pkcs11:token=release;object=none", NOTARYPY_PASSPHRASE_JEFF="")
    refusal(missing, "key.missing")
    refusal(owner.notarypy(*add, "pkcs11:token=release;tokn=a"), "usage", 2)
    hidden = owner.notarypy("key", "add", f"{uri}?pin-value={PIN}").expect(2)
    assert PIN not in hidden.text
    for module, why in (
        ("/usr/lib/no-such-module.so", "no file here"),
        (tmp_path / "empty.so", "cannot be used"),
        (programs.pkcs11_module("libopensc"), "cannot be used"),
    ):
        (tmp_path / "empty.so").write_bytes(b"")
        error = refusal(owner.notarypy(*add, uri, PKCS11_MODULE_PATH=str(module)), "key.backend_missing")
        assert why in " ".join([error["message"], *error["why"]])
    nowhere = owner.notarypy(*add, uri, SOFTHSM2_CONF=str(tmp_path / "none"))
    refusal(nowhere, "key.backend_missing")
    hsm.make_token("twin")
    hsm.make_token("twin")
    error = refusal(owner.notarypy(*add, "pkcs11:token=twin"), "key.ambiguous")
    assert len({re.findall(r"serial (\S+),", line)[0] for line in error["why"]}) == 2


def test_keys_with_one_id_and_wrong_pins_of_several_keys(owner: Person, hsm: SoftHsm) -> None:
    hsm.make_token("twins")
    names = {"one": P256, "two": RSA2048, "three": P384}
    for name, kind in names.items():
        uri = hsm.make_key("twins", name, kind, "55")
        owner.notarypy("key", "add", uri, "--name", name).expect(0)
        owner.notarypy("key", "test", name, **{f"NOTARYPY_PASSPHRASE_{name.upper()}": PIN}).expect(0)
    error = refusal(owner.notarypy("--json", "key", "add", "pkcs11:token=twins;id=%55"), "key.ambiguous")
    assert "object=LABEL" in error["fix"]
    log = owner.home / "calls.txt"
    for file in (owner.trust_dir / "private").glob("*.ref"):
        spy = str(programs.pkcs11_module("pkcs11-spy"))
        file.write_text(file.read_text().replace(str(hsm.module), spy))
    script = owner.home / "several.py"
    script.write_text(SEVERAL)
    wrong = {f"NOTARYPY_PASSPHRASE_{name.upper()}": f"{WRONG_PIN}{name}" for name in names}
    environment = owner.environment | hsm.watched(log) | wrong
    run = programs.run([sys.executable, str(script), str(owner.trust_dir), *names], environment).expect(0)
    assert run.stdout.split() == ["key.pin_wrong"] * 3
    assert calls(log, "C_Login") == 1


SEVERAL = """
import sys
from notarypy import Client
from notarypy.errors import KeyAccessError

with Client.from_environment(trust_dir=sys.argv[1]) as client:
    for name in sys.argv[2:]:
        try:
            client.keys.test(name)
        except KeyAccessError as error:
            print(error.code)
"""


PROCESS = """
import multiprocessing, os, sys, threading
from notarypy.keys.passphrases import CallbackSource, PassphraseChain
from notarypy.keys.keyinfo import PassphraseRequest
from notarypy.keys.signers import pkcs11modules
from notarypy.keys.signers.base import SignerContext
from notarypy.keys.signers.pkcs11 import Pkcs11Signer
from notarypy.tuf import envelope

pin, token = sys.argv[1:]
chain = PassphraseChain([CallbackSource(lambda _: pin, pins=True)])
context = SignerContext(PassphraseRequest("", "jeff"), chain, os.environ)


def signs(signer):
    message = threading.current_thread().name.encode()
    assert envelope.verify(signer.public, *signer.sign(message), message)


def side_by_side(signers):
    threads = [threading.Thread(target=signs, args=(signer,)) for signer in signers * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for signer in signers:
        signs(signer)


made = [Pkcs11Signer.generate(f"{token};object=made-{kind}", context, kind) for kind in ("ecdsa", "rsa")]
side_by_side(made)
again = [Pkcs11Signer.open(signer.uri, context) for signer in made]
assert [signer.public for signer in again] == [signer.public for signer in made]
fork = multiprocessing.get_context("fork")
children = [fork.Process(target=side_by_side, args=(again,)) for _ in range(3)]
for child in children:  # in turn: while SoftHSM logs in it rewrites its file, and others read half of it
    child.start()
    child.join()
side_by_side(again)
assert [child.exitcode for child in children] == [0, 0, 0]
for module in pkcs11modules._MODULES.values():  # as if the token was pulled and is back
    module.library.finalize()
    module.library.initialize()
for signer in again:
    signs(signer)
    print(sorted(signer.properties().items()))
"""


def test_keys_are_made_and_used_in_threads_and_children(hsm: SoftHsm) -> None:
    argv = [sys.executable, "-W", "error", "-c", PROCESS, PIN, "pkcs11:token=release"]
    run = programs.run(argv, hsm.environment).expect(0)
    assert run.stdout.count("('extractable', 'no')") == 2
    assert run.stderr == ""
    shown = hsm.tool("release", "--list-objects").stdout
    assert shown.count("made-ecdsa") == shown.count("made-rsa") == 2
    assert "never extractable" in shown


def test_a_token_in_a_drawer_is_for_its_own_keys_alone(
    owner: Person, repository: Repository, new_key: Callable[..., str], tmp_path: Path
) -> None:
    owner.notarypy("init", "--root-key", new_key(), repository.name).expect(0)
    repository.push("1")
    away = {"SOFTHSM2_CONF": str(tmp_path / "none"), "NOTARYPY_PASSPHRASE_ROOT": ""}
    owner.notarypy("sign", repository.ref("1"), **away).expect(0)
    owner.notarypy("key", "list", **away).expect(0)
