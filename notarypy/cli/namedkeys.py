"""Keys as a command line names them: words for keys here, public keys and certificates in files, and URIs.

What it is not: what can be a signer's key (`tuf.signerkeys`), or noting where a key is (`key add`).
"""

from __future__ import annotations

from contextlib import contextmanager
from shlex import quote
from typing import TYPE_CHECKING

from notarypy.cli import userfiles
from notarypy.cli.run import begin
from notarypy.errors import UnsupportedKeyError
from notarypy.keys.signers import is_uri
from notarypy.tuf.roles import signer_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from notarypy.cli.run import Context, Run
    from notarypy.client.keysapi import Keys
    from notarypy.keys.keyinfo import KeyInfo

KEY = "keyid role gun path encrypted uri"
"""What is shown of a key, by the names of `KeyInfo`."""


def begin_on(context: Context, *words: str, hold: bool = False) -> Run:
    """Begin a command on keys; one that is named by a secret is not even shown."""
    run = begin(context, hold=hold)
    run.asked_for = len(words)
    if any(":" in word for word in words):
        from notarypy.keys.formats import urisecrets  # few keys are named by URIs

        urisecrets.require_none(words)
    return run


def label(info: KeyInfo) -> str:
    """Return what a key here is called in what commands say."""
    return f"key {info.keyid} ({signer_name(info.role)})"


def given(keys: Keys, words: Sequence[str], signer: str) -> list[bytes]:
    """Return the public keys and certificates that a signer has: those of files, and at URIs.

    A key at a URI is not noted here: it may be somebody else's, and who only lets him sign signs nothing with
    it.
    """
    return [keys.public(word, name=signer) if is_uri(word) else userfiles.read(word) for word in words]


def of_images(keys: Keys, words: Sequence[str]) -> list[bytes]:
    """Return the public keys of images: those of files, and at URIs as cosign has them."""
    return [keys.public_cosign(word) if is_uri(word) else userfiles.read(word) for word in words]


def unnoted(keys: Keys, words: Sequence[str], signer: str, keyids: Sequence[str]) -> list[str]:
    """Say of a signer's keys at URIs, none of them here, how to sign with them here."""
    uris = [word for word in words if is_uri(word)]
    if not uris or {info.keyid for info in keys.list()}.issuperset(keyids):
        return []
    name = signer_name(signer)
    return [f"to sign with it here: notarypy key add {quote(uri)} --name {name}" for uri in uris]


@contextmanager
def named(keys: Keys, paths: Sequence[str], pems: Sequence[bytes]) -> Iterator[None]:
    """Name the file of public keys that whatever is raised inside is about."""
    try:
        yield
    except UnsupportedKeyError:
        for path, data in zip(paths, pems, strict=True):
            with userfiles.named(path):
                keys.check_public(data)
        raise
