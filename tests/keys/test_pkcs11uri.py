"""URIs of keys on tokens: what they say, and what is refused."""

from __future__ import annotations

import pytest

from notarypy.errors import UsageError
from notarypy.keys.formats import urisecrets
from notarypy.keys.signers.pkcs11uri import Pkcs11Uri, parse


@pytest.mark.parametrize(
    ("text", "values", "identity"),
    [
        ("pkcs11:", {}, None),
        ("pkcs11:token=release", {"token": "release"}, None),
        ("pkcs11:token=a%20b%3Bc;object=k%C3%A9y", {"token": "a b;c", "object": "kéy"}, None),
        ("pkcs11:id=%01", {}, b"\1"),
        ("pkcs11:id=01", {}, b"01"),
        ("pkcs11:id=%ff%00A", {}, b"\xff\0A"),
        ("pkcs11:id=", {}, b""),
        ("pkcs11:token=", {"token": ""}, None),
        ("pkcs11:serial=1;slot-id=7;type=private", {"serial": "1", "slot-id": "7", "type": "private"}, None),
        ("pkcs11:object=a&b?module-path=/x.so", {"object": "a&b", "module-path": "/x.so"}, None),
        ("pkcs11:?module-name=softhsm2", {"module-name": "softhsm2"}, None),
        ("pkcs11:?pin-source=/run/pin", {"pin-source": "/run/pin"}, None),
        ("pkcs11:?pin-source=file:/run/pin", {"pin-source": "/run/pin"}, None),
        ("pkcs11:?pin-source=file:///run/pin", {"pin-source": "/run/pin"}, None),
        ("pkcs11:?pin-source=file://localhost/run/p%20n", {"pin-source": "/run/p n"}, None),
        ("pkcs11:?x-vendor=1&x-vendor=2", {}, None),
    ],
)
def test_a_uri_is_read(text: str, values: dict[str, str], identity: bytes | None) -> None:
    uri = parse(text)
    assert (uri.values, uri.id) == (values, identity)
    assert parse(str(uri)) == uri


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("file:token=release", "does not begin with"),
        ("pkcs11:token", "NAME=VALUE"),
        ("pkcs11:token=a;;object=b", "NAME=VALUE"),
        ("pkcs11:token=a;token=b", "token twice"),
        ("pkcs11:id=%01;id=%01", "id twice"),
        ("pkcs11:?module-path=/a&module-path=/a", "module-path twice"),
        ("pkcs11:x-vendor=1", "x-vendor, which names nothing"),
        ("pkcs11:module-path=/x.so", "module-path, which names nothing"),
        ("pkcs11:id=%1", "%25 stands for"),
        ("pkcs11:object=100%", "%25 stands for"),
        ("pkcs11:token=%ff", "token is not UTF-8"),
        ("pkcs11:token=\udcff", "token is not text"),
        ("pkcs11:token=a%0Ab", "control characters"),
        ("pkcs11:type=secret-key", "its type is not one of private, public, cert"),
        ("pkcs11:slot-id=one", "slot-id is a number"),
        ("pkcs11:slot-id=\u0661", "slot-id is a number"),
        ("pkcs11:slot-id=" + "1" * 5000, "slot-id is a number"),
        ("pkcs11:?module-name=../x", "without a path"),
        ("pkcs11:?module-path=x.so", "absolute path"),
        ("pkcs11:?pin-source=|cat%20/run/pin", "no program is run"),
        ("pkcs11:?pin-source=%7Ccat", "no program is run"),
        ("pkcs11:?pin-source=pin", "absolute path"),
        ("pkcs11:?pin-source=file:pin", "absolute path"),
        ("pkcs11:?pin-source=file://elsewhere/pin", "of this machine"),
        ("pkcs11:?pin-source=https://elsewhere/pin", "absolute path"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=r"cannot be read|is no URI") as caught:
        parse(text)
    assert problem in caught.value.why[0]


@pytest.mark.parametrize("query", ["pin-value=12345678", "pin-value=123&45678", "x=1&pin-value=12345678"])
def test_a_pin_in_a_uri_is_refused_and_not_repeated(query: str) -> None:
    with pytest.raises(UsageError, match="holds no PIN") as caught:
        parse(f"pkcs11:token=a?{query}")
    assert "45678" not in str(vars(caught.value))


def test_a_uri_is_written_the_same_whatever_the_order() -> None:
    one = parse("pkcs11:id=a;object=o;token=t?module-path=/x%2B.so&unknown=1")
    assert str(one) == "pkcs11:token=t;object=o;id=%61?module-path=/x+.so"


def test_a_key_is_described_for_people() -> None:
    assert Pkcs11Uri({"object": "jeff"}, b"\1").described == 'key "jeff" with id %01'
    assert Pkcs11Uri({}).described == "any key"


@pytest.mark.parametrize(
    "text",
    [
        "pkcs11:token=a b;serial=1;object=jeff;id=%01?module-path=/usr/x.so&pin-source=/run/pin",
        'there is no key "pkcs11:token=release;object=jeff" here; see notarypy key list',
        "the key is at pkcs11:token=release; it stays there",
        "pkcs11:... or hashivault://KEY",
        "registry.example.com:5000/app:1 is signed? yes; who=jeff",
        "https://registry.example.com/token?service=a&scope=b:c",
        "awskms:///arn:aws:kms:eu-central-1:1:key/1",
        "hashivault://one?version=3",
        "it is hashivault://KEY or hashivault://KEY?version=N, KEY of letters",
        r"^docker-image://docker\.io/docker/dockerfile:1(@sha256:[0-9a-f]{64})?$",
        "fakekms:one",
    ],
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert urisecrets.shown(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pkcs11:token=a;pin=1 2;object=b", "pkcs11:token=a;pin=***;object=b"),
        ("no PKCS11:token=a?pin-source=data:,1", "no PKCS11:token=a?pin-source=***"),
        ("pkcs11:token=a?x=1&2", "pkcs11:token=a?x=***&***"),
        ("pkcs11:object=a%3Fpin%3D1", "pkcs11:object=***"),
        ("hashivault://one?version=3&pin=1", "hashivault://one?***"),
        ("acmesign:key?token=a b", "acmesign:key?***"),
        ("hashivault://jeff:1@server/key", "hashivault://***@server/key"),
    ],
)
def test_what_may_be_a_secret_is_not_shown(text: str, shown: str) -> None:
    assert urisecrets.shown(text) == shown
