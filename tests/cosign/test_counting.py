"""Which signatures of a digest count for an image."""

from __future__ import annotations

from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from notarypy.cosign import signaturekeys
from notarypy.cosign.signatures import CosignSignature, SignatureForm, counting
from notarypy.images import reference
from notarypy.tuf.keys import PublicKey

KEYS: Final = [
    signaturekeys.of(PublicKey.from_key(ec.generate_private_key(ec.SECP256R1()))) for _ in range(2)
]
APP, OTHER = "registry.test/app", "registry.test/other"


def of(form: SignatureForm, name: str, key: int = 0) -> CosignSignature:
    return CosignSignature(form, KEYS[key], name, {}, "")


@pytest.mark.parametrize(
    ("found", "counts"),
    [
        ([of("sig", f"{APP}:1")], 1),
        ([of("sig", f"{APP}:2")], 0),
        ([of("sig", APP)], 1),
        ([of("sig", "")], 1),
        ([of("bundle", "")], 1),
        ([of("bundle", APP)], 1),
        ([of("bundle", OTHER)], 0),
        ([of("bundle", ""), of("bundle", OTHER)], 0),
        # a tag that was moved to what its key has signed as another tag, and one that shares its digest
        ([of("bundle", APP), of("sig", f"{APP}:2")], 0),
        ([of("bundle", ""), of("sig", f"{APP}:2")], 0),
        ([of("bundle", APP), of("sig", f"{APP}:2"), of("sig", f"{APP}:1")], 2),
        ([of("bundle", APP), of("sig", f"{OTHER}:1")], 0),
        # what one key has named says nothing of another one
        ([of("bundle", APP), of("sig", f"{APP}:2", key=1)], 1),
    ],
)
def test_what_counts_for_a_tag(found: list[CosignSignature], counts: int) -> None:
    assert len(counting(found, reference.parse(f"{APP}:1"))) == counts


def test_for_a_digest_any_tag_of_the_repository_will_do() -> None:
    asked = reference.parse(f"{APP}@sha256:{'ab' * 32}")
    assert len(counting([of("sig", f"{APP}:2"), of("bundle", APP), of("sig", f"{OTHER}:1")], asked)) == 2
