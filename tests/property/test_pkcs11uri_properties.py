"""What holds for every URI of a key on a token."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from notarypy.errors import UsageError
from notarypy.keys.formats import urisecrets
from notarypy.keys.signers.pkcs11uri import Pkcs11Uri, parse
from support.strategies import printable

values = st.fixed_dictionaries(
    {},
    optional={
        "token": printable,
        "object": printable,
        "serial": printable,
        "model": printable,
        "module-path": printable.map("/".__add__),
        "pin-source": printable.map("/".__add__),
        "slot-id": st.integers(0, 2**63).map(str),
    },
)


@given(values, st.none() | st.binary(max_size=20))
@example({"token": "a;b=c?d&pin-value=e%41", "module-path": "//a:b@c&pin-value=1"}, b"%01")
def test_what_is_written_is_read_again(found: dict[str, str], identity: bytes | None) -> None:
    uri = Pkcs11Uri(found, identity)
    assert parse(str(uri)) == uri
    assert str(uri).isascii()
    assert not urisecrets.holds_secret(str(uri))


@given(st.text(max_size=60) | st.text("tokenid-source=;?&%01/|", max_size=40))
def test_any_text_is_a_uri_or_refused(text: str) -> None:
    try:
        uri = parse(f"pkcs11:{text}")
    except UsageError:
        return
    assert parse(str(uri)) == uri
