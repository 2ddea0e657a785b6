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

# What notarypy advises besides, and `notary` does not have.
_OPTIONS = (" or use --passphrase-file FILE",)


def text(error: NotarypyError) -> str:
    """Return what to do about an error; nothing where nothing is known."""
    return reduce(str.removesuffix, _OPTIONS, own_advice(error))
