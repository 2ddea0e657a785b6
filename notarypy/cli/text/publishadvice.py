"""What to do about what is signed and published, by one or by several, and on the way out of Notary.

What it is: the part of the table of advice that is about that. What it is not: the rest of it (`advice`).

Rules:

1. Most who meet an image that is not signed use somebody else's: what they can do comes first, and it never
   is to sign. What its publisher does comes last, behind a condition that leaves everybody else out.
"""

from __future__ import annotations

# Commands here are those of `notary`, Go's or ours.
STAGED = {
    "drop-staged": "none of it can be read any more; drop all of it: notary reset {gun} --all",
    "drop-unreadable": "remove that file, or drop all that is staged: notary reset {gun} --all",
    "publish-begun": (
        "publish it: notary publish {gun}; or begin anew without what is here: notary delete {gun}"
    ),
    "publish-staged": "publish them: notary publish {gun}; or drop them: notary reset {gun} --all",
    "publish-unpublished": (
        "publish it: notary publish {gun}; if that was done, name the right server, or ask its operator"
    ),
    "use-published": "use it as it is, see: notary list {gun}; or choose another name",
    "reset-staged": "drop it, and publish the others: notary reset {gun} -n {number}",
}
TEXTS: dict[str, str] = {
    **STAGED,
    # -- what is not signed, or not as somebody wants (rule 1)
    "sign-tag": (
        "take a signed tag (notarypy inspect {gun}), or ask its publisher; only if that is you, and this is "
        "your image: notarypy sign {gun}:{tag} (with --digest-file FILE exactly what the builder pushed)"
    ),
    "sign-a-tag": (
        "see whether it is the one you mean, and ask its publisher; only if that is you: "
        "notarypy sign {gun}:TAG"
    ),
    "look-for-digest": "see which digests are signed with: notarypy inspect {gun}",
    "pull-other": "use the signed one: {reference}; or have its publisher sign the other one",
    "pull-signed": (
        "use the signed one: {reference}; and ask its publisher about the other one; only if that is you, "
        "and it is right: notarypy sign {tagged}"
    ),
    "inspect-signer": "leave --signer out, or see: notarypy inspect {gun}",
    "see-signers": "see who may sign, and how they are called: notarypy signer list {gun}",
    "have-it-signed": (
        "take a tag that all of them signed, or ask whoever is missing, who signs it with: "
        "notarypy sign {gun}:{tag}"
    ),
    "file-missing": (
        "ask the owner of the repository: whoever has the role's keys starts it over with tags that they "
        "name, notarypy sign --discard-unverified REF..., or its owner takes it out: "
        "notarypy delegate remove --force {role} {gun}"
    ),
    "init": (
        "ask its publisher whether it is signed, and name the Notary server that has it: --server URL, or "
        "DOCKER_CONTENT_TRUST_SERVER; only if you publish it: notarypy init {gun}"
    ),
    "not-the-official": (
        "see whether the name is right, or take an image that is signed; or copy it to a registry of yours, "
        "and sign that"
    ),
    "init-hub": (
        "ask its publisher whether it is signed elsewhere, or copy it to a registry of yours, and sign that; "
        "to vouch for it on a Notary server of yours (--server URL): notarypy init {gun}"
    ),
    # -- signing and publishing
    "copy-then-sign": "copy it and sign it by itself; or name a signer or a root to verify it by",
    "init-first": (
        "the first time: notarypy sign --init {gun}:TAG, or notarypy init {gun}; if it has trust data "
        "elsewhere, name the Notary server: --server URL, or DOCKER_CONTENT_TRUST_SERVER"
    ),
    "discard-unverified": (
        "if its keys were changed on purpose, as when a signer is removed, start it over with the tags that "
        "you name: notarypy sign --discard-unverified REF...; if not, do not use it, and tell the owner"
    ),
    "inspect-published": "look at it: notarypy inspect {gun} --json; and ask the server's operator",
    "inspect-tags": "see what is signed with: notarypy inspect {gun}",
    "leave-digest-or-source": "leave the digest out, or name the right source",
    "leave-revoked-digest": "leave the digest out to revoke the tag whatever it is",
    "name-a-tag": "see its tags with: notarypy inspect {gun}",
    "ref-with-digest": "give the REF its digest, REPO:TAG@DIGEST, in place of --digest-file",
    "name-digest": "name the image by its digest, or let the registry be asked",
    "require-or-skip": "name a signer or a root, or call verify_unless_skipped",
    "over-limits": (
        "whoever may sign it can make it smaller: notarypy revoke, signer remove or delegate remove "
        "with --over-limits"
    ),
    "publish-less": "publish less: fewer or shorter entries",
    "run-again": "run the same command again: it publishes only what is missing",
    "run-again-later": "run the same command again once the server answers",
    "sign-together": "sign all tags in one command, or give it more time: --retry-for TIME",
    # -- what several people sign
    "add-key-before": (
        "add the key that comes in its place first: notarypy delegate add {name} {gun} --key PUB; then run "
        "this again; a lower threshold meanwhile would let the key that goes sign with fewer"
    ),
    "add-signatures": (
        "with one of these keys: notarypy sign --offline-part {file}; then: notarypy sign --join {file}"
    ),
    "certify-anew": (
        "have each holder make a new one, notarypy key certify {gun} -o FILE, and name those and the ids of "
        "keys that stay: notarypy key rotate {gun} root --key FILE --key KEY"
    ),
    "join-part": "nothing is missing; publish it: notarypy sign --join {file}",
    "make-part-anew": "make it anew, by the command that made it; the signatures so far are lost",
    "name-part-file": "name one: --offline-part FILE",
    "other-part-file": "name another file; to add your signature to this one leave the REF out",
    "sign-in-parts": (
        "run it with --offline-part FILE, have others sign that with theirs: "
        "notarypy sign --offline-part FILE; then: notarypy sign --join FILE"
    ),
    "renew-in-parts": (
        "notarypy renew --offline-part FILE {gun}; have others sign that with theirs: "
        "notarypy sign --offline-part FILE; then: notarypy sign --join FILE"
    ),
    "raise-releases": (
        "let all releases take as many: notarypy delegate add targets/releases {gun} "
        "--threshold {threshold}; or keep it out with --no-releases"
    ),
    # -- signing as cosign does, or notation
    "ask-registry-for-types": "notation needs a registry that lists types as OCI 1.1 says, or keeps no lists",
    "choose-classic-form": "the classic form of cosign needs no list: notarypy migrate cosign --format sig",
    "except-from-immutable": "except the tags sha256-* from the rule that makes tags immutable",
    "give-certificate-of-key": "give the certificate of this key, or the key of this certificate",
    "give-signing-certificate": (
        "give a PEM file with the key's certificate for code signing alone, and then those above it"
    ),
    "name-tag-of-digest": "name the tag: REPO:TAG, or REPO:TAG@DIGEST if it has to be this one",
    "sign-once-more": (
        "run it again: others may have written at the same moment, and what is there and valid is left alone"
    ),
    "use-notation-key": "take a key on P-256 or RSA of 2048 bits, or sign with notation itself",
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
