"""Signatures as cosign makes them, put on a fake registry: good ones, and whatever a test wants instead."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from notarypy.cosign import signaturekeys, sigstorebundle, simplesigning
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.images import layout, manifests, referrerlist
from notarypy.tuf.keys import PublicKey
from support.rsakeys import fresh_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.devserver.core import Fake
    from notarypy.images.layout import Descriptor

IMAGE = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": manifests.OCI_MANIFEST,
        "config": {"mediaType": "application/x", "digest": "sha256:" + "c" * 64, "size": 2},
        "layers": [],
    }
).encode()
SUBJECT = layout.of(IMAGE, manifests.OCI_MANIFEST)
REFERENCE = f"{REGISTRY_HOST}/app:1"


class SigningKey:
    """A key that signs as cosign verifies it."""

    def __init__(self, kind: str = "ecdsa") -> None:
        self._private: Any = {
            "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
            "rsa": lambda: fresh_key(2048),
            "ed25519": ed25519.Ed25519PrivateKey.generate,
        }[kind]()
        self.key = signaturekeys.of(PublicKey.from_key(self._private))

    def sign(self, message: bytes) -> bytes:
        """Return the signature."""
        if isinstance(self._private, ec.EllipticCurvePrivateKey):
            return self._private.sign(message, ec.ECDSA(SHA256()))
        if isinstance(self._private, rsa.RSAPrivateKey):
            return self._private.sign(message, PKCS1v15(), SHA256())
        signed: bytes = self._private.sign(message)
        return signed


class CosignedImage:
    """An image in a repository of a fake, `app` unless another is named, to be signed by anybody."""

    def __init__(self, fake: Fake, path: str = "app", image: bytes = IMAGE) -> None:
        self.fake, self.registry, self.path = fake, fake.registry, path
        self.subject = layout.of(image, manifests.OCI_MANIFEST)
        self.registry.push(path, "1", image, manifests.OCI_MANIFEST)
        self.tag = simplesigning.tag_of(self.subject.digest)

    def at(self, tag: str) -> bytes | None:
        """Return the manifest at a tag."""
        stored = self.registry.images.manifest(self.path, self.registry.images.tags(self.path).get(tag, ""))
        return stored.data if stored else None

    def classic(
        self, key: SigningKey, reference: str = REFERENCE, annotations: Mapping[str, str] | None = None
    ) -> bytes:
        """Sign the classic way, and return the text."""
        text = simplesigning.payload(simplesigning.Claim(reference, self.subject.digest, annotations or {}))
        self.add_layer(text, key.sign(text))
        return text

    def add_layer(self, text: bytes, signature: bytes) -> None:
        """Add any text with any signature at the tag."""
        config, made = simplesigning.with_layers(self.at(self.tag), {text: signature})
        for blob in (text, config):
            self.registry.put_blob(self.path, blob)
        self.registry.push(self.path, self.tag, made, manifests.OCI_MANIFEST)

    def bundle(self, key: SigningKey, annotations: Mapping[str, str] | None = None) -> bytes:
        """Sign with a bundle, and return its manifest."""
        body = sigstorebundle.statement(self.subject.digest, annotations)
        signature = key.sign(sigstorebundle.message(body))
        return self.refer(sigstorebundle.bundle(body, signature, key.key.hint))

    def refer(self, content: bytes, **members: object) -> bytes:
        """Refer to the image with any content in place of a bundle; return the manifest."""
        made = {**json.loads(sigstorebundle.manifest(self.subject, content)), **members}
        manifest = json.dumps(made).encode()
        for blob in (content, referrerlist.EMPTY):
            self.registry.put_blob(self.path, blob)
        self.keep(manifest)
        return manifest

    def keep(self, manifest: bytes, entry: Descriptor | None = None) -> None:
        """Push a manifest that refers to the image, and list it where the registry does not."""
        digest = manifests.digest_of(manifest)
        self.registry.push(self.path, digest, manifest, manifests.OCI_MANIFEST)
        if not self.registry.referrers:
            tag = referrerlist.tag_of(self.subject.digest)
            entry = entry or referrerlist.entry_of(manifest, manifests.OCI_MANIFEST)
            listed = referrerlist.with_entry(self.at(tag), self.subject.digest, entry)
            self.registry.push(self.path, tag, listed, manifests.OCI_INDEX)
