"""What a Vault server answers: whatever JSON it is, there is a key, a signature, or a reason."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from unittest import mock

from hypothesis import example, given
from hypothesis import strategies as st

from notarypy.errors import NotarypyError
from notarypy.keys.keyinfo import PassphraseRequest
from notarypy.keys.passphrases import PassphraseChain
from notarypy.keys.signers import vaultenvironment
from notarypy.keys.signers.base import SignerContext
from notarypy.keys.signers.hashivault import HashivaultSigner
from notarypy.remote.http.messages import Response
from notarypy.tuf import canonical
from notarypy.tuf.keys import public_key_of
from support.author import private_key
from support.strategies import json_objects, json_values

if TYPE_CHECKING:
    from notarypy.remote.http.messages import Request

PUBLIC = public_key_of(private_key("property"))
ENVIRON = {"VAULT_ADDR": "https://vault.test", "VAULT_TOKEN": "s.token"}
names = st.sampled_from(
    ["keys", "type", "latest_version", "min_encryption_version", "soft_deleted", "1", "public_key"]
)
values = json_values() | st.sampled_from(["ecdsa-p256", PUBLIC.to_pem().decode(), 1, True])
numbered = st.dictionaries(
    names | st.text("0123456789", max_size=6), values | st.dictionaries(names, values, max_size=2)
)
described = st.dictionaries(names, values | numbered, max_size=6)
signatures = st.builds("vault:v{}:{}".format, st.integers(0, 2), st.text("AZaz09-_=+/", max_size=90))


class Said:
    """A transport that has one answer."""

    def __init__(self, response: Response) -> None:
        self._response = response

    def send(self, request: Request, deadline: float) -> Response:  # noqa: ARG002 - as transports have it
        return self._response

    def close(self) -> None:
        """See `Transport`."""


def use(status: int, body: bytes, *, known: bool) -> None:
    """Open a key and sign with it before a server that always gives one answer."""
    context = SignerContext(
        PassphraseRequest("", "jeff"), PassphraseChain([]), ENVIRON, 1, PUBLIC if known else None
    )
    transport = Said(Response(status, {"retry-after": "60"}, body))
    with mock.patch.object(vaultenvironment, "HttpTransport", return_value=transport):
        for uri in ("hashivault://key", "hashivault://key?version=1"):
            with suppress(NotarypyError):
                signer = HashivaultSigner.open(uri, context)
                signer.properties()
                signer.sign(b"message")


@given(data=described, known=st.booleans())
@example(data={"type": "ecdsa-p256", "keys": {"1" * 5000: {"public_key": ""}}}, known=False)
def test_any_description_of_a_key(data: dict[str, object], *, known: bool) -> None:
    use(200, canonical.encode({"data": {"type": "ecdsa-p256", **data}}), known=known)


@given(st.sampled_from([200, 204, 301, 400, 403, 404, 429, 500, 503]), json_values() | json_objects())
def test_any_answer(status: int, document: object) -> None:
    for body in (
        {"data": document},
        {"errors": document},
        {"errors": [document]},
        {"data": {"signature": document}},
    ):
        use(status, canonical.encode(body), known=True)


@given(signatures)
def test_any_signature(signature: str) -> None:
    use(200, canonical.encode({"data": {"signature": signature}}), known=True)
