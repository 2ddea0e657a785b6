"""`notarypy key migrate`: what Notary before 0.4 left, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from notarypy.cli.declared import Option
from notarypy.cli.run import begin
from notarypy.tuf.roles import signer_name

if TYPE_CHECKING:
    from notarypy.cli.run import Context
    from notarypy.client.keys.migrating import MigratedKeys


def migrate(
    context: Context,
    *,
    dry_run: Annotated[bool, Option("--dry-run", help="Only say what would be moved.")] = False,
) -> None:
    """Move keys out of the folders of Notary before 0.4.

    Those are root_keys and tuf_keys; each key becomes a file that docker and Go notary read, encrypted as
    it is. The old files go to a folder beside, and nothing is deleted. Certificates of roots, in
    trusted_certificates, stay while they are all that says which root a repository has.

    Example:
      notarypy key migrate --dry-run
      notarypy key migrate
    """
    run = begin(context)
    with run.client(asking=False) as client:
        place = str(client.settings.trust_dir)
        with run.trying(place):
            found = client.keys.migrate(dry_run=dry_run)
            run.report.done(place, _data(found), *(_lines(found) or [f"nothing old is in {place}"]))
            for error in found.left:
                run.report.failed([str(error.facts.get("path", place))], error)


def _data(found: MigratedKeys) -> dict[str, object]:
    return {
        "keys": [{**vars(key), "source": str(key.source), "path": str(key.path)} for key in found.keys],
        "others": list(map(str, found.others)),
        "backup": None if found.backup is None else str(found.backup),
        "known_roots": [{**vars(known), "path": str(known.path)} for known in found.known_roots],
        "dry_run": found.dry_run,
    }


def _lines(found: MigratedKeys) -> list[str]:
    lines, would = [], "would be" if found.dry_run else "is now"
    for key in found.keys:
        name = f"key {key.keyid} ({signer_name(key.role) or 'no role'}{f' of {key.gun}' if key.gun else ''})"
        stays = f"{name} is at {key.path} already, which stays; {key.source} is another copy"
        lines.append(stays if key.already else f"{name} {would} at {key.path}")
    lines += [f"{path} is no key" for path in found.others]
    if found.backup is not None:
        lines.append(f"the old files are in {found.backup}: delete it once the keys have been used")
    for known in found.known_roots:
        pins = " ".join(f"--root {pin}" for pin in known.root_pins)
        lines.append(f"{known.path} stays: it says which root {known.repository} has: {pins}")
    return lines
