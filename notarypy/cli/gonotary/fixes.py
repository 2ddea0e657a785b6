"""What to do about an error, in the words of the program `notary`.

What it is: the advice of notarypy for whoever has this program's commands and options. What it is not: other
advice: what is not here is said as ever (`cli.text.advice`), but for options that `notary` does not have.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from notarypy.cli.text.advice import own_advice

if TYPE_CHECKING:
    from notarypy.errors import NotarypyError

# Advice by its name, in place of notarypy's.
_OWN = {
    "add-server-managed": "add --server-managed: the server makes it and keeps it",
    "choose-other-passphrase": "set NOTARYPY_NEW_PASSPHRASE to another one",
    "export-key-first": (
        "export it first: notary key export --key ID -o FILE; "
        "then: notarypy -d TRUSTDIR key remove --force ID"
    ),
    "give-exported": "import private keys that are PEM, or what notary key export wrote",
    "import-root-key": "run this where it is, or take it over: notary key import FILE -r root",
    "list-keys": "see them with: notary key list",
    "note-uri": "note where it is: notary key import URI -r ROLE",
    "rotate-signer": (
        "a key of a delegation: notary delegation add GUN ROLE CERT, "
        "then notary delegation remove GUN ROLE ID"
    ),
    "set-new-passphrase": "set NOTARYPY_NEW_PASSPHRASE, or run it at a terminal",
    "store-key": "import it: notary key import FILE -r ROLE",
}
# What notarypy advises besides, and `notary` does not have.
_OPTIONS = (" or use --passphrase-file FILE",)


def text(error: NotarypyError) -> str:
    """Return what to do about an error; nothing where nothing is known."""
    own = "" if error.advice is None else _OWN.get(error.advice.name, "")
    return own or reduce(str.removesuffix, _OPTIONS, own_advice(error))
