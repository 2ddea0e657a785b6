"""Keys on tokens: found, made and used, and each way in which that fails, without any token."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass, TokenFlag

from notarypy.errors import (
    AlreadyExistsError,
    BackendMissingError,
    ConfigurationError,
    DeadlineError,
    KeyAccessError,
    KeyAmbiguousError,
    KeyMissingError,
    PassphraseNeededError,
    PinLockedError,
    PinWrongError,
    TokenMissingError,
    UnsupportedKeyError,
)
from notarypy.keys.keyinfo import PassphraseRequest
from notarypy.keys.keystore import KeyStore
from notarypy.keys.passphrases import CallbackSource, PassphraseChain, standard_chain
from notarypy.keys.signers import pkcs11modules
from notarypy.keys.signers.base import SignerContext
from notarypy.keys.signers.keyfile import LocalSigner
from notarypy.keys.signers.pkcs11 import Pkcs11Signer
from notarypy.keys.signers.rootcertificate import root_certificate
from notarypy.tuf import der, envelope
from notarypy.tuf.keys import PublicKey, public_key_of
from notarypy.values import replace
from support import faketokens
from support.faketokens import PIN, Card
from support.rsakeys import kept_key

if TYPE_CHECKING:
    from pathlib import Path

URI = "pkcs11:token=release;object=jeff"
EC = ec.generate_private_key(ec.SECP256R1())
RSA = kept_key(2048)


class Desk:
    """A card with one key, in a module, and somebody who knows the PIN."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self.card = Card()
        self.halves = self.card.add(EC)
        self.library, self.path = faketokens.provide(patch, folder, self.card)
        self.asked = 0
        self.pin = PIN

    def chain(self) -> PassphraseChain:
        """Return a chain that counts how often it is asked."""

        def answer(request: PassphraseRequest) -> str:
            assert request.token
            self.asked += 1
            return self.pin

        return PassphraseChain([CallbackSource(answer, "the vault", pins=True)])

    def context(self, chain: PassphraseChain | None = None, public: PublicKey | None = None) -> SignerContext:
        environ = {"PKCS11_MODULE_PATH": self.path}
        request = PassphraseRequest(public.keyid if public else "", "jeff")
        return SignerContext(request, chain or self.chain(), environ, public=public)

    def open(self, uri: str = URI) -> Pkcs11Signer:
        return Pkcs11Signer.open(uri, self.context())


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    return Desk(monkeypatch, tmp_path)


def signs(signer: Pkcs11Signer) -> bool:
    method, signature = signer.sign(b"message")
    return envelope.verify(signer.public, method, signature, b"message")


def test_the_public_half_is_read_without_a_pin_and_the_kept_uri_names_this_key(desk: Desk) -> None:
    signer = desk.open()
    assert signer.public == public_key_of(EC)
    assert desk.asked == desk.card.logins == 0
    assert signer.uri == f"pkcs11:token=release;serial=0001;object=jeff;id=%01?module-path={desk.path}"
    again = Pkcs11Signer.open(signer.uri, SignerContext(PassphraseRequest("", "jeff"), desk.chain(), {}))
    assert again.uri == signer.uri
    assert signs(again)
    assert (desk.asked, desk.card.logins) == (1, 1)


def test_a_key_that_is_known_is_opened_without_any_module(desk: Desk) -> None:
    known = public_key_of(EC)
    signer = Pkcs11Signer.open(f"{URI}?module-path=/nowhere.so", desk.context(public=known))
    assert signer.public == known
    with pytest.raises(BackendMissingError, match="no such module") as caught:
        signer.sign(b"")
    assert caught.value.advice is not None
    assert caught.value.advice.name == "name-moved-module"


@pytest.mark.parametrize("curve", [ec.SECP224R1(), ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
@pytest.mark.parametrize("bare", [False, True])
def test_every_curve_signs_a_digest_of_sha256(desk: Desk, curve: ec.EllipticCurve, bare: bool) -> None:
    public, _ = desk.card.add(ec.generate_private_key(curve), b"\2", "other")
    if bare:
        public[Attribute.EC_POINT] = der.content(public[Attribute.EC_POINT])
    assert signs(desk.open("pkcs11:id=%02"))
    assert [mechanism for mechanism, _, _ in desk.card.signed] == [Mechanism.ECDSA]


def test_rsa_signs_as_pss_and_makes_its_root_certificate(desk: Desk) -> None:
    desk.card.add(RSA, b"\2", "other")
    signer = desk.open("pkcs11:id=%02")
    assert signs(signer)
    made = root_certificate(signer, "r/app", datetime.now(UTC))
    certificate = load_pem_x509_certificate(made.public)
    certificate.verify_directly_issued_by(certificate)


def test_rsa_signs_as_pkcs1v15_for_cosign(desk: Desk) -> None:
    desk.card.add(RSA, b"\2", "other")
    desk.card.mechanisms = {Mechanism.RSA_PKCS}
    with pytest.raises(UnsupportedKeyError, match="as Notary needs") as caught:
        desk.open("pkcs11:id=%02")
    assert caught.value.why == ("it has no RSA_PKCS_PSS",)
    signer = Pkcs11Signer.open("pkcs11:id=%02", replace(desk.context(), cosign=True))
    RSA.public_key().verify(signer.sign_pkcs1v15(b"message"), b"message", padding.PKCS1v15(), SHA256())
    assert [mechanism for mechanism, _, _ in desk.card.signed] == [Mechanism.RSA_PKCS]


def test_a_token_that_signs_by_pss_alone_is_none_for_cosign(desk: Desk) -> None:
    desk.card.add(RSA, b"\2", "other")
    with pytest.raises(UnsupportedKeyError, match="as cosign needs") as caught:
        Pkcs11Signer.open("pkcs11:id=%02", replace(desk.context(), cosign=True))
    assert caught.value.why == ("it has no RSA_PKCS",)


def test_several_threads_share_one_session_and_one_login(desk: Desk) -> None:
    signers = [desk.open() for _ in range(8)]
    results: list[bool] = []
    threads = [threading.Thread(target=lambda signer=each: results.append(signs(signer))) for each in signers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 8
    assert (desk.asked, desk.card.logins, desk.card.opened) == (1, 1, 2)  # one to look, one with the login


def test_a_wrong_pin_is_tried_once_whoever_asks(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    desk.pin = "no-such-pin"
    signers, errors = [desk.open() for _ in range(16)], []

    def sign(signer: Pkcs11Signer) -> None:
        try:
            signer.sign(b"")
        except PinWrongError as error:
            errors.append(error)

    threads = [threading.Thread(target=sign, args=(signer,)) for signer in signers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 16
    assert desk.card.logins == 1
    assert {error.message for error in errors} == {'the token "release" does not take the PIN from the vault'}
    assert "it was tried once" in errors[0].why
    assert "the token counts wrong PINs, and locks after a few" in errors[0].why
    assert "no-such-pin" not in str([vars(error) for error in errors]) + caplog.text
    desk.pin = PIN  # another value of somebody else is another try
    assert signs(desk.open())
    assert desk.card.logins == 2


def test_other_sources_of_the_same_client_are_no_other_tries(desk: Desk) -> None:
    names = ("one", "two", "three", "four")
    wrong = {f"NOTARYPY_PASSPHRASE_{name.upper()}": f"wrong-{name}" for name in names}
    chain = standard_chain(wrong, None, None)
    for name in names:
        context = replace(desk.context(chain), request=PassphraseRequest("", name))
        with pytest.raises(PinWrongError, match="the PIN from NOTARYPY_PASSPHRASE_ONE"):
            Pkcs11Signer.open(URI, context).sign(b"")
    assert desk.card.logins == 1


def test_nobody_is_asked_again_after_a_wrong_answer(desk: Desk) -> None:
    asked: list[str] = []

    def prompt(text: str) -> str:
        asked.append(text)
        return f"wrong{len(asked)}"

    chain = standard_chain({}, None, prompt)
    for _ in range(3):
        with pytest.raises(PinWrongError, match="the PIN from the prompt"):
            Pkcs11Signer.open(URI, desk.context(chain)).sign(b"")
    assert asked == ['PIN of token "release": ']
    assert desk.card.logins == 1


def test_what_was_wrong_is_not_tried_again_from_another_source(desk: Desk) -> None:
    for name, logins in (("the vault", 1), ("the drawer", 1)):
        chain = PassphraseChain([CallbackSource(lambda _: "no-such-pin", name, pins=True)])
        with pytest.raises(PinWrongError, match=f"the PIN from {name}"):
            Pkcs11Signer.open(URI, desk.context(chain)).sign(b"")
        assert desk.card.logins == logins
    assert signs(desk.open())


def test_the_pin_stands_in_the_file_that_the_uri_names(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "a pin"
    uri = f"{URI}?pin-source=file:{str(file).replace(' ', '%20')}"
    file.write_text(f"{PIN}\r\n")
    signer = desk.open(uri)
    assert signs(signer)
    assert desk.asked == 0
    assert f"pin-source={str(file).replace(' ', '%20')}" in signer.uri
    desk.card.pull()
    desk.card.plugged = True
    file.write_text("wrong\n")
    with pytest.raises(PinWrongError, match=f"the PIN from pin-source {file}"):
        signer.sign(b"")
    file.unlink()
    with pytest.raises(ConfigurationError, match="cannot read"):
        desk.open(uri).sign(b"")


def test_a_file_without_a_pin_is_no_source_and_what_is_no_text_is_not_tried(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "pin").write_text("\n")
    assert signs(desk.open(f"{URI}?pin-source={tmp_path / 'pin'}"))
    assert (desk.asked, desk.card.logins) == (1, 1)
    desk.card.pull()
    desk.card.plugged = True
    desk.pin = "\udcff-4711"
    with pytest.raises(PinWrongError) as caught:
        desk.open().sign(b"")
    assert caught.value.why[0] == "it is no text, and was not tried"
    assert desk.card.logins == 1


@pytest.mark.parametrize("known", [False, True])
def test_the_pin_may_be_named_by_the_id_of_a_key_at_a_uri(desk: Desk, known: bool) -> None:
    public = public_key_of(EC)
    chain = standard_chain({f"NOTARYPY_PASSPHRASE_{public.keyid[:7]}": PIN}, None, None)
    assert signs(Pkcs11Signer.open(URI, desk.context(chain, public if known else None)))


def test_without_a_pin_a_key_is_noted_and_does_not_sign(desk: Desk) -> None:
    signer = Pkcs11Signer.open(URI, desk.context(standard_chain({}, None, None)))
    with pytest.raises(PassphraseNeededError, match='no PIN for the token "release"'):
        signer.sign(b"")
    assert desk.card.logins == 0


def test_a_token_that_hides_all_is_asked_with_the_pin(desk: Desk) -> None:
    desk.card.hides = True
    with pytest.raises(PassphraseNeededError):
        Pkcs11Signer.open(URI, desk.context(standard_chain({}, None, None)))
    assert signs(desk.open())
    assert desk.card.logins == 1


def test_a_token_without_login_and_one_with_keys_of_its_own_take_no_pin(desk: Desk) -> None:
    desk.card.flags = TokenFlag.TOKEN_INITIALIZED
    assert signs(desk.open())
    desk.card.pull()
    desk.card.plugged = True
    desk.card.flags = faketokens.USUAL | TokenFlag.PROTECTED_AUTHENTICATION_PATH
    assert signs(desk.open())
    assert desk.asked == 0


def test_somebody_in_this_process_logged_in_before(desk: Desk) -> None:
    other = desk.card.open(user_pin=PIN)
    signer = desk.open()
    assert signs(signer)
    assert desk.card.logins == 1
    other.close()
    assert signs(signer)  # the login is gone with the session that had it
    assert desk.card.logins == 2


def test_a_key_that_wants_the_pin_with_each_signature_gets_it(desk: Desk) -> None:
    desk.halves[1][Attribute.ALWAYS_AUTHENTICATE] = True
    signer = desk.open()
    assert signs(signer)
    assert signs(signer)
    assert [with_pin for _, _, with_pin in desk.card.signed] == [True, True]
    assert (desk.asked, desk.card.logins) == (1, 3)
    desk.card.fails["login"] = [pkcs11.PinIncorrect]
    with pytest.raises(PinWrongError):
        signer.sign(b"")
    assert PIN not in repr(vars(signer))


@pytest.mark.parametrize("lost", [pkcs11.SessionHandleInvalid, pkcs11.DeviceRemoved, pkcs11.DeviceError])
@pytest.mark.parametrize("where", ["find", "sign"])
def test_a_session_that_was_lost_is_opened_anew_once(desk: Desk, lost: type[Exception], where: str) -> None:
    signer = desk.open()
    assert signs(signer)
    desk.card.fails[where] = [lost]
    assert signs(signer)
    desk.card.fails[where] = [lost, lost, lost]
    with pytest.raises(KeyAccessError) as caught:
        signer.sign(b"")
    assert caught.value.__suppress_context__
    assert len(desk.card.fails[where]) == 1


def test_a_token_that_was_pulled_is_missing_and_signs_when_it_is_back(desk: Desk) -> None:
    desk.library.cards.append(Card(label="other", serial=b"2"))
    signer = desk.open()
    assert signs(signer)
    desk.card.pull()
    with pytest.raises(TokenMissingError, match='no token "release"') as caught:
        signer.sign(b"")
    assert caught.value.why == ('there is token "other", serial 2, Card 1 of Maker',)
    desk.card.plugged, desk.card.slot_id = True, 9
    assert signs(signer)


def test_a_key_is_ready_where_the_token_is_and_takes_the_pin(desk: Desk) -> None:
    signer = desk.open()
    signer.prepare()
    assert (desk.asked, desk.card.logins, desk.card.signed) == (1, 1, [])
    desk.card.pull()
    with pytest.raises(TokenMissingError):
        signer.prepare()


@pytest.mark.parametrize("where", ["get_slots", "open"])
def test_a_module_that_hangs_is_left_behind(desk: Desk, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    done = threading.Event()
    monkeypatch.setattr(pkcs11modules, "_hanging", [])
    monkeypatch.setattr(pkcs11modules, "_LONGEST", 0.1)
    monkeypatch.setattr(desk.library if where == "get_slots" else desk.card, where, lambda **_: done.wait())
    for _ in range(2):
        with pytest.raises(DeadlineError, match=f"the module {desk.path} does not answer"):
            desk.open()
    done.set()


@pytest.mark.parametrize("ends", [DeadlineError, KeyboardInterrupt])
def test_a_token_that_waits_too_long_is_left_behind(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, ends: type[BaseException]
) -> None:
    signer, touched = desk.open(), threading.Event()
    signer.prepare()
    monkeypatch.setattr(pkcs11modules, "_hanging", [])
    waits, join = threading.Event(), threading.Thread.join

    def sign(*_: object, **__: object) -> bytes:
        waits.set()
        touched.wait()
        return b""

    def joined(thread: threading.Thread, timeout: float) -> None:
        while thread.is_alive() and not waits.is_set():
            join(thread, timeout / 1000)
        if waits.is_set() and ends is KeyboardInterrupt:
            raise KeyboardInterrupt

    monkeypatch.setattr(faketokens.SigningEntry, "sign", sign)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(threading.Thread, "join", joined)
        with pytest.raises(ends):
            signer.sign(b"")
    with pytest.raises(
        DeadlineError, match='the token with the key "jeff" with id %01 does not answer'
    ) as caught:
        signer.prepare()  # another thread is in the module still
    assert caught.value.exit_code == 8
    touched.set()


def test_a_child_begins_anew(desk: Desk) -> None:
    signer = desk.open()
    assert signs(signer)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        desk.card.logged_in = False  # as a module that begins anew
        os.write(writing, f"{signs(signer)} {desk.library.started} {desk.card.logins}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100) == b"True 2 2"
    assert signs(signer)
    assert (desk.library.started, desk.card.logins) == (1, 1)


@pytest.mark.parametrize(
    ("where", "raised", "error", "text"),
    [
        ("login", pkcs11.PinLocked, PinLockedError, "after too many wrong ones"),
        ("login", pkcs11.PinExpired, PinLockedError, "has expired"),
        ("login", pkcs11.UserPinNotInitialized, PinLockedError, "none was set"),
        ("login", pkcs11.PinLenRange, PinWrongError, "tried once"),
        ("login", pkcs11.FunctionFailed, KeyAccessError, "FunctionFailed"),
        ("sign", pkcs11.MechanismInvalid, UnsupportedKeyError, "MechanismInvalid"),
        ("sign", pkcs11.GeneralError, KeyAccessError, "GeneralError"),
        ("sign", pkcs11.HostMemory, KeyAccessError, "HostMemory"),
    ],
)
def test_each_failure_is_its_own_error(
    desk: Desk, where: str, raised: type[Exception], error: type[KeyAccessError], text: str
) -> None:
    desk.card.fails[where] = [raised]
    with pytest.raises(error) as caught:
        desk.open().sign(b"")
    assert type(caught.value) is error
    assert text in " ".join(caught.value.why)
    assert "release" in caught.value.message
    assert caught.value.__suppress_context__


def test_a_pin_that_is_locked_by_the_try_is_told(desk: Desk) -> None:
    signer = desk.open()
    desk.card.flags |= TokenFlag.USER_PIN_LOCKED
    desk.card.fails["login"] = [pkcs11.PinIncorrect]
    with pytest.raises(PinLockedError):
        signer.sign(b"")


def test_a_key_for_something_else_does_not_sign(desk: Desk) -> None:
    desk.card.add(ec.generate_private_key(ec.SECP256R1()), b"\2", "other", sign=False)
    with pytest.raises(UnsupportedKeyError, match="does not sign"):
        desk.open("pkcs11:id=%02").sign(b"")


def test_tokens_of_one_label_are_told_apart_by_serial_number(desk: Desk) -> None:
    other = Card(serial=b"0002\0\0", slot_id=8)
    other.add(EC)
    desk.library.cards.append(other)
    with pytest.raises(KeyAmbiguousError, match='2 tokens that fit: "release"') as caught:
        desk.open()
    assert [line.split(", ")[1] for line in caught.value.why] == ["serial 0001", "serial 0002"]
    assert "serial=0002" in desk.open(f"{URI};serial=0002").uri
    other.serial = desk.card.serial
    assert ";slot-id=8;" in desk.open(f"{URI};slot-id=8").uri.replace("?", ";") + ";"


@pytest.mark.parametrize(
    "attribute",
    [
        *("manufacturer=Maker", "model=Card%201", "slot-id=7", "slot-description=Reader"),
        *("library-manufacturer=Maker", "library-version=2.6", "library-version=2", "serial=0001%20"),
    ],
)
def test_what_a_uri_says_of_the_token_is_looked_at(desk: Desk, attribute: str) -> None:
    assert desk.open(f"{URI};{attribute}").public == public_key_of(EC)
    with pytest.raises(TokenMissingError):
        desk.open(f"{URI};{attribute.partition('=')[0]}=9")


def test_slots_that_are_empty_or_broken_hide_no_token(desk: Desk) -> None:
    empty, blank = Card(plugged=False), Card(label="", flags=TokenFlag.LOGIN_REQUIRED)
    desk.library.cards[:0] = [empty, blank, Card(fails={"token": [pkcs11.DeviceError] * 9})]
    assert desk.open().public == public_key_of(EC)
    desk.card.pull()
    with pytest.raises(BackendMissingError, match="cannot be talked to"):
        desk.open()


def test_several_keys_that_fit_are_named(desk: Desk) -> None:
    desk.card.add(ec.generate_private_key(ec.SECP256R1()), b"\2", "jeff")
    with pytest.raises(KeyAmbiguousError, match="2 keys") as caught:
        desk.open()
    assert caught.value.why == ('key "jeff" with id %01', 'key "jeff" with id %02')
    assert desk.open(f"{URI};id=%01").public == public_key_of(EC)
    desk.card.add(ec.generate_private_key(ec.SECP256R1()), b"\1", "twin")
    with pytest.raises(KeyAmbiguousError):
        desk.open("pkcs11:id=%01")


def test_keys_with_one_id_are_told_apart_by_label(desk: Desk) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    desk.card.add(other, b"\1", "twin")
    odd, _ = desk.card.add(ec.generate_private_key(ec.SECP256R1()), b"\1", "odd")
    odd[Attribute.KEY_TYPE] = KeyType.EC_EDWARDS  # another's kind is not judged
    for label, key in (("jeff", EC), ("twin", other)):
        signer = desk.open(f"pkcs11:object={label}")
        assert signer.public == public_key_of(key)
        assert f"object={label};id=%01" in signer.uri
        assert signs(Pkcs11Signer.open(signer.uri, desk.context(public=signer.public)))
    del odd[Attribute.KEY_TYPE]
    odd[Attribute.KEY_TYPE] = KeyType.EC
    for uri in ("pkcs11:id=%01", "pkcs11:"):
        with pytest.raises(KeyAmbiguousError) as caught:
            desk.open(uri)
        assert caught.value.advice is not None
        assert caught.value.advice.name == "part-twins"


def test_a_key_without_an_id_is_found_by_its_label(desk: Desk) -> None:
    desk.card.add(RSA, b"", "plain")
    signer = desk.open("pkcs11:object=plain")
    assert ";object=plain?" in signer.uri
    assert signs(signer)


def test_halves_with_other_labels_are_one_key(desk: Desk) -> None:
    desk.halves[0][Attribute.LABEL] = "Public key for signatures"
    desk.halves[1][Attribute.LABEL] = "Private key for signatures"
    assert signs(desk.open("pkcs11:object=Public%20key%20for%20signatures"))
    assert signs(desk.open("pkcs11:object=Private%20key%20for%20signatures"))


def test_the_certificate_of_a_key_has_its_public_half(desk: Desk) -> None:
    made = root_certificate(LocalSigner(EC), "r/app", datetime.now(UTC))
    value = load_pem_x509_certificate(made.public).public_bytes(Encoding.DER)
    desk.card.entries[0].attributes = {
        Attribute.CLASS: ObjectClass.CERTIFICATE,
        Attribute.ID: b"\1",
        Attribute.LABEL: "jeff",
        Attribute.VALUE: value,
    }
    assert signs(desk.open())


def test_a_private_half_alone_is_not_enough(desk: Desk) -> None:
    del desk.card.entries[0]
    with pytest.raises(UnsupportedKeyError, match='public half of the key "jeff" is missing'):
        desk.open()


def test_a_key_that_is_not_there_is_missing_and_what_is_there_is_named(desk: Desk) -> None:
    with pytest.raises(KeyMissingError, match='no key "tom"') as caught:
        Pkcs11Signer.open("pkcs11:object=tom", desk.context(standard_chain({}, None, None)))
    assert caught.value.why == ('there is key "jeff" with id %01',)
    with pytest.raises(KeyMissingError) as caught:
        desk.open("pkcs11:id=01")
    assert caught.value.why[0].startswith("id=01 are 2 characters")
    signer = desk.open()
    del desk.card.entries[1]
    with pytest.raises(KeyMissingError, match='private half of the key "jeff" with id %01 is gone') as caught:
        signer.sign(b"")
    assert caught.value.why == ("its public half or certificate is still there",)


@pytest.mark.parametrize(
    "change",
    [
        {Attribute.KEY_TYPE: KeyType.EC_EDWARDS},
        {Attribute.EC_PARAMS: bytes.fromhex("06052b8104000a")},  # secp256k1
        {Attribute.EC_PARAMS: bytes.fromhex("3000")},
        {Attribute.EC_POINT: b"\4\5"},
        {Attribute.EC_POINT: b""},
    ],
)
def test_a_key_that_notary_cannot_use_is_refused(desk: Desk, change: dict[Attribute, Any]) -> None:
    desk.halves[0].update(change)
    with pytest.raises(UnsupportedKeyError):
        desk.open()


def test_a_key_that_is_too_short_or_of_a_token_without_the_mechanism_is_refused(desk: Desk) -> None:
    public, _ = desk.card.add(RSA, b"\2", "short")
    public[Attribute.MODULUS] = public[Attribute.MODULUS][-128:]  # nobody makes such keys any more
    with pytest.raises(UnsupportedKeyError, match="cannot use this key"):
        desk.open("pkcs11:id=%02")
    desk.card.mechanisms = {Mechanism.RSA_PKCS}
    with pytest.raises(UnsupportedKeyError, match="does not sign with ecdsa") as caught:
        desk.open()
    assert caught.value.why == ("it has no ECDSA",)


@pytest.mark.parametrize("algorithm", ["ecdsa", "rsa"])
def test_a_key_is_made_on_the_token_and_takes_nobodys_place(desk: Desk, algorithm: str) -> None:
    made = Pkcs11Signer.generate("pkcs11:token=release;object=new", desk.context(), algorithm)
    assert made.public.keytype == algorithm
    assert signs(made)
    assert Pkcs11Signer.open(made.uri, desk.context()).uri == made.uri
    before = len(desk.card.entries)
    for taken in ("object=new", "object=free;id=%01", "id=%01"):
        with pytest.raises(AlreadyExistsError, match="there is a key"):
            Pkcs11Signer.generate(f"pkcs11:token=release;{taken}", desk.context(), algorithm)
    assert len(desk.card.entries) == before
    assert desk.card.logins == 1


def test_a_key_is_made_for_signing_alone_but_in_a_tpm(desk: Desk) -> None:
    Pkcs11Signer.generate("pkcs11:token=release;object=new", desk.context(), "ecdsa")
    desk.library.library_description = "TPM2.0 Cryptoki"
    Pkcs11Signer.generate("pkcs11:token=release;object=other", desk.context(), "ecdsa")
    signs, also = MechanismFlag.SIGN | MechanismFlag.VERIFY, MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT
    assert desk.card.made_for == [signs, signs | also]


def test_a_key_is_called_as_its_role_where_nothing_is_said(desk: Desk) -> None:
    with pytest.raises(AlreadyExistsError):  # jeff
        Pkcs11Signer.generate("pkcs11:", desk.context(), "ecdsa")
    desk.halves[0][Attribute.LABEL] = desk.halves[1][Attribute.LABEL] = "tom"
    assert ";object=jeff;id=" in Pkcs11Signer.generate("pkcs11:", desk.context(), "ecdsa").uri


@pytest.mark.parametrize("raised", [pkcs11.TokenWriteProtected, pkcs11.UserNotLoggedIn, pkcs11.DeviceError])
def test_a_key_that_cannot_be_made_is_not_tried_again(desk: Desk, raised: type[Exception]) -> None:
    desk.card.fails["generate"] = [raised, raised]
    with pytest.raises(KeyAccessError):
        Pkcs11Signer.generate("pkcs11:object=new", desk.context(), "ecdsa")
    assert desk.card.fails["generate"] == [raised]


def test_the_token_says_what_it_is(desk: Desk) -> None:
    signer = desk.open()
    assert signer.properties() == {
        "token": "release",
        "serial": "0001",
        "model": "Card 1 of Maker",
        "mechanisms": "ECDSA RSA_PKCS_PSS",
    }
    assert desk.asked == 0
    desk.card.flags |= TokenFlag.USER_PIN_FINAL_TRY
    assert signs(signer)
    assert signer.properties()["pin-tries"] == "one wrong PIN locks it"
    assert signer.properties()["extractable"] == signer.properties()["always-authenticate"] == "no"


def test_a_key_store_notes_a_key_and_signs_with_it(desk: Desk, tmp_path: Path) -> None:
    noted = KeyStore(tmp_path / "private").refer(f"{URI}?module-path={desk.path}", "jeff", desk.chain())
    assert noted.uri is not None
    assert "serial=0001" in noted.uri
    environ = {"PKCS11_MODULE_PATH": desk.path}
    signer = KeyStore(tmp_path / "private", environ=environ).unlock(noted.keyid, desk.chain())
    assert envelope.verify(public_key_of(EC), *signer.sign(b"m"), b"m")


def test_a_module_that_a_reference_names_is_one_of_the_system_or_of_the_environment(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = desk.open().uri
    context = SignerContext(PassphraseRequest("", "jeff"), desk.chain(), {}, public=public_key_of(EC))
    loaded: dict[str, object] = {}
    monkeypatch.setattr(pkcs11modules, "_MODULES", loaded)
    folder = noted.replace(f"module-path={desk.path}", f"module-path={tmp_path}&module-name=module")
    for uri in (noted, folder):
        with pytest.raises(BackendMissingError, match="is not loaded") as caught:
            Pkcs11Signer.open(uri, context).sign(b"")
        assert caught.value.advice is not None
        assert caught.value.advice.values == {"path": desk.path}
    assert loaded == {}
    monkeypatch.setattr(pkcs11modules, "_SYSTEM", (f"{tmp_path}/",))
    assert signs(Pkcs11Signer.open(noted, context))
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "x.so").symlink_to(desk.path)
    monkeypatch.setattr(pkcs11modules, "_SYSTEM", (f"{tmp_path}/lib/",))
    linked = noted.replace(desk.path, f"{tmp_path}/lib/x.so")
    with pytest.raises(BackendMissingError, match="is not loaded"):
        Pkcs11Signer.open(linked, context).sign(b"")


# -- modules


@pytest.mark.parametrize(
    ("place", "mode", "problem"),
    [
        ("module.so", 0o666, "everybody can write to it"),
        ("module.so", 0o664, "a group can write to it"),
        ("", 0o777, "everybody can write to it"),
        ("", 0o770, "a group can write to it"),
    ],
)
def test_a_module_that_others_can_change_is_not_loaded(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, mode: int, problem: str
) -> None:
    (tmp_path / place).chmod(mode)
    monkeypatch.setattr(os, "getegid", lambda: 12345)  # so that no group is a user's own
    look = os.stat

    def stat(path: str, **options: bool) -> os.stat_result:
        found = look(path, **options)
        return os.stat_result((*found[:5], 4711, *found[6:]))

    monkeypatch.setattr(os, "stat", stat)
    with pytest.raises(BackendMissingError, match="is not loaded") as caught:
        desk.open()
    assert caught.value.why == (f"{tmp_path / place}".rstrip("/") + f": {problem}",)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (tmp_path / place).chmod(0o1777 if not place else 0o600)
    assert signs(desk.open())


def test_a_module_of_somebody_else_is_not_loaded(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = os.stat

    def stat(path: str, **options: bool) -> os.stat_result:
        found = look(path, **options)
        owner = 4711 if str(path) == str(tmp_path) else 0
        return os.stat_result((*found[:4], owner, *found[5:]))

    monkeypatch.setattr(os, "stat", stat)
    with pytest.raises(BackendMissingError, match="is not loaded") as caught:
        desk.open()
    assert caught.value.why == (f"{tmp_path}: it belongs to somebody else",)


LOADED = """
import os, re, signal, sys, threading
from notarypy.errors import DeadlineError
from notarypy.keys.passphrases import standard_chain
from notarypy.keys.keyinfo import PassphraseRequest
from notarypy.keys.signers import pkcs11modules
from notarypy.keys.signers.base import SignerContext
from notarypy.keys.signers.pkcs11 import Pkcs11Signer

library = re.search(r"(/\\S+/libc[.-]\\S*)", open("/proc/self/maps").read())[1]
pkcs11modules._ENTRY = "pause"  # of the system's own library, in the place of what a module has
pkcs11modules._LONGEST = float(sys.argv[1])
environ = {"PKCS11_MODULE_PATH": library}
context = SignerContext(PassphraseRequest("", "jeff"), standard_chain({}, None, None), environ)
if sys.argv[2:]:
    join = threading.Thread.join

    def joined(thread, timeout):
        os.kill(os.getpid(), signal.SIGINT)
        join(thread, timeout)

    threading.Thread.join = joined
try:
    Pkcs11Signer.open("pkcs11:token=release", context)
except (DeadlineError, KeyboardInterrupt) as error:
    print(type(error).__name__, flush=True)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for a library in /proc")
@pytest.mark.parametrize("words", [["0.1"], ["3600", "interrupted"]])
def test_a_module_that_hangs_while_it_is_loaded_is_left_behind(words: list[str]) -> None:
    argv = [sys.executable, "-c", LOADED, *words]
    run = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    assert run.stdout.strip() == ("KeyboardInterrupt" if words[1:] else "DeadlineError"), run.stderr


def test_without_the_library_the_extra_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pkcs11modules, "SDK", None)
    with pytest.raises(BackendMissingError, match="python-pkcs11") as caught:
        desk.open()
    assert caught.value.advice is not None
    assert caught.value.advice.values == {"extra": "pkcs11"}


@pytest.mark.parametrize(
    ("query", "environ", "problem"),
    [
        ("?module-path=/no/such.so", {}, "module-path is /no/such.so, and that is no file here"),
        ("?module-path=/tmp", {}, "module-path is /tmp, and that is no file here"),
        ("", {"PKCS11_MODULE_PATH": "x.so"}, "PKCS11_MODULE_PATH is x.so, which is not absolute"),
        ("", {"COSIGN_PKCS11_MODULE_PATH": "/no/x.so"}, "COSIGN_PKCS11_MODULE_PATH is /no/x.so"),
        ("?module-name=no-such-module", {}, "looked for no-such-module in"),
    ],
)
def test_a_module_that_is_not_there_is_named(
    desk: Desk, query: str, environ: dict[str, str], problem: str
) -> None:
    context = SignerContext(PassphraseRequest("", "jeff"), desk.chain(), environ)
    with pytest.raises(BackendMissingError, match=r"no such module|no module") as caught:
        Pkcs11Signer.open(URI + query, context)
    assert problem in caught.value.why[0]


def test_modules_are_found_by_name_or_in_usual_places(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pkcs11modules, "_FOLDERS", (str(tmp_path / "lib*"),))
    context = SignerContext(PassphraseRequest("", "jeff"), desk.chain(), {})
    with pytest.raises(BackendMissingError) as caught:
        Pkcs11Signer.open(URI, context)
    assert "p11-kit-proxy and opensc-pkcs11" in caught.value.why[0]
    assert "PKCS11_MODULE_PATH" in caught.value.why[0]
    (tmp_path / "lib1" / "pkcs11").mkdir(parents=True)
    for name in ("pkcs11/opensc-pkcs11.so", "libykcs11.so.2"):
        (tmp_path / "lib1" / name).touch()
    assert "/lib1/pkcs11/opensc-pkcs11.so" in Pkcs11Signer.open(URI, context).uri
    assert "/lib1/libykcs11.so.2" in Pkcs11Signer.open(f"{URI}?module-name=ykcs11", context).uri
    by_folder = f"{URI}?module-path={tmp_path}/lib1&module-name=ykcs11"
    assert "/lib1/libykcs11.so.2" in Pkcs11Signer.open(by_folder, context).uri


@pytest.mark.parametrize(
    ("raised", "problem"),
    [
        (pkcs11.PKCS11Error("OS exception while loading /x: /x: invalid ELF header"), "invalid ELF header"),
        (
            pkcs11.PKCS11Error("OS exception while loading /x: /x: undefined symbol: C_GetFunctionList"),
            "else",
        ),
        (pkcs11.GeneralError(), "it finds no configuration"),
    ],
)
def test_a_module_that_cannot_be_loaded_is_named(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, raised: Exception, problem: str
) -> None:
    def load(_: str) -> object:
        raise raised

    monkeypatch.setattr(pkcs11, "lib", load)
    with pytest.raises(BackendMissingError, match="cannot be used") as caught:
        desk.open()
    assert problem in caught.value.why[0]


def test_a_module_that_fails_as_a_whole_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def slots() -> object:
        raise pkcs11.DeviceError

    monkeypatch.setattr(desk.library, "get_slots", slots)
    with pytest.raises(BackendMissingError, match="cannot be talked to"):
        desk.open()
