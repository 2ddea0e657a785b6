"""`policy.json` and `registries.d`, which podman, skopeo, buildah, CRI-O and bootc read.

Rules:

1. Scopes are prefixes here too, the longest counts alone, and a registry's port belongs to it.
2. Requirements of a scope must all be met: each alternative of a group is one of them.
3. What is not in a registry is taken as before: Notary never vouched for it.
4. A requirement names one key as `keyData`, several as `keyDatas`, which programs of before 2024 do not know.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from notarypy.client.migrate.policies.rules import NamedKey, Rule, alternatives, sentences
from notarypy.client.results import PolicyFiles
from notarypy.kubernetes import yamltext
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Sequence

_ACCEPT, _REJECT = {"type": "insecureAcceptAnything"}, {"type": "reject"}
_LOCAL = ("containers-storage", "dir", "docker-archive", "docker-daemon", "oci", "oci-archive", "tarball")
_NOTES = sentences("""
The signature of each platform's own manifest is looked at, never that of an index: whoever signs an index
signs each platform of it, too (cosign sign --recursive).

A signature has to name the tag that is pulled: cosign itself names none without
--sign-container-identity REPO:TAG, and what it signs so is refused.

Only classic signatures (the tag sha256-HEX.sig) are read, no bundles.

podman, skopeo and buildah of Debian 12 were built without this: they refuse a policy with
sigstoreSigned. Debian 13 has it.

A mirror that registries.conf names takes a line use-sigstore-attachments of its own.

While use-sigstore-attachments is on, a signed image can be copied into files (oci, oci-archive,
docker-archive) with --remove-signatures alone.

Both files go to /etc/containers, for one user to ~/.config/containers. A policy.json that is there is
replaced as a whole: join them if it says more.
""")


def render(rules: Sequence[Rule], notes: Sequence[str]) -> PolicyFiles:
    """Return both files."""
    scopes = {"" if rule.prefix == roles.ANY else rule.prefix: _requirements(rule) for rule in rules}
    transports: dict[str, Any] = {"docker": dict(sorted(scopes.items()))}
    transports |= {name: {"": [_ACCEPT]} for name in _LOCAL}
    policy = json.dumps({"default": [_REJECT], "transports": transports}, indent=2)
    registries = sorted({rule.registry for rule in rules if rule.verdict == "verify"} - {roles.ANY})
    said = [*_NOTES, *_own_notes(rules), *notes]
    where: dict[str, yamltext.Value] = {name: {"use-sigstore-attachments": True} for name in registries}
    told = yamltext.comment(*said) + yamltext.document({"docker": where})
    made = {"policy.json": f"{policy}\n", "registries.d/notarypy.yaml": told}
    return PolicyFiles("containers", made, tuple(said))


def _requirements(rule: Rule) -> list[dict[str, Any]]:
    if rule.verdict != "verify":
        return [_ACCEPT if rule.verdict == "accept" else _REJECT]
    return [_signed(rule, keys) for keys in alternatives(rule.enforced)]


def _signed(rule: Rule, keys: Sequence[NamedKey]) -> dict[str, Any]:
    encoded = [base64.b64encode(key.pem.encode()).decode() for key in keys]
    required: dict[str, Any] = {"type": "sigstoreSigned"}
    required |= {"keyDatas": encoded} if len(encoded) > 1 else {"keyData": encoded[0]}
    if rule.signed_as is not None:
        identity = {"type": "remapIdentity", "prefix": rule.prefix, "signedPrefix": rule.signed_as}
        required["signedIdentity"] = identity
    return required


def _own_notes(rules: Sequence[Rule]) -> list[str]:
    return [
        f"{rule.prefix} takes signatures for {rule.signed_as}, which must lie in the mirror beside the image."
        for rule in rules
        if rule.signed_as is not None
    ]
