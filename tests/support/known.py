"""A trust directory with names in it, for whoever looks at names alone; nothing in it verifies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from notarypy.tuf.keys import PublicKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def add_repository(trust_dir: Path, gun: str, tags: Sequence[str], signers: Sequence[str] = ()) -> Path:
    """Add what is cached of a repository; return its folder."""
    folder = trust_dir / "tuf" / gun / "metadata"
    folder.mkdir(parents=True)
    keys = {key_of(signer).keyid: key_of(signer).to_json() for signer in signers}
    roles = [{"name": f"targets/{each}", "keyids": [key_of(each).keyid]} for each in (*signers, "releases")]
    (folder / "root.json").write_text('{"signed": {}}')
    (folder / "targets.json").write_text(
        json.dumps(
            {"signed": {"targets": {}, "delegations": {"keys": keys, "roles": roles}}, "signatures": []}
        )
    )
    (folder / "targets").mkdir()
    releases = {"signed": {"targets": {tag: {} for tag in tags}}, "signatures": []}
    (folder / "targets" / "releases.json").write_text(json.dumps(releases))
    return folder


def key_of(signer: str) -> PublicKey:
    """Return the key of a signer, which nobody has."""
    return PublicKey("ecdsa", signer.encode())


def add_key(trust_dir: Path, keyid: str, role: str, gun: str = "") -> Path:
    """Add the file of a key that nobody can open."""
    path = trust_dir / "private" / f"{keyid}.key"
    path.parent.mkdir(parents=True, exist_ok=True)
    headers = f"role: {role}\n" + (f"gun: {gun}\n" if gun else "")
    path.write_text(
        f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{headers}\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"
    )
    path.chmod(0o600)
    return path
