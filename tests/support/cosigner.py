"""Somebody with a key of cosign, who signs what is in the devserver's registry, rightly or not.

What it is: signatures by digest, under whatever names. What it is not: odd bytes of every kind (`cosigned`),
or the program cosign (`tests/interop`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from notarypy.cosign import signatures, sigstorebundle, simplesigning
from notarypy.images import layout, manifests, referrerlist
from support.cosigned import SigningKey

if TYPE_CHECKING:
    from notarypy.devserver.core import Fake


class Cosigner:
    """Somebody with a key, and the repository that the signatures go to, by its path in the registry."""

    def __init__(self, fake: Fake, path: str) -> None:
        self.registry, self.path, self._signing = fake.registry, path, SigningKey()
        self.pem, self.keyid = self._signing.key.pem, self._signing.key.public.canonical_id

    def text(self, reference: str, digest: str) -> bytes:
        """Return the text that the classic form signs."""
        return simplesigning.payload(simplesigning.Claim(reference, digest))

    def signature_of(self, message: bytes) -> bytes:
        """Return the key's signature over a message."""
        return self._signing.sign(message)

    def sign(self, digest: str, reference: str, *, text: bytes | None = None) -> None:
        """Add a classic signature of a digest under a name; or what stands there over another text."""
        text = self.text(reference, digest) if text is None else text
        self.put_layer(digest, text, self.signature_of(text))

    def put_layer(self, digest: str, text: bytes, signature: bytes) -> None:
        """Add a layer at the tag for a digest, right or not."""
        tag = simplesigning.tag_of(digest)
        config, made = simplesigning.with_layers(self._at(tag), {text: signature})
        for blob in (text, config):
            self.registry.put_blob(self.path, blob)
        self.registry.push(self.path, tag, made, manifests.OCI_MANIFEST)

    def bundle(self, digest: str, *, predicate: str = "", listed: str = "", gun: str = "") -> None:
        """Refer to a digest, or to another one that it is listed at, with a bundle about it."""
        document = json.loads(sigstorebundle.statement(digest, {signatures.GUN: gun} if gun else None))
        body = json.dumps({**document, **({"predicateType": predicate} if predicate else {})}).encode()
        signature = self.signature_of(sigstorebundle.message(body))
        self.refer(sigstorebundle.bundle(body, signature, self._signing.key.hint), listed or digest)

    def refer(self, content: bytes, digest: str) -> None:
        """Refer to a digest with anything in place of a bundle."""
        subject = layout.Descriptor(manifests.OCI_MANIFEST, digest, 1)
        data = sigstorebundle.manifest(subject, content)
        for blob in (content, referrerlist.EMPTY):
            self.registry.put_blob(self.path, blob)
        self.registry.push(self.path, manifests.digest_of(data), data, manifests.OCI_MANIFEST)
        if not self.registry.referrers:
            tag, entry = referrerlist.tag_of(digest), referrerlist.entry_of(data, manifests.OCI_MANIFEST)
            listed = referrerlist.with_entry(self._at(tag), digest, entry)
            self.registry.push(self.path, tag, listed, manifests.OCI_INDEX)

    def _at(self, tag: str) -> bytes | None:
        stored = self.registry.images.manifest(self.path, self.registry.images.tags(self.path).get(tag, ""))
        return stored.data if stored else None
