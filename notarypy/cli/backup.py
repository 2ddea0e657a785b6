"""`notarypy backup` and `notarypy restore`: keys, roots and settings in one file, and back out of it."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

from notarypy.cli import userfiles
from notarypy.cli.declared import Argument, Option
from notarypy.cli.run import Context, Run, begin
from notarypy.cli.text import recoverysheet, render
from notarypy.errors import Advice, NotarypyError, UsageError
from notarypy.storage.backupfile import on_disk
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.client.api import Client
    from notarypy.client.backup.contents import BackedUpKey, BackupContents
    from notarypy.client.backup.restoring import Restored

_STDOUT, _PRIVATE_MODE = "-", 0o600
_SHA256 = 64
_OF_FILE = "sha256 size made program trust_dir config policy settings elsewhere left_out"
_OF_KEY, _OF_REPOSITORY = "keyid role gun uri", "repository server root_pins root_version roles"


def backup(
    context: Context,
    file: Annotated[str, Argument(metavar="FILE", help="A new file, or with --check one to try.")],
    *,
    check: Annotated[
        bool, Option("--check", help="Try FILE: restore it into a temporary folder, and unlock each key.")
    ] = False,
    sheet: Annotated[
        str | None, Option(metavar="HTML", help="Write a page about it too, to print and put into a safe.")
    ] = None,
    sheet_key: Annotated[
        list[str] | None, Option(metavar="KEY", help="With this key on the page, encrypted. Repeatable.")
    ] = None,
) -> None:
    """Save all of this machine: keys, roots, metadata, settings.

    Keys are in it as they are here, encrypted: it takes no passphrase to make, and the passphrases to use.
    Of a key on a token, in a KMS or in Vault it only says where that is. With --check nothing is made.

    Example:
      notarypy backup ~/notarypy-2026-11-29.tar
      notarypy backup ~/notarypy-2026-11-29.tar --sheet sheet.html
      notarypy backup --check ~/notarypy-2026-11-29.tar
    """
    run = begin(context)
    _require_file(file)
    page = _Sheet(run, file, sheet, sheet_key or ())
    if check:
        _check(run, file, page)
        return
    if file.endswith("/"):
        raise UsageError(f"{file} names a directory", advice=Advice("name-backup"))
    userfiles.require_directory(Path(file).absolute())

    def failed(ref: str, error: NotarypyError) -> None:
        run.report.failed([ref], error, about=ref)

    with run.client(asking=False) as client, run.trying(file):
        done = client.upkeep.backup(file, failed=failed)
        lines = [f"wrote {file}: {_counted(done)}", *_lines(done)]
        lines.append(f"try it, with the passphrases: notarypy backup --check {quote(file)}")
        run.report.done(file, _data(done), *lines)
        page.write(client, done)


def _check(run: Run, file: str, page: _Sheet) -> None:
    run.asked_for = 2  # whatever fails is one of several things in the backup
    with run.client() as client, run.trying(file):
        done = client.upkeep.check_backup(file)
        contents = done.contents
        run.report.done(file, _data(contents), f"{file} is whole: {_counted(contents)}", *_about(contents))
        page.write(client, contents)
        for key in contents.keys:
            data = {**render.fields(key, _OF_KEY), "file": file}
            if (error := done.failures.get(key.keyid)) is not None:
                run.report.failed([key.keyid], error, data, about=file)
            elif key.uri is None:
                run.report.done(key.keyid, {**data, "unlocked": True}, f"{_named(key)} opens")
            else:
                line = f"{_named(key)} is not in it, and was not asked: it is at {key.uri}"
                run.report.done(key.keyid, {**data, "unlocked": False}, line)
        for each in contents.repositories:
            data = {**render.fields(each, _OF_REPOSITORY), "file": file}
            if (error := done.failures.get(each.repository)) is not None:
                run.report.failed([each.repository], error, data, about=each.repository)
            else:
                line = f"{each.repository}: version {each.root_version} of its root is good"
                run.report.done(each.repository, data, line)


class _Sheet:
    """The page about a backup, if one is wanted."""

    def __init__(self, run: Run, file: str, path: str | None, keys: Sequence[str]) -> None:
        self._run, self._path, self._keys = run, path, keys
        if path is None:
            if keys:
                raise UsageError("--sheet-key is for --sheet", advice=Advice("give-both"))
            return
        if os.path.realpath(path) == os.path.realpath(file):
            raise UsageError("the page would replace the backup", advice=Advice("name-new-file"))
        userfiles.destination(run, path)
        if not recoverysheet.can_draw() and not keys:
            run.report.warn("the sheet has no QR codes: they need the extra sheet")

    def write(self, client: Client, contents: BackupContents) -> None:
        """Write it, once it is said that the backup is there."""
        if self._path is None:
            return
        with self._run.trying(self._path):
            keys = dict(client.upkeep.backed_up_key(contents.path, key) for key in self._keys)
            recoverysheet.require_drawable(keys)
            userfiles.require_outside(Path(self._path), client.settings.trust_dir)
            userfiles.write(Path(self._path), "".join(recoverysheet.page(contents, keys)), _PRIVATE_MODE)
            self._run.report.lines([f"to print, and to be kept apart from it: {self._path}"])


def restore(
    context: Context,
    file: Annotated[str, Argument(metavar="FILE", help="What backup has written.")],
    *,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Say what would be put back, and change nothing.")
    ] = False,
    keys_only: Annotated[
        bool, Option("--keys-only", help="Keys and where keys are; no roots, and no settings.")
    ] = False,
    no_settings: Annotated[
        bool, Option("--no-settings", help="Neither the configuration nor the trust policy.")
    ] = False,
    sha256: Annotated[
        str | None, Option(metavar="HEX", help="The SHA-256 that the file must have, as you noted it.")
    ] = None,
) -> None:
    """Put what backup wrote back: all of it, or nothing.

    What is here stays as it is: a key, maybe with another passphrase, and a repository with the same root, or
    one that its keys changed. Where another root is trusted, or other settings are, nothing is put back. One
    bit of the file that is not as it was written is enough to refuse it.

    Example:
      notarypy restore --dry-run ~/notarypy-2026-11-29.tar
      notarypy restore ~/notarypy-2026-11-29.tar
    """
    run = begin(context)
    _require_file(file)
    digest = None if sha256 is None else sha256.lower().removeprefix("sha256:")
    if digest is not None and (len(digest) != _SHA256 or digest.strip("0123456789abcdef")):
        raise UsageError(
            "--sha256 is no SHA-256", why=f"it has {_SHA256} hex digits", advice=Advice("give-value")
        )
    with run.client(asking=False) as client, run.trying(file):
        done = client.upkeep.restore(
            file, dry_run=dry_run, keys_only=keys_only, settings=not no_settings, sha256=digest
        )
        data = {**_data(done.contents), "restored": list(done.written), "kept": dict(done.kept)}
        data |= {"into": done.trust_dir, "settings_dir": done.settings_dir, "dry_run": dry_run}
        run.report.done(file, data, *_restored(done))


def _require_file(file: str) -> None:
    if not file:
        raise UsageError("FILE is empty", advice=Advice("give-value"))
    if file == _STDOUT:
        message, why = "a backup is no pipe", "it is there as a whole or not at all"
        raise UsageError(message, why=why, advice=Advice("name-backup"))


def _data(contents: BackupContents) -> dict[str, Any]:
    keys = [render.fields(key, _OF_KEY) for key in contents.keys]
    repositories = [render.fields(each, _OF_REPOSITORY) for each in contents.repositories]
    return {
        "file": contents.path,
        **render.fields(contents, _OF_FILE),
        "keys": keys,
        "repositories": repositories,
    }


def _counted(contents: BackupContents) -> str:
    elsewhere = sum(key.uri is not None for key in contents.keys)
    counts = [
        _amount(len(contents.keys) - elsewhere, "key", "keys"),
        _amount(elsewhere, "key elsewhere", "keys elsewhere") if elsewhere else "",
        _amount(len(contents.repositories), "repository", "repositories"),
        _amount(len(contents.settings), "file of settings", "files of settings"),
    ]
    return ", ".join(filter(None, counts))


def _amount(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def _about(contents: BackupContents) -> list[str]:
    return [f"  SHA-256: {contents.sha256}", f"  made {render.moment(contents.made)} of {contents.trust_dir}"]


def _lines(contents: BackupContents) -> list[str]:
    lines = _about(contents)
    for key in contents.keys:
        stays = "" if key.uri is None else f" stays at {key.uri}: the backup only says so"
        lines.append(f"  {_named(key)}{stays}")
    for each in contents.repositories:
        lines.append(f"  {each.repository}, root pin: {' '.join(each.root_pins)}")
    lines += [f"  settings: {place}" for place in contents.settings]
    lines += [f"  {path}, which settings name: it is not put back" for path in contents.elsewhere]
    return lines + [f"  left out: {what}" for what in contents.left_out]


def _named(key: BackedUpKey) -> str:
    of = f" of {key.gun}" if key.gun else ""
    return f"key {key.keyid} ({roles.signer_name(key.role) or 'no name'}{of})"


def _restored(done: Restored) -> list[str]:
    """Return what is said of a backup that was put back, or would be."""
    contents, would = done.contents, "would be put back" if done.dry_run else "put back"
    labels = {
        key.keyid: _named(key) if key.uri is None else f"that {_named(key)} is at {key.uri}"
        for key in contents.keys
    }
    lines = [f"{contents.path}, into {done.trust_dir}:", *_about(contents)]
    lines += [f"  {would}: {labels.get(each, each)}" for each in done.written]
    lines += [f"  {labels.get(each, each)}: {said}" for each, said in done.kept.items()]
    for path in contents.elsewhere:
        unpack = f"tar -xf {quote(contents.path)} {quote(on_disk(f'elsewhere{path}'))}"
        lines.append(f"  not put back, and named by the settings: {path}; to have it here: {unpack}")
    servers = contents.servers_to_name
    lines += [f"  name its server: export DOCKER_CONTENT_TRUST_SERVER={quote(url)}" for url in servers]
    if contents.config not in {None, "config.toml"}:
        lines.append(f"  name the configuration: --config {quote(f'{done.settings_dir}/{contents.config}')}")
    return lines if done.written else [*lines, "  all of it is here already"]
