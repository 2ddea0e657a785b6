"""What to do on the way out of Notary: signatures of cosign, policies of others, archives.

What it is: the part of the table of advice that is about them. What it is not: the rest of it (`advice`).
"""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # -- signing as cosign does, or notation
    "ask-registry-for-types": "notation needs a registry that lists types as OCI 1.1 says, or keeps no lists",
    "choose-classic-form": "the classic form of cosign needs no list: notarypy migrate cosign --format sig",
    "except-from-immutable": "except the tags sha256-* from the rule that makes tags immutable",
    "give-signing-certificate": (
        "give a PEM file with the key's certificate for code signing, and then those above it: "
        "docs/migrating/notation.md has the rules"
    ),
    "name-tag-of-digest": "name the tag: REPO:TAG, or REPO:TAG@DIGEST if it has to be this one",
    "sign-once-more": (
        "run it again: others may have written at the same moment, and what is there and valid is left alone"
    ),
    "use-notation-key": (
        "take a key on P-256 or RSA of 2048 bits, or sign with notation itself: docs/migrating/notation.md"
    ),
    "require-before-signing": "require a signer or a root, --signer NAME or --root PIN, or change the policy",
    # -- policies of others
    "count-with-other-kind": "name fewer signers in any, or take kyverno or connaisseur, which can count",
    "one-key-each": "give each of them a key of his own with --signer-key",
    "other-kind": "take another kind, or write scopes that it knows",
    "give-policy-folder": "name a folder to write them into: -o DIR",
    "give-policy-key": "--key PUB for the key that signs releases, --signer-key NAME=PUB for a signer's",
    "give-signer-key": (
        "add --signer-key {name}=PUB, or --signer-key {name} for the key that REPO has of him; or "
        "--key PUB, if one key signs what was verified before"
    ),
    "name-repository-or-scope": "name repositories, or a policy with --policy",
    "name-report-file": "name it FILE.json or FILE.html; without -o it is printed",
    "report-gone": "push it again, or revoke it: notarypy revoke {reference}",
    "report-moved": "find out who moved it; only if the new image is right: notarypy sign {reference}",
    "report-unsigned": "sign them: notarypy migrate cosign {gun} --key KEY; and report with --key PUB",
    # -- who vouches, and cosign's keys
    "export-public-key": (
        "write the public half of a key to a file, once: cosign public-key --key URI; "
        "or notarypy key export --public KEY -o cosign.pub"
    ),
    "name-cosign-keys": 'name public keys: cosign.all = ["cosign.pub"]',
    "name-tags": "name the images, or require Notary, too",
    "name-required-signatures": 'write one or both of "notary" and "cosign"',
    "require-all": "write require for what must be there; require_any is for one of several",
    "require-cosign": 'add it to require: require = ["notary", "cosign"]',
    "require-notary": 'leave {key} out, or require both: require = ["notary", "cosign"]',
    "sign-with-cosign": "whoever has the key signs it: notarypy migrate cosign {reference} --key KEY",
    "sign-with-cosign-itself": (
        "whoever has the key signs the digest that was pushed: cosign sign --key KEY --recursive "
        "--tlog-upload=false --sign-container-identity {identity} {pinned}"
    ),
    "write-also": "write --also cosign:PUB, where the file PUB has the public key",
}
